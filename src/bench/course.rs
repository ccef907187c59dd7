//! A case's course: its workers are asked in turn until its time is up, and their samples
//! become its numbers. Who the workers are, and what becomes of the dead, is `run`'s.

use std::time::Instant;

use super::arm::{Arm, Worker};
use super::case::Case;
use super::judge::{Samples, judge};
use super::machine::Usage;
use super::report::{Numbers, Times};
use super::run::Plan;
use super::worker::{Check, Request, Sample};
use super::{schedule, stats};
use crate::error::{Error, Result};
use crate::parity::random::Stream;

/// The workers of a layer's weights, in the order of [`super::arm::ARMS`].
pub type Team = [Worker; 4];

/// Above this, a call before the timed one would cost more than it is worth.
const SLOW: f64 = 0.1;

/// Calls of a quick arm to warm it up.
const WARM_UP: u64 = 3;

/// Where the rotation of the warm-up calls begins, far from the samples'.
const APART: u64 = 1 << 40;

/// The results of two forms of an op are of the same order, or one is wrong. How wrong exactly
/// is for parity: stock's sums in 16 bits are far off.
const ALIKE: f64 = 4.0;

/// Takes a case's samples and says what they say. The workers hold its weights.
pub fn measure(plan: &Plan, team: &mut Team, case: &Case) -> Result<Numbers> {
    let stream = |word: &str| Stream::new(plan.seed, &["bench", &case.name(), word]);
    let mut course = Course {
        team,
        case,
        hot: plan.hot,
        taken: [const { Vec::new() }; 4],
        last: [0.0; 4],
        bytes: Vec::new(),
        path: None,
    };
    let (since, before) = (Instant::now(), course.usage());
    let mut checks: Vec<(Arm, Check)> = Vec::new();
    let mut least = f64::INFINITY;
    for call in 0..WARM_UP {
        let mut round = 0.0;
        for arm in schedule::warm_up(stream(&format!("warm up {call}"))) {
            let (sample, took) = course.ask(arm, APART + call, call == 0)?;
            checks.extend(sample.check.map(|check| (arm, check)));
            round += took;
        }
        // The first has no call before the timed one, and cold code.
        if call > 0 {
            least = least.min(round);
        }
    }
    let quick = schedule::quick_samples(plan.budget, least);
    let lead = schedule::lead(quick);
    course.follow(schedule::order(0, lead, stream("lead")))?;
    let (first, took) = course.ask(Arm::Stock, APART, true)?;
    checks.extend(first.check.map(|check| (Arm::Stock, check)));
    alike(&checks)?;
    let further = schedule::further_stock(plan.budget, took);
    if further.is_none() {
        course.taken[Arm::Stock as usize].push(first.seconds);
    }
    let rest = schedule::order(further.unwrap_or(0), quick - lead, stream("order"));
    course.follow(rest)?;
    let others = course
        .usage()
        .zip(before)
        .map(|(now, before)| now.others_since(before, since.elapsed().as_secs_f64()));
    let (path, bytes) = (course.path, stats::median(&course.bytes));
    let [stock, fork, again, read] = course.taken;
    let of_read = stats::ratio(&fork, &read, stream("of read"));
    let times = |samples: &[f64], arm: Arm| Times::of(samples, stream(arm.name()));
    let read = times(&read, Arm::Read);
    let samples = Samples { stock, fork, again };
    let fork = times(&samples.fork, Arm::Fork);
    Ok(Numbers {
        stock: times(&samples.stock, Arm::Stock),
        fork,
        again: times(&samples.again, Arm::Again),
        read,
        judgement: judge(&samples, stream),
        of_read,
        bytes,
        gb_per_s: bytes / fork.median / 1e9,
        read_gb_per_s: bytes / read.median / 1e9,
        path,
        others,
    })
}

/// A case being measured.
struct Course<'a> {
    team: &'a mut Team,
    case: &'a Case,
    hot: bool,
    /// Each arm's samples, in the order of [`ARMS`].
    taken: [Vec<f64>; 4],
    /// Seconds of each arm's last call.
    last: [f64; 4],
    /// Bytes that each call of the plain read has read.
    bytes: Vec<f64>,
    path: Option<String>,
}

