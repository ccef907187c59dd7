//! One build computing the cases in one way, in workers that may do anything. Whatever one does
//! (crash, hang, run out of memory, answer rubbish), one case has its outcome for it, in
//! words, and another worker goes on with the rest. Judging nothing; `verdict` does.

use std::path::{Path, PathBuf};

use super::case::Case;
use super::plan::Plan;
use super::report::Outcome;
use super::worker::{Form, Loaded, Message, result_file};
use crate::error::{Doing, Error, Result, writing};
use crate::process::{self, Command, Output, Stream};
use crate::simd;
use crate::ui::Ui;

/// What all arms of a run share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    pub plan: &'a Plan,
    /// The program that answers to `parity-worker`.
    pub worker: &'a Path,
    /// For results.
    pub folder: &'a Path,
}

/// A build and a way of computing, and where its worker's things are.
#[derive(Debug, Clone)]
pub(super) struct Arm<'a> {
    given: Given<'a>,
    form: Form,
    simd: Option<&'a str>,
    threads: Option<i32>,
    library: PathBuf,
    out: PathBuf,
}

/// What came of an arm.
#[derive(Debug)]
pub(super) struct Answers {
    /// What the build says of itself; empty where no worker was needed.
    pub loaded: Loaded,
    /// For each case.
    pub outcomes: Vec<Outcome>,
}

impl<'a> Arm<'a> {
    /// The composition of stock's ops, by the build below `prefix`.
    pub fn stock(given: &Given<'a>, prefix: &Path) -> Self {
        Arm {
            given: *given,
            form: Form::Stock,
            simd: None,
            threads: None,
            library: library(prefix),
            out: given.folder.join("stock"),
        }
    }

    /// Our ops, by the build below `prefix` or by the plan's own library; with the SIMD
    /// instructions that the plan asks for, or the build's own choice.
    pub fn fork(given: &Given<'a>, prefix: &Path, simd: Option<&'a str>) -> Self {
        Arm {
            given: *given,
            form: Form::Fork,
            simd,
            threads: None,
            library: given
                .plan
                .library
                .clone()
                .unwrap_or_else(|| library(prefix)),
            out: given.folder.join(format!("fork-{}", simd.unwrap_or("own"))),
        }
    }

    /// The same with this many threads, each case computed once.
    pub fn with_threads(&self, count: i32) -> Self {
        Arm {
            threads: Some(count),
            out: self.out.with_extension(format!("threads-{count}")),
            ..self.clone()
        }
    }

    /// The SIMD instructions that were asked for.
    pub fn simd(&self) -> Option<&'a str> {
        self.simd
    }

    /// The file of a case's result.
    pub fn result(&self, number: usize) -> PathBuf {
        result_file(&self.out, number)
    }

    /// An error where the build is missing and needed.
    pub fn must_exist(&self) -> Result<()> {
        if self.library.is_file() || (self.form == Form::Stock && !self.given.plan.stock) {
            return Ok(());
        }
        let what = format!("no {}", self.library.display());
        Err(Error::environment(what)
            .doing(format!("looking for the build of {}", self.form.name()))
            .hint("`cargo xtask setup-mlx` builds it"))
    }

    /// An error where the build computes otherwise than it was told: what it gave then proves
    /// nothing of what was asked for.
    pub fn must_be_as_asked(&self, loaded: &Loaded) -> Result<()> {
        // No worker was needed.
        if loaded.id.is_empty() {
            return Ok(());
        }
        let said = |what: &str, found: &str, asked: &str| {
            Err(Error::environment(format!(
                "the build of the fork computes with {found}, not with {asked} as it was told"
            ))
            .doing(format!("choosing the kernels' {what}"))
            .hint("leave --simd out, or name what this processor has (`--simd all`)"))
        };
        match (self.simd, loaded.simd.as_deref()) {
            (Some(asked), found) if found != Some(asked) => {
                return said("SIMD instructions", found.unwrap_or("no choice"), asked);
            }
            _ => {}
        }
        match (self.threads, loaded.threads) {
            (Some(asked), Some(found)) if found != asked => {
                said("threads", &format!("{found} threads"), &format!("{asked}"))
            }
            _ => Ok(()),
        }
    }

    /// Computes the cases; where this is done to compare with `own`, only those that it has.
    pub fn compute(
        &self,
        cases: &[Box<dyn Case>],
        own: Option<&Answers>,
        ui: &dyn Ui,
    ) -> Result<Answers> {
        ui.step(&format!("parity: {}", self.describe()));
        std::fs::create_dir_all(&self.out).doing(writing(&self.out))?;
        let mut answers = Answers {
            loaded: Loaded::default(),
            outcomes: Vec::with_capacity(cases.len()),
        };
        for (number, case) in cases.iter().enumerate() {
            let why = match (self.form, own) {
                (Form::Stock, _) if !self.given.plan.stock => Some("not asked for"),
                (Form::Stock, _) => case.not_on_stock(),
                (Form::Fork, Some(own)) if !matches!(own.outcomes[number], Outcome::Done(_)) => {
                    Some("nothing to compare with")
                }
                (Form::Fork, _) => None,
            };
            let outcome = why.map_or(Outcome::Missing, |why| Outcome::NotRun(why.into()));
            answers.outcomes.push(outcome);
        }
        // Each worker gives at least one case its outcome.
        while answers.outcomes.contains(&Outcome::Missing) {
            self.one_worker(cases, &mut answers, ui)?;
            let lost = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
            if self.given.plan.fail_fast && answers.outcomes.iter().any(lost) {
                break;
            }
        }
        Ok(answers)
    }

    fn describe(&self) -> String {
        let mut text = self.form.name().to_string();
        if let Some(simd) = self.simd {
            text += &format!(", {simd}");
        }
        if let Some(count) = self.threads {
            text += &format!(", threads: {count}");
        }
        text
    }

    fn command(&self, list: &Path) -> Command {
        let mut command = Command::new(self.given.worker);
        if self.form == Form::Fork {
            for (name, value) in &self.given.plan.env {
                command = command.env(name, value);
            }
            if let Some(name) = self.simd {
                command = command.env(simd::VARIABLE, name);
            }
            if let Some(count) = self.threads {
                command = command.env(simd::THREADS, count.to_string());
            }
        }
        let command = command
            .arg("parity-worker")
            .args(["--form", self.form.name()])
            .arg("--library")
            .arg(&self.library)
            .arg("--cases")
            .arg(list)
            .arg("--out")
            .arg(&self.out)
            .args(["--seed", &self.given.plan.seed.to_string()])
            .args(["--device", self.given.plan.device.name()])
            .args(["--memory", &self.given.plan.memory_mib.to_string()])
            .silence_limit(self.given.plan.hang);
        if self.threads.is_none() {
            command.arg("--timed")
        } else {
            command
        }
    }

    fn one_worker(
        &self,
        cases: &[Box<dyn Case>],
        answers: &mut Answers,
        ui: &dyn Ui,
    ) -> Result<()> {
        // A line for each case, empty where it has its outcome.
        let list: String = cases
            .iter()
            .zip(&answers.outcomes)
            .map(|(case, outcome)| match outcome {
                Outcome::Missing => format!("{}\n", case.name()),
                _ => "\n".into(),
            })
            .collect();
        let file = self.out.join("cases");
        std::fs::write(&file, list).doing(writing(&file))?;
        let mut heard = Heard {
            cases,
            answers,
            ready: false,
            open: None,
            last: None,
            last_lines: self.given.plan.last_lines,
            ui,
        };
        let output = self.command(&file).lines(|stream, line| {
            if stream == Stream::Out {
                heard.line(line);
            }
        })?;
        if !heard.ready {
            // Not a case's failure: the build can't be loaded, or the worker can't start.
            let what = format!("parity-worker --form {}", self.form.name());
            process::check(&what, &output, None)?;
        }
        heard.end(&output);
        Ok(())
    }
}

