//! Takes what a person changed in `mlx_local` to where it belongs: overlay files into the
//! project, changes of upstream's files into a patch. Asks where that isn't clear.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::git::diff;
use crate::git::draft::File;
use crate::git::local::{self, State};
use crate::git::survey::{Change, Survey};
use crate::git::{Oid, merge};
use crate::manager::edit::{Decided, Finished};
use crate::manager::journal::Local;
use crate::manager::plan::{self, Plan, Work};
use crate::manager::questions::{self, Goes, Question};
use crate::manager::session::Session;
use crate::manager::{Manager, id};
use crate::process::quote;
use crate::series::{Overlay, Series};

/// Changed files by path, before and after.
pub type Changes = BTreeMap<String, local::Became>;

/// What a person says of their changes.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The feature whose patch gets changes of upstream's files.
    pub into: Option<String>,
    /// New files that are the project's own: path in MLX's tree, file of the project.
    pub own: BTreeMap<String, String>,
    /// New files that the patch makes.
    pub hook: BTreeSet<String>,
    /// Deleted overlay files that are to leave the series.
    pub remove: BTreeSet<String>,
}

/// A change, recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The feature whose patch gets changes of upstream's files.
    pub feature: Option<String>,
    /// The commit that `mlx_local` showed.
    pub baseline: String,
    /// The commit of what is on disk.
    pub disk: String,
    /// New overlay files: path in MLX's tree, file of the project.
    pub own: BTreeMap<String, String>,
}

/// What a refresh does, or would do.
#[derive(Debug)]
pub struct Routes {
    /// Where each changed file goes.
    pub files: Vec<(String, Goes)>,
    /// Files that are not part of the fork, and stay where they are.
    pub left: Vec<PathBuf>,
}

/// What is on disk, beside what is shown.
struct Looked {
    series: Series,
    into: Option<String>,
    session: bool,
    baseline: Oid,
    disk: Oid,
    changes: Changes,
    left: Vec<PathBuf>,
}

/// What only a person can say before [`refresh`] can be done with this request.
///
/// # Errors
/// As [`refresh`].
pub fn questions(manager: &Manager<'_>, request: &Request) -> Result<Vec<Question>> {
    let seen = look(manager, request)?;
    let routes = questions::routes(&seen.series, seen.into.as_deref(), request, &seen.changes);
    routes.map(|(_, questions)| questions)
}

fn look(manager: &Manager<'_>, request: &Request) -> Result<Looked> {
    let session = manager.session()?;
    if let Some(stopped @ Session::Stopped(_)) = &session {
        return Err(Error::conflict(stopped.describe()).hint(stopped.ways_out()));
    }
    let series = crate::series::load(manager.layout)?;
    let into = match (&request.into, &session) {
        (Some(name), Some(Session::Edit { feature })) if name != feature => {
            return Err(Error::usage(format!(
                "the patch of {feature} is open, and the changes are to go into {name}"
            ))
            .hint("leave --into out, or end the edit: cargo xtask patch --abort"));
        }
        (Some(name), _) => Some(name.clone()),
        (None, Some(Session::Edit { feature })) => Some(feature.clone()),
        (None, _) => None,
    };
    if let Some(name) = &into {
        plan::position(series.features.iter().map(|f| f.name.as_str()), name)?;
    }
    let seen = Survey::take(manager.layout, &manager.repo, None)?;
    seen.refuse_unfinished()?;
    refuse_unmerged(&seen)?;
    let baseline = manager.shown(&seen)?;
    refuse_other_base(manager, &series, baseline)?;
    let mut extra = seen.paths_of_edits();
    let named = request.own.keys().chain(&request.hook);
    extra.extend(named.map(|path| path.as_bytes().to_vec()));
    let disk = local::snapshot(manager.layout, baseline, &extra)?;
    let changes = local::changes(&manager.repo, baseline, disk)?;
    let untracked = seen.untracked.into_iter();
    let left =
        untracked.filter(|path| path.to_str().is_none_or(|path| !changes.contains_key(path)));
    let left = left.collect();
    let named = request
        .own
        .keys()
        .chain(&request.hook)
        .chain(&request.remove);
    if let Some(none) = named.into_iter().find(|path| !changes.contains_key(*path)) {
        return Err(Error::usage(format!("{none} isn't changed in mlx_local"))
            .hint("files are named by their path from mlx_local: `cargo xtask edits` lists them"));
    }
    Ok(Looked {
        series,
        into,
        session: session.is_some(),
        baseline,
        disk,
        changes,
        left,
    })
}

