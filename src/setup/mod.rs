//! The main job: from a pin to a running, probed, compared fork.
//!
//! A chain of steps. Each knows by itself whether its inputs are those of its last run, so a
//! second run does nothing; this file only orders them and keeps the time.

pub mod evidence;
mod steps;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::build::{Build, Options, third_party};
use crate::config::Config;
use crate::error::{Doing, Result};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::macos::Machine;
use crate::manager;
use crate::series::{self, Series};
use crate::side::Side;
use crate::source::{self, Served};
use crate::ui::Ui;

/// What to set up.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where MLX comes from.
    pub source: source::Request,
    /// Only these features of the series; empty: all.
    pub features: Vec<String>,
    /// How to build.
    pub options: Options,
    /// The whole fork, or only our primitives.
    pub mode: Mode,
    /// The last step to run.
    pub until: Until,
    /// How long to wait for another run's lock.
    pub patience: Duration,
    /// The executable whose hidden subcommands are the worker processes.
    pub worker: PathBuf,
}

/// What is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Stock and the whole fork.
    Fork,
    /// Only our primitives, against the MLX of this prefix, or the PyPI wheel of the pin.
    Extension(Option<PathBuf>),
}

/// The last step to run; later steps come later in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// `mlx_local` has the pin.
    Source,
    /// `mlx_local` shows the fork.
    Fork,
    /// Everything is built and installed.
    Build,
    /// The builds have what they should.
    Probe,
    /// And compute what they should.
    Parity,
    /// The C++ tests are built.
    Tests,
}

/// One step of a run.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Its name.
    pub name: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// True when its inputs were those of the last run, and nothing was done.
    pub up_to_date: bool,
}

/// What a run came to.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The pin's name, or `None` for a commit that is no pin.
    pub pin: Option<String>,
    /// The upstream commit.
    pub commit: String,
    /// The mirror that served its tree.
    pub mirror: String,
    /// Mirrors that did not, and why.
    pub passed_over: Vec<(String, String)>,
    /// Lines for fork.toml that would pin a commit that is no pin.
    pub unpinned: Option<String>,
    /// The fork's last commit; `None` where the run stopped before it.
    pub fork_id: Option<String>,
    /// True when the series was ported to a commit that it was not made for.
    pub ported: bool,
    /// The features and the commit of each.
    pub features: Vec<(String, String)>,
    /// MLX's third-party sources: which, where, by which rule.
    pub third_party: Vec<third_party::Row>,
    /// What was built.
    pub builds: Vec<BuildReport>,
    /// The steps in order.
    pub steps: Vec<StepReport>,
    /// Probes that held, and all of them.
    pub probes: Option<(usize, usize)>,
    /// Parity cases that passed, and all of them.
    pub parity: Option<(usize, usize)>,
    /// The record of this run, where it ran on a Mac.
    pub evidence: Option<PathBuf>,
}

/// One build, for the summary.
#[derive(Debug, Clone, Serialize)]
pub struct BuildReport {
    /// `stock`, `fork` or `extension`.
    pub side: Side,
    /// Its install folder.
    pub prefix: PathBuf,
    /// What it says it was built from.
    pub id: String,
    /// Sources of ours that were compiled in this run.
    pub ours: usize,
    /// Sources of MLX that were compiled in this run; for an extension, nanobind's.
    pub upstream: usize,
}

impl BuildReport {
    fn of(build: &Build) -> Self {
        BuildReport {
            side: build.side,
            prefix: build.prefix.clone(),
            id: build.id.clone(),
            ours: build.ours,
            upstream: build.upstream,
        }
    }
}

impl Summary {
    /// True when no step had anything to do.
    pub fn up_to_date(&self) -> bool {
        self.steps.iter().all(|step| step.up_to_date)
    }
}

