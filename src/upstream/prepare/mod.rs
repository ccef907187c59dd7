//! A feature as upstream would have it: the mapping, upstream's formatters, and a branch of one
//! commit in `mlx_local` whose message a person has to write. Nothing is pushed.

pub mod build;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::env;
use crate::error::{Doing, Error, Result, reading};
use crate::git::branch::{self, Branch, FileStat, Snapshot};
use crate::git::checkout;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::series::{self, Series};
use crate::source::{self, Choice, Request};
use crate::ui::Ui;

use super::format::Formatters;
use super::manifest::Manifest;
use super::mapping::{self, Changes};
use super::rules;

/// The whole message of the commit: upstream wants no text that a person didn't write.
pub const MESSAGE: &str = "(write the commit message yourself)\n";

/// How long another run may hold the checkout.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A feature in upstream's tree.
pub struct Prepared {
    /// The feature.
    pub feature: String,
    /// What it was put onto, as it was named.
    pub onto: String,
    /// The commit that this is.
    pub base: Snapshot,
    /// The tree with the feature.
    pub tree: String,
    /// What the feature adds and changes.
    pub changes: Changes,
    /// The same in lines, file by file.
    pub stat: Vec<FileStat>,
    /// The series that it comes from.
    pub series: Series,
    /// How it was mapped.
    pub manifest: Manifest,
    /// Upstream's formatters, in a folder that shows the tree.
    pub formatters: Formatters,
    /// While this lives, no other run has that folder.
    _hold: Lock,
}

/// Where everything for upstream is made.
pub fn home(layout: &Layout) -> PathBuf {
    layout.target().join("upstream")
}

/// The folder in which a feature's tree stands for the formatters.
pub(super) fn style(layout: &Layout, feature: &str) -> Layout {
    Layout::at(layout.root(), home(layout).join(feature).join("style"))
}

/// The references under which what was prepared is kept.
pub fn kept(feature: &str) -> String {
    format!("refs/mlx-fork/upstream/{feature}/")
}

/// The branch's name.
pub fn branch_name(feature: &str) -> String {
    format!("upstream/{feature}")
}

/// Puts the feature into upstream's tree at `onto` (a pin, or a tag, branch or commit;
/// `None` is the pin that the series is made for), formatted with upstream's formatters.
/// Writes objects into `mlx_local` and a tree below the builds' folder, no reference.
///
/// # Errors
/// As [`mapping::map`], [`source::obtain`] and [`Formatters::prepare`].
pub fn prepare(
    layout: &Layout,
    config: &Config,
    feature: &str,
    onto: Option<&str>,
    ui: &dyn Ui,
) -> Result<Prepared> {
    let own = style(layout, feature);
    // Before the checkout's: who holds this one may want that one, never the other way round.
    let hold = lock(&own, ui)?;
    let _lock = lock(layout, ui)?;
    let series = series::load(layout)?;
    let manifest = Manifest::load(layout)?;
    let onto = onto.unwrap_or(&series.base).to_string();
    let base = find(layout, config, &onto, ui)?;
    let changes = mapping::map(&series, &manifest, feature, &|path| base.text(path))
        .doing(|| format!("putting {feature} onto {onto}"))?;
    let hooks = base.text(".pre-commit-config.yaml")?.ok_or_else(|| {
        Error::conflict(format!("{onto} has no .pre-commit-config.yaml"))
            .doing("finding upstream's formatters")
    })?;
    let hooks =
        rules::read(&hooks).doing(|| format!("reading .pre-commit-config.yaml of {onto}"))?;

    checkout::materialize(&own, &base.with_files(&files(&changes))?)?;
    let formatters = Formatters::prepare(layout, hooks, &own.build_source(), ui)?;
    let mut prepared = Prepared {
        feature: feature.into(),
        onto,
        base,
        tree: String::new(),
        changes,
        stat: Vec::new(),
        series,
        manifest,
        formatters,
        _hold: hold,
    };
    prepared.format(ui)?;
    prepared.tree = prepared.base.with_files(&files(&prepared.changes))?;
    prepared.stat = prepared.base.stat(&prepared.tree)?;
    checkout::materialize(&own, &prepared.tree)?;
    Ok(prepared)
}

