//! Records of this tool in `mlx_local`'s object database: a text and files, as a commit under
//! a reference of its own. A reference is set in one step, so a record is whole or not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use git2::{Commit, Index, Oid, Repository, Signature};

use crate::error::{Doing, Error, Result, writing};
use crate::git::survey;
use crate::git::worktree::{self, Entry, index_entry, to_path};

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Writes a record and everything that it holds; `keeps` are commits that must live as long.
pub fn write(repo: &Repository, text: &str, files: &Files, keeps: &[Oid]) -> Result<Oid> {
    let doing = || format!("writing a record into {}", repo.path().display());
    let mut index = Index::new().doing(doing)?;
    for (path, content) in files {
        let entry = Entry {
            mode: 0o100_644,
            id: repo.blob(content).doing(doing)?,
        };
        index
            .add(&index_entry(path.as_bytes(), entry))
            .doing(doing)?;
    }
    let tree = index.write_tree_to(repo).doing(doing)?;
    let tree = repo.find_tree(tree).doing(doing)?;
    let mut parents: Vec<Commit<'_>> = Vec::new();
    for id in keeps {
        if parents.iter().all(|parent| parent.id() != *id) {
            parents.push(repo.find_commit(*id).doing(doing)?);
        }
    }
    let parents: Vec<&Commit<'_>> = parents.iter().collect();
    let who = Signature::now("mlx-fork", "mlx-fork@localhost").doing(doing)?;
    let id = repo
        .commit(None, &who, &who, text, &tree, &parents)
        .doing(doing)?;
    sync(repo, id, files.keys().map(String::as_bytes))?;
    Ok(id)
}

/// Has the disk hold a commit and its files at these paths before this returns: what is to
/// survive a loss of power, and not only a kill. Objects in packs are held already.
pub fn sync<'p>(
    repo: &Repository,
    commit: Oid,
    paths: impl Iterator<Item = &'p [u8]>,
) -> Result<()> {
    let doing = || format!("saving the commit {commit} to the disk");
    let tree = repo
        .find_commit(commit)
        .and_then(|c| c.tree())
        .doing(doing)?;
    let mut ids = BTreeSet::from([commit, tree.id()]);
    for path in paths {
        for part in survey::parents(path).chain([path]) {
            // A path that is gone has no object.
            ids.extend(tree.get_path(&to_path(part)).map(|entry| entry.id()));
        }
    }
    for id in ids {
        let name = id.to_string();
        let file = repo.commondir().join("objects").join(&name[..2]);
        sync_file(&file.join(&name[2..]))?;
    }
    Ok(())
}

/// Has the disk hold a file, if it is there.
pub fn sync_file(path: &Path) -> Result<()> {
    match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        opened => opened.and_then(|file| file.sync_all()).doing(writing(path)),
    }
}

/// Reads a record: its text and its files.
pub fn read(repo: &Repository, id: Oid) -> Result<(String, Files)> {
    let doing = || format!("reading the record {id}");
    let commit = repo.find_commit(id).doing(doing)?;
    let text = commit
        .message()
        .map_err(|_| Error::bug("its text isn't UTF-8"))
        .doing(doing)?;
    let mut files = Files::new();
    for (path, entry) in worktree::listing(repo, commit.tree_id())? {
        let path = String::from_utf8(path)
            .map_err(|_| Error::bug("a name isn't UTF-8"))
            .doing(doing)?;
        let blob = repo.find_blob(entry.id).doing(doing)?;
        files.insert(path, blob.content().to_vec());
    }
    Ok((text.to_string(), files))
}

/// What a reference points to.
pub fn at(repo: &Repository, name: &str) -> Option<Oid> {
    repo.refname_to_id(name).ok()
}
