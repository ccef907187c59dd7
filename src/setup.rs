//! The main job: from a pin to a running, probed, compared fork.
//!
//! A chain of steps. Each knows by itself whether its inputs are those of its last run, so a
//! second run does nothing; this file only orders them and keeps the time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::build::{self, Build, Options, Side, SideInput, third_party, tools};
use crate::config::Config;
use crate::error::{Doing, Result};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::series::{self, Fork};
use crate::source::{self, Served};
use crate::ui::Ui;
use crate::{git, parity, probe};

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
    /// The fork's last commit.
    pub fork_id: String,
    /// True when the series was ported to a commit that it was not made for.
    pub ported: bool,
    /// The features and the commit of each.
    pub features: Vec<(String, String)>,
    /// Stock and fork.
    pub builds: Vec<BuildReport>,
    /// The steps in order.
    pub steps: Vec<StepReport>,
    /// Probes that held, and all of them.
    pub probes: (usize, usize),
    /// Parity cases that passed, and all of them.
    pub parity: (usize, usize),
}

/// One build, for the summary.
#[derive(Debug, Clone, Serialize)]
pub struct BuildReport {
    /// `stock` or `fork`.
    pub side: Side,
    /// Its install folder.
    pub prefix: PathBuf,
    /// What it says it was built from.
    pub id: String,
    /// Sources of ours that were compiled in this run.
    pub ours: usize,
    /// Sources of MLX that were compiled in this run.
    pub upstream: usize,
}

impl Summary {
    /// True when no step had anything to do.
    pub fn up_to_date(&self) -> bool {
        self.steps.iter().all(|step| step.up_to_date)
    }
}

/// Runs the chain. The first step that fails ends it; what finished before stays.
pub fn run(layout: &Layout, config: &Config, request: &Request, ui: &dyn Ui) -> Result<Summary> {
    let _lock = Lock::acquire(layout, request.patience, |holder| {
        ui.note(&format!("waiting for another run: {holder}"));
    })?;
    let mut steps = Steps {
        ui,
        done: Vec::new(),
    };
    let (served, fork) = make_fork(layout, config, request, &mut steps)?;
    let builds = build_both(layout, config, request, &served, &fork, &mut steps)?;
    let probes = steps.run("probe", || todo_probe(layout))?;
    let parity = steps.run("parity", || todo_parity(layout))?;
    Ok(Summary {
        pin: served.pin,
        commit: served.commit,
        mirror: served.mirror,
        passed_over: served.passed_over,
        unpinned: served.unpinned,
        fork_id: fork.id,
        ported: fork.ported,
        features: fork
            .commits
            .into_iter()
            .map(|commit| (commit.feature, commit.id))
            .collect(),
        builds: builds.iter().map(BuildReport::of).collect(),
        steps: steps.done,
        probes,
        parity,
    })
}

struct Steps<'a> {
    ui: &'a dyn Ui,
    done: Vec<StepReport>,
}

impl Steps<'_> {
    /// Runs one step; its closure says whether there was anything to do.
    fn run<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<(T, bool)>) -> Result<T> {
        self.ui.step(name);
        let start = Instant::now();
        let (value, did) = step().doing(|| format!("step {name}"))?;
        self.done.push(StepReport {
            name,
            seconds: start.elapsed().as_secs_f64(),
            up_to_date: !did,
        });
        Ok(value)
    }
}
