//! A run of parity: which cases, a worker for each build, a judgement for each case. Whatever
//! a worker does (crash, hang, run out of memory, answer rubbish), its case is reported and
//! the run goes on; at the end the counts must agree.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::case::{Case, Wanted};
use super::judge;
use super::ops;
use super::report::{CaseReport, Outcome, Report, SideReport, Verdict};
use super::tensor::Tensor;
use super::worker::{Answer, Form, Message, result_file};
use crate::error::{Doing, Error, Result, writing};
use crate::layout::Layout;
use crate::process::{self, Command, Stream};
use crate::side::Side;
use crate::ui::Ui;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which cases by name: a whole name, a part of it, or a pattern with `*` and `?`.
    pub filter: Option<String>,
    /// The seed of all inputs.
    pub seed: u64,
    /// Only the quick cases.
    pub smoke: bool,
    /// The extension's build on both sides, instead of stock's and the fork's.
    pub extension: bool,
    /// Only these ops, where the fork has not all features; none: all that parity knows.
    pub ops: Option<Vec<String>>,
    /// A case that takes longer hangs, and its worker is killed.
    pub hang: Duration,
    /// Address space that a worker may have, in MiB.
    pub memory_mib: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            filter: None,
            seed: 1,
            smoke: false,
            extension: false,
            ops: None,
            // The slowest case takes 5 s on two busy cores; the largest needs 2 GiB.
            hang: Duration::from_secs(120),
            memory_mib: 12 * 1024,
        }
    }
}

/// The cases of a plan.
pub fn select(plan: &Plan) -> Result<Vec<Box<dyn Case>>> {
    let all = ops::catalogue();
    let exact = plan
        .filter
        .as_deref()
        .is_some_and(|f| all.iter().any(|c| c.name() == f));
    let cases: Vec<_> = all
        .into_iter()
        .filter(|case| !plan.smoke || case.smoke())
        .filter(|case| match &plan.ops {
            Some(ops) => ops.iter().any(|op| op == case.op()),
            None => true,
        })
        .filter(|case| match plan.filter.as_deref() {
            None => true,
            Some(name) if exact => case.name() == name,
            Some(pattern) if pattern.contains(['*', '?']) => glob(pattern, case.name()),
            Some(part) => case.name().contains(part),
        })
        .collect();
    if cases.is_empty() {
        let what = plan.filter.as_deref().unwrap_or("the ops of this fork");
        return Err(
            Error::gate(format!("no case matches {what}: nothing was run"))
                .hint("`cargo xtask parity --list` names all cases"),
        );
    }
    Ok(cases)
}

/// Runs the cases on both builds and judges the fork. `worker` is the program that answers to
/// `parity-worker`. A failed case is in the report, not an error.
pub fn run(layout: &Layout, plan: &Plan, worker: &Path, ui: &dyn Ui) -> Result<Report> {
    let start = Instant::now();
    let cases = select(plan)?;
    let scratch = layout.scratch();
    std::fs::create_dir_all(&scratch).doing(writing(&scratch))?;
    let folder = tempfile::tempdir_in(&scratch).doing(writing(&scratch))?;
    let (stock, ours) = match plan.extension {
        true => (Side::Extension, Side::Extension),
        false => (Side::Stock, Side::Fork),
    };
    let builds = [(Form::Stock, stock), (Form::Fork, ours)]
        .map(|(form, side)| Build::new(layout, form, side, folder.path(), worker, plan));
    for build in &builds {
        build.must_exist()?;
    }
    let mut answers = Vec::new();
    for build in &builds {
        ui.step(&format!("parity: {}", build.form.name()));
        answers.push(build.compute(&cases, ui)?);
    }
    ui.step("parity: judging");
    let reports: Vec<CaseReport> = cases
        .par_iter()
        .enumerate()
        .map(|(number, case)| {
            let [stock, fork] = [0, 1].map(|side| {
                let outcome = answers[side].outcomes[number].clone();
                (outcome, result_file(&builds[side].out, number))
            });
            judged(case.as_ref(), plan.seed, stock, fork)
        })
        .collect();
    let ids = [answers[0].id.clone(), answers[1].id.clone()];
    Report::new(
        plan.seed,
        ids,
        cases.len(),
        reports,
        start.elapsed().as_secs_f64(),
    )
}

/// One build and where its worker's things are.
struct Build<'a> {
    form: Form,
    library: PathBuf,
    out: PathBuf,
    worker: &'a Path,
    plan: &'a Plan,
}

/// What came of a side.
struct Answers {
    id: String,
    outcomes: Vec<Outcome>,
}

