//! Takes the fork to another commit of MLX: one transaction of port, build, probe, parity and
//! tests.
//!
//! All of it happens to a candidate, a project of its own with the ported series; the pin, the
//! series and `mlx_local` of the project change at the end or not at all. Only the builds
//! under target/mlx are the candidate's from the first one on.

mod candidate;
mod heard;
mod pinning;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::build::Options;
use crate::config::Config;
use crate::error::{Doing, Error, Result};
use crate::git::draft::File;
use crate::git::history::History;
use crate::git::{Oid, refs, stack};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::manager::bump::Onto;
use crate::manager::edit::{Decided, Finished, Ready};
use crate::manager::plan::{self, Done, Outcome, Plan};
use crate::manager::session::Session;
use crate::manager::{Manager, id};
use crate::run;
use crate::series::Series;
use crate::setup::{self, Mode, Until};
use crate::side::Side;
use crate::source::{self, Choice};
use crate::suites;
use crate::ui::Ui;
use crate::upstream::drift::places::{self, Carried};
use candidate::Candidate;
use heard::Heard;

/// How long another bump may hold the candidate.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where to.
    pub to: To,
    /// How to build.
    pub options: Options,
    /// The last step that has to pass before the project is changed.
    pub until: Until,
    /// The program whose hidden subcommands are the workers.
    pub worker: PathBuf,
    /// A clone with upstream's history, to name the commits that a conflict comes from.
    pub history: Option<PathBuf>,
    /// Take hooks over that a merge put into another function, list or section.
    pub accept_moved: bool,
}

/// Where a bump goes.
#[derive(Debug, Clone)]
pub enum To {
    /// A pin, or a tag, branch or commit that becomes one.
    Source(source::Request),
    /// Where the one goes that stopped at a conflict.
    Continue,
    /// The same, without the feature that conflicts.
    Skip,
}

/// A step that passed.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What it came to.
    pub result: String,
    /// How long it took.
    pub seconds: f64,
}

/// What a bump came to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The pin that the series was made for.
    pub from: String,
    /// The pin that it is made for now.
    pub to: String,
    /// Its commit.
    pub commit: String,
    /// The fork there.
    pub fork: String,
    /// What passed.
    pub steps: Vec<Step>,
    /// Files of the project that were written, or would be.
    pub written: Vec<String>,
    /// Features that were left out.
    pub skipped: Vec<String>,
    /// True where the project is as before.
    pub dry_run: bool,
}

/// Carries the series over and says what it comes to; changes nothing but `mlx_local`'s
/// object database.
///
/// # Errors
/// [`crate::Kind::Conflict`] with all places that conflict.
pub fn dry_run(layout: &Layout, config: &Config, request: &Request, ui: &dyn Ui) -> Result<Report> {
    let manager = open(layout, request, ui)?;
    manager.clean()?;
    let mut course = Course::new(ui);
    let onto = course.source(&manager, config, &request.to)?;
    let series = crate::series::load(layout)?;
    let plan = Plan::Bump(onto.clone());
    let start = Instant::now();
    match plan::work_out(&manager, &series, &plan, &BTreeMap::new(), &[])? {
        Outcome::Stopped(stop) => Err(manager
            .conflict(&plan, &stop)?
            .doing("trying the port; nothing was written")
            .hint("without --dry-run, `cargo xtask bump` opens the places in mlx_local for you to resolve")),
        Outcome::Done(done) => {
            course.passed("port", "every feature applies", start);
            course.places(&manager, &series, &done, &onto, request.accept_moved)?;
            Ok(course.report(&series.base, &onto, &done, Vec::new(), true))
        }
    }
}

