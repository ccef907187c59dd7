//! The repository of `mlx_local`: made whole or not at all, and given trees, shallow
//! commits and references in an order that a kill at any instant can't break.
//!
//! Order: objects, then `shallow`, then the reference. A reference under `refs/mlx-fork/`
//! is thus the proof that everything below it is there. Whoever writes here holds the
//! checkout's lock ([`crate::lock::Lock`]). What a work tree shows is not this module's.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository, RepositoryInitOptions};

use crate::error::{Doing, Error, Result, reading, writing};
use crate::git;
use crate::git::refs::{self, unlocking};

/// A commit to be put into `mlx_local`, with all that its tree names.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    /// A repository that has the tree; it is only read.
    pub from: &'a Repository,
    /// The tree.
    pub tree: Oid,
    /// The raw commit object.
    pub commit: &'a [u8],
    /// The reference that will name the commit.
    pub reference: &'a str,
    /// The URL of the remote `origin`.
    pub url: &'a str,
}

/// The repository in `folder`, or `None` where there is none yet.
///
/// # Errors
/// [`crate::Kind::Conflict`] where the folder holds something else than a repository that can
/// be read: it may be a person's work, so it is left alone.
pub fn open(folder: &Path) -> Result<Option<Repository>> {
    match git::open(folder) {
        Ok(repo) => Ok(Some(repo)),
        Err(_) if is_vacant(folder)? => Ok(None),
        Err(e) => Err(Error::conflict(format!(
            "{} is there, but not as a git repository that can be used: {}",
            folder.display(),
            e.message()
        ))
        .hint(format!(
            "move it away (`mv {0} {0}.old`) and run again; nothing in it was touched",
            folder.display()
        ))),
    }
}

/// The commit that `reference` names, if its own tree object can be read too.
pub fn find(repo: &Repository, reference: &str) -> Option<(Oid, Oid)> {
    let id = repo.refname_to_id(reference).ok()?;
    let commit = repo.find_commit(id).ok()?;
    Some((id, commit.tree().ok()?.id()))
}

/// Puts `content` into the repository of `folder`, which is made where there is none; the
/// commit's id. On failure a repository made here is gone again, and in an existing one no
/// reference, no `shallow` and no file has changed.
pub fn put(folder: &Path, content: &Content<'_>) -> Result<Oid> {
    if let Some(repo) = open(folder)? {
        return fill(&repo, content);
    }
    let new = Unfinished::create(folder)?;
    let id = fill(&new.repo, content)?;
    new.finish()?;
    Ok(id)
}

fn fill(repo: &Repository, content: &Content<'_>) -> Result<Oid> {
    let doing = || format!("writing {}", repo.path().display());
    copy_tree(repo, content.from, content.tree)?;
    let odb = repo.odb().doing(doing)?;
    let id = Oid::hash_object(ObjectType::Commit, content.commit).doing(doing)?;
    let is_new = !odb.exists(id);
    odb.write(ObjectType::Commit, content.commit).doing(doing)?;
    make_shallow(repo, id, is_new)?;
    set_origin(repo, content.url)?;
    refs::set(repo, content.reference, id)?;
    Ok(id)
}

/// Packs the tree with all that it names into `repo`. libgit2 reads every object, checks its
/// hash and fails at the first that is missing or damaged: nothing partial gets a reference.
fn copy_tree(repo: &Repository, from: &Repository, tree: Oid) -> Result<()> {
    if git::tree::is_complete(repo, tree) {
        return Ok(());
    }
    let packs = repo.commondir().join("objects/pack");
    sweep(&packs)?;
    let doing = || format!("copying the tree {tree} out of {}", from.path().display());
    let mut builder = from.packbuilder().doing(doing)?;
    builder.insert_tree(tree).doing(doing)?;
    builder.write(&packs, 0).doing(doing)?;
    Ok(())
}

/// Removes what a killed run left of a pack: these names are libgit2's own, never git's.
fn sweep(packs: &Path) -> Result<()> {
    let Ok(items) = fs::read_dir(packs) else {
        return Ok(());
    };
    for item in items {
        let path = item.doing(reading(packs))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("pack_git2_") {
            fs::remove_file(&path).doing(writing(&path))?;
        }
    }
    Ok(())
}

