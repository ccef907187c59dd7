//! Records of this tool in `mlx_local`'s object database: a text and files, as a commit under
//! a reference of its own. A reference is set in one step, so a record is whole or not there.

use std::collections::BTreeMap;

use git2::{Commit, Index, Oid, Repository, Signature};

use crate::error::{Doing, Error, Result};
use crate::git::worktree::{self, Entry, index_entry};

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
    repo.commit(None, &who, &who, text, &tree, &parents)
        .doing(doing)
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