impl Course<'_> {
    /// Takes samples in this order. Every arm goes through the same positions.
    fn follow(&mut self, order: Vec<Arm>) -> Result<()> {
        for arm in order {
            let place = self.taken[arm as usize].len() as u64;
            let (sample, _) = self.ask(arm, place, false)?;
            self.taken[arm as usize].push(sample.seconds);
            match arm {
                Arm::Read => self.bytes.push(sample.bytes as f64),
                Arm::Fork => self.path = sample.path,
                Arm::Stock | Arm::Again => {}
            }
        }
        Ok(())
    }

    fn ask(&mut self, arm: Arm, place: u64, check: bool) -> Result<(Sample, f64)> {
        let at = |position: u64| if self.hot { 0 } else { position };
        let request = Request {
            op: self.case.op,
            tokens: self.case.tokens,
            before: (self.last[arm as usize] < SLOW && !check).then(|| at(2 * place)),
            position: at(2 * place + 1),
            check,
        };
        let answer = self.team[arm as usize].ask(&request)?;
        self.last[arm as usize] = answer.0.seconds;
        Ok(answer)
    }

    fn usage(&self) -> Option<Usage> {
        let workers = self.team.iter().filter_map(Worker::id);
        Usage::now(workers.chain([std::process::id()]))
    }
}

/// That the two processes of the fork gave the same bits, and stock something like it.
fn alike(checks: &[(Arm, Check)]) -> Result<()> {
    let of = |arm: Arm| {
        checks
            .iter()
            .find(|(a, _)| *a == arm)
            .map(|(_, check)| check)
    };
    let (Some(stock), Some(fork), again) = (of(Arm::Stock), of(Arm::Fork), of(Arm::Again)) else {
        return Err(Error::bug("a warm-up call without its result"));
    };
    if again != Some(fork) {
        return Err(Error::gate(
            "two processes of the fork gave different bits for the same inputs",
        ));
    }
    let near = match (stock.rms, fork.rms) {
        (Some(a), Some(b)) => a > 0.0 && b > 0.0 && (1.0 / ALIKE..ALIKE).contains(&(a / b)),
        _ => false,
    };
    if near && stock.shape == fork.shape {
        return Ok(());
    }
    let say = |check: &Check| {
        let rms = check
            .rms
            .map_or("not finite".into(), |rms| format!("{rms:.3e}"));
        format!("shape {:?}, root mean square {rms}", check.shape)
    };
    Err(Error::gate(format!(
        "stock and fork computed different things: {} against {}",
        say(stock),
        say(fork)
    ))
    .hint("`cargo xtask parity` says which one is wrong"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(stock: Option<f64>, fork: Option<f64>, bits: [u64; 2]) -> Vec<(Arm, Check)> {
        let check = |rms, bits| Check {
            shape: vec![1, 8],
            bits,
            rms,
        };
        vec![
            (Arm::Again, check(fork, bits[1])),
            (Arm::Fork, check(fork, bits[0])),
            (Arm::Stock, check(stock, 7)),
        ]
    }

    #[test]
    fn results_of_another_magnitude_or_without_one_are_refused() {
        assert!(alike(&checks(Some(1.0), Some(1.4), [5, 5])).is_ok());
        for (stock, fork) in [
            (Some(1.0), Some(5.0)),
            (Some(1.0), Some(0.0)),
            (Some(1.0), None),
            (None, Some(1.0)),
        ] {
            let error = alike(&checks(stock, fork, [5, 5])).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Gate);
            assert!(error.to_string().contains("different things"), "{error}");
        }
    }

    #[test]
    fn two_processes_of_the_fork_must_give_the_same_bits() {
        let error = alike(&checks(Some(1.0), Some(1.0), [5, 6])).unwrap_err();
        assert!(error.to_string().contains("different bits"), "{error}");
    }
}
