//! What upstream asks of a contribution and a machine can check, one row a rule. What only a
//! person can answer for has a row, too, that says so.

pub mod builds;
mod cases;
pub mod runs;
pub mod style;
pub mod text;

use std::time::Instant;

use serde::Serialize;

use crate::config::Config;
use crate::error::{Doing, Error, Kind, Result};
use crate::layout::Layout;
use crate::series;
use crate::ui::Ui;

use super::manifest::Manifest;
use super::mapping;
use super::prepare::{self, Prepared};

/// What a rule came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Ok,
    /// It holds, and a person should look.
    Warning,
    /// It doesn't.
    Failed,
    /// It can't be checked here, or was not: why.
    NotChecked,
}

/// A place where a rule doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// File and line: in the project where it begins with a folder of the project, else in the
    /// tree that upstream would have.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

/// What a check says of its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was looked at, or what to do.
    pub note: String,
    /// Where it doesn't hold.
    pub findings: Vec<Finding>,
}

/// One rule.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What must hold.
    pub rule: String,
    /// Whether it does.
    pub verdict: Verdict,
    /// What was looked at, or what to do.
    pub note: String,
    /// Where it doesn't hold.
    pub findings: Vec<Finding>,
    /// How long it took to see.
    pub seconds: f64,
}

/// All rules.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The feature.
    pub feature: String,
    /// What it would go onto, as it was named.
    pub onto: String,
    /// That commit.
    pub base: String,
    /// The tree with the feature.
    pub tree: String,
    /// In the order in which they were checked.
    pub rows: Vec<Row>,
}

impl Outcome {
    /// It holds.
    pub fn ok(note: impl Into<String>) -> Self {
        Outcome {
            verdict: Verdict::Ok,
            note: note.into(),
            findings: Vec::new(),
        }
    }

    /// It can't be said.
    pub fn not_checked(why: impl Into<String>) -> Self {
        Outcome {
            verdict: Verdict::NotChecked,
            ..Self::ok(why)
        }
    }

    /// It holds if there are no findings; `todo` says what to do about them.
    pub fn of(findings: Vec<Finding>, note: impl Into<String>, todo: &str) -> Self {
        if findings.is_empty() {
            return Self::ok(note);
        }
        Outcome {
            verdict: Verdict::Failed,
            note: todo.into(),
            findings,
        }
    }

    /// It doesn't hold, at no place in particular.
    pub fn failed(note: impl Into<String>) -> Self {
        Outcome {
            verdict: Verdict::Failed,
            ..Self::ok(note)
        }
    }
}

impl Finding {
    /// At a line of a file.
    pub fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Finding {
            place: format!("{path}:{line}"),
            what: what.into(),
        }
    }

    /// In a file as a whole.
    pub fn of_file(path: &str, what: impl Into<String>) -> Self {
        Finding {
            place: path.into(),
            what: what.into(),
        }
    }
}

impl Report {
    fn of(prepared: &Prepared) -> Self {
        Report {
            feature: prepared.feature.clone(),
            onto: prepared.onto.clone(),
            base: prepared.base.id(),
            tree: prepared.tree.clone(),
            rows: Vec::new(),
        }
    }

    /// Adds what a check says. A failed gate is a rule that doesn't hold; another error (no
    /// network, a full disk) ends all.
    fn check(
        &mut self,
        rule: &str,
        ui: &dyn Ui,
        check: impl FnOnce() -> Result<Outcome>,
    ) -> Result<()> {
        ui.progress(self.rows.len() as u64, 0, rule);
        let start = Instant::now();
        let outcome = match check() {
            Err(error) if error.kind() == Kind::Gate => {
                let hints = error.hints().iter();
                let hints: String = hints.map(|hint| format!("\n{hint}")).collect();
                Outcome::failed(format!("{error}{hints}"))
            }
            other => other.doing(|| format!("checking the rule \"{rule}\""))?,
        };
        self.rows.push(Row {
            rule: rule.into(),
            verdict: outcome.verdict,
            note: outcome.note,
            findings: outcome.findings,
            seconds: start.elapsed().as_secs_f64(),
        });
        Ok(())
    }