/// Cuts history at `commit`, unless it came with its parents (`git fetch --unshallow`).
fn make_shallow(repo: &Repository, commit: Oid, is_new: bool) -> Result<()> {
    let path = repo.commondir().join("shallow");
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).doing(reading(&path)),
    };
    let line = commit.to_string();
    if text.lines().any(|l| l == line) {
        return Ok(());
    }
    let doing = || format!("reading the commit {commit}");
    let odb = repo.odb().doing(doing)?;
    let parents: Vec<Oid> = repo
        .find_commit(commit)
        .doing(doing)?
        .parent_ids()
        .collect();
    if !is_new && parents.iter().all(|parent| odb.exists(*parent)) {
        return Ok(());
    }
    text.push_str(&line);
    text.push('\n');
    replace(&path, text.as_bytes())
}

/// A file's new content, whole or not at all.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let new = PathBuf::from(format!("{}.mlx-fork", path.display()));
    fs::write(&new, content).doing(writing(&new))?;
    fs::rename(&new, path).doing(writing(path))
}

/// Makes `origin` the remote with this URL.
pub fn set_origin(repo: &Repository, url: &str) -> Result<()> {
    let current = repo.find_remote("origin").ok();
    match current.as_ref().map(|remote| remote.url()) {
        Some(Ok(known)) if known == url => Ok(()),
        Some(_) => unlocking(repo, "config", || repo.remote_set_url("origin", url)),
        None => unlocking(repo, "config", || repo.remote("origin", url).map(drop)),
    }
}

/// A repository that gets its name `.git` when it is complete.
struct Unfinished {
    repo: Repository,
    folder: PathBuf,
    made_folder: bool,
    done: bool,
}

const UNFINISHED: &str = ".git.unfinished";

/// Nothing there, or only what a killed run left.
fn is_vacant(folder: &Path) -> Result<bool> {
    let items = match fs::read_dir(folder) {
        Ok(items) => items,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => return Ok(false),
        Err(e) => return Err(e).doing(reading(folder)),
    };
    for item in items {
        if item.doing(reading(folder))?.file_name() != UNFINISHED {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Unfinished {
    fn create(folder: &Path) -> Result<Self> {
        let made_folder = !folder.exists();
        fs::create_dir_all(folder).doing(writing(folder))?;
        let place = folder.join(UNFINISHED);
        if place.exists() {
            fs::remove_dir_all(&place).doing(writing(&place))?;
        }
        let made = init(&place);
        if made.is_err() {
            clear(folder, made_folder);
        }
        Ok(Unfinished {
            repo: made?,
            folder: folder.to_path_buf(),
            made_folder,
            done: false,
        })
    }

    fn finish(mut self) -> Result<()> {
        let name = self.folder.join(".git");
        fs::rename(self.folder.join(UNFINISHED), &name).doing(writing(&name))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            clear(&self.folder, self.made_folder);
        }
    }
}

/// Best effort: what stays is swept by the next run.
fn clear(folder: &Path, made_folder: bool) {
    let _ = fs::remove_dir_all(folder.join(UNFINISHED));
    if made_folder {
        let _ = fs::remove_dir(folder);
    }
}

fn init(place: &Path) -> Result<Repository> {
    let doing = || format!("creating {}", place.display());
    let repo = init_bare(place)?;
    let mut config = repo.config().doing(doing)?;
    config.set_bool("core.bare", false).doing(doing)?;
    // Written down here, so that a person's own settings can't make git see other files.
    config.set_bool("core.fileMode", true).doing(doing)?;
    config.set_bool("core.symlinks", true).doing(doing)?;
    config.set_bool("core.autocrlf", false).doing(doing)?;
    config.set_str("core.eol", "lf").doing(doing)?;
    Ok(repo)
}

/// An empty bare repository without templates or hooks.
pub fn init_bare(place: &Path) -> Result<Repository> {
    git::isolate();
    let mut options = RepositoryInitOptions::new();
    options
        .bare(true)
        .external_template(false)
        .no_reinit(true)
        .initial_head("fork");
    Repository::init_opts(place, &options).doing(|| format!("creating {}", place.display()))
}