/// Runs the chain. The first step that fails ends it; what finished before stays.
pub fn run(layout: &Layout, config: &Config, request: &Request, ui: &dyn Ui) -> Result<Summary> {
    let since = SystemTime::now();
    // What is wrong in itself is refused before anything is written.
    third_party::check_named(layout, config, &request.options)?;
    let mut series = match request.until {
        Until::Source => None,
        _ => Some(selected(layout, &request.features)?),
    };
    let _lock = Lock::acquire(layout, request.patience, |holder| {
        ui.note(&format!("waiting for another run: {holder}"));
    })?;
    if manager::recover(layout, ui)? && series.is_some() {
        series = Some(selected(layout, &request.features)?);
    }
    if series.is_some() {
        manager::refuse_open_session(layout).doing(|| "showing the fork in mlx_local".into())?;
    }
    let mut chain = Chain {
        layout,
        config,
        request,
        ui,
        steps: Vec::new(),
    };
    let served = chain.source()?;
    let mut summary = Summary {
        pin: served.pin.clone(),
        commit: served.commit.clone(),
        mirror: served.mirror.clone(),
        passed_over: served.passed_over.clone(),
        unpinned: served.unpinned.clone(),
        fork_id: None,
        ported: false,
        features: Vec::new(),
        third_party: Vec::new(),
        builds: Vec::new(),
        steps: Vec::new(),
        probes: None,
        parity: None,
        evidence: None,
    };
    let done = match series {
        Some(series) => chain.rest(&served, &series, &mut summary),
        None => Ok(()),
    };
    summary.steps = chain.steps;
    if cfg!(target_os = "macos") && request.until >= Until::Parity {
        return recorded(layout, summary, done, since, ui);
    }
    done.map(|()| summary)
}

/// Writes the record of a run on a Mac: of one that failed, too.
fn recorded(
    layout: &Layout,
    mut summary: Summary,
    done: Result<()>,
    since: SystemTime,
    ui: &dyn Ui,
) -> Result<Summary> {
    ui.step("evidence");
    let failure = done.as_ref().err();
    let written = evidence::write(layout, &Machine::here(), &summary, failure, since);
    match (done, written) {
        (Ok(()), written) => {
            summary.evidence = Some(written?);
            Ok(summary)
        }
        (Err(error), Ok(path)) => Err(error.hint(format!(
            "the record of this run is {}: attach it to the issue",
            path.display()
        ))),
        (Err(error), Err(_)) => Err(error),
    }
}

fn selected(layout: &Layout, features: &[String]) -> Result<Series> {
    let series = series::load(layout)?;
    match features {
        [] => Ok(series),
        named => series.select(named),
    }
}

struct Chain<'a> {
    layout: &'a Layout,
    config: &'a Config,
    request: &'a Request,
    ui: &'a dyn Ui,
    steps: Vec<StepReport>,
}

impl Chain<'_> {
    /// Runs one step; its closure says whether there was anything to do.
    fn step<T>(
        &mut self,
        name: &'static str,
        step: impl FnOnce(&Self) -> Result<(T, bool)>,
    ) -> Result<T> {
        self.ui.step(name);
        let start = Instant::now();
        let (value, did) = step(self)?;
        self.steps.push(StepReport {
            name,
            seconds: start.elapsed().as_secs_f64(),
            up_to_date: !did,
        });
        Ok(value)
    }

    fn source(&mut self) -> Result<Served> {
        self.step("source", |chain| {
            let request = &chain.request.source;
            let served = source::obtain(chain.layout, chain.config, request, chain.ui)?;
            let did = served.mirror != "mlx_local";
            Ok((served, did))
        })
    }

    fn rest(&mut self, served: &Served, series: &Series, summary: &mut Summary) -> Result<()> {
        let until = self.request.until;
        let fork = self.fork(served, series)?;
        summary.fork_id = Some(fork.id.clone());
        summary.ported = fork.ported;
        summary.features = fork
            .commits
            .iter()
            .map(|commit| (commit.feature.clone(), commit.id.clone()))
            .collect();
        if until < Until::Build {
            return Ok(());
        }
        let (tools, third_party) = self.tools()?;
        summary.third_party = third_party.rows.clone();
        summary.builds = match &self.request.mode {
            Mode::Fork => self.both(served, &fork, series, &tools, &third_party)?,
            Mode::Extension(against) => self.extension(&fork, &tools, against.as_deref())?,
        };
        self.bindings(&tools)?;
        if until < Until::Probe {
            return Ok(());
        }
        summary.probes = Some(self.probe(series)?);
        if until < Until::Parity {
            return Ok(());
        }
        summary.parity = Some(self.parity(series)?);
        if until >= Until::Tests && self.request.mode == Mode::Fork {
            self.tests(served, &fork, series, &tools, &third_party)?;
        }
        Ok(())
    }
}