    /// How many rows came to this.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.rows
            .iter()
            .filter(|row| row.verdict == verdict)
            .count()
    }

    /// An error of [`Kind::Gate`] unless no rule failed, and one at least was checked.
    pub fn verdict(&self) -> Result<()> {
        let failed = self
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Failed);
        let names: Vec<&str> = failed.map(|row| row.rule.as_str()).collect();
        let doing = || format!("checking {} for upstream", self.feature);
        match (names.is_empty(), self.count(Verdict::Ok)) {
            (true, 1..) => Ok(()),
            (true, 0) => Err(Error::gate("nothing was checked").doing(doing())),
            _ => {
                let what = format!("{} rule(s) don't hold: {}", names.len(), names.join("; "));
                Err(Error::gate(what).doing(doing()))
            }
        }
    }
}

/// What is asked of a check.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The feature.
    pub feature: &'a str,
    /// A pin, or a tag, branch or commit of upstream; `None` is the series' own pin.
    pub onto: Option<&'a str>,
    /// Make the builds as well: minutes.
    pub builds: bool,
}

/// Refuses a feature that can't be checked, before anything is built for it.
///
/// # Errors
/// [`Kind::Usage`] with the names that there are.
pub fn refuse_unknown(layout: &Layout, feature: &str) -> Result<()> {
    let (series, manifest) = (series::load(layout)?, Manifest::load(layout)?);
    mapping::refuse_unknown(&series, &manifest, feature)
        .doing(|| format!("checking {feature} for upstream"))
}

/// Checks all rules. Uses the builds of `setup-mlx` for the tests, as they are.
///
/// # Errors
/// As [`prepare::prepare`]; none of [`Kind::Gate`]: those are in the report.
pub fn check(
    layout: &Layout,
    config: &Config,
    request: Request<'_>,
    ui: &dyn Ui,
) -> Result<Report> {
    let prepared = prepare::prepare(layout, config, request.feature, request.onto, ui)?;
    let mut report = Report::of(&prepared);
    ui.step("upstream's rules");
    style::rows(layout, &prepared, &mut report, ui)?;

    let subject = text::Subject::of(&prepared)?;
    report.check("license header as in upstream's files", ui, || {
        subject.headers()
    })?;
    report.check("no reference to this project", ui, || Ok(subject.names()))?;
    report.check("a row in the documentation", ui, || Ok(subject.docs()))?;
    report.check("signature for the Python stubs", ui, || {
        Ok(subject.signatures())
    })?;
    report.check("can be exported", ui, || Ok(subject.export()))?;
    report.check("size of the diff", ui, || Ok(subject.size(&prepared.stat)))?;

    let tests = runs::Tests::of(layout, config, &prepared, ui)?;
    report.check("C++ tests, failing without the change", ui, || {
        tests.cpp(ui)
    })?;
    report.check("Python tests, failing without the change", ui, || {
        tests.python(ui)
    })?;
    report.check("the stubs have it", ui, || tests.stubs())?;
    report.check("export and import give the same", ui, || tests.export(ui))?;

    builds::rows(layout, config, &prepared, request.builds, &mut report, ui)?;
    for (rule, why) in PERSONS {
        report.check(rule, ui, || Ok(Outcome::not_checked(*why)))?;
    }
    Ok(report)
}

/// What upstream asks of the person.
const PERSONS: &[(&str, &str)] = &[
    (
        "benchmarks of main against the change",
        "which ones matter is for a person to say: `upstream bundle` collects the reports of \
         `cargo xtask bench`, with scripts and machine",
    ),
    (
        "the author understands every line",
        "a person answers for it",
    ),
    (
        "how AI was used is said",
        "a person says it, in the pull request",
    ),
    (
        "commit message, title and description",
        "a person writes them: upstream forbids machine-written text",
    ),
];
