//! Where the series stands: each feature, on each pin and in `mlx_local`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::error::Result;
use crate::git::record;
use crate::git::refs;
use crate::git::stack::{self, Stack, Step};
use crate::git::survey::Survey;
use crate::manager::Manager;
use crate::manager::journal;
use crate::manager::session::Session;
use crate::series::{self, Series, export};

/// What a feature's patch does on a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnPin {
    /// It applies where it says.
    Applies,
    /// A merge carries it there.
    Ported,
    /// It doesn't merge.
    Conflicts,
    /// Upstream has what it does.
    Upstream,
    /// `mlx_local` lacks the pin.
    Unknown,
}

impl OnPin {
    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            OnPin::Applies => "applies",
            OnPin::Ported => "ported",
            OnPin::Conflicts => "conflicts",
            OnPin::Upstream => "in upstream",
            OnPin::Unknown => "not at hand",
        }
    }
}

/// One feature.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its name.
    pub feature: String,
    /// Its patch file.
    pub patch: String,
    /// Its own files.
    pub overlay: usize,
    /// Upstream's files that it changes.
    pub hooked: usize,
    /// Lines that it adds to them, and takes from them.
    pub lines: (usize, usize),
    /// What its header says of upstream.
    pub upstream: String,
    /// True where `mlx_local` shows it.
    pub applied: bool,
    /// Its files that are edited in `mlx_local`.
    pub edited: Vec<PathBuf>,
    /// Each pin.
    pub pins: BTreeMap<String, OnPin>,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The pin that the series is made for.
    pub base: String,
    /// What `mlx_local` shows.
    pub shown: Option<String>,
    /// True where that is the fork of the series as it is now, or the part of it that an open
    /// edit shows.
    pub in_step: bool,
    /// What is open, in a sentence.
    pub session: Option<String>,
    /// How that ends.
    pub ways_out: Option<String>,
    /// The features in order.
    pub features: Vec<Row>,
    /// Edited files of no feature.
    pub edited: Vec<PathBuf>,
    /// What of git's own is in the way of the next operation, and what ends it.
    pub obstacles: Vec<(String, String)>,
    /// Files in `mlx_local` that are not the fork's.
    pub untracked: Vec<PathBuf>,
    /// The last operation, which `undo` undoes.
    pub last: Option<String>,
}

/// Looks.
///
/// # Errors
/// What is wrong with the series itself; conflicts with pins are a part of the answer.
pub fn status(manager: &Manager<'_>, pins: &[String]) -> Result<Status> {
    let series = series::load(manager.layout)?;
    let pin = manager.pin(&series.base)?;
    let (steps, misfits) = stack::steps(&manager.repo, &series, pin)?;
    let misfit = |step: &Step| {
        let feature = &step.feature;
        let sources = feature.overlay.iter().map(|file| &file.source);
        let mut names = sources.chain([&feature.patch.name]);
        names.any(|name| misfits.iter().any(|misfit| misfit.patch == *name))
    };
    let seen = Survey::take(manager.layout, &manager.repo, None)?;
    let chain = chain(manager, &series, misfits.is_empty())?;
    let shown = seen.shown.map(|id| id.to_string());
    let count = shown
        .as_ref()
        .and_then(|shown| chain.iter().position(|id| id == shown))
        .map(|at| at + 1);
    let session = manager.session()?;
    // While a conflict waits, the features before it are shown as carried so far.
    let count = match &session {
        Some(Session::Stopped(stopped)) => steps
            .iter()
            .position(|step| step.feature.name == stopped.at),
        _ => count,
    };
    let mut features = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let feature = &step.feature;
        let counts = feature.patch.files.iter().map(export::counts);
        let edited = seen.edits.iter().filter(|edit| {
            edit.path.to_str().is_some_and(|path| {
                let overlay = feature.overlay.iter().any(|file| file.target == path);
                overlay || step.changes.contains_key(path)
            })
        });
        features.push(Row {
            feature: feature.name.clone(),
            patch: feature.patch.name.clone(),
            overlay: feature.overlay.len(),
            hooked: feature.patch.files.len(),
            lines: counts.fold((0, 0), |(a, b), (x, y)| (a + x, b + y)),
            upstream: feature.patch.header.upstream.to_string(),
            applied: count.is_some_and(|count| at < count),
            edited: edited.map(|edit| edit.path.clone()).collect(),
            pins: BTreeMap::from([(
                series.base.clone(),
                if misfit(step) {
                    OnPin::Conflicts
                } else {
                    OnPin::Applies
                },
            )]),
        });
    }
    for name in pins.iter().filter(|name| **name != series.base) {
        let states = on_pin(manager, &series, &steps, name)?;
        for (row, state) in features.iter_mut().zip(states) {
            row.pins.insert(name.clone(), state);
        }
    }
    let edited = seen.edits.iter().map(|edit| edit.path.clone());
    let known = |path: &PathBuf| features.iter().any(|row| row.edited.contains(path));
    Ok(Status {
        base: series.base.clone(),
        in_step: count.is_some_and(|count| count == chain.len() || session.is_some()),
        shown,
        ways_out: session.as_ref().map(|open| open.ways_out().to_string()),
        session: session.map(|open| open.describe()),
        edited: edited.filter(|path| !known(path)).collect(),
        features,
        obstacles: seen
            .obstacles
            .into_iter()
            .map(|obstacle| (obstacle.what, obstacle.way_out))
            .collect(),
        untracked: seen.untracked,
        last: journal::log(&manager.repo, 1)?.pop().map(|row| row.what),
    })
}

/// The ids of the fork's commits, without writing any; empty where the series doesn't fit.
fn chain(manager: &Manager<'_>, series: &Series, fits: bool) -> Result<Vec<String>> {
    if !fits {
        return Ok(Vec::new());
    }
    let pin = manager.pin(&series.base)?;
    let fork = series::compose(manager.layout, series, &pin.to_string())?;
    Ok(fork.commits.into_iter().map(|commit| commit.id).collect())
}

fn on_pin(
    manager: &Manager<'_>,
    series: &Series,
    steps: &[Step],
    name: &str,
) -> Result<Vec<OnPin>> {
    let base = record::at(&manager.repo, &format!("{}{name}", refs::PINS));
    let Some(base) = base else {
        return Ok(vec![OnPin::Unknown; steps.len()]);
    };
    let from = manager.pin(&series.base)?;
    let mut stack = Stack::new(&manager.repo, from, base, &series.resolutions)?;
    let mut states = Vec::new();
    for (layer, step) in steps.iter().enumerate() {
        let stuck = stack.push(step, None)?;
        let overlay = |path: &String| step.feature.overlay.iter().any(|file| file.target == *path);
        let hooks = stack.draft().layers()[layer]
            .keys()
            .filter(|path| !overlay(path));
        states.push(if !stuck.is_empty() {
            OnPin::Conflicts
        } else if hooks.count() == 0 && !step.changes.is_empty() {
            OnPin::Upstream
        } else {
            OnPin::Ported
        });
    }
    Ok(states)
}