impl<'a> Build<'a> {
    fn new(
        layout: &Layout,
        form: Form,
        side: Side,
        folder: &Path,
        worker: &'a Path,
        plan: &'a Plan,
    ) -> Self {
        let library = layout.prefix(side.name()).join("lib");
        Build {
            form,
            library: library.join(mlx_fork_sys::Library::file_name()),
            out: folder.join(form.name()),
            worker,
            plan,
        }
    }

    fn must_exist(&self) -> Result<()> {
        if self.library.is_file() {
            return Ok(());
        }
        let what = format!("no {}", self.library.display());
        Err(Error::environment(what)
            .doing(format!("looking for the build of {}", self.form.name()))
            .hint("`cargo xtask setup-mlx` builds it"))
    }

    fn compute(&self, cases: &[Box<dyn Case>], ui: &dyn Ui) -> Result<Answers> {
        std::fs::create_dir_all(&self.out).doing(writing(&self.out))?;
        let mut answers = Answers {
            id: String::new(),
            outcomes: vec![Outcome::Missing; cases.len()],
        };
        if self.form == Form::Stock {
            for (case, outcome) in cases.iter().zip(&mut answers.outcomes) {
                if let Some(why) = case.not_on_stock() {
                    *outcome = Outcome::NotRun(why.into());
                }
            }
        }
        // Each worker either answers all that is left or loses at least one case.
        while let Some(left) = self.open(cases, &answers) {
            let before = left.matches('\n').count() - left.lines().filter(|l| l.is_empty()).count();
            self.one_worker(&left, cases, &mut answers, ui)?;
            let after = self
                .open(cases, &answers)
                .map_or(0, |left| left.lines().filter(|l| !l.is_empty()).count());
            if after >= before {
                return Err(Error::bug("a worker ended without answering anything")
                    .doing(format!("running parity on {}", self.form.name())));
            }
        }
        Ok(answers)
    }

    /// The worker's list: a line for each case, empty where it has its outcome.
    fn open(&self, cases: &[Box<dyn Case>], answers: &Answers) -> Option<String> {
        let lines: Vec<&str> = cases
            .iter()
            .zip(&answers.outcomes)
            .map(|(case, outcome)| match outcome {
                Outcome::Missing => case.name(),
                _ => "",
            })
            .collect();
        lines
            .iter()
            .any(|line| !line.is_empty())
            .then(|| lines.join("\n") + "\n")
    }

    fn one_worker(
        &self,
        list: &str,
        cases: &[Box<dyn Case>],
        answers: &mut Answers,
        ui: &dyn Ui,
    ) -> Result<()> {
        let file = self.out.join("cases");
        std::fs::write(&file, list).doing(writing(&file))?;
        let command = Command::new(self.worker)
            .arg("parity-worker")
            .args(["--form", self.form.name()])
            .arg("--library")
            .arg(&self.library)
            .arg("--cases")
            .arg(&file)
            .arg("--out")
            .arg(&self.out)
            .args(["--seed", &self.plan.seed.to_string()])
            .args(["--memory", &self.plan.memory_mib.to_string()])
            .silence_limit(self.plan.hang);
        let mut open: Option<usize> = None;
        let mut ready = false;
        let mut rubbish: Option<String> = None;
        let total = cases.len() as u64;
        let output = command.lines(|stream, line| {
            if stream == Stream::Err {
                return;
            }
            match serde_json::from_str::<Message>(line) {
                Ok(Message::Ready(id)) => {
                    ready = true;
                    answers.id = id;
                }
                Ok(Message::Begin(number)) if number < cases.len() => {
                    open = Some(number);
                    ui.progress(number as u64, total, cases[number].name());
                }
                Ok(Message::Done(answer)) if open == Some(answer.case) => {
                    let number = answer.case;
                    answers.outcomes[number] = Outcome::Done(answer);
                    open = None;
                }
                Ok(Message::Refused(number, why)) if open == Some(number) => {
                    answers.outcomes[number] = Outcome::Failed(why);
                    open = None;
                }
                _ => rubbish = Some(line.chars().take(200).collect()),
            }
        })?;
        if !ready {
            // Not a case's failure: the build can't be loaded, or the worker can't start.
            process::check(
                &format!("parity-worker --side {}", self.form.name()),
                &output,
                None,
            )?;
        }
        if let Some(number) = open {
            let said = process::last_lines(&output.stderr, 5);
            let mut what = format!("the worker ended with {}", output.ending());
            if let Some(line) = &rubbish {
                what += &format!(", after the answer `{line}`");
            }
            if !said.is_empty() {
                what += &format!(":\n{said}");
            }
            answers.outcomes[number] = Outcome::Failed(what);
        } else if !output.success() {
            ui.warn(&format!(
                "a worker of {} ended with {}",
                self.form.name(),
                output.ending()
            ));
        }
        Ok(())
    }
}