/// Does it.
///
/// # Errors
/// [`crate::Kind::Conflict`] where a person has to resolve something first; what a step says
/// that doesn't pass, with how far it got. The project is as before in both cases.
pub fn run(
    layout: &Layout,
    config: &Config,
    request: &Request,
    ui: &dyn Ui,
) -> Result<(Report, Finished)> {
    let mut course = Course::new(ui);
    // The checkout's lock is free between the steps, and there is one candidate.
    let _only = Lock::acquire(&Candidate::folder(layout), PATIENCE, |holder| {
        ui.note(&format!("waiting for another bump: {holder}"));
    })?;
    let (ready, from, onto, kept) = {
        let manager = open(layout, request, ui)?;
        course.begin(&manager, config, request)?
    };
    let fork = ready.done.fork.id.clone();
    course.verify(layout, request, &ready.done, &onto).map_err(|error| {
        error
            .doing(format!("bumping to {} (passed: {})", onto.pin, course.so_far()))
            .hint("the pin, the series and mlx_local are as before; `cargo xtask setup-mlx` builds the pin again")
    })?;
    let manager = Manager::open(layout, ui)?;
    // What was verified has to be what is there to be taken over.
    let again = match &request.to {
        To::Continue => manager.work_on()?,
        _ => same_again(&manager, &ready, &onto)?,
    };
    if again.done.fork.id != fork {
        return Err(Error::conflict(
            "the series or mlx_local was changed while the new fork was verified; nothing was written",
        )
        .hint("run the same command again"));
    }
    let report = course.report(&from, &onto, &again.done, again.skipped().to_vec(), false);
    // Before the project names it.
    let commit = id(&onto.commit)?;
    refs::set(&manager.repo, &source::pin_reference(&onto.pin), commit)?;
    let finished = manager.finish(again)?;
    Ok((report, Finished { kept, ..finished }))
}

/// Ends the bump that waits for a person.
///
/// # Errors
/// [`crate::Kind::Usage`] where none waits.
pub fn abort(layout: &Layout, ui: &dyn Ui) -> Result<Finished> {
    let manager = Manager::open(layout, ui)?;
    refuse_others(&manager).map_err(|error| error.hint("cargo xtask patch --abort"))?;
    manager.abort()
}

/// Refuses where something else than a bump waits.
fn refuse_others(manager: &Manager<'_>) -> Result<()> {
    let what = match manager.session()? {
        Some(Session::Stopped(stopped)) if matches!(stopped.plan, Plan::Bump(_)) => return Ok(()),
        // What there is to say of none, the manager says.
        None => return Ok(()),
        Some(other) => other.describe(),
    };
    Err(Error::usage(format!("{what}, and no bump waits")))
}

fn same_again(manager: &Manager<'_>, ready: &Ready, onto: &Onto) -> Result<Ready> {
    match manager.session()? {
        // A skip went on in its own session, or in none where nothing conflicted any more.
        Some(Session::Stopped(stopped)) => {
            let decided = Decided {
                given: stopped.given.clone(),
                skipped: ready.skipped().to_vec(),
                answers: stopped.answers.clone(),
            };
            let before = manager.here(&stopped)?;
            let origin = stopped.origin.local()?;
            manager.work(Plan::Bump(onto.clone()), decided, before, origin)
        }
        _ => {
            let before = manager.clean()?;
            manager.work(Plan::Bump(onto.clone()), Decided::default(), before, before)
        }
    }
}

fn open<'a>(layout: &'a Layout, request: &Request, ui: &dyn Ui) -> Result<Manager<'a>> {
    let history = request.history.as_deref().map(History::open).transpose()?;
    let mut manager = Manager::open(layout, ui)?;
    manager.history = history;
    Ok(manager)
}

struct Course<'u> {
    ui: &'u dyn Ui,
    steps: Vec<Step>,
    /// Steps of a setup that failed later.
    begun: Vec<String>,
}

