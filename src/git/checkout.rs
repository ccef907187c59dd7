//! Makes folders show trees: `mlx_local` the fork (a person's edits stop it), and the
//! build's own source folder any tree (nothing in there is a person's).
//!
//! Both write only files that differ, so that times, and with them builds, stay as they are.
//! Both may be killed at any instant: the next call ends where this one would have. The
//! caller holds the checkout's lock ([`crate::lock::Lock`]).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository};

use crate::error::{Doing, Result, writing};
use crate::git::compose::Fork;
use crate::git::refs::{self, IndexLock};
use crate::git::survey::{self, Survey, Target};
use crate::git::worktree::{self, Enter, Listing, Memory, Plan, to_path};
use crate::layout::Layout;

/// What a checkout did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Files written.
    pub written: Vec<PathBuf>,
    /// Files removed.
    pub removed: Vec<PathBuf>,
    /// Files in `mlx_local` that are not the fork's and in nobody's way: left as they are,
    /// and not part of any build.
    pub untracked: Vec<PathBuf>,
}

/// Makes `mlx_local` show `fork` on the branch `fork`.
///
/// # Errors
/// [`crate::Kind::Conflict`], with names and ways out and nothing written, where files
/// differ from the fork that is shown, or something is staged, committed on top, checked
/// out instead or unfinished. A file that already is what the new fork has is no conflict.
pub fn fork(layout: &Layout, fork: &Fork) -> Result<Changed> {
    show(layout, fork).doing(|| "showing the fork in mlx_local".into())
}

fn show(layout: &Layout, fork: &Fork) -> Result<Changed> {
    let repo = survey::open(layout)?;
    let doing = || format!("reading the fork {}", fork.id);
    let commit = Oid::from_str(&fork.id).doing(doing)?;
    let tree = repo.find_commit(commit).doing(doing)?.tree_id();
    let files = worktree::listing(&repo, tree)?;
    let target = Target {
        commit,
        files: &files,
    };

    let seen = Survey::take(layout, &repo, Some(target))?;
    seen.refuse()?;
    if is_shown(&repo, &seen, target) {
        return Ok(Changed {
            untracked: seen.untracked,
            ..Changed::default()
        });
    }
    let staging = staging_in(&repo)?;
    let _lock = IndexLock::take(&repo, &staging)?;
    // git may have run until the lock was ours.
    let seen = Survey::take(layout, &repo, Some(target))?;
    seen.refuse()?;
    refs::set(&repo, &format!("{}{commit}", refs::SHOWING), commit)?;
    let plan = difference(&seen, &files);
    settle(layout, &repo, &staging, &seen, &plan, target)?;
    Ok(Changed {
        written: plan.write.iter().map(|(path, ..)| to_path(path)).collect(),
        removed: plan.remove.iter().map(|(path, _)| to_path(path)).collect(),
        untracked: seen.untracked,
    })
}

fn is_shown(repo: &Repository, seen: &Survey, target: Target<'_>) -> bool {
    let at = |name| repo.refname_to_id(name).ok() == Some(target.commit);
    let head = repo.find_reference("HEAD").ok();
    let on_branch = head.is_some_and(|h| h.symbolic_target().ok().flatten() == Some(refs::BRANCH));
    let staged = seen.index.as_ref().is_some_and(|index| {
        index.entries.len() == target.files.len()
            && target.files.iter().all(|(path, entry)| {
                index
                    .entries
                    .get(path)
                    .is_some_and(|e| (e.mode, e.id) == (entry.mode, entry.id))
            })
    });
    seen.shown == Some(target.commit)
        && at(refs::BRANCH)
        && on_branch
        && staged
        && !seen.stale
        && seen.interrupted.is_empty()
        && difference(seen, target.files).is_empty()
}

/// What has to change so that the known files on disk are those of `files`.
fn difference(seen: &Survey, files: &Listing) -> Plan {
    let mut plan = Plan::default();
    for path in seen.seen.keys().filter(|path| !files.contains_key(*path)) {
        plan.remove.push((path.clone(), seen.scan[path].clone()));
    }
    for (path, entry) in files {
        if seen.seen.get(path) != Some(entry) {
            plan.write
                .push((path.clone(), *entry, seen.scan.get(path).cloned()));
        }
    }
    plan
}

