//! What in `mlx_local` is a person's: files that differ from the fork, things staged,
//! commits on top, an unfinished merge. Looks, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository, RepositoryState};

use crate::error::{Doing, Error, Result};
use crate::git::refs::{self, IndexLock};
use crate::git::worktree::{self, Enter, Entry, InOrder, Listing, Memory, Scan, to_path};
use crate::layout::Layout;

/// A file in `mlx_local` that differs from the fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Its path, from `mlx_local`.
    pub path: PathBuf,
    /// How it differs.
    pub change: Change,
}

/// How a file differs from the fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The fork has no such file.
    Added,
    /// Its content differs.
    Modified,
    /// It is gone.
    Deleted,
    /// Only the executable bit differs.
    Mode,
    /// It is something else: a link, a folder, a repository of its own.
    Type,
    /// The file is as in the fork, the index isn't.
    Staged,
    /// An unfinished merge left it in the index.
    Unmerged,
}

impl Change {
    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Modified => "modified",
            Change::Deleted => "deleted",
            Change::Mode => "mode",
            Change::Type => "type",
            Change::Staged => "staged",
            Change::Unmerged => "unmerged",
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9} {}", self.change.word(), self.path.display())
    }
}

/// Something about the repository, rather than a file, that stops a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What it is.
    pub what: String,
    /// The command that resolves it.
    pub way_out: String,
    /// True where `edits keep` can put it aside too.
    pub can_be_kept: bool,
}

/// Opens `mlx_local`.
pub fn open(layout: &Layout) -> Result<Repository> {
    let folder = layout.mlx_local();
    if !folder.join(".git").exists() {
        return Err(
            Error::usage(format!("there is no fork at {} yet", folder.display()))
                .hint("`cargo xtask setup-mlx` makes it"),
        );
    }
    super::open(&folder).doing(|| format!("opening {}", folder.display()))
}

/// The fork that a checkout is to show.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its last commit.
    pub commit: Oid,
    /// Its files.
    pub files: &'a Listing,
}

/// What was found.
#[derive(Debug)]
pub struct Survey {
    /// The fork that is shown (`refs/mlx-fork/fork`).
    pub shown: Option<Oid>,
    /// Its files.
    pub baseline: Listing,
    /// Forks whose checkout was interrupted, by reference.
    pub interrupted: Vec<(String, Oid)>,
    /// Edits that a checkout would lose.
    pub edits: Vec<Edit>,
    /// Files that the fork doesn't know, in nobody's way, not ignored.
    pub untracked: Vec<PathBuf>,
    /// What else stops a checkout.
    pub obstacles: Vec<Obstacle>,
    /// Everything on disk but ignored folders.
    pub scan: Scan,
    /// What the files on disk are, those that any fork or the index knows.
    pub seen: BTreeMap<Vec<u8>, Entry>,
    /// The index, if it can be read.
    pub index: Option<Memory>,
    /// True where the index no longer knows the state of some file.
    pub stale: bool,
}

