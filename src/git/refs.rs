//! References of `mlx_local` that the fork's checkout moves, and the leftovers of a killed
//! run that stand in their way.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use git2::{ErrorCode, Oid, Repository};

use crate::error::{Doing, Error, Result, writing};
use crate::git::record;

/// The fork that `mlx_local` shows.
pub const FORK: &str = "refs/mlx-fork/fork";
/// The branch that a person sees.
pub const BRANCH: &str = "refs/heads/fork";
/// Forks whose checkout was begun: a file of any of them is no edit.
pub const SHOWING: &str = "refs/mlx-fork/showing/";
/// Edits put aside.
pub const KEPT: &str = "refs/mlx-fork/kept/";
/// The pins.
pub const PINS: &str = "refs/mlx-fork/pins/";

/// The commits of all references below a prefix.
pub fn below(repo: &Repository, prefix: &str) -> Result<Vec<(String, Oid)>> {
    let doing = || format!("reading {prefix}* of {}", repo.path().display());
    let mut found = Vec::new();
    for reference in repo.references_glob(&format!("{prefix}*")).doing(doing)? {
        let reference = reference.doing(doing)?;
        if let (Ok(name), Some(id)) = (reference.name(), reference.target()) {
            found.push((name.to_string(), id));
        }
    }
    Ok(found)
}

/// Creates or moves a reference.
pub fn set(repo: &Repository, name: &str, id: Oid) -> Result<()> {
    if repo.refname_to_id(name).ok() == Some(id) {
        return Ok(());
    }
    unlocking(repo, name, || {
        repo.reference(name, id, true, "mlx-fork").map(drop)
    })
}

/// As [`set`], and on the disk before this returns.
pub fn set_for_good(repo: &Repository, name: &str, id: Oid) -> Result<()> {
    set(repo, name, id)?;
    let file = repo.commondir().join(name);
    record::sync_file(&file)?;
    file.parent().map_or(Ok(()), record::sync_file)
}

/// Makes HEAD the branch of the fork.
pub fn set_head(repo: &Repository) -> Result<()> {
    let head = repo.find_reference("HEAD").ok();
    if head
        .and_then(|h| h.symbolic_target().ok().flatten().map(str::to_string))
        .as_deref()
        == Some(BRANCH)
    {
        return Ok(());
    }
    unlocking(repo, "HEAD", || {
        repo.reference_symbolic("HEAD", BRANCH, true, "mlx-fork")
            .map(drop)
    })
}

/// Deletes a reference, if it is there.
pub fn delete(repo: &Repository, name: &str) -> Result<()> {
    unlocking(repo, name, || match repo.find_reference(name) {
        Ok(mut reference) => reference.delete(),
        Err(e) if e.code() == ErrorCode::NotFound => Ok(()),
        Err(e) => Err(e),
    })
}

/// Runs `change`, which locks `file`. A lock that stays for two seconds was left by a killed
/// process: runs of ours exclude one another, and git holds it for an instant.
pub(super) fn unlocking(
    repo: &Repository,
    file: &str,
    change: impl Fn() -> std::result::Result<(), git2::Error>,
) -> Result<()> {
    let locks = [file, "packed-refs"].map(|f| repo.commondir().join(format!("{f}.lock")));
    let start = Instant::now();
    loop {
        match change() {
            Err(e) if e.code() == ErrorCode::Locked || locks.iter().any(|lock| lock.exists()) => {
                if start.elapsed() > Duration::from_secs(4) {
                    return Err(e).doing(|| format!("writing {file} of {}", repo.path().display()));
                }
                if start.elapsed() > Duration::from_secs(2) {
                    for lock in locks.iter().filter(|lock| lock.exists()) {
                        std::fs::remove_file(lock).doing(writing(lock))?;
                    }
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other.doing(|| format!("writing {file} of {}", repo.path().display())),
        }
    }
}

/// git's lock on the index, held while the work tree changes: no `git add` in between.
#[derive(Debug)]
pub struct IndexLock {
    path: PathBuf,
}

/// What our own lock says: one that a killed run left is known by it.
const OURS: &str = "mlx-fork\n";

impl IndexLock {
    /// Takes it. `staging` is a folder of the tool's own on the same file system.
    pub fn take(repo: &Repository, staging: &Path) -> Result<Self> {
        if let Some(why) = Self::held_by_other(repo) {
            return Err(Error::conflict(why));
        }
        let path = repo.path().join("index.lock");
        let _ = std::fs::remove_file(&path);
        // A link appears with its text in it: no kill can leave a lock of ours that is empty.
        let text = staging.join("lock");
        std::fs::write(&text, OURS).doing(writing(&text))?;
        std::fs::hard_link(&text, &path).doing(writing(&path))?;
        Ok(IndexLock { path })
    }

    /// Why the index can't be locked, if another holds the lock.
    pub fn held_by_other(repo: &Repository) -> Option<String> {
        let path = repo.path().join("index.lock");
        let text = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
            Err(_) => Vec::new(),
            Ok(text) => text,
        };
        (text != OURS.as_bytes()).then(|| {
            format!(
                "{} is there: a git command runs in mlx_local, or was killed there",
                path.display()
            )
        })
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
