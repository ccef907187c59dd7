//! What a bench says. The JSON form is these structs, field by field; docs/bench.md describes
//! them. Printing is the command's, the picture is `plot`'s.

use serde::Serialize;

use super::case::{Case, Op};
use super::judge::Judgement;
use super::machine::Machine;
use super::stats::{self, Estimate};
use crate::error::{Error, Result};
use crate::parity::random::Stream;

/// Others that keep more of a core busy than this are worth a word.
const OTHERS: f64 = 0.1;

/// A noise of more than this makes small differences invisible.
const NOISY: f64 = 1.1;

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The seed of inputs, order and resampling.
    pub seed: u64,
    /// Seconds that a case was given.
    pub budget: f64,
    /// Whether calls repeat the same experts.
    pub hot: bool,
    /// Stock's id.
    pub stock_id: String,
    /// The fork's id.
    pub fork_id: String,
    /// The machine.
    pub machine: Machine,
    /// The vector extension of the fork's kernels, where it says so.
    pub simd: Option<String>,
    /// The threads of the plain read: the fork's, where it says so, or all cores.
    pub threads: usize,
    /// Bytes per second of the plain read, in GB (10^9), the median over the cases.
    pub read_gb_per_s: Option<f64>,
    /// The load average before and after.
    pub load: [Option<f64>; 2],
    /// Cases that were to be measured.
    pub planned: usize,
    /// Cases that were.
    pub measured: usize,
    /// Cases that could not be.
    pub failed: usize,
    /// Seconds of the whole run.
    pub seconds: f64,
    /// What makes the numbers worth less.
    pub warnings: Vec<String>,
    /// The cases, in order.
    pub cases: Vec<CaseReport>,
}

/// One case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// `qwen3/t1/bf16/layer`.
    pub name: String,
    /// The model's part of it.
    pub model: &'static str,
    /// Tokens of a call.
    pub tokens: usize,
    /// The type.
    pub float: &'static str,
    /// What was called.
    pub op: Op,
    /// The format of the weights.
    pub quantization: String,
    /// Experts of a token, experts of a set, and how many the model has.
    pub experts: [usize; 3],
    /// Sets of experts among which calls rotate.
    pub sets: usize,
    /// Bytes of the op's weights among which calls rotate.
    pub rotating_bytes: usize,
    /// What was measured; none where it could not be.
    pub numbers: Option<Numbers>,
    /// Why it could not.
    pub error: Option<String>,
    /// The command that measures it again.
    pub rerun: String,
}

/// What was measured of a case.
#[derive(Debug, Clone, Serialize)]
pub struct Numbers {
    /// Stock.
    pub stock: Times,
    /// The fork.
    pub fork: Times,
    /// The fork's second process.
    pub again: Times,
    /// The plain read.
    pub read: Times,
    /// The comparison.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The fork's time divided by the plain read's.
    pub of_read: Estimate,
    /// Bytes of weights that a call needs, each expert's once; the median.
    pub bytes: f64,
    /// Those bytes by the fork's time, in GB/s.
    pub gb_per_s: f64,
    /// And by the plain read's.
    pub read_gb_per_s: f64,
    /// The path that the fork took.
    pub path: Option<String>,
    /// Cores that others kept busy meanwhile.
    pub others: Option<f64>,
}

/// An arm's samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// How many.
    pub samples: usize,
    /// Their median, in seconds.
    pub median: f64,
    /// Its 95 % interval; none of a single sample.
    pub interval: Option<[f64; 2]>,
}

impl Times {
    /// Of these samples.
    pub fn of(samples: &[f64], stream: Stream) -> Self {
        let estimate = stats::estimate(samples, stream);
        Times {
            samples: samples.len(),
            median: estimate.value,
            interval: (samples.len() > 1).then_some([estimate.low, estimate.high]),
        }
    }
}

impl CaseReport {
    /// Of a case, with what came of it.
    pub fn new(case: &Case, came: Result<Numbers>, rerun: String) -> Self {
        let shape = &case.shape;
        let (numbers, error) = match came {
            Ok(numbers) => (Some(numbers), None),
            Err(error) => (None, Some(error.to_string())),
        };
        CaseReport {
            name: case.name(),
            model: shape.name,
            tokens: case.tokens,
            float: case.float.name(),
            op: case.op,
            quantization: shape.quant.name(),
            experts: [shape.active, shape.present, shape.experts],
            sets: shape.sets,
            rotating_bytes: shape.rotating_bytes(case.float) * case.op.matrices().len(),
            numbers,
            error,
            rerun,
        }
    }
}

impl Report {
    /// Counts, and says what makes the numbers worth less.
    pub fn finish(mut self) -> Self {
        let numbers: Vec<(&str, &Numbers)> = self
            .cases
            .iter()
            .filter_map(|case| Some((case.name.as_str(), case.numbers.as_ref()?)))
            .collect();
        let speeds: Vec<f64> = numbers.iter().map(|(_, n)| n.read_gb_per_s).collect();
        let mut warnings = Vec::new();
        let [before, _] = self.load;
        if let Some(load) = before.filter(|load| *load > 0.5) {
            warnings.push(format!(
                "the load average was {load:.1} before the start: was the machine idle?"
            ));
        }
        let mut worst = |what: &str, limit: f64, value: fn(&Numbers) -> f64, unit: &str| {
            let above = numbers.iter().filter(|(_, n)| value(n) > limit);
            let count = above.clone().count();
            let most = above.max_by(|a, b| value(a.1).total_cmp(&value(b.1)));
            if let Some((name, n)) = most {
                warnings.push(format!(
                    "in {count} of {} cases {what}, most in {name}: {:.2}{unit}",
                    numbers.len(),
                    value(n)
                ));
            }
        };
        worst(
            "others used the processor",
            OTHERS,
            |n| n.others.unwrap_or(0.0),
            " cores",
        );
        worst(
            "two processes of the fork differed by a lot",
            NOISY,
            |n| n.judgement.floor,
            "x",
        );
        self.measured = numbers.len();
        self.failed = self.cases.len() - numbers.len();
        self.read_gb_per_s = (!speeds.is_empty()).then(|| stats::median(&speeds));
        self.warnings = warnings;
        self
    }

    /// One line: how many, and how it went.
    pub fn summary(&self) -> String {
        let count = |name: &str| {
            let numbers = self.cases.iter().filter_map(|case| case.numbers.as_ref());
            numbers
                .filter(|n| n.judgement.verdict.name() == name)
                .count()
        };
        format!(
            "{} of {} cases measured in {:.0} s: {} faster, {} slower, {} no difference",
            self.measured,
            self.planned,
            self.seconds,
            count("faster"),
            count("slower"),
            count("no difference")
        )
    }

    /// A gate's error where a case could not be measured.
    pub fn check(&self) -> Result<()> {
        if self.failed == 0 && self.measured == self.planned {
            return Ok(());
        }
        let mut text = self.summary();
        let mut reruns = Vec::new();
        for case in &self.cases {
            if let Some(error) = &case.error {
                text += &format!("\n  {}: {error}", case.name);
                reruns.push(case.rerun.clone());
            }
        }
        let error = Error::gate(text);
        Err(match reruns.first() {
            Some(rerun) => error.hint(format!("`{rerun}` measures the first of them again")),
            None => error,
        })
    }
}