impl Survey {
    /// Looks at `mlx_local`. What equals the `target` is no edit.
    pub fn take(layout: &Layout, repo: &Repository, target: Option<Target<'_>>) -> Result<Self> {
        let root = layout.mlx_local();
        let shown = repo.refname_to_id(refs::FORK).ok();
        let interrupted = refs::below(repo, refs::SHOWING)?;
        let mut versions = Vec::new();
        for commit in shown.iter().chain(interrupted.iter().map(|(_, id)| id)) {
            versions.push(listing_of(repo, *commit, target)?);
        }
        let index = Memory::read(&repo.path().join("index"));
        let nothing = Memory::default();
        let memory = index.as_ref().unwrap_or(&nothing);

        let targets = target.iter().flat_map(|t| t.files.keys());
        let mut known: Vec<&[u8]> = versions
            .iter()
            .flat_map(BTreeMap::keys)
            .chain(targets)
            .chain(memory.entries.keys())
            .chain(&memory.unmerged)
            .map(Vec::as_slice)
            .collect();
        // Runs that are sorted already: a merge.
        known.sort();
        known.dedup();
        let folders = folders(&known);
        let ignored = |path: &[u8]| repo.status_should_ignore(&to_path(path)).unwrap_or(false);
        let scan = worktree::scan(&root, &|path| {
            if path == b".git" || (!folders.contains(path) && ignored(&with_slash(path))) {
                return Enter::Skip;
            }
            // A repository of its own: not to be looked into.
            let own = root
                .join(to_path(path))
                .join(".git")
                .symlink_metadata()
                .is_ok();
            if own { Enter::AsFile } else { Enter::Read }
        })?;

        // Where nothing was ever shown and nothing staged, a missing file is no deletion.
        let fresh = shown.is_none() && index.is_none();
        let mut seen = Vec::new();
        let mut edits = Vec::new();
        let mut stale = index.is_none();
        let mut on_disk = InOrder::of(&scan);
        let mut staged = InOrder::of(&memory.entries);
        let mut states: Vec<InOrder<'_, Entry>> = versions.iter().map(InOrder::of).collect();
        states.extend(target.map(|t| InOrder::of(t.files)));
        let mut allowed: Vec<Option<Entry>> = Vec::new();
        for path in &known {
            let staged = staged.at(path);
            let now = match on_disk.at(path) {
                Some(meta) => {
                    let (entry, read) = memory.look_beside(staged, &root, path, meta)?;
                    stale |= read;
                    seen.push((path.to_vec(), entry));
                    Some(entry)
                }
                None => None,
            };
            allowed.clear();
            allowed.extend(states.iter_mut().map(|state| state.at(path).copied()));
            if fresh || allowed.is_empty() {
                allowed.push(None);
            }
            let staged = staged.map(|e| Entry {
                mode: e.mode,
                id: e.id,
            });
            let change = if memory.unmerged.contains(*path) {
                Change::Unmerged
            } else if !allowed.contains(&now) {
                let old = versions.first().and_then(|v| v.get(*path)).copied();
                match (now, difference(old, now)) {
                    // A folder stands there instead.
                    (None, _)
                        if root
                            .join(to_path(path))
                            .symlink_metadata()
                            .is_ok_and(|meta| meta.is_dir()) =>
                    {
                        Change::Type
                    }
                    (_, change) => change,
                }
            } else if index.is_some() && !allowed.contains(&staged) {
                Change::Staged
            } else {
                continue;
            };
            edits.push(Edit {
                path: to_path(path),
                change,
            });
        }
        let mut rest = known.iter().peekable();
        let mut unknown: Vec<&[u8]> = scan.keys().map(Vec::as_slice).collect();
        unknown.retain(|path| {
            while rest.next_if(|known| **known < *path).is_some() {}
            rest.peek() != Some(&path)
        });
        let untracked = unknown.iter().filter(|path| !ignored(path));
        let mut untracked: Vec<PathBuf> = untracked.map(|path| to_path(path)).collect();
        // Where a folder of the fork was: in the way of everything below.
        for path in unknown.iter().filter(|path| folders.contains(*path)) {
            let path = to_path(path);
            untracked.retain(|u| *u != path);
            if !edits.is_empty() {
                edits.push(Edit {
                    path,
                    change: Change::Type,
                });
            }
        }
        let mut survey = Survey {
            shown,
            baseline: if shown.is_some() {
                versions.swap_remove(0)
            } else {
                Listing::new()
            },
            interrupted,
            edits,
            untracked,
            obstacles: Vec::new(),
            scan,
            seen: seen.into_iter().collect(),
            index,
            stale,
        };
        survey.obstacles = survey.find_obstacles(repo, target)?;
        if let Some(target) = target {
            survey.find_blocked(&root, target);
        }
        Ok(survey)
    }

