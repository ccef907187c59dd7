//! A person's edits in `mlx_local`: listed, put aside, dropped by name, made into a patch.
//!
//! Nothing is overwritten before it is safe: what is put aside has its reference first, and
//! what is dropped was named. The caller holds the checkout's lock for `keep` and `drop`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::{Commit, DiffFormat, DiffOptions, Index, Oid, Repository, Signature};

use crate::error::{Doing, Error, Result};
use crate::git::checkout::{self, staging_in};
use crate::git::local;
use crate::git::refs::{self, IndexLock};
use crate::git::survey::{self, Obstacle, Survey, Target};
use crate::git::worktree::{self, Entry, Listing, Memory, Plan, index_entry, to_path};
use crate::layout::Layout;
use crate::series::header::civil;

pub use crate::git::survey::Edit;

/// What in `mlx_local` isn't the fork's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edits {
    /// Files of the fork that differ, and files that are staged: they stop a checkout.
    pub files: Vec<Edit>,
    /// Files that the fork doesn't know: they stop nothing and get into no build.
    pub untracked: Vec<PathBuf>,
    /// Commits, branches, unfinished merges: they stop a checkout.
    pub obstacles: Vec<Obstacle>,
}

/// Edits that were put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The reference: `refs/mlx-fork/kept/<UTC time>`.
    pub reference: String,
    /// Its commit.
    pub commit: String,
    /// The files.
    pub files: Vec<PathBuf>,
    /// The command that brings them back into `mlx_local`.
    pub way_back: String,
}

/// Looks at `mlx_local` and lists what isn't the fork's.
pub fn list(layout: &Layout) -> Result<Edits> {
    let (_, seen) = look(layout).doing(|| "listing the edits in mlx_local".into())?;
    Ok(Edits {
        files: seen.edits,
        untracked: seen.untracked,
        obstacles: seen.obstacles,
    })
}

/// Commits all edits, files that the fork doesn't know too, under `refs/mlx-fork/kept/`, and
/// makes `mlx_local` show the fork again. `None` where there is nothing to keep.
///
/// # Errors
/// [`crate::Kind::Conflict`] where git is in the middle of something, or a folder is a
/// repository of its own.
pub fn keep(layout: &Layout) -> Result<Option<Kept>> {
    put_aside(layout).doing(|| "putting the edits in mlx_local aside".into())
}

fn put_aside(layout: &Layout) -> Result<Option<Kept>> {
    let (repo, seen) = look(layout)?;
    if seen.edits.is_empty() && seen.untracked.is_empty() && seen.obstacles.is_empty() {
        return Ok(None);
    }
    let staging = staging_in(&repo)?;
    seen.refuse_unfinished()?;
    let _lock = IndexLock::take(&repo, &staging)?;
    let seen = Survey::take(layout, &repo, None)?;
    seen.refuse_unfinished()?;
    let shown = shown(&seen)?;

    let mut plan = Plan::default();
    let mut files = Vec::new();
    let untracked = seen.untracked.iter().map(PathBuf::as_path);
    for path in seen.edits.iter().map(|e| e.path.as_path()).chain(untracked) {
        restore(&mut plan, &seen, path.as_os_str().as_bytes());
        files.push(path.to_path_buf());
    }
    let target = Target {
        commit: shown,
        files: &seen.baseline,
    };
    add_interrupted(&mut plan, &seen);
    let blocked = local::take_out_blocked(&layout.mlx_local(), &mut plan);
    if let Some(path) = blocked.first() {
        return Err(Error::conflict(format!(
            "{} has something in its place that isn't kept, such as files that git ignores; nothing was written",
            path.display()
        ))
        .hint("move it out of mlx_local first"));
    }
    let tree = snapshot(layout, &repo, &seen)?;
    let commit = commit_of(&repo, &seen, shown, tree)?;
    let reference = free_name(&repo)?;
    refs::set(&repo, &reference, commit)?;
    // From here on nothing is lost by overwriting it.
    checkout::settle(layout, &repo, &staging, &seen, &plan, target)?;
    let parents = repo.find_commit(commit).map_or(1, |c| c.parent_count());
    let mainline = if parents > 1 { " --mainline 1" } else { "" };
    Ok(Some(Kept {
        way_back: format!("git -C mlx_local cherry-pick --no-commit{mainline} {reference}"),
        commit: commit.to_string(),
        reference,
        files,
    }))
}

/// Makes the named files what they are in the fork: changes undone, added files removed,
/// deleted files back. Either all names are edits, or nothing happens.
pub fn drop(layout: &Layout, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    drop_named(layout, paths).doing(|| "dropping edits in mlx_local".into())
}