/// Takes the changes in. `None` where there are none.
///
/// # Errors
/// [`crate::Kind::Conflict`] with questions where it isn't clear where a change goes, or where
/// it collides with other changes of the series.
pub fn refresh(manager: &Manager<'_>, request: &Request) -> Result<Option<(Routes, Finished)>> {
    let Looked {
        series,
        into,
        session,
        baseline,
        disk,
        changes,
        left,
    } = look(manager, request)?;
    if changes.is_empty() && !session {
        return Ok(None);
    }
    let (files, questions) = questions::routes(&series, into.as_deref(), request, &changes)?;
    questions::refuse(&questions)?;
    let plan = Plan::Refresh(Taken {
        feature: into,
        baseline: baseline.to_string(),
        disk: disk.to_string(),
        own: request.own.clone(),
    });
    let before = Local {
        state: State {
            shown: baseline,
            worktree: Some(disk).filter(|disk| *disk != baseline),
        },
        session: crate::git::record::at(&manager.repo, crate::manager::session::REFERENCE),
    };
    let finished = manager
        .run(plan, Decided::default(), before, before)
        .map_err(|error| way_out(error, &files, &changes))?;
    Ok(Some((Routes { files, left }, finished)))
}

/// git's own conflicts, of a stash or a merge: their markers are no change.
fn refuse_unmerged(seen: &Survey) -> Result<()> {
    let edits = seen.edits.iter();
    let unmerged = edits.filter(|edit| edit.change == Change::Unmerged);
    let list: Vec<String> = unmerged
        .map(|edit| format!("\n    mlx_local/{}", edit.path.display()))
        .collect();
    if list.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "git has unresolved conflicts in mlx_local; nothing was written{}",
        list.concat()
    ))
    .hint("resolve them and `git -C mlx_local add` them; then run again"))
}

/// What no patch can hold is told of one file; the way out is for all that are so.
fn way_out(error: Error, files: &[(String, Goes)], changes: &Changes) -> Error {
    let unfit = files.iter().filter(|(path, goes)| {
        let (before, after) = &changes[path];
        let refused = || diff::unified(path, before.as_ref(), after.as_ref()).is_err();
        matches!(goes, Goes::Patch(_)) && refused()
    });
    let names: Vec<String> = unfit.map(|(path, _)| quote(path)).collect();
    if error.kind() != Kind::Usage || names.is_empty() {
        return error;
    }
    error.hint(format!(
        "`cargo xtask edits drop {}` makes it what the fork has; a new file can be the project's own (--own)",
        names.join(" ")
    ))
}

/// Edits are compared with the fork that is shown: on another commit than the series' own,
/// they would have to be carried back, which nobody asked for.
fn refuse_other_base(manager: &Manager<'_>, series: &Series, shown: Oid) -> Result<()> {
    let pin = manager.pin(&series.base)?;
    let above = manager
        .repo
        .graph_descendant_of(shown, pin)
        .unwrap_or(false);
    if above || shown == pin {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "mlx_local shows the fork on another commit than {}, which the series is made for",
        series.base
    ))
    .hint(format!(
        "`cargo xtask edits keep`, `MLX_REF={} cargo xtask setup-mlx --until fork`, and bring the edits back there",
        series.base
    )))
}

