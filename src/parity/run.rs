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
    /// Cases by their whole names that come first, in this order, as far as they are selected.
    pub first: Vec<String>,
    /// The libmlx_fork_c on the fork's side, instead of the one that setup-mlx built.
    pub library: Option<PathBuf>,
    /// Compute stock's results too; without them the fork is judged alone.
    pub stock: bool,
    /// Further environment of the fork's workers.
    pub env: Vec<(String, String)>,
    /// End after the first failures: cases that were not begun by then are not planned.
    pub fail_fast: bool,
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
            first: Vec::new(),
            library: None,
            stock: true,
            env: Vec::new(),
            fail_fast: false,
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
    let mut cases: Vec<_> = all
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
    let place = |name: &str| plan.first.iter().position(|first| first == name);
    cases.sort_by_key(|case| place(case.name()).unwrap_or(usize::MAX));
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
    let mut reports = Vec::new();
    let mut ids = [String::new(), String::new()];
    for batch in batches(&cases, plan.fail_fast) {
        let some = run_batch(&builds, batch, plan, &mut ids, ui)?;
        let failed = some.iter().any(|case| case.verdict == Verdict::Fail);
        reports.extend(some);
        if plan.fail_fast && failed {
            break;
        }
    }
    let planned = if plan.fail_fast {
        reports.len()
    } else {
        cases.len()
    };
    Report::new(
        plan.seed,
        ids,
        planned,
        reports,
        start.elapsed().as_secs_f64(),
    )
}

/// All at once; to end early, few at first, because most faults show in any case.
fn batches(mut cases: &[Box<dyn Case>], fail_fast: bool) -> Vec<&[Box<dyn Case>]> {
    let mut size = if fail_fast { 4 } else { cases.len() };
    let mut all = Vec::new();
    while !cases.is_empty() {
        let (some, rest) = cases.split_at(size.min(cases.len()));
        all.push(some);
        cases = rest;
        size *= 4;
    }
    all
}

fn run_batch(
    builds: &[Build; 2],
    cases: &[Box<dyn Case>],
    plan: &Plan,
    ids: &mut [String; 2],
    ui: &dyn Ui,
) -> Result<Vec<CaseReport>> {
    let mut answers = Vec::new();
    for (build, id) in builds.iter().zip(ids) {
        ui.step(&format!("parity: {}", build.form.name()));
        let some = build.compute(cases, ui)?;
        if !some.id.is_empty() {
            id.clone_from(&some.id);
        }
        answers.push(some);
    }
    ui.step("parity: judging");
    Ok(cases
        .par_iter()
        .enumerate()
        .filter(|(number, _)| {
            // A run that ends early leaves cases of its last batch untouched.
            !plan.fail_fast || answers[1].outcomes[*number] != Outcome::Missing
        })
        .map(|(number, case)| {
            let [stock, fork] = [0, 1].map(|side| {
                let outcome = answers[side].outcomes[number].clone();
                (outcome, result_file(&builds[side].out, number))
            });
            judged(case.as_ref(), plan.seed, stock, fork)
        })
        .collect())
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
        let given = plan.library.clone().filter(|_| form == Form::Fork);
        let built = layout.prefix(side.name()).join("lib");
        Build {
            form,
            library: given.unwrap_or_else(|| built.join(mlx_fork_sys::Library::file_name())),
            out: folder.join(form.name()),
            worker,
            plan,
        }
    }

    fn must_exist(&self) -> Result<()> {
        if self.library.is_file() || (self.form == Form::Stock && !self.plan.stock) {
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
                let why = match self.plan.stock {
                    true => case.not_on_stock(),
                    false => Some("not asked for"),
                };
                if let Some(why) = why {
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
            let lost = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
            if self.plan.fail_fast && answers.outcomes.iter().any(lost) {
                break;
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
        let env = self.plan.env.iter().filter(|_| self.form == Form::Fork);
        let command = env
            .fold(Command::new(self.worker), |command, (name, value)| {
                command.env(name, value)
            })
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
    fn cases_that_are_to_come_first_do_and_the_others_keep_their_order() {
        let all: Vec<String> = select(&Plan::default())
            .unwrap()
            .iter()
            .map(|case| case.name().to_string())
            .collect();
        let first = vec![all[7].clone(), "no case".into(), all[3].clone()];
        let plan = Plan {
            first: first.clone(),
            ..Plan::default()
        };
        let cases = select(&plan).unwrap();
        let names: Vec<&str> = cases.iter().map(|case| case.name()).collect();
        assert_eq!(names[..3], [&all[7], &all[3], &all[0]]);
        assert_eq!(names.len(), all.len());
        let sizes: Vec<usize> = batches(&cases, true).iter().map(|b| b.len()).collect();
        assert_eq!((sizes[0], sizes.iter().sum()), (4, all.len()));
        assert_eq!(batches(&cases, false).len(), 1);
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