impl<'u> Course<'u> {
    fn new(ui: &'u dyn Ui) -> Self {
        Course {
            ui,
            steps: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// How far it got, by the names of the steps that passed.
    fn so_far(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        let steps = self.steps.iter().map(|step| &step.name);
        for name in steps.chain(&self.begun) {
            // The candidate has its source from the project.
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names.join(", ")
    }

    fn passed(&mut self, name: &str, result: impl Into<String>, start: Instant) {
        self.steps.push(Step {
            name: name.into(),
            result: result.into(),
            seconds: start.elapsed().as_secs_f64(),
        });
    }

    fn report(
        &self,
        from: &str,
        onto: &Onto,
        done: &Done,
        skipped: Vec<String>,
        dry_run: bool,
    ) -> Report {
        Report {
            from: from.into(),
            to: onto.pin.clone(),
            commit: onto.commit.clone(),
            fork: done.fork.id.clone(),
            steps: self.steps.clone(),
            written: done.writes.keys().cloned().collect(),
            skipped,
            dry_run,
        }
    }

    /// The port, as far as it goes without a person.
    fn begin(
        &mut self,
        manager: &Manager<'_>,
        config: &Config,
        request: &Request,
    ) -> Result<(Ready, String, Onto, Option<String>)> {
        let from = crate::series::load(manager.layout)?.base;
        let start = Instant::now();
        if !matches!(request.to, To::Source(_)) {
            refuse_others(manager)
                .map_err(|error| error.hint("cargo xtask patch --continue, --skip or --abort"))?;
        }
        let (ready, kept) = match &request.to {
            To::Source(_) => {
                let before = manager.clean()?;
                let onto = self.source(manager, config, &request.to)?;
                self.ui.step("port");
                let plan = Plan::Bump(onto);
                let ready = manager.work(plan, Decided::default(), before, before)?;
                (ready, None)
            }
            To::Continue => (manager.work_on()?, None),
            To::Skip => manager.work_without()?,
        };
        let Plan::Bump(onto) = ready.plan.clone() else {
            return Err(Error::bug(format!("`{}` went on as a bump", ready.plan)));
        };
        self.passed("port", "every feature applies", start);
        let series = crate::series::load(manager.layout)?;
        self.places(manager, &series, &ready.done, &onto, request.accept_moved)?;
        Ok((ready, from, onto, kept))
    }

    /// Whether each hook is where it was: a merge knows lines, not what they stand in.
    fn places(
        &mut self,
        manager: &Manager<'_>,
        series: &Series,
        done: &Done,
        onto: &Onto,
        accept: bool,
    ) -> Result<()> {
        let start = Instant::now();
        let findings = moved(manager, series, done, id(&onto.commit)?)?;
        if findings.is_empty() || accept {
            let result = match findings.len() {
                0 => "every hook is where it was".to_string(),
                n => format!("{n} accepted"),
            };
            self.passed("places", result, start);
            return Ok(());
        }
        let list: Vec<String> = findings
            .iter()
            .map(|(patch, found)| format!("\n    {patch}: {} {}: {found}", found.path, found.hunk))
            .collect();
        Err(Error::gate(format!(
            "hooks merged without a conflict, and are not where they were{}",
            list.concat()
        ))
        .doing("looking at the ported hooks; nothing was written")
        .hint("if that is right: --accept-moved; if not: `cargo xtask patch edit` the patch so that it names lines that tell its place"))
    }

    /// Gets the commit, and what the project needs to pin it.
    fn source(&mut self, manager: &Manager<'_>, config: &Config, to: &To) -> Result<Onto> {
        let To::Source(request) = to else {
            return Err(Error::bug("a bump that goes on has its source"));
        };
        self.ui.step("source");
        let start = Instant::now();
        let served = source::obtain(manager.layout, config, request, self.ui)?;
        let onto = pinning::onto(manager, &served)?;
        self.passed(
            "source",
            format!("{} from {}", onto.pin, served.mirror),
            start,
        );
        Ok(onto)
    }

    /// Builds and judges the fork in a project of its own.
    fn verify(
        &mut self,
        layout: &Layout,
        request: &Request,
        done: &Done,
        onto: &Onto,
    ) -> Result<()> {
        if request.until < Until::Build {
            return Ok(());
        }
        let candidate = Candidate::create(layout, done, onto)?;
        let config = Config::load(&candidate.layout)?;
        let setup = setup::Request {
            source: source::Request {
                pin: onto.pin.clone(),
                reference: None,
                url: config.upstream.url.clone(),
                choice: Choice::Auto,
            },
            features: Vec::new(),
            options: request.options.clone(),
            mode: Mode::Fork,
            until: request.until,
            patience: PATIENCE,
            worker: request.worker.clone(),
        };
        let heard = Heard::new(self.ui);
        let summary = match setup::run(&candidate.layout, &config, &setup, &heard) {
            Ok(summary) => summary,
            Err(error) => {
                self.begun = heard.passed();
                return Err(error);
            }
        };
        if summary.fork_id.as_ref() != Some(&done.fork.id) {
            return Err(Error::bug(format!(
                "the fork that was built is {:?}, and {} is to be taken over",
                summary.fork_id, done.fork.id
            )));
        }
        for step in &summary.steps {
            let counts = match step.name {
                "probe" => summary.probes,
                "parity" => summary.parity,
                _ => None,
            };
            self.steps.push(Step {
                name: step.name.into(),
                result: counts.map_or("done".into(), |(held, all)| format!("{held} of {all}")),
                seconds: step.seconds,
            });
        }
        if request.until >= Until::Tests {
            self.tests(&candidate.layout)?;
        }
        Ok(())
    }

    /// MLX's C++ and Python tests and ours, on the fork.
    fn tests(&mut self, candidate: &Layout) -> Result<()> {
        for suite in suites::plan(candidate, true)? {
            if !matches!(suite.name, "c++" | "python") {
                continue;
            }
            let (name, log) = (suite.name, suite.log.clone());
            self.ui.step(&format!("tests: {name}"));
            let start = Instant::now();
            let outcome = suite.run(|_| {})?;
            if outcome.failed > 0 || outcome.passed == 0 {
                return Err(Error::gate(format!(
                    "{} of the {name} tests failed, {} passed",
                    outcome.failed, outcome.passed
                ))
                .hint(format!("the whole log is {}", log.display())));
            }
            let result = format!("{} passed, {} skipped", outcome.passed, outcome.skipped);
            self.passed(&format!("tests: {name}"), result, start);
        }
        // Nothing holds the builds while tests run: another setup may have made them its own.
        run::installed(candidate, Side::Fork)
            .map(drop)
            .doing(|| "looking whether the fork that was tested is still the one".into())
    }
}

/// Hooks that are somewhere else than on the pin, with their patches.
fn moved(
    manager: &Manager<'_>,
    series: &Series,
    done: &Done,
    onto: Oid,
) -> Result<Vec<(String, places::Finding)>> {
    let pin = manager.pin(&series.base)?;
    let (old, _) = stack::steps(&manager.repo, series, pin)?;
    let (new, _) = stack::steps(&manager.repo, &done.series, onto)?;
    // What stands under another name now, by that name.
    let renamed = stack::renames(&manager.repo, pin, onto)?.into_iter();
    let renamed: BTreeMap<String, String> = renamed.map(|(from, to)| (to, from)).collect();
    let mut findings = Vec::new();
    for there in &new {
        let feature = &there.feature;
        let Some(here) = old.iter().find(|step| step.feature.name == feature.name) else {
            continue;
        };
        for (path, carried) in &there.changes {
            let before = renamed.get(path).unwrap_or(path);
            let same = here.changes.get_key_value(path);
            let Some((name, made)) = same.or_else(|| here.changes.get_key_value(before)) else {
                continue;
            };
            let files = &here.feature.patch.files;
            let hunks = files.iter().find(|file| file.path == *name);
            let content = |file: &'_ Option<File>| file.as_ref().map(|file| file.content.clone());
            let [a, b, c, d] = [&made.before, &made.after, &carried.before, &carried.after]
                .map(|file| content(file).unwrap_or_default());
            let found = places::check(&Carried {
                path,
                hunks: hunks.map_or(&[], |file| &file.hunks),
                pin: (&a, &b),
                there: (&c, &d),
            })?;
            let patch = feature.patch.name.clone();
            findings.extend(found.into_iter().map(|finding| (patch.clone(), finding)));
        }
    }
    Ok(findings)
}