/// Puts recorded changes into the features of a plan.
pub fn apply(manager: &Manager<'_>, work: &mut Work, taken: &Taken) -> Result<()> {
    let changes = local::changes(&manager.repo, id(&taken.baseline)?, id(&taken.disk)?)?;
    let names = work.steps.iter().map(|step| step.feature.name.as_str());
    let into = match &taken.feature {
        Some(name) => Some(plan::position(names, name)?),
        None => None,
    };
    let mut collisions = Vec::new();
    for (path, (before, after)) in changes {
        let mut merged = |there: Option<File>| {
            let result = merge(&path, before.as_ref(), there.as_ref(), after.as_ref());
            if let Ok(None) = result {
                collisions.push(format!("\n    mlx_local/{path}"));
            }
            result
        };
        let steps = work.steps.iter_mut();
        let overlay = steps
            .flat_map(|step| &mut step.feature.overlay)
            .find(|file| file.target == path);
        if let Some(overlay) = overlay {
            let there = File {
                content: overlay.content.clone(),
                executable: overlay.executable,
            };
            match merged(Some(there))? {
                Some(Some(file)) => {
                    overlay.content = file.content;
                    overlay.executable = file.executable;
                }
                Some(None) => {
                    for step in &mut work.steps {
                        step.feature.overlay.retain(|file| file.target != path);
                    }
                }
                None => {}
            }
            continue;
        }
        let at = into.ok_or_else(|| Error::bug(format!("{path} has no patch to go to")))?;
        if let (Some(source), Some(file)) = (taken.own.get(&path), &after) {
            work.steps[at].feature.overlay.push(Overlay {
                source: source.clone(),
                target: path.clone(),
                executable: file.executable,
                content: file.content.clone(),
            });
            continue;
        }
        let base = below(manager, work, at, &path)?;
        let step = &mut work.steps[at];
        let there = match step.changes.get(&path) {
            Some(change) => change.after.clone(),
            None => base.clone(),
        };
        if let Some(after) = merged(there)? {
            let change = crate::git::stack::Change {
                before: base,
                after,
            };
            if change.before == change.after {
                step.changes.remove(&path);
            } else {
                step.changes.insert(path, change);
            }
        }
    }
    if collisions.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "these edits collide with what the series has there by now; nothing was written{}",
        collisions.concat()
    ))
    .hint("`cargo xtask patch edit FEATURE` opens the patch by itself: make the edit there")
    .hint("`cargo xtask edits keep` puts the edits aside first"))
}

/// What the file is below feature `at`.
fn below(manager: &Manager<'_>, work: &Work, at: usize, path: &str) -> Result<Option<File>> {
    let earlier = work.steps[..at].iter().rev();
    let mut changed = earlier.filter_map(|step| step.changes.get(path));
    if let Some(change) = changed.next() {
        return Ok(change.after.clone());
    }
    let draft = crate::git::draft::Draft::of_commit(&manager.repo, work.from)?;
    Ok(match draft.find(path)? {
        crate::git::draft::Found::File(file) => Some(file),
        _ => None,
    })
}

/// What `there` becomes by the change from `before` to `after`; `None` where that collides.
fn merge(
    path: &str,
    before: Option<&File>,
    there: Option<&File>,
    after: Option<&File>,
) -> Result<Option<Option<File>>> {
    if there == before {
        return Ok(Some(after.cloned()));
    }
    if there == after {
        return Ok(Some(there.cloned()));
    }
    let (Some(before), Some(there), Some(after)) = (before, there, after) else {
        return Ok(None);
    };
    let parts = merge::three_way(path, &before.content, &there.content, &after.content)?;
    let executable = if after.executable == before.executable {
        there.executable
    } else {
        after.executable
    };
    Ok(merge::clear(&parts).map(|content| {
        Some(File {
            content,
            executable,
        })
    }))
}
