//! Branches for people in `mlx_local`: made from a commit and new files, as objects and
//! references alone. No work tree is touched, and no commit of a person's is moved away from.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{DiffOptions, ErrorCode, Oid, Repository, Signature};
use serde::Serialize;

use crate::error::{Doing, Error, Result};
use crate::git::draft::{Draft, File, Found};
use crate::git::{refs, survey};
use crate::layout::Layout;
use crate::process::Command;

/// A commit of `mlx_local`, to read and to build upon.
pub struct Snapshot {
    repo: Repository,
    commit: Oid,
}

/// Who a commit is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `user.name`.
    pub name: String,
    /// `user.email`.
    pub email: String,
}

/// How many lines of a file a commit adds and removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileStat {
    /// Its path.
    pub path: String,
    /// Lines added.
    pub added: usize,
    /// Lines removed.
    pub removed: usize,
}

/// A branch, and where it was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// Its name, without `refs/heads/`.
    pub name: String,
    /// Its commit.
    pub commit: String,
    /// The tree of that commit.
    pub tree: String,
    /// The reference that keeps it: `refs/mlx-fork/upstream/FEATURE/N`.
    pub kept: String,
    /// False where the branch was there already, made from the same.
    pub new: bool,
}

impl Snapshot {
    /// The commit that `name` means in `mlx_local`: a full reference, a branch, a tag or an id.
    /// `None` where there is none.
    pub fn find(layout: &Layout, name: &str) -> Result<Option<Self>> {
        let repo = survey::open(layout)?;
        let commit = match repo
            .revparse_single(name)
            .and_then(|found| found.peel_to_commit())
        {
            Ok(commit) => commit.id(),
            Err(e) if matches!(e.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
                return Ok(None);
            }
            Err(e) => return Err(e).doing(|| format!("looking for {name} in mlx_local")),
        };
        Ok(Some(Snapshot { repo, commit }))
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.commit.to_string()
    }

    /// The id of its tree.
    pub fn tree_id(&self) -> Result<String> {
        let commit = self.repo.find_commit(self.commit);
        let commit = commit.doing(|| format!("reading the commit {}", self.commit))?;
        Ok(commit.tree_id().to_string())
    }

    /// The text of a file; `None` where it has none there.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] for a path that none may write to, or a file that is no UTF-8.
    pub fn text(&self, path: &str) -> Result<Option<String>> {
        match self.draft()?.find(path)? {
            Found::Nothing => Ok(None),
            Found::Refused(why) => Err(Draft::refusal(path, &why)),
            Found::File(file) => String::from_utf8(file.content)
                .map(Some)
                .map_err(|_| Error::usage(format!("{path} is no UTF-8"))),
        }
    }

    /// Writes its tree with these files: the new tree's id. A file that is there keeps its mode.
    pub fn with_files(&self, files: &BTreeMap<String, (String, bool)>) -> Result<String> {
        let mut draft = self.draft()?;
        draft.begin();
        for (path, (text, executable)) in files {
            if let Some(twin) = draft.case_twin(path)? {
                let why = format!("differs from {twin} only by case");
                return Err(Draft::refusal(path, &why));
            }
            let executable = match draft.find(path)? {
                Found::File(file) => file.executable,
                Found::Refused(why) => return Err(Draft::refusal(path, &why)),
                Found::Nothing => *executable,
            };
            let content = text.clone().into_bytes();
            draft.set(
                path,
                Some(File {
                    content,
                    executable,
                }),
            );
        }
        let trees = draft.write()?;
        let tree = trees
            .last()
            .ok_or_else(|| Error::bug("a draft without a layer"))?;
        Ok(tree.to_string())
    }

    /// What `tree` adds to it and removes, file by file.
    pub fn stat(&self, tree: &str) -> Result<Vec<FileStat>> {
        let doing = || format!("comparing {tree} with {}", self.commit);
        let base = self.repo.find_commit(self.commit).and_then(|c| c.tree());
        let tree = Oid::from_str(tree)
            .and_then(|id| self.repo.find_tree(id))
            .doing(doing)?;
        let mut options = DiffOptions::new();
        let diff = self
            .repo
            .diff_tree_to_tree(Some(&base.doing(doing)?), Some(&tree), Some(&mut options))
            .doing(doing)?;
        let mut stats: BTreeMap<String, FileStat> = BTreeMap::new();
        diff.foreach(
            &mut |_, _| true,
            None,
            None,
            Some(&mut |delta, _, line| {
                let path = delta.new_file().path().unwrap_or(Path::new(""));
                let path = path.to_string_lossy().into_owned();
                let stat = stats.entry(path.clone()).or_insert(FileStat {
                    path,
                    added: 0,
                    removed: 0,
                });
                match line.origin() {
                    '+' => stat.added += 1,
                    '-' => stat.removed += 1,
                    _ => {}
                }
                true
            }),
        )
        .doing(doing)?;
        Ok(stats.into_values().collect())
    }

