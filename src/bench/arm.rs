//! The parent's end of a worker: starting it, asking for a call, and saying how it died.

use std::path::Path;
use std::time::{Duration, Instant};

use super::case::Case;
use super::worker::{Answer, Ready, Request, Sample};
use crate::error::{Error, Result};
use crate::parity::worker::Form;
use crate::process::{self, Command, Talk};

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// Stock's composition.
    Stock,
    /// The fork's op.
    Fork,
    /// The same once more, in a second process: the noise.
    Again,
    /// A plain read of the same bytes.
    Read,
}

/// All of them.
pub const ARMS: [Arm; 4] = [Arm::Stock, Arm::Fork, Arm::Again, Arm::Read];

impl Arm {
    /// In messages.
    pub fn name(self) -> &'static str {
        match self {
            Arm::Stock => "stock",
            Arm::Fork => "fork",
            Arm::Again => "fork (a/a)",
            Arm::Read => "plain read",
        }
    }

    /// The form of the ops that its worker computes.
    pub fn form(self) -> Option<Form> {
        match self {
            Arm::Stock => Some(Form::Stock),
            Arm::Fork | Arm::Again => Some(Form::Fork),
            Arm::Read => None,
        }
    }
}

/// What to start a worker with.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The program that answers to `bench-worker`.
    pub program: &'a Path,
    /// The libmlx_fork_c of an arm that has a form.
    pub library: &'a Path,
    /// A case with the weights to load.
    pub case: &'a Case,
    /// The seed of all inputs.
    pub seed: u64,
    /// Threads of a plain read.
    pub threads: usize,
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    arm: Arm,
    /// None once it has died.
    talk: Option<Talk>,
    patience: Duration,
}

impl Worker {
    /// Starts it; [`Self::ready`] waits for its weights.
    pub fn start(arm: Arm, start: Start, patience: Duration) -> Result<Self> {
        let mut command = Command::new(start.program)
            .arg("bench-worker")
            .args(["--case", &start.case.name()])
            .args(["--seed", &start.seed.to_string()])
            .args(["--threads", &start.threads.to_string()]);
        if let Some(form) = arm.form() {
            command = command
                .args(["--form", form.name()])
                .arg("--library")
                .arg(start.library);
        }
        Ok(Worker {
            arm,
            talk: Some(command.talk()?),
            patience,
        })
    }

    /// The arm.
    pub fn arm(&self) -> Arm {
        self.arm
    }

    /// The id of its process, while it lives.
    pub fn id(&self) -> Option<u32> {
        self.talk.as_ref().map(Talk::id)
    }

    /// Waits until its weights are loaded.
    ///
    /// # Errors
    /// A gate's, with signal or exit code and the end of its stderr, where it dies instead.
    pub fn ready(&mut self) -> Result<Ready> {
        match self.hear()? {
            Answer::Ready(ready) => Ok(ready),
            other => Err(self.nonsense(&format!("{other:?}"))),
        }
    }

    /// Has a call made. Also gives the seconds that the whole request took.
    ///
    /// # Errors
    /// A gate's: the call was refused, or the worker died at it.
    pub fn ask(&mut self, request: &Request) -> Result<(Sample, f64)> {
        let line = serde_json::to_string(request).map_err(|e| Error::bug(e.to_string()))?;
        let start = Instant::now();
        if let Some(talk) = &mut self.talk {
            talk.say(&line);
        }
        match self.hear()? {
            Answer::Done(sample) if sample.seconds > 0.0 => {
                Ok((sample, start.elapsed().as_secs_f64()))
            }
            Answer::Refused(why) => Err(Error::gate(format!("{}: {why}", self.arm.name()))),
            other => Err(self.nonsense(&format!("{other:?}"))),
        }
    }

    fn hear(&mut self) -> Result<Answer> {
        let said = self.talk.as_mut().and_then(|talk| talk.hear(self.patience));
        let Some(line) = said else {
            return Err(self.death());
        };
        serde_json::from_str(&line).map_err(|_| self.nonsense(&line))
    }

    /// A worker that has answered rubbish is not asked again.
    fn nonsense(&mut self, line: &str) -> Error {
        self.talk = None;
        let said: String = line.chars().take(200).collect();
        let name = self.arm.name();
        Error::gate(format!("the worker of {name} answered `{said}`"))
    }

    fn death(&mut self) -> Error {
        let name = self.arm.name();
        let Some(talk) = self.talk.take() else {
            return Error::gate(format!("the worker of {name} has died before"));
        };
        match talk.end() {
            Ok(output) => {
                let said = process::last_lines(&output.stderr, 5);
                let colon = if said.is_empty() { "" } else { ":\n" };
                let ending = output.ending();
                Error::gate(format!(
                    "the worker of {name} ended with {ending}{colon}{said}"
                ))
            }
            Err(error) => error,
        }
    }
}
