//! The local mirror: a git repository (bare or not, of any work tree, with the commit checked
//! out or not), else a plain folder of files.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid, Repository};

use crate::error::{Doing, Error, Result};
use crate::git;

/// A folder that a person named as the mirror.
pub(super) enum Local {
    /// A git repository: its objects count, not its files.
    Repository(Repository),
    /// Files.
    Folder(PathBuf),
}

impl Local {
    /// Looks at exactly this folder: a plain folder inside a repository is a plain folder.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let folder = folder
            .canonicalize()
            .map_err(|e| Error::mirror(e.to_string()))
            .doing(|| format!("reading {}", folder.display()))?;
        if !folder.is_dir() {
            return Err(Error::mirror(format!("{} is no folder", folder.display())));
        }
        match git::open(&folder) {
            Ok(repo) => Ok(Self::Repository(repo)),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(Self::Folder(folder)),
            Err(e) => Err(Error::mirror(format!(
                "{} is a git repository that can't be read: {}",
                folder.display(),
                e.message()
            ))),
        }
    }
}

/// Makes sure that the repository has the pin's tree, under whichever commit.
pub(super) fn require_tree(repo: &Repository, commit: &str, tree: Oid) -> Result<()> {
    if repo.find_tree(tree).is_ok() {
        return Ok(());
    }
    let place = repo.path().display();
    Err(Error::mirror(format!(
        "the repository {place} has neither the commit {commit} nor its tree {tree}"
    ))
    .hint(format!(
        "bring it there with `git --git-dir {place} fetch origin {commit}`"
    )))
}

/// The commit that `reference` means in this repository.
pub(super) fn resolve(repo: &Repository, reference: &str) -> Result<Oid> {
    repo.revparse_single(reference)
        .and_then(|object| object.peel_to_commit())
        .map(|commit| commit.id())
        .map_err(|e| {
            Error::mirror(format!(
                "the repository {} has no commit {reference}: {}",
                repo.path().display(),
                e.message()
            ))
        })
}