    /// Unknown files where the target has a folder, and folders where it has a file.
    fn find_blocked(&mut self, root: &Path, target: Target<'_>) {
        let goes = |path: &[u8]| self.seen.contains_key(path) && !target.files.contains_key(path);
        let mut blocked = BTreeSet::new();
        for path in target.files.keys() {
            blocked.extend(parents(path).filter(|p| self.scan.contains_key(*p) && !goes(p)));
            let full = root.join(to_path(path));
            if !self.seen.contains_key(path) && full.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                let mut prefix = path.clone();
                prefix.push(b'/');
                let stays = worktree::scan(&full, &|_| Enter::Read).map_or(true, |below| {
                    below
                        .keys()
                        .any(|file| !goes(&[prefix.as_slice(), file].concat()))
                });
                if stays {
                    blocked.insert(path.as_slice());
                }
            }
        }
        for path in blocked {
            let path = to_path(path);
            if !self.edits.iter().any(|e| e.path == path) {
                self.untracked.retain(|p| *p != path);
                self.edits.push(Edit {
                    path,
                    change: Change::Type,
                });
            }
        }
    }

    fn find_obstacles(
        &self,
        repo: &Repository,
        target: Option<Target<'_>>,
    ) -> Result<Vec<Obstacle>> {
        let mut found = Vec::new();
        let mut add = |what: String, way_out: &str, can_be_kept| {
            found.push(Obstacle {
                what,
                way_out: way_out.into(),
                can_be_kept,
            });
        };
        if let Some(what) = IndexLock::held_by_other(repo) {
            add(
                what,
                "wait for that command; if none runs: rm mlx_local/.git/index.lock",
                false,
            );
        }
        let (state, way_out) = match repo.state() {
            RepositoryState::Clean => ("", ""),
            RepositoryState::Merge => ("merge", "git -C mlx_local merge --abort"),
            RepositoryState::Revert | RepositoryState::RevertSequence => {
                ("revert", "git -C mlx_local revert --abort")
            }
            RepositoryState::CherryPick | RepositoryState::CherryPickSequence => {
                ("cherry-pick", "git -C mlx_local cherry-pick --abort")
            }
            RepositoryState::Bisect => ("bisection", "git -C mlx_local bisect reset"),
            RepositoryState::ApplyMailbox | RepositoryState::ApplyMailboxOrRebase => {
                ("`git am`", "git -C mlx_local am --abort")
            }
            _ => ("rebase", "git -C mlx_local rebase --abort"),
        };
        if !state.is_empty() {
            add(
                format!("a {state} is not finished in mlx_local"),
                &format!("finish it, or: {way_out}"),
                false,
            );
            return Ok(found);
        }
        let head = repo
            .find_reference("HEAD")
            .doing(|| "reading HEAD of mlx_local".into())?;
        let branch = head.symbolic_target().ok().flatten().map(str::to_string);
        let at = head.resolve().ok().and_then(|h| h.target());
        let Some(shown) = self.shown else {
            // Nothing was shown yet: HEAD is unborn, or somewhere upstream, or a begun fork.
            let mut known = refs::below(repo, refs::PINS)?;
            known.extend(self.interrupted.iter().cloned());
            if at.is_some_and(|at| {
                !known.iter().any(|(_, id)| *id == at) && target.is_none_or(|t| t.commit != at)
            }) {
                add(
                    "mlx_local is at a commit that this tool didn't make".into(),
                    "git -C mlx_local switch --create mine",
                    false,
                );
            }
            return Ok(found);
        };
        match branch.as_deref() {
            Some(refs::BRANCH) => {
                let ours = |id: Oid| {
                    id == shown
                        || self.interrupted.iter().any(|(_, i)| *i == id)
                        || target.is_some_and(|t| t.commit == id)
                };
                if let Some(at) = at.filter(|at| !ours(*at)) {
                    let count = repo
                        .graph_ahead_behind(at, shown)
                        .map_or(1, |(ahead, _)| ahead);
                    add(
                        format!(
                            "branch fork of mlx_local has {count} commit(s) that aren't the fork's, up to {at}"
                        ),
                        &format!(
                            "git -C mlx_local switch --create mine && git -C mlx_local branch --force fork {shown} && git -C mlx_local switch fork"
                        ),
                        true,
                    );
                }
            }
            Some(other) => add(
                format!(
                    "mlx_local is on the branch {}",
                    other.trim_start_matches("refs/heads/")
                ),
                "git -C mlx_local switch fork",
                true,
            ),
            None => add(
                format!(
                    "HEAD of mlx_local is detached at {}",
                    at.map_or("nothing".into(), |id| id.to_string())
                ),
                "git -C mlx_local switch fork",
                true,
            ),
        }
        Ok(found)
    }

    /// Refuses what nothing can put aside: git in the middle of something.
    pub fn refuse_unfinished(&self) -> Result<()> {
        let stops = self.obstacles.iter().find(|o| !o.can_be_kept);
        stops.map_or(Ok(()), |o| {
            Err(Error::conflict(o.what.clone()).hint(o.way_out.clone()))
        })
    }

    /// The files of [`Self::edits`].
    pub fn paths_of_edits(&self) -> BTreeSet<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt;
        let paths = self.edits.iter().map(|edit| edit.path.as_os_str());
        paths.map(|path| path.as_bytes().to_vec()).collect()
    }

    /// An error with the names and the ways out, if anything would be lost.
    pub fn refuse(&self) -> Result<()> {
        if self.edits.is_empty() && self.obstacles.is_empty() {
            return Ok(());
        }
        let mut what =
            String::from("mlx_local has changes that a checkout would lose; nothing was written");
        for obstacle in &self.obstacles {
            what.push_str(&format!("\n    {}", obstacle.what));
        }
        for edit in &self.edits {
            what.push_str(&format!("\n    {edit}"));
        }
        let mut error = Error::conflict(what);
        for obstacle in &self.obstacles {
            error = error.hint(obstacle.way_out.clone());
        }
        if self.obstacles.iter().all(|o| o.can_be_kept) {
            error = error.hint("turn them into a patch:  cargo xtask edits patch my.patch");
            error = error.hint("put them aside:          cargo xtask edits keep");
        }
        if !self.edits.is_empty() && self.obstacles.is_empty() {
            let names: Vec<String> = self.edits.iter().map(|e| shell_word(&e.path)).collect();
            error = error.hint(format!(
                "drop them by name:       cargo xtask edits drop {}",
                names.join(" ")
            ));
        }
        Err(error)
    }
}