/// Waits for the checkout's lock.
pub(super) fn lock(layout: &Layout, ui: &dyn Ui) -> Result<Lock> {
    Lock::acquire(layout, PATIENCE, |holder| {
        ui.note(&format!("waiting for another run: {holder}"));
    })
}

/// The commit that `onto` means; what `mlx_local` lacks is got from upstream's mirrors.
fn find(layout: &Layout, config: &Config, onto: &str, ui: &dyn Ui) -> Result<Snapshot> {
    let pin = config.pins.get(onto).map(|pin| pin.commit.clone());
    if let Some(found) = Snapshot::find(layout, pin.as_deref().unwrap_or(onto))? {
        return Ok(found);
    }
    let request = Request {
        pin: config.pin.clone(),
        reference: Some(onto.into()),
        url: env::MLX_REPO_URL
            .get()
            .unwrap_or_else(|| config.upstream.url.clone()),
        choice: Choice::Auto,
    };
    // What it proposes are options of other commands.
    let served = source::obtain(layout, config, &request, ui).map_err(|error| {
        Error::new(error.kind(), error.to_string()).hint(
            "a clone of MLX that has it will do: MLX_REPO_URL=file:///…/mlx in the environment",
        )
    })?;
    Snapshot::find(layout, &served.commit)?.ok_or_else(|| {
        Error::bug(format!(
            "mlx_local lacks {} after getting it",
            served.commit
        ))
    })
}

/// The files as they go into a tree.
fn files(changes: &Changes) -> BTreeMap<String, (String, bool)> {
    let file = |(path, change): (&String, &mapping::Change)| {
        (path.clone(), (change.after.clone(), change.executable))
    };
    changes.iter().map(file).collect()
}

impl Prepared {
    /// The folder that shows the tree.
    pub fn folder(&self) -> PathBuf {
        self.formatters.folder().to_path_buf()
    }

    /// Runs upstream's formatters: over new files whole, in upstream's own over our lines.
    fn format(&mut self, ui: &dyn Ui) -> Result<()> {
        ui.step("upstream's formatters");
        let files = self.changes.iter().map(|(path, change)| {
            let lines = change.before.is_some().then(|| change.added_lines());
            (path.clone(), lines)
        });
        let files: BTreeMap<String, Option<Vec<usize>>> = files.collect();
        for hook in &self.formatters.hooks {
            self.formatters
                .run(hook, &files)
                .doing(|| format!("formatting with {} {}", hook.id, hook.version))?;
        }
        for (path, change) in &mut self.changes {
            let place = self.formatters.folder().join(path);
            change.after = std::fs::read_to_string(&place).doing(reading(&place))?;
        }
        Ok(())
    }

    /// Makes the branch. The author is the person whom git knows here.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`] where git doesn't know the person, else as
    /// [`Snapshot::branch`].
    pub fn branch(&self, layout: &Layout, ui: &dyn Ui) -> Result<Branch> {
        let who = branch::identity(layout)?;
        let _lock = lock(layout, ui)?;
        self.base.branch(
            &branch_name(&self.feature),
            &kept(&self.feature),
            &self.tree,
            &who,
            MESSAGE,
        )
    }

    /// Its C++ tests and its Python tests, by their paths.
    pub fn tests(&self) -> (Vec<&str>, Vec<&str>) {
        let new = self
            .changes
            .iter()
            .filter(|(_, change)| change.before.is_none());
        let new: Vec<&str> = new.map(|(path, _)| path.as_str()).collect();
        let cpp = new.iter().copied();
        let cpp = cpp.filter(|p| p.starts_with("tests/") && p.ends_with("_tests.cpp"));
        let python = new.iter().copied();
        let python = python.filter(|p| p.starts_with("python/tests/test_") && p.ends_with(".py"));
        (cpp.collect(), python.collect())
    }
}
