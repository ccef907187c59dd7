//! What a run of parity says. The JSON form is these structs, field by field; docs/parity.md
//! describes them. Printing is the command's.

use std::collections::BTreeSet;

use serde::Serialize;

use super::judge::Judgement;
use super::worker::Answer;
use crate::device::Device;
use crate::error::{Error, Result};

/// What became of a case on one build.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// No word of it yet.
    Missing,
    /// It can't be run there, and why; known before.
    NotRun(String),
    /// Refused, crashed, hung or out of memory, in words.
    Failed(String),
    /// Computed.
    Done(Answer),
}

/// One build's part of a case.
#[derive(Debug, Clone, Serialize)]
pub struct SideReport {
    /// `done`, `failed`, `not run`.
    pub outcome: &'static str,
    /// Why it failed or was not run.
    pub detail: Option<String>,
    /// The result against what it must be.
    pub judgement: Option<Judgement>,
    /// `fast`, `general`, `composition`; the fork only.
    pub path: Option<String>,
    /// Median seconds of a computation; indicative.
    pub seconds: Option<f64>,
}

impl SideReport {
    pub(super) fn new(outcome: &Outcome) -> Self {
        let (word, detail) = match outcome {
            Outcome::Missing => ("failed", Some("no answer".to_string())),
            Outcome::NotRun(why) => ("not run", Some(why.clone())),
            Outcome::Failed(what) => ("failed", Some(what.clone())),
            Outcome::Done(_) => ("done", None),
        };
        let answer = match outcome {
            Outcome::Done(answer) => Some(answer),
            _ => None,
        };
        SideReport {
            outcome: word,
            detail,
            judgement: None,
            path: answer.and_then(|answer| answer.path.clone()),
            seconds: answer.map(|answer| answer.seconds),
        }
    }
}

/// Whether a case passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The fork's result is admissible and nothing went wrong.
    Pass,
    /// Anything else.
    Fail,
}

/// With what the fork computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArmReport {
    /// The SIMD instructions of its kernels; none where the build doesn't say.
    pub simd: Option<String>,
    /// Its threads; none where the build doesn't say.
    pub threads: Option<i32>,
    /// Other thread counts whose bits were compared.
    pub same_bits_with: Vec<i32>,
}

/// One case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// The SIMD instructions with which the fork computed it; none where it doesn't say.
    pub simd: Option<String>,
    /// Whether it passed.
    pub verdict: Verdict,
    /// Why not, one sentence each.
    pub reasons: Vec<String>,
    /// Stock's part. Its errors are reported and not judged.
    pub stock: SideReport,
    /// The fork's part.
    pub fork: SideReport,
    /// Largest difference of the two results in steps of their type; none where there is only
    /// one, or their types differ.
    pub ulps: Option<u64>,
    /// Whether both results are the same bytes.
    pub bits_equal: Option<bool>,
    /// The command that runs just this case again.
    pub rerun: String,
}

impl CaseReport {
    /// Its name, and the SIMD instructions where they are known.
    pub fn title(&self) -> String {
        match &self.simd {
            Some(simd) => format!("{} ({simd})", self.name),
            None => self.name.clone(),
        }
    }
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The seed of all inputs.
    pub seed: u64,
    /// What both builds computed on.
    pub device: Device,
    /// What stock's library says it is.
    pub stock_id: String,
    /// What the fork's library says it is.
    pub fork_id: String,
    /// With what the fork computed: each case once for each of these.
    pub arms: Vec<ArmReport>,
    /// Cases that were to be run, times the number of `arms`.
    pub planned: usize,
    /// Cases whose result was judged.
    pub run: usize,
    /// Cases that ended otherwise: a crash, a hang, a refusal.
    pub reported: usize,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Seconds of the whole run.
    pub seconds: f64,
    /// The cases, worst first: failures, then by the part of the bound that the fork used.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// Counts and orders; counts that don't agree are an error.
    pub(super) fn new(
        seed: u64,
        device: Device,
        [stock_id, fork_id]: [String; 2],
        arms: Vec<ArmReport>,
        planned: usize,
        mut cases: Vec<CaseReport>,
        seconds: f64,
    ) -> Result<Self> {
        let judged = |case: &&CaseReport| case.fork.judgement.is_some();
        let run = cases.iter().filter(judged).count();
        let reported = cases
            .iter()
            .filter(|case| !judged(case) && case.verdict == Verdict::Fail)
            .count();
        if planned == 0 || planned != run + reported {
            return Err(Error::bug(format!(
                "{planned} cases were planned, {run} judged and {reported} reported"
            )));
        }
        let failed = cases
            .iter()
            .filter(|case| case.verdict == Verdict::Fail)
            .count();
        cases.sort_by(|a, b| {
            let key = |case: &CaseReport| {
                let part = case
                    .fork
                    .judgement
                    .as_ref()
                    .map_or(f64::INFINITY, |j| j.part_of_bound);
                (case.verdict == Verdict::Fail, part)
            };
            let (a_key, b_key) = (key(a), key(b));
            (b_key.0.cmp(&a_key.0))
                .then(b_key.1.total_cmp(&a_key.1))
                .then(a.name.cmp(&b.name))
                .then(a.simd.cmp(&b.simd))
        });
        Ok(Report {
            seed,
            device,
            stock_id,
            fork_id,
            arms,
            planned,
            run,
            reported,
            passed: planned - failed,
            failed,
            seconds,
            cases,
        })
    }