fn drop_named(layout: &Layout, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let (repo, _) = look(layout)?;
    let staging = staging_in(&repo)?;
    let _lock = IndexLock::take(&repo, &staging)?;
    let seen = Survey::take(layout, &repo, None)?;
    let shown = shown(&seen)?;
    if let Some(obstacle) = seen.obstacles.first() {
        return Err(Error::conflict(obstacle.what.clone()).hint(obstacle.way_out.clone()));
    }
    let mut plan = Plan::default();
    let mut dropped = BTreeSet::new();
    for path in paths {
        // People name files from where they stand, too.
        let path = path.strip_prefix("mlx_local").unwrap_or(path);
        let edit = seen.edits.iter().find(|e| e.path == path);
        if edit.is_none() && !seen.untracked.iter().any(|u| u == path) {
            return Err(Error::usage(format!(
                "{} is no edit; nothing was dropped",
                path.display()
            ))
            .hint("`cargo xtask edits` lists them, by the names that count here"));
        }
        let bytes = path.as_os_str().as_bytes();
        if seen.scan.get(bytes).is_some_and(fs::Metadata::is_dir)
            || layout.mlx_local().join(path).is_dir()
        {
            return Err(Error::conflict(format!(
                "{} is a folder; nothing was dropped",
                path.display()
            ))
            .hint("move it away yourself: this tool deletes no folder of yours"));
        }
        if dropped.insert(bytes.to_vec()) {
            restore(&mut plan, &seen, bytes);
        }
    }
    let written = plan.carry_out(&repo, &layout.mlx_local(), &staging)?;
    write_index_after_drop(&repo, &staging, &seen, shown, &dropped, &written)?;
    Ok(dropped.iter().map(|path| to_path(path)).collect())
}

/// The index as it was, with the dropped files as in the fork.
fn write_index_after_drop(
    repo: &Repository,
    staging: &Path,
    seen: &Survey,
    shown: Oid,
    dropped: &BTreeSet<Vec<u8>>,
    written: &std::collections::BTreeMap<Vec<u8>, fs::Metadata>,
) -> Result<()> {
    let nothing = Memory::default();
    let memory = seen.index.as_ref().unwrap_or(&nothing);
    let mut all: Listing = if seen.index.is_some() {
        let entries = memory.entries.iter();
        entries
            .map(|(path, e)| {
                (
                    path.clone(),
                    Entry {
                        mode: e.mode,
                        id: e.id,
                    },
                )
            })
            .collect()
    } else {
        let tree = repo
            .find_commit(shown)
            .doing(|| format!("reading the fork {shown}"))?
            .tree_id();
        worktree::listing(repo, tree)?
    };
    for path in dropped {
        match seen.baseline.get(path) {
            Some(entry) => all.insert(path.clone(), *entry),
            None => all.remove(path),
        };
    }
    let entries: Vec<_> = all
        .iter()
        .map(|(path, entry)| {
            let as_seen = seen.seen.get(path).filter(|now| *now == entry);
            let meta = written
                .get(path)
                .or_else(|| as_seen.and_then(|_| seen.scan.get(path)));
            (path.as_slice(), *entry, meta)
        })
        .collect();
    worktree::write_index(&repo.path().join("index"), staging, &entries)
}

/// All edits as one diff against the fork, as git prints it: two lines of context, whole
/// ids, no renames. Empty where there are none.
pub fn patch(layout: &Layout) -> Result<Vec<u8>> {
    let doing = || "making a patch of the edits in mlx_local".to_string();
    let (repo, seen) = look(layout).doing(doing)?;
    let shown = shown(&seen).doing(doing)?;
    let tree = snapshot(layout, &repo, &seen).doing(doing)?;
    let old = repo
        .find_commit(shown)
        .and_then(|c| c.tree())
        .doing(doing)?;
    let new = repo.find_tree(tree).doing(doing)?;
    let mut options = DiffOptions::new();
    options
        .context_lines(2)
        .interhunk_lines(0)
        .id_abbrev(40)
        .show_binary(true);
    let diff = repo
        .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
        .doing(doing)?;
    let mut text = Vec::new();
    diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), ' ' | '+' | '-') {
            text.push(line.origin() as u8);
        }
        text.extend_from_slice(line.content());
        true
    })
    .doing(doing)?;
    Ok(text)
}

fn look(layout: &Layout) -> Result<(Repository, Survey)> {
    let repo = survey::open(layout)?;
    let seen = Survey::take(layout, &repo, None)?;
    Ok((repo, seen))
}

fn shown(seen: &Survey) -> Result<Oid> {
    seen.shown.ok_or_else(|| {
        Error::usage("mlx_local shows no fork yet").hint("`cargo xtask setup-mlx` makes it")
    })
}

