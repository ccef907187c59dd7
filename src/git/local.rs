//! Brings `mlx_local` from one state to another whose every file is in the object database.
//!
//! Nothing is asked: the states were recorded before. A file that is in neither state, nor in
//! one on the way, is a person's, and stays as it is. May be killed and done again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use git2::{Index, Oid, Repository, Signature};

use crate::error::{Doing, Error, Result, reading};
use crate::git::checkout::staging_in;
use crate::git::draft::File;
use crate::git::refs::{self, IndexLock};
use crate::git::survey;
use crate::git::worktree::{self, Enter, Entry, Listing, Memory, Plan, Scan, index_entry, to_path};
use crate::layout::Layout;

/// What `mlx_local` shows, and what is on disk where that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The commit that HEAD and the index are at.
    pub shown: Oid,
    /// A commit of what is on disk; `None`: the same.
    pub worktree: Option<Oid>,
}

/// Goes from `from`, or from anywhere on the way, to `to`. Gives the files that were left
/// because they are in none of the states.
pub fn arrive(layout: &Layout, from: State, to: State) -> Result<Vec<PathBuf>> {
    let repo = survey::open(layout)?;
    let staging = staging_in(&repo)?;
    let _lock = IndexLock::take(&repo, &staging)?;
    let files = |id: Oid| -> Result<Listing> {
        let commit = repo.find_commit(id).doing(|| format!("reading {id}"))?;
        worktree::listing(&repo, commit.tree_id())
    };
    let shown = files(to.shown)?;
    let on_disk = to.worktree.map(&files).transpose()?;
    let wanted = on_disk.as_ref().unwrap_or(&shown);
    let mut allowed = vec![files(from.shown)?];
    if let Some(before) = from.worktree {
        allowed.push(files(before)?);
    }
    if on_disk.is_some() {
        allowed.push(shown.clone());
    }
    let root = layout.mlx_local();
    let index = repo.path().join("index");
    let memory = Memory::read(&index).unwrap_or_default();
    let paths: BTreeSet<&[u8]> = allowed
        .iter()
        .chain([wanted, &shown])
        .flat_map(BTreeMap::keys)
        .map(Vec::as_slice)
        .collect();
    let folders: BTreeSet<&[u8]> = paths
        .iter()
        .flat_map(|path| survey::parents(path))
        .collect();
    let scan = worktree::scan(&root, &|folder| match folders.contains(folder) {
        true => Enter::Read,
        false => Enter::Skip,
    })?;
    let mut plan = Plan::default();
    let mut left = Vec::new();
    let mut seen: BTreeMap<&[u8], Entry> = BTreeMap::new();
    for path in paths {
        let now = match scan.get(path) {
            Some(meta) => Some(memory.look(&root, path, meta)?.0),
            None => None,
        };
        let want = wanted.get(path).copied();
        if now == want {
            if let Some(now) = now {
                seen.insert(path, now);
            }
        } else if allowed.iter().any(|state| state.get(path).copied() == now) {
            match (want, scan.get(path)) {
                (Some(entry), meta) => plan.write.push((path.to_vec(), entry, meta.cloned())),
                (None, Some(meta)) => plan.remove.push((path.to_vec(), meta.clone())),
                (None, None) => {}
            }
        } else {
            left.push(to_path(path));
        }
    }
    left.extend(set_apart(&mut plan, &scan, &root)?);
    let written = plan.carry_out(&repo, &root, &staging)?;
    let mut entries = Vec::new();
    for (path, entry) in &shown {
        // The state of a file on disk counts only where it has this content.
        let as_written = written
            .get(path)
            .filter(|_| wanted.get(path) == Some(entry));
        let as_seen = seen.get(path.as_slice()).filter(|now| *now == entry);
        let meta = as_written.or_else(|| as_seen.and_then(|_| scan.get(path)));
        entries.push((path.as_slice(), *entry, meta));
    }
    worktree::write_index(&index, &staging, &entries)?;
    settle(&repo, to.shown)?;
    Ok(left)
}

/// Takes out of a plan what has something of a person's in its way: a file where a folder has
/// to be, or a folder with files of theirs where a file has to be.
fn set_apart(plan: &mut Plan, scan: &Scan, root: &Path) -> Result<Vec<PathBuf>> {
    let removed: BTreeSet<&[u8]> = plan
        .remove
        .iter()
        .map(|(path, _)| path.as_slice())
        .collect();
    let mut apart = BTreeSet::new();
    for (path, ..) in &plan.write {
        let above = |folder: &[u8]| {
            scan.get(folder).is_some_and(|meta| !meta.is_dir()) && !removed.contains(folder)
        };
        let full = root.join(to_path(path));
        let folder = full.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        let theirs = folder && {
            let below = worktree::scan(&full, &|_| Enter::Read)?;
            below.keys().any(|file| {
                let file = [path.as_slice(), b"/", file].concat();
                !removed.contains(file.as_slice())
            })
        };
        if theirs || survey::parents(path).any(above) {
            apart.insert(path.clone());
        }
    }
    plan.write.retain(|(path, ..)| !apart.contains(path));
    Ok(apart.iter().map(|path| to_path(path)).collect())
}

