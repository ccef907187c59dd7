//! The worker process: loads one build, computes the cases it is told, writes each result's
//! bytes into a file and says on stdout, a line of JSON a message, what it is doing. It judges
//! nothing; the parent (`run`) does, and outlives it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::case::{Case, Computation};
use super::engine::Engine;
use super::ops;
use super::tensor::{Dtype, Tensor};
use crate::device::Device;
use crate::error::{Doing, Error, Result, reading, writing};

/// Which form of an op is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The composition of stock's ops.
    Stock,
    /// Our op.
    Fork,
}

impl Form {
    /// `stock` or `fork`: who computes it so.
    pub fn name(self) -> &'static str {
        match self {
            Form::Stock => "stock",
            Form::Fork => "fork",
        }
    }
}

/// What a worker is to do.
#[derive(Debug)]
pub struct Job {
    /// The build's libmlx_fork_c.
    pub library: PathBuf,
    /// Which form of the ops to compute.
    pub form: Form,
    /// A file of case names, one a line.
    pub cases: PathBuf,
    /// The folder for results, `NUMBER.bin` by the case's line.
    pub out: PathBuf,
    /// The seed of the inputs.
    pub seed: u64,
    /// What to compute on.
    pub device: Device,
    /// Address space that the process may have, in MiB.
    pub memory: u64,
    /// Compute each case several times, for its time and for equal bits; else once.
    pub timed: bool,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The build is loaded.
    Ready(Loaded),
    /// The case of this line begins.
    Begin(usize),
    /// It is done, and its bytes are in their file.
    Done(Answer),
    /// MLX or our op refused it, in its words.
    Refused(usize, String),
}

/// What a build says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// Its id.
    pub id: String,
    /// The SIMD instructions of its kernels; none where it doesn't say.
    pub simd: Option<String>,
    /// The threads of its kernels; none where it doesn't say.
    pub threads: Option<i32>,
    /// What it computes on.
    #[serde(default)]
    pub device: Device,
}

/// A result without its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The case's line.
    pub case: usize,
    /// Type of the result.
    pub dtype: Dtype,
    /// Shape of the result.
    pub shape: Vec<usize>,
    /// The path that the fork took.
    pub path: Option<String>,
    /// Median seconds of one computation, inputs on the device, graph and all; indicative.
    pub seconds: f64,
    /// What should have given the same bits and did not, a sentence each.
    pub differing: Vec<String>,
}

/// Timed runs go on until this is spent, three at least, unless the first took it all.
const TIMING: Duration = Duration::from_millis(4);
const RUNS: usize = 3;

impl Job {
    /// Does it: all cases, in order. Returns when all are answered.
    pub fn run(&self) -> Result<()> {
        limit_memory(self.memory)?;
        let names = std::fs::read_to_string(&self.cases).doing(reading(&self.cases))?;
        let catalogue = ops::catalogue();
        let engine = Engine::open(&self.library)?;
        super::engine::done(engine.lib.set_default_device(self.device.into()))?;
        say(&Message::Ready(Loaded {
            id: engine.lib.id(),
            simd: engine.lib.cpu_simd(),
            threads: engine.lib.cpu_threads(),
            device: self.device,
        }))?;
        for (number, name) in names.lines().enumerate() {
            // A line is empty where an earlier worker has dealt with the case.
            if name.is_empty() {
                continue;
            }
            let case = catalogue
                .iter()
                .find(|case| case.name() == name)
                .ok_or_else(|| Error::bug(format!("the catalogue has no case \"{name}\"")))?;
            say(&Message::Begin(number))?;
            say(&match self.compute(&engine, case.as_ref(), number) {
                Ok(answer) => Message::Done(answer),
                Err(error) => Message::Refused(number, error.to_string()),
            })?;
        }
        Ok(())
    }

    fn compute(&self, engine: &Engine, case: &dyn Case, number: usize) -> Result<Answer> {
        let inputs = case.inputs(self.seed);
        let compute = match self.form {
            Form::Stock => case.composition(engine, &inputs)?,
            Form::Fork => case.primitive(engine, &inputs)?,
        };
        let (result, seconds, mut differing) = timed(engine, &compute, self.timed)?;
        let mut path = None;
        if self.form == Form::Fork {
            // Asked before the other ways below, which may take other paths.
            path = Some(super::engine::done(engine.lib.last_path(case.op()))?.to_string());
            for way in case.same_bits(engine, &inputs)? {
                if way.bytes != result.bytes {
                    differing.push(format!("other bits {}", way.what));
                }
            }
        }
        let file = result_file(&self.out, number);
        std::fs::write(&file, &result.bytes).doing(writing(&file))?;
        Ok(Answer {
            case: number,
            dtype: result.dtype,
            shape: result.shape,
            path,
            seconds,
            differing,
        })
    }
}

/// The file of a case's result.
pub fn result_file(out: &Path, number: usize) -> PathBuf {
    out.join(format!("{number}.bin"))
}

/// The result of a first run and its time; with `repeat` the median time of some more, each of
/// which must give the same bits.
fn timed(
    engine: &Engine,
    compute: &Computation,
    repeat: bool,
) -> Result<(Tensor, f64, Vec<String>)> {
    let start = Instant::now();
    let first = compute()?;
    super::engine::done(first.eval())?;
    let mut spent = start.elapsed();
    let mut times = vec![spent.as_secs_f64()];
    let result = engine.download(&first)?;
    drop(first);
    let mut differing = Vec::new();
    if !repeat {
        return Ok((result, times[0], differing));
    }
    // The first run is the warm-up, unless it took so long that it tells enough.
    let enough = 50 * TIMING;
    if spent < enough {
        times.clear();
        spent = Duration::ZERO;
    }
    while times.is_empty() || (spent < enough && (times.len() < RUNS || spent < TIMING)) {
        let start = Instant::now();
        let again = compute()?;
        super::engine::done(again.eval())?;
        let took = start.elapsed();
        times.push(took.as_secs_f64());
        spent += took;
        if engine.download(&again)?.bytes != result.bytes {
            differing.push("other bits on a further run".into());
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((result, times[times.len() / 2], differing))
}

fn say(message: &Message) -> Result<()> {
    let line = serde_json::to_string(message).map_err(|e| Error::bug(e.to_string()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .doing(|| "answering the parent".into())
}

/// An allocation beyond this fails in this process, instead of taking the machine along.
fn limit_memory(mib: u64) -> Result<()> {
    let bytes = mib.saturating_mul(1 << 20);
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: setrlimit(2) reads the struct and touches nothing else.
    if unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) } == 0 {
        return Ok(());
    }
    // macOS has no such limit.
    if cfg!(target_os = "linux") {
        let error = std::io::Error::last_os_error();
        return Err(Error::environment(format!(
            "can't limit the memory to {mib} MiB: {error}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_their_line() {
        let answer = Answer {
            case: 3,
            dtype: Dtype::Bf16,
            shape: vec![1, 2],
            path: Some("general".into()),
            seconds: 0.25,
            differing: vec!["other bits".into()],
        };
        let loaded = Loaded {
            id: "id".into(),
            simd: Some("avx2".into()),
            threads: Some(2),
            device: Device::Gpu,
        };
        for message in [
            Message::Ready(loaded),
            Message::Begin(7),
            Message::Done(answer),
            Message::Refused(1, "[gather_qmm] no".into()),
        ] {
            let line = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<Message>(&line).unwrap(), message);
        }
    }
}
