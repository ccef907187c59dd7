//! A worker: one build, or the memory alone, with a layer's weights loaded. It is asked for one
//! call at a time, by a line on standard input, and answers with a line; in between it sleeps,
//! so that only one worker runs at any time.

use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::case::{Case, Op, select};
use super::compute::Build;
use super::inputs::Routing;
use super::read::Memory;
use crate::error::{Doing, Error, Result};
use crate::parity::worker::Form;

/// What a worker is.
#[derive(Debug)]
pub struct Job {
    /// The build's libmlx_fork_c and the form of the ops; none reads memory only.
    pub build: Option<(PathBuf, Form)>,
    /// A case of the weights to load, by name.
    pub case: String,
    /// The seed of all inputs.
    pub seed: u64,
    /// Threads of a plain read.
    pub threads: usize,
}

/// A call to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What to call.
    pub op: Op,
    /// Tokens.
    pub tokens: usize,
    /// The position of a call to make before, not timed: it wakes threads and code, as the layer
    /// before does in a model.
    pub before: Option<u64>,
    /// The position of the timed call in the rotation of experts.
    pub position: u64,
    /// Whether to say something of the result.
    pub check: bool,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The weights are loaded.
    Ready(Ready),
    /// The call is made.
    Done(Sample),
    /// MLX or our op refused it, in its words.
    Refused(String),
}

/// What a build says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// Its id.
    pub id: String,
    /// The vector extension that its kernels use, where it says so.
    pub simd: Option<String>,
    /// The threads that they use, where it says so.
    pub threads: Option<usize>,
}

/// A timed call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds from building the graph to the evaluated result.
    pub seconds: f64,
    /// Bytes of the weights that the call needs, each expert's once.
    pub bytes: usize,
    /// The path that the fork took.
    pub path: Option<String>,
    /// The result in short, where it was asked for.
    pub check: Option<Check>,
}

/// Enough of a result to see that two are the same, or nothing like each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its shape.
    pub shape: Vec<usize>,
    /// A hash of its bytes.
    pub bits: u64,
    /// Its root mean square; none where that is not finite.
    pub rms: Option<f64>,
}

/// What a call runs on.
enum Subject {
    Build(Box<Build>),
    Memory(Memory),
}

impl Job {
    /// Loads, then answers until standard input ends.
    pub fn run(&self) -> Result<()> {
        // The name's own number of tokens, so that every case can be named.
        let tokens = tokens_of(&self.case)?;
        let case = select(Some(&self.case), &[tokens])?.remove(0);
        let mut subject = match &self.build {
            Some((library, form)) => {
                let build = Build::open(library, *form, self.seed, &case)?;
                Subject::Build(Box::new(build))
            }
            None => Subject::Memory(Memory::new(self.seed, &case, self.threads)),
        };
        say(&Answer::Ready(subject.about()))?;
        for line in std::io::stdin().lines() {
            let line = line.doing(|| "reading what to measure".into())?;
            let request: Request = serde_json::from_str(&line)
                .map_err(|e| Error::bug(format!("no request: {e}: {line}")))?;
            say(&match self.serve(&mut subject, &case, &request) {
                Ok(sample) => Answer::Done(sample),
                Err(error) => Answer::Refused(error.to_string()),
            })?;
        }
        Ok(())
    }

    fn serve(&self, subject: &mut Subject, loaded: &Case, request: &Request) -> Result<Sample> {
        let case = Case {
            op: request.op,
            tokens: request.tokens,
            ..loaded.clone()
        };
        let (before, position) = (request.before, request.position);
        match subject {
            Subject::Memory(memory) => {
                let (seconds, bytes) = memory.call(&case, before, position);
                Ok(Sample {
                    seconds,
                    bytes,
                    path: None,
                    check: None,
                })
            }
            Subject::Build(build) => {
                let (seconds, check) = build.call(&case, before, position, request.check)?;
                let experts = Routing::at(self.seed, &case, position).experts();
                let each = case.shape.matrix_bytes(case.float) * case.op.matrices().len();
                Ok(Sample {
                    seconds,
                    bytes: experts.len() * each,
                    path: build.path(&case)?,
                    check,
                })
            }
        }
    }
}

impl Subject {
    fn about(&self) -> Ready {
        match self {
            Subject::Memory(_) => Ready::default(),
            Subject::Build(build) => Ready {
                id: build.engine.lib.id(),
                simd: build.engine.lib.cpu_simd(),
                threads: build
                    .engine
                    .lib
                    .cpu_threads()
                    .and_then(|threads| usize::try_from(threads).ok()),
            },
        }
    }
}

fn tokens_of(case: &str) -> Result<usize> {
    let part = case
        .split('/')
        .nth(1)
        .and_then(|part| part.strip_prefix('t'));
    part.and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Error::usage(format!("{case} is no case's name: MODEL/tTOKENS/TYPE/OP")))
}

fn say(answer: &Answer) -> Result<()> {
    let line = serde_json::to_string(answer).map_err(|e| Error::bug(e.to_string()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .doing(|| "answering the parent".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_line() {
        let sample = Sample {
            seconds: 0.1 + 0.2,
            bytes: 3,
            path: Some("fast".into()),
            check: Some(Check {
                shape: vec![1, 2],
                bits: u64::MAX,
                rms: None,
            }),
        };
        for answer in [
            Answer::Ready(Ready::default()),
            Answer::Done(sample),
            Answer::Refused("[gather_qmm] no".into()),
        ] {
            let line = serde_json::to_string(&answer).unwrap();
            assert_eq!(serde_json::from_str::<Answer>(&line).unwrap(), answer);
        }
    }

    #[test]
    fn a_cases_name_tells_its_tokens() {
        assert_eq!(tokens_of("qwen3/t17/bf16/layer").unwrap(), 17);
        assert_eq!(tokens_of("qwen3").unwrap_err().kind(), crate::Kind::Usage);
    }
}