fn settle(repo: &Repository, shown: Oid) -> Result<()> {
    refs::set(repo, refs::BRANCH, shown)?;
    refs::set_head(repo)?;
    refs::set(repo, refs::FORK, shown)?;
    for (name, _) in refs::below(repo, refs::SHOWING)? {
        refs::delete(repo, &name)?;
    }
    Ok(())
}

/// Writes what is on disk as a commit on `base`, whose files it is compared with; `extra` are
/// files that `base` doesn't have and that count too. `base` itself where nothing differs.
///
/// # Errors
/// [`crate::Kind::Conflict`] for what no tree can hold, such as a socket or a repository.
pub fn snapshot(layout: &Layout, base: Oid, extra: &BTreeSet<Vec<u8>>) -> Result<Oid> {
    let repo = survey::open(layout)?;
    let doing = || "recording what is in mlx_local".to_string();
    let commit = repo.find_commit(base).doing(doing)?;
    let mut files = worktree::listing(&repo, commit.tree_id())?;
    let root = layout.mlx_local();
    let memory = Memory::read(&repo.path().join("index")).unwrap_or_default();
    let paths: BTreeSet<Vec<u8>> = files.keys().chain(extra).cloned().collect();
    let mut changed = false;
    for path in paths {
        let full = root.join(to_path(&path));
        let now = match full.symlink_metadata() {
            Ok(meta) => Some(memory.look(&root, &path, &meta)?.0),
            Err(_) => None,
        };
        if now == files.get(&path).copied() {
            continue;
        }
        changed = true;
        let Some(entry) = now else {
            files.remove(&path);
            continue;
        };
        let content = match entry.mode {
            0 => {
                return Err(Error::conflict(format!(
                    "mlx_local/{} is a folder, a repository of its own, or no file at all",
                    to_path(&path).display()
                ))
                .hint("move it out of mlx_local first")
                .doing(doing()));
            }
            0o120_000 => fs::read_link(&full)
                .doing(reading(&full))?
                .into_os_string()
                .into_vec(),
            _ => fs::read(&full).doing(reading(&full))?,
        };
        let id = repo.blob(&content).doing(doing)?;
        files.insert(path, Entry { id, ..entry });
    }
    if !changed {
        return Ok(base);
    }
    let mut index = Index::new().doing(doing)?;
    for (path, entry) in &files {
        index.add(&index_entry(path, *entry)).doing(doing)?;
    }
    let tree = index.write_tree_to(&repo).doing(doing)?;
    let tree = repo.find_tree(tree).doing(doing)?;
    let who = Signature::now("mlx-fork", "mlx-fork@localhost").doing(doing)?;
    repo.commit(
        None,
        &who,
        &who,
        "What is in mlx_local\n",
        &tree,
        &[&commit],
    )
    .doing(doing)
}

/// What a file became.
pub type Became = (Option<File>, Option<File>);

/// Files that differ between two commits: before and after.
///
/// # Errors
/// [`crate::Kind::Conflict`] for symbolic links, which no patch of a series may touch.
pub fn changes(repo: &Repository, from: Oid, to: Oid) -> Result<BTreeMap<String, Became>> {
    let listing = |id: Oid| -> Result<Listing> {
        let commit = repo.find_commit(id).doing(|| format!("reading {id}"))?;
        worktree::listing(repo, commit.tree_id())
    };
    let (old, new) = (listing(from)?, listing(to)?);
    let paths: BTreeSet<&Vec<u8>> = old.keys().chain(new.keys()).collect();
    let mut changes = BTreeMap::new();
    for path in paths {
        let (before, after) = (old.get(path), new.get(path));
        if before == after {
            continue;
        }
        let name = String::from_utf8(path.clone()).map_err(|_| {
            Error::conflict(format!(
                "{} has a name that isn't UTF-8",
                to_path(path).display()
            ))
        })?;
        let file = |entry: Option<&Entry>| -> Result<Option<File>> {
            let Some(entry) = entry else { return Ok(None) };
            if entry.mode == 0o120_000 {
                return Err(Error::conflict(format!(
                    "{name} is a symbolic link, which the fork's own changes can't be"
                )));
            }
            let blob = repo
                .find_blob(entry.id)
                .doing(|| format!("reading {name}"))?;
            Ok(Some(File {
                content: blob.content().to_vec(),
                executable: entry.mode == 0o100_755,
            }))
        };
        changes.insert(name.clone(), (file(before)?, file(after)?));
    }
    Ok(changes)
}