/// The files of a commit; the target's own aren't read a second time.
fn listing_of(repo: &Repository, commit: Oid, target: Option<Target<'_>>) -> Result<Listing> {
    if let Some(target) = target.filter(|t| t.commit == commit) {
        return Ok(target.files.clone());
    }
    let found = repo
        .find_commit(commit)
        .doing(|| format!("reading the commit {commit}"))?;
    worktree::listing(repo, found.tree_id())
}

fn difference(old: Option<Entry>, now: Option<Entry>) -> Change {
    match (old, now) {
        (_, None) => Change::Deleted,
        (_, Some(now)) if now.mode == 0 => Change::Type,
        (None, Some(_)) => Change::Added,
        (Some(old), Some(now)) if old.mode & 0o170000 != now.mode & 0o170000 => Change::Type,
        (Some(old), Some(now)) if old.id == now.id => Change::Mode,
        _ => Change::Modified,
    }
}

/// The folders of all these paths, which are in order.
fn folders<'p>(paths: &[&'p [u8]]) -> BTreeSet<&'p [u8]> {
    let mut folders = BTreeSet::new();
    let mut last: &[u8] = b"";
    for path in paths {
        let end = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        if path[..end] != *last {
            last = &path[..end];
            folders.extend(parents(path));
        }
    }
    folders
}

/// The folders above a path, innermost last.
pub fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter()
        .enumerate()
        .filter(|(_, b)| **b == b'/')
        .map(|(at, _)| &path[..at])
}

fn with_slash(path: &[u8]) -> Vec<u8> {
    [path, b"/"].concat()
}

fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