/// Carries out a plan after which `mlx_local` shows `target`, and says so in the index and
/// the references; in this order, each of them is right wherever a kill falls.
pub fn settle(
    layout: &Layout,
    repo: &Repository,
    staging: &Path,
    seen: &Survey,
    plan: &Plan,
    target: Target<'_>,
) -> Result<()> {
    let root = layout.mlx_local();
    let written = plan.carry_out(repo, &root, staging)?;
    let replaced: BTreeSet<&[u8]> = plan
        .write
        .iter()
        .map(|(path, ..)| path.as_slice())
        .collect();
    let mut entries = Vec::new();
    for (path, entry) in target.files {
        let meta = match written.get(path) {
            // What was on disk when its content was read, not what is there now.
            None if !replaced.contains(path.as_slice()) => seen.scan.get(path),
            meta => meta,
        };
        entries.push((path.as_slice(), *entry, meta));
    }
    worktree::write_index(&repo.path().join("index"), staging, &entries)?;
    refs::set(repo, refs::BRANCH, target.commit)?;
    refs::set_head(repo)?;
    refs::set(repo, refs::FORK, target.commit)?;
    for (name, _) in refs::below(repo, refs::SHOWING)? {
        refs::delete(repo, &name)?;
    }
    Ok(())
}

/// The folder of this tool inside `.git`: same file system, and no file of the work tree.
pub fn staging_in(repo: &Repository) -> Result<PathBuf> {
    let staging = repo.path().join("mlx-fork");
    fs::create_dir_all(&staging).doing(writing(&staging))?;
    Ok(staging)
}

/// Makes the build's source folder show exactly the tree `tree` of `mlx_local`'s object
/// database: what differs is rewritten, what isn't in the tree is removed, the rest keeps
/// its times. `mlx_local` itself is only read.
pub fn materialize(layout: &Layout, tree: &str) -> Result<Changed> {
    let root = layout.build_source();
    make_exact(layout, &root, tree)
        .doing(|| format!("making {} show the tree {tree}", root.display()))
}

fn make_exact(layout: &Layout, root: &Path, tree: &str) -> Result<Changed> {
    let repo = survey::open(layout)?;
    let tree = Oid::from_str(tree).doing(|| "reading the tree's id".into())?;
    let files = worktree::listing(&repo, tree)?;
    if root.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
        fs::remove_file(root).doing(writing(root))?;
    }
    let staging = layout.target().join("src.new");
    for folder in [root, &staging] {
        fs::create_dir_all(folder).doing(writing(folder))?;
    }
    let index = layout.build_index();
    let known = Memory::read(&index);
    let memory = known.as_ref();
    let nothing = Memory::default();

    // A folder that no file of the tree is in goes as a whole: litter, or a repository.
    let wanted: BTreeSet<&[u8]> = files
        .keys()
        .flat_map(|path| survey::parents(path))
        .collect();
    let scan = worktree::scan(root, &|folder| match wanted.contains(folder) {
        true => Enter::Read,
        false => Enter::AsFile,
    })?;
    let mut plan = Plan::default();
    let mut stale = memory.is_none_or(|m| m.entries.len() != files.len());
    for (path, meta) in &scan {
        if !files.contains_key(path) {
            plan.remove.push((path.clone(), meta.clone()));
        }
    }
    let mut kept = Vec::new();
    for (path, entry) in &files {
        let meta = scan.get(path);
        if let Some(meta) = meta {
            let (now, read) = memory.unwrap_or(&nothing).look(root, path, meta)?;
            stale |= read;
            if now == *entry {
                kept.push((path.as_slice(), *entry, Some(meta)));
                continue;
            }
        }
        plan.write.push((path.clone(), *entry, meta.cloned()));
    }
    let written = plan.carry_out(&repo, root, &staging)?;
    if stale || !plan.is_empty() {
        kept.extend(
            written
                .iter()
                .map(|(path, meta)| (path.as_slice(), files[path], Some(meta))),
        );
        worktree::write_index(&index, &staging, &kept)?;
    }
    Ok(Changed {
        written: plan
            .write
            .into_iter()
            .map(|(path, ..)| to_path(&path))
            .collect(),
        removed: plan
            .remove
            .into_iter()
            .map(|(path, _)| to_path(&path))
            .collect(),
        untracked: Vec::new(),
    })
}
