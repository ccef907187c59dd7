//! Puts aside what a person has in git and nowhere else, before `mlx_local` moves on: commits
//! on the branch of the fork, and what is staged but not on disk.

use git2::{Commit, Index, Oid, Repository, Signature};

use crate::error::{Doing, Result};
use crate::git::edits::free_name;
use crate::git::local::State;
use crate::git::refs;
use crate::git::worktree::{self, Entry, Listing, Memory, index_entry};

/// Puts it under a reference, whose name it gives; `None` where there is nothing. `work` is a
/// commit of what is on disk that is to be kept too.
pub fn put(repo: &Repository, known: State, work: Option<Oid>) -> Result<Option<String>> {
    let doing = || "putting aside what is only in git".to_string();
    let mut kept: Vec<Oid> = work.into_iter().collect();
    for commit in commits(repo) {
        let states = [Some(known.shown), known.worktree, work];
        if !states.contains(&Some(commit)) && !kept.contains(&commit) {
            kept.push(commit);
        }
    }
    kept.extend(staged(repo, known, &kept).doing(doing)?);
    let commit = match kept[..] {
        [] => return Ok(None),
        [only] => only,
        [first, ..] => {
            let parents: Vec<Commit<'_>> = kept
                .iter()
                .map(|id| repo.find_commit(*id).doing(doing))
                .collect::<Result<_>>()?;
            let parents: Vec<&Commit<'_>> = parents.iter().collect();
            let tree = repo
                .find_commit(first)
                .and_then(|c| c.tree())
                .doing(doing)?;
            let who = Signature::now("mlx-fork", "mlx-fork@localhost").doing(doing)?;
            let message = "Put aside from mlx_local: what was on disk, committed, staged\n";
            repo.commit(None, &who, &who, message, &tree, &parents)
                .doing(doing)?
        }
    };
    let name = free_name(repo)?;
    refs::set_for_good(repo, &name, commit)?;
    Ok(Some(name))
}

/// The commits that no other reference holds once the branch of the fork has moved.
fn commits(repo: &Repository) -> Vec<Oid> {
    let head = repo.find_reference("HEAD").ok();
    let on_a_branch = head
        .as_ref()
        .is_some_and(|head| head.symbolic_target().ok().flatten().is_some());
    let detached = head.and_then(|head| head.target()).filter(|_| !on_a_branch);
    let branch = repo.refname_to_id(refs::BRANCH).ok();
    detached.into_iter().chain(branch).collect()
}

/// A commit of the index, where that has content which none of the states and of the commits
/// that are kept anyway has at that path.
fn staged(repo: &Repository, known: State, kept: &[Oid]) -> Result<Option<Oid>> {
    let doing = || "reading what is staged".to_string();
    let Some(memory) = Memory::read(&repo.path().join("index")) else {
        return Ok(None);
    };
    let mut held: Vec<Listing> = Vec::new();
    let head = repo.head().ok().and_then(|head| head.target());
    let commits = [Some(known.shown), known.worktree, head];
    for id in commits.into_iter().flatten().chain(kept.iter().copied()) {
        let commit = repo.find_commit(id).doing(doing)?;
        held.push(worktree::listing(repo, commit.tree_id())?);
    }
    let odb = repo.odb().doing(doing)?;
    let mut index = Index::new().doing(doing)?;
    let mut news = false;
    for (path, entry) in &memory.entries {
        let entry = Entry {
            mode: entry.mode,
            id: entry.id,
        };
        // `git add --intent-to-add` names what isn't there yet; a submodule's commit isn't ours.
        if entry.mode == 0o160_000 || !odb.exists(entry.id) {
            continue;
        }
        news |= !held.iter().any(|files| files.get(path) == Some(&entry));
        index.add(&index_entry(path, entry)).doing(doing)?;
    }
    if !news {
        return Ok(None);
    }
    let tree = index.write_tree_to(repo).doing(doing)?;
    let tree = repo.find_tree(tree).doing(doing)?;
    let who = Signature::now("mlx-fork", "mlx-fork@localhost").doing(doing)?;
    let shown = repo.find_commit(known.shown).doing(doing)?;
    let message = "What was staged in mlx_local\n";
    let id = repo.commit(None, &who, &who, message, &tree, &[&shown]);
    id.map(Some).doing(doing)
}