    /// Makes the branch `name` one commit upon this one, with this tree. What was prepared
    /// before stays under `kept`, numbered; the same tree upon the same commit is not made anew.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] where the branch has commits that were not made here, or is
    /// checked out.
    pub fn branch(
        &self,
        name: &str,
        kept: &str,
        tree: &str,
        who: &Identity,
        message: &str,
    ) -> Result<Branch> {
        let doing = || format!("making the branch {name} of mlx_local");
        let repo = &self.repo;
        let full = format!("refs/heads/{name}");
        let mut made = refs::below(repo, kept)?;
        made.sort_by_key(|(reference, _)| number(reference));
        let tip = repo.refname_to_id(&full).ok();
        self.refuse_to_move(name, tip, &made).doing(doing)?;
        let tree = Oid::from_str(tree)
            .and_then(|id| repo.find_tree(id))
            .doing(doing)?;
        let parent = repo.find_commit(self.commit).doing(doing)?;
        let same = |id: Oid| {
            repo.find_commit(id)
                .is_ok_and(|c| c.tree_id() == tree.id() && c.parent_ids().eq([self.commit]))
        };
        let last = made.last().filter(|(_, id)| same(*id) && tip == Some(*id));
        let (commit, reference) = match last {
            Some((reference, id)) => (*id, reference.clone()),
            None => {
                let who = Signature::now(&who.name, &who.email).doing(doing)?;
                let id = repo
                    .commit(None, &who, &who, message, &tree, &[&parent])
                    .doing(doing)?;
                let next = made
                    .last()
                    .map_or(1, |(reference, _)| number(reference) + 1);
                let reference = format!("{kept}{next}");
                // The number first: a branch without one would pass for a person's.
                refs::set(repo, &reference, id)?;
                refs::set(repo, &full, id)?;
                (id, reference)
            }
        };
        Ok(Branch {
            name: name.into(),
            commit: commit.to_string(),
            tree: tree.id().to_string(),
            kept: reference,
            new: last.is_none(),
        })
    }

    fn refuse_to_move(&self, name: &str, tip: Option<Oid>, made: &[(String, Oid)]) -> Result<()> {
        let Some(tip) = tip else {
            return Ok(());
        };
        if !made.iter().any(|(_, id)| *id == tip) {
            return Err(Error::conflict(format!(
                "its commit {tip:.10} was not made here: it may be your work",
            ))
            .hint(format!(
                "keep it under another name (`git -C mlx_local branch -m {name} {name}-mine`) and run again"
            )));
        }
        let head = self.repo.find_reference("HEAD").ok();
        let shown = head.and_then(|h| h.symbolic_target().ok().flatten().map(str::to_string));
        if shown.as_deref() == Some(&format!("refs/heads/{name}")) {
            return Err(Error::conflict("it is checked out")
                .hint("`git -C mlx_local switch fork` shows the fork again; then run again"));
        }
        Ok(())
    }

    fn draft(&self) -> Result<Draft<'_>> {
        Draft::of_commit(&self.repo, self.commit)
    }
}

/// The number at the end of `refs/mlx-fork/upstream/FEATURE/N`.
fn number(reference: &str) -> u64 {
    let last = reference.rsplit('/').next().unwrap_or_default();
    last.parse().unwrap_or(0)
}

/// All that was prepared under `kept`, oldest first: references and commits.
pub fn kept(layout: &Layout, kept: &str) -> Result<Vec<(String, String)>> {
    let repo = survey::open(layout)?;
    let mut made = refs::below(&repo, kept)?;
    made.sort_by_key(|(reference, _)| number(reference));
    let made = made.into_iter();
    Ok(made.map(|(name, id)| (name, id.to_string())).collect())
}

/// Keeps a commit under the next number below `kept`.
pub fn keep(layout: &Layout, kept: &str, commit: &str) -> Result<()> {
    let repo = survey::open(layout)?;
    let id = Oid::from_str(commit).doing(|| format!("keeping the commit {commit}"))?;
    let made = refs::below(&repo, kept)?;
    let last = made.iter().map(|(reference, _)| number(reference)).max();
    refs::set(&repo, &format!("{kept}{}", last.unwrap_or(0) + 1), id)
}

/// The parents of a commit.
pub fn parents(layout: &Layout, commit: &str) -> Result<Vec<String>> {
    let doing = || format!("reading the commit {commit}");
    let repo = survey::open(layout)?;
    let id = Oid::from_str(commit).doing(doing)?;
    let commit = repo.find_commit(id).doing(doing)?;
    Ok(commit.parent_ids().map(|id| id.to_string()).collect())
}

/// Who the person is that git works for here, by git's own settings.
///
/// # Errors
/// [`crate::Kind::Environment`] where git doesn't know.
pub fn identity(layout: &Layout) -> Result<Identity> {
    let ask = |key: &str| -> Result<Option<String>> {
        let output = git(layout).args(["config", "--get", key]).output()?;
        let value = output.stdout.trim().to_string();
        Ok((output.success() && !value.is_empty()).then_some(value))
    };
    match (ask("user.name")?, ask("user.email")?) {
        (Some(name), Some(email)) => Ok(Identity { name, email }),
        (name, _) => {
            let missing = if name.is_none() { "name" } else { "email" };
            Err(
                Error::environment(format!("git doesn't know your {missing}"))
                    .doing("finding the author of the commit for upstream")
                    .hint("git config --global user.name \"Your Name\"; git config --global user.email you@example.org"),
            )
        }
    }
}

/// What changed between two one-commit branches, as `git range-diff` tells it.
pub fn range_diff(layout: &Layout, old: &str, new: &str) -> Result<String> {
    let output = git(layout)
        .args(["range-diff", "--no-color"])
        .arg(format!("{old}^!"))
        .arg(format!("{new}^!"))
        .run()
        .doing(|| "comparing with the last bundle".into())?;
    Ok(output.stdout)
}

/// The commit as `git format-patch` would mail it; nothing is sent.
pub fn patch(layout: &Layout, commit: &str) -> Result<String> {
    let output = git(layout)
        .args(["format-patch", "--stdout", "--no-signature", "-1"])
        .arg(commit)
        .run()
        .doing(|| "writing the commit as a patch".into())?;
    Ok(output.stdout)
}

fn git(layout: &Layout) -> Command {
    super::program()
        .args(["-c", "safe.directory=*"])
        .arg("-C")
        .arg(layout.mlx_local())
}