fn judged(
    case: &dyn Case,
    seed: u64,
    stock: (Outcome, PathBuf),
    fork: (Outcome, PathBuf),
) -> CaseReport {
    let expected = case.expected(&case.inputs(seed));
    let mut reasons = Vec::new();
    let mut one = |form: Form, (outcome, file): (Outcome, PathBuf)| {
        let mut report = SideReport::new(&outcome);
        let answer = match outcome {
            Outcome::Done(answer) => answer,
            Outcome::NotRun(_) => return (report, None),
            Outcome::Failed(what) => {
                reasons.push(format!("{}: {what}", form.name()));
                return (report, None);
            }
            Outcome::Missing => {
                reasons.push(format!("{}: no answer", form.name()));
                return (report, None);
            }
        };
        let judged = result(&answer, &file)
            .and_then(|tensor| expected.judge(&tensor).map(|judgement| (tensor, judgement)));
        match judged {
            Ok((tensor, judgement)) => {
                if form == Form::Fork && judgement.wrong > 0 {
                    reasons.push(format!(
                        "fork: {} of {} elements are outside what is admissible: {}",
                        judgement.wrong,
                        judgement.elements,
                        judgement.worst.as_deref().unwrap_or("")
                    ));
                }
                report.judgement = Some(judgement);
                (report, Some(tensor))
            }
            Err(what) => {
                // Another accumulation may give stock another type than ours.
                if form == Form::Fork {
                    reasons.push(format!("fork: {what}"));
                }
                report.detail = Some(what);
                (report, None)
            }
        }
    };
    let (stock, stock_result) = one(Form::Stock, stock);
    let (fork, fork_result) = one(Form::Fork, fork);
    let kernel = matches!(fork.path.as_deref(), Some("fast" | "general"));
    if fork.outcome == "done" && case.wanted() == Wanted::Kernel && !kernel {
        let path = fork.path.as_deref().unwrap_or("no");
        reasons.push(format!("fork: meant for a kernel, it took the path {path}"));
    }
    let both = stock_result.as_ref().zip(fork_result.as_ref());
    CaseReport {
        name: case.name().to_string(),
        verdict: if reasons.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
        reasons,
        ulps: both.and_then(|(a, b)| judge::ulps(a, b)),
        bits_equal: both.map(|(a, b)| a == b),
        stock,
        fork,
        rerun: format!(
            "cargo xtask parity --seed {seed} --filter '{}'",
            case.name()
        ),
    }
}

fn result(answer: &Answer, file: &Path) -> Result<Tensor, String> {
    let bytes = std::fs::read(file).map_err(|e| format!("its result can't be read: {e}"))?;
    let wanted = answer.shape.iter().product::<usize>() * answer.dtype.size();
    if bytes.len() != wanted {
        return Err(format!(
            "its result has {} bytes, not {wanted}",
            bytes.len()
        ));
    }
    Ok(Tensor {
        dtype: answer.dtype,
        shape: answer.shape.clone(),
        bytes,
    })
}

/// True when the whole text matches; `*` stands for any run of characters, `?` for one.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (mut matches, text) = (vec![true], text.as_bytes());
    matches.resize(text.len() + 1, false);
    for p in pattern.bytes() {
        let mut next = vec![false; text.len() + 1];
        next[0] = p == b'*' && matches[0];
        for (i, t) in text.iter().enumerate() {
            next[i + 1] = match p {
                b'*' => matches[i + 1] || next[i],
                b'?' => matches[i],
                _ => matches[i] && p == *t,
            };
        }
        matches = next;
    }
    matches[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(filter: &str) -> Plan {
        Plan {
            filter: Some(filter.into()),
            ..Plan::default()
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        assert!(glob("a/*/c?", "a/b/x/cd"));
        assert!(!glob("a/*", "b/a/c") && !glob("a?", "a") && glob("*", ""));
    }

    #[test]
    fn a_whole_name_selects_just_that_case() {
        let name = ops::catalogue()[0].name().to_string();
        let cases = select(&plan(&name)).unwrap();
        assert_eq!(cases.len(), 1);
        assert!(select(&plan("gather_qmm_swiglu/mxfp4")).unwrap().len() > 5);
    }

    #[test]
    fn no_case_is_a_failed_gate() {
        let error = select(&plan("no such case")).err().unwrap();
        assert_eq!(error.kind(), crate::Kind::Gate);
    }

    #[test]
    fn ops_that_a_fork_lacks_can_be_left_out() {
        let plan = Plan {
            ops: Some(vec!["gather_qmm_swiglu".into()]),
            ..Plan::default()
        };
        assert!(
            select(&plan)
                .unwrap()
                .iter()
                .all(|c| c.op() == "gather_qmm_swiglu")
        );
    }
}