/// Adds to the plan what makes one file that of the fork.
fn restore(plan: &mut Plan, seen: &Survey, path: &[u8]) {
    let meta = seen.scan.get(path).cloned();
    match (seen.baseline.get(path), meta) {
        (Some(entry), meta) if seen.seen.get(path) != Some(entry) => {
            plan.write.push((path.to_vec(), *entry, meta));
        }
        (None, Some(meta)) => plan.remove.push((path.to_vec(), meta)),
        _ => {}
    }
}

/// Files that an interrupted checkout left are no edits, and have to go back too.
fn add_interrupted(plan: &mut Plan, seen: &Survey) {
    let planned: BTreeSet<Vec<u8>> = plan
        .write
        .iter()
        .map(|(path, ..)| path.clone())
        .chain(plan.remove.iter().map(|(path, _)| path.clone()))
        .collect();
    for path in seen
        .seen
        .keys()
        .chain(seen.baseline.keys())
        .collect::<BTreeSet<_>>()
    {
        if !planned.contains(path) {
            restore(plan, seen, path);
        }
    }
}

/// Writes the tree of what is on disk: the fork's files as they are now, and all others
/// that aren't ignored.
fn snapshot(layout: &Layout, repo: &Repository, seen: &Survey) -> Result<Oid> {
    let mut files = seen.baseline.clone();
    let paths = seen.edits.iter().map(|e| &e.path).chain(&seen.untracked);
    let paths = paths.map(|path| path.as_os_str().as_bytes().to_vec());
    // Where a folder stands in the place of a file, its files have paths of their own.
    let (there, gone) = paths.partition::<BTreeSet<_>, _>(|path| seen.scan.contains_key(path));
    files.retain(|path, _| !gone.contains(path));
    let root = layout.mlx_local();
    local::read_in(repo, &root, &Memory::default(), &mut files, there)?;
    local::tree_of(repo, &files)
}

/// The commit that keeps: its tree is what is on disk; its parents are the fork, the commit
/// that was checked out if that is another, and the index if that is a third thing.
fn commit_of(repo: &Repository, seen: &Survey, shown: Oid, tree: Oid) -> Result<Oid> {
    let doing = || "writing a commit of the edits".to_string();
    let who = Signature::now("mlx-fork", "mlx-fork@localhost").doing(doing)?;
    let fork = repo.find_commit(shown).doing(doing)?;
    let head = repo.head().ok().and_then(|head| head.peel_to_commit().ok());
    let head = head.filter(|head| head.id() != shown);
    let mut parents = vec![fork];
    parents.extend(head);
    if let Some(memory) = &seen.index {
        let mut index = Index::new().doing(doing)?;
        for (path, e) in &memory.entries {
            index
                .add(&index_entry(
                    path,
                    Entry {
                        mode: e.mode,
                        id: e.id,
                    },
                ))
                .doing(doing)?;
        }
        let staged = index.write_tree_to(repo).doing(doing)?;
        if staged != tree && parents.iter().all(|p| p.tree_id() != staged) {
            let staged = repo.find_tree(staged).doing(doing)?;
            let id = repo
                .commit(
                    None,
                    &who,
                    &who,
                    "What was staged in mlx_local\n",
                    &staged,
                    &[&parents[0]],
                )
                .doing(doing)?;
            parents.push(repo.find_commit(id).doing(doing)?);
        }
    }
    let tree = repo.find_tree(tree).doing(doing)?;
    let parents: Vec<&Commit<'_>> = parents.iter().collect();
    let names: Vec<String> = seen.edits.iter().map(ToString::to_string).collect();
    let message = format!("Edits put aside from mlx_local\n\n{}\n", names.join("\n"));
    repo.commit(None, &who, &who, &message, &tree, &parents)
        .doing(doing)
}

/// `refs/mlx-fork/kept/20260102T030405Z`, with a number behind it where that is taken.
pub fn free_name(repo: &Repository) -> Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now
        .map_err(|_| Error::environment("the clock is before 1970"))?
        .as_secs();
    let name = format!("{}{}", refs::KEPT, utc(now));
    let taken: BTreeSet<String> = refs::below(repo, refs::KEPT)?
        .into_iter()
        .map(|(n, _)| n)
        .collect();
    let mut free = name.clone();
    let mut number = 2;
    while taken.contains(&free) {
        free = format!("{name}-{number}");
        number += 1;
    }
    Ok(free)
}

/// Seconds since 1970 as `20260102T030405Z`.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(i64::try_from(days).unwrap_or_default());
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(utc(0), "19700101T000000Z");
        assert_eq!(utc(1_709_251_199), "20240229T235959Z");
        assert_eq!(utc(1_767_225_600), "20260101T000000Z");
    }
}