    /// `648 of 648 cases passed (seed 1, 42 s)`.
    pub fn summary(&self) -> String {
        let mut text = format!("{} of {} cases passed", self.passed, self.planned);
        if self.failed > 0 {
            text += &format!(", {} failed", self.failed);
        }
        let unfinished = if self.reported > 0 {
            format!(", {} without a result", self.reported)
        } else {
            String::new()
        };
        text + &format!("{unfinished} (seed {}, {:.0} s)", self.seed, self.seconds)
    }

    /// An error of kind gate unless each op was computed by a kernel of ours in some case: a
    /// build that has lost its kernels computes right, and all by composition.
    pub fn check_kernels(&self) -> Result<()> {
        let op = |case: &CaseReport| case.name.split('/').next().map(String::from);
        let ours = |case: &&CaseReport| {
            let path = case.fork.path.as_deref();
            matches!(path, Some("fast" | "general"))
        };
        let all: BTreeSet<String> = self.cases.iter().filter_map(op).collect();
        let some = self.cases.iter().filter(ours).filter_map(op).collect();
        let without: Vec<&str> = all.difference(&some).map(String::as_str).collect();
        match without.is_empty() {
            true => Ok(()),
            false => Err(Error::gate(format!(
                "computed by no kernel of ours in any case, on the {}: {}",
                self.device.name(),
                without.join(", ")
            ))
            .doing("comparing the builds")),
        }
    }

    /// An error of kind gate unless all passed: the failing cases and how to run one again.
    pub fn check(&self) -> Result<()> {
        let failing: Vec<&CaseReport> = self
            .cases
            .iter()
            .filter(|case| case.verdict == Verdict::Fail)
            .collect();
        let Some(first) = failing.first() else {
            return Ok(());
        };
        let shown: Vec<String> = failing
            .iter()
            .take(SHOWN)
            .map(|case| format!("  {}\n    {}", case.title(), case.reasons.join("\n    ")))
            .collect();
        let more = failing.len().saturating_sub(SHOWN);
        let more = if more > 0 {
            format!("\n  and {more} more")
        } else {
            String::new()
        };
        Err(Error::gate(format!(
            "{} of {} cases failed:\n{}{more}",
            failing.len(),
            self.planned,
            shown.join("\n")
        ))
        .hint(format!("run one again: {}", first.rerun)))
    }
}

/// Failing cases named in an error; all are in the report.
const SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, verdict: Verdict, part: Option<f64>) -> CaseReport {
        let mut fork = SideReport::new(&Outcome::Missing);
        fork.judgement = part.map(|part| Judgement {
            wrong: 0,
            elements: 1,
            error_max: 0.0,
            error_rel: 0.0,
            part_of_bound: part,
            worst: None,
        });
        CaseReport {
            name: name.into(),
            simd: None,
            verdict,
            reasons: vec!["it is wrong".into()],
            stock: SideReport::new(&Outcome::NotRun("it can't".into())),
            fork,
            ulps: None,
            bits_equal: None,
            rerun: format!("cargo xtask parity --seed 1 --filter '{name}'"),
        }
    }

    fn report(planned: usize, cases: Vec<CaseReport>) -> Result<Report> {
        let device = Device::default();
        Report::new(
            1,
            device,
            ["a".into(), "b".into()],
            Vec::new(),
            planned,
            cases,
            1.0,
        )
    }

    #[test]
    fn an_op_that_no_kernel_of_ours_computed_is_a_failed_gate() {
        let taking = |name: &str, path: &str| {
            let mut case = case(name, Verdict::Pass, Some(0.5));
            case.fork.path = Some(path.into());
            case
        };
        let by = |paths: [&str; 3]| {
            let names = ["a/1", "a/2", "b/1"];
            let cases = names
                .iter()
                .zip(paths)
                .map(|(name, path)| taking(name, path));
            report(3, cases.collect()).unwrap().check_kernels()
        };
        by(["composition", "fast", "general"]).unwrap();
        let error = by(["composition", "fast", "composition"]).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Gate);
        assert!(error.what().ends_with(": b"), "{error}");
    }

    #[test]
    fn counts_that_disagree_are_a_bug() {
        let lost = vec![case("a", Verdict::Pass, Some(0.1))];
        assert_eq!(report(2, lost).unwrap_err().kind(), crate::Kind::Bug);
        let silent = vec![case("a", Verdict::Pass, None)];
        assert!(report(1, silent).is_err());
        assert!(report(0, Vec::new()).is_err());
    }

    #[test]
    fn the_worst_comes_first() {
        let cases = vec![
            case("small", Verdict::Pass, Some(0.1)),
            case("crash", Verdict::Fail, None),
            case("large", Verdict::Pass, Some(0.9)),
            case("wrong", Verdict::Fail, Some(3.0)),
        ];
        let report = report(4, cases).unwrap();
        let names: Vec<&str> = report.cases.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["crash", "wrong", "large", "small"]);
        assert_eq!((report.run, report.reported, report.failed), (3, 1, 2));
    }

    #[test]
    fn a_failure_is_a_failed_gate_with_the_command_that_runs_it_again() {
        let report = report(1, vec![case("x", Verdict::Fail, Some(2.0))]).unwrap();
        let error = report.check().unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Gate);
        assert!(error.hints()[0].contains("--filter 'x'") && error.what().contains("it is wrong"));
        let good = vec![case("x", Verdict::Pass, Some(0.5))];
        assert!(
            super::Report::new(
                1,
                Device::default(),
                Default::default(),
                Vec::new(),
                1,
                good,
                0.0
            )
            .unwrap()
            .check()
            .is_ok()
        );
    }
}