fn library(prefix: &Path) -> PathBuf {
    prefix.join("lib").join(mlx_fork_sys::Library::file_name())
}

/// What a worker has said so far.
struct Heard<'a> {
    cases: &'a [Box<dyn Case>],
    answers: &'a mut Answers,
    ready: bool,
    /// The case that has begun.
    open: Option<usize>,
    /// The case that was answered last.
    last: Option<usize>,
    /// How many of its last words to tell.
    last_lines: usize,
    ui: &'a dyn Ui,
}

impl Heard<'_> {
    fn line(&mut self, line: &str) {
        match serde_json::from_str::<Message>(line) {
            Ok(Message::Ready(loaded)) => {
                self.ready = true;
                self.answers.loaded = loaded;
            }
            Ok(Message::Begin(number)) if self.is_missing(number) => {
                self.open = Some(number);
                let total = self.cases.len() as u64;
                self.ui
                    .progress(number as u64, total, self.cases[number].name());
            }
            Ok(Message::Done(answer)) if self.open == Some(answer.case) => {
                self.answered(answer.case, Outcome::Done(answer));
            }
            Ok(Message::Refused(number, why)) if self.open == Some(number) => {
                self.answered(number, Outcome::Failed(why));
            }
            _ => self.rubbish(line),
        }
    }

    fn is_missing(&self, number: usize) -> bool {
        self.answers.outcomes.get(number) == Some(&Outcome::Missing)
    }

    fn answered(&mut self, number: usize, outcome: Outcome) {
        // Not where the same case has said rubbish before.
        if self.is_missing(number) {
            self.answers.outcomes[number] = outcome;
        }
        (self.open, self.last) = (None, Some(number));
    }

    /// A line that is no message, or not now: the case at hand is lost, or the last one.
    fn rubbish(&mut self, line: &str) {
        let line: String = line.chars().take(200).collect();
        if let Some(number) = self.open.or(self.last) {
            let what = format!("the worker gave the answer `{line}`");
            self.answers.outcomes[number] = Outcome::Failed(what);
        }
    }

    /// The worker is gone. Whatever it left undone, a case is lost for it: the one that had
    /// begun, the last one where it then ended badly, or the next where it did nothing.
    fn end(self, output: &Output) {
        let next = self
            .answers
            .outcomes
            .iter()
            .position(|o| *o == Outcome::Missing);
        let (number, when) = match (self.open, self.last) {
            (Some(number), _) => (number, ""),
            (None, Some(number)) if !output.success() => (number, " after this case"),
            (None, None) => match next {
                Some(number) => (number, " before this case began"),
                None => return,
            },
            (None, Some(_)) => return,
        };
        let said = process::last_lines(&output.stderr, self.last_lines);
        let mut what = format!("the worker ended with {}{when}", output.ending());
        if let Outcome::Failed(before) = &self.answers.outcomes[number] {
            what += &format!("; before that, {before}");
        }
        if !said.is_empty() {
            what += &format!(":\n{said}");
        }
        self.answers.outcomes[number] = Outcome::Failed(what);
    }
}
