//! Brings `mlx_local` from one state to another whose every file is in the object database.
//!
//! Nothing is asked: the states were recorded before. A file that is in neither state, nor in
//! one on the way, is a person's, and stays as it is. May be killed and done again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use git2::{Index, Oid, Repository, Signature};

use crate::error::{Doing, Error, Result, reading};
use crate::git::checkout::staging_in;
use crate::git::draft::File;
use crate::git::record;
use crate::git::refs::{self, IndexLock};
use crate::git::survey;
use crate::git::worktree::{self, Enter, Entry, Listing, Memory, Plan, index_entry, to_path};
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
    left.extend(take_out_blocked(&root, &mut plan));
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

/// Takes files out of the plan that can't be written, because something of a person's stands
/// where they or their folders belong; gives them.
pub fn take_out_blocked(root: &Path, plan: &mut Plan) -> Vec<PathBuf> {
    let goes: BTreeSet<&[u8]> = plan
        .remove
        .iter()
        .map(|(path, _)| path.as_slice())
        .collect();
    let mut blocked = Vec::new();
    plan.write.retain(|(path, ..)| {
        let in_the_way = survey::parents(path).any(|folder| {
            let there = root.join(to_path(folder)).symlink_metadata();
            !goes.contains(folder) && there.is_ok_and(|meta| !meta.is_dir())
        });
        let free = !in_the_way && (!is_folder(root, path) || clears(root, path, &goes, true));
        if !free {
            blocked.push(to_path(path));
        }
        free
    });
    blocked
}

fn is_folder(root: &Path, path: &[u8]) -> bool {
    let meta = root.join(to_path(path)).symlink_metadata();
    meta.is_ok_and(|meta| meta.is_dir())
}

/// True where nothing is left of a folder once what `goes` is gone: folders go with their last
/// file, and an empty one only where the file itself is to stand.
fn clears(root: &Path, folder: &[u8], goes: &BTreeSet<&[u8]>, may_be_empty: bool) -> bool {
    let Ok(items) = fs::read_dir(root.join(to_path(folder))) else {
        return false;
    };
    let mut empty = true;
    for item in items {
        let Ok(item) = item else { return false };
        empty = false;
        let path = [folder, b"/", item.file_name().as_bytes()].concat();
        let goes_too = match is_folder(root, &path) {
            true => clears(root, &path, goes, false),
            false => goes.contains(path.as_slice()),
        };
        if !goes_too {
            return false;
        }
    }
    may_be_empty || !empty
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
    let changed = read_in(&repo, &root, &memory, &mut files, paths).doing(doing)?;
    if changed.is_empty() {
        return Ok(base);
    }
    let tree = tree_of(&repo, &files).doing(doing)?;
    let tree = repo.find_tree(tree).doing(doing)?;
    let who = Signature::now("mlx-fork", "mlx-fork@localhost").doing(doing)?;
    let message = "What is in mlx_local\n";
    let id = repo.commit(None, &who, &who, message, &tree, &[&commit]);
    let id = id.doing(doing)?;
    record::sync(&repo, id, changed.iter().map(Vec::as_slice))?;
    Ok(id)
}

/// Makes these paths of `files` what they are on disk, and writes their contents as blobs;
/// gives those that differ.
///
/// # Errors
/// [`crate::Kind::Conflict`] for what no tree can hold, such as a socket or a repository.
pub fn read_in(
    repo: &Repository,
    root: &Path,
    memory: &Memory,
    files: &mut Listing,
    paths: BTreeSet<Vec<u8>>,
) -> Result<Vec<Vec<u8>>> {
    let mut changed = Vec::new();
    let mut folders = BTreeMap::new();
    for path in paths {
        let full = root.join(to_path(&path));
        // What a link on the way leads to isn't in mlx_local.
        let reached = survey::parents(&path).all(|folder| match folders.get(folder) {
            Some(known) => *known,
            None => *folders
                .entry(folder.to_vec())
                .or_insert_with(|| is_folder(root, folder)),
        });
        let now = match full.symlink_metadata() {
            Ok(meta) if reached => Some(memory.look(root, &path, &meta)?.0),
            _ => None,
        };
        if now == files.get(&path).copied() {
            continue;
        }
        changed.push(path.clone());
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
                .hint("move it out of mlx_local first"));
            }
            0o120_000 => fs::read_link(&full)
                .doing(reading(&full))?
                .into_os_string()
                .into_vec(),
            _ => fs::read(&full).doing(reading(&full))?,
        };
        let id = repo.blob(&content).doing(reading(&full))?;
        files.insert(path, Entry { id, ..entry });
    }
    Ok(changed)
}

/// Writes the tree of these files, whose contents are there.
pub fn tree_of(repo: &Repository, files: &Listing) -> Result<Oid> {
    let doing = || "writing a tree of mlx_local".to_string();
    let mut index = Index::new().doing(doing)?;
    for (path, entry) in files {
        index.add(&index_entry(path, *entry)).doing(doing)?;
    }
    index.write_tree_to(repo).doing(doing)
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
            .hint("rename it, or move it out of mlx_local")
        })?;
        let file = |entry: Option<&Entry>| -> Result<Option<File>> {
            let Some(entry) = entry else { return Ok(None) };
            if entry.mode == 0o120_000 {
                return Err(Error::conflict(format!(
                    "mlx_local/{name} is a symbolic link or was one, and the fork's own changes can't make or change one"
                ))
                .hint(format!(
                    "`cargo xtask edits drop {}` makes it what the fork has",
                    crate::process::quote(&name)
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
