//! Carries the series onto many upstream trees: what `compose` does for one, without writing,
//! and each file once for all commits that have the same version of it.
//!
//! By the rules of `stack`, files that upstream renamed and kept answers to conflicts
//! included; what a result is worth is for the caller to judge, once a version too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use git2::Oid;

use crate::error::{Doing, Error, Result};
use crate::git::draft::{File, Found};
use crate::git::stack;
use crate::git::trees::{At, Trees, id_of};
use crate::series::Series;
use crate::series::patch::{FilePatch, Patch};
use crate::series::resolutions::Resolutions;

/// One feature on the pin that the series is made for.
#[derive(Debug)]
pub struct Link {
    /// The feature's name.
    pub feature: String,
    /// Its patch file.
    pub patch: String,
    /// What it changes.
    pub changes: Vec<Change>,
}

/// What a feature does to one file, on the pin.
#[derive(Debug)]
pub struct Change {
    /// The path in MLX's tree.
    pub path: String,
    /// The file before; `None` where there is none.
    pub before: Option<File>,
    /// The file after; `None` where it is deleted.
    pub after: Option<File>,
    /// The part of the patch; `None` for an overlay file.
    pub hunks: Option<FilePatch>,
    /// The file of the project that an overlay file is a copy of.
    pub source: Option<String>,
    before_at: At,
    after_at: At,
}

/// What became of one file on an upstream tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Upstream's file is the pin's: it becomes what it becomes there.
    Same,
    /// Merged without a conflict, or with the kept answers to all of them.
    Merged,
    /// Both sides changed the same lines, or one lacks the file.
    Conflict,
    /// No patch may touch it there: why.
    Refused(String),
}

/// A file of a feature on an upstream tree.
#[derive(Debug)]
pub struct Landed {
    /// Its path there: another one where upstream renamed it.
    pub path: String,
    /// Upstream's file, the features before on it.
    pub there: Option<File>,
    /// The file afterwards; upstream's where it could not be merged.
    pub after: Option<File>,
    /// What became of it.
    pub outcome: Outcome,
}

/// The same, and what the caller thinks of it.
#[derive(Debug)]
pub struct Carried<J> {
    /// What became of the file.
    pub landed: Landed,
    /// The caller's judgement.
    pub judged: J,
    /// What is at the path afterwards.
    result: At,
}

/// The series on its own pin.
#[derive(Debug)]
pub struct Chain {
    /// The features in order.
    pub links: Vec<Link>,
    /// Answers to conflicts.
    resolutions: Resolutions,
    pin: Oid,
}

/// Applies the patches exactly to their pin, feature by feature.
///
/// # Errors
/// [`crate::Kind::Conflict`] where they don't apply.
pub fn chain(repository: &Path, series: &Series, pin: &str) -> Result<Chain> {
    let doing = || format!("applying the series to its pin {}", series.base);
    let repo = super::open(repository).doing(doing)?;
    let pin = Oid::from_str(pin).doing(doing)?;
    let (draft, misfits) = stack::exactly(&repo, series, pin).doing(doing)?;
    stack::refuse(&misfits, "it").doing(doing)?;
    let mut links = Vec::new();
    for (layer, feature) in series.features.iter().enumerate() {
        let mut changes = Vec::new();
        for (path, after) in &draft.layers()[layer] {
            let before = match draft.find_below(layer, path)? {
                Found::File(file) => Some(file),
                _ => None,
            };
            let overlay = feature.overlay.iter().find(|o| o.target == *path);
            changes.push(Change {
                path: path.clone(),
                before_at: at(before.as_ref())?,
                after_at: at(after.as_ref())?,
                before,
                after: after.clone(),
                hunks: part(&feature.patch, path),
                source: overlay.map(|o| o.source.clone()),
            });
        }
        links.push(Link {
            feature: feature.name.clone(),
            patch: feature.patch.name.clone(),
            changes,
        });
    }
    Ok(Chain {
        links,
        resolutions: series.resolutions.clone(),
        pin,
    })
}

fn part(patch: &Patch, path: &str) -> Option<FilePatch> {
    patch.files.iter().find(|file| file.path == path).cloned()
}

fn at(file: Option<&File>) -> Result<At> {
    Ok(match file {
        None => At::Nothing,
        Some(file) => At::File(id_of(&file.content)?, file.executable),
    })
}

/// A feature and a file of it by their numbers, the file's path there, and what is there.
type Key = (usize, usize, String, At);

/// Carries one series; shared by the threads that look at different commits.
pub struct Carrier<'a, J> {
    chain: &'a Chain,
    judge: Judge<'a, J>,
    known: Mutex<HashMap<Key, Arc<Carried<J>>>>,
    /// New names of files, with the version that a file of that name had: looking for them
    /// takes longer than all the rest.
    renamed: Mutex<HashMap<(String, At), String>>,
}

/// What a caller thinks of a change of the pin's that landed elsewhere.
pub type Judge<'a, J> = &'a (dyn Fn(&Change, &Landed) -> Result<J> + Sync);

/// What all files of one feature came to on one commit.
pub type Files<J> = Vec<Arc<Carried<J>>>;

impl<'a, J> Carrier<'a, J> {
    /// For the series that [`chain`] read.
    pub fn new(chain: &'a Chain, judge: Judge<'a, J>) -> Self {
        Carrier {
            chain,
            judge,
            known: Mutex::default(),
            renamed: Mutex::default(),
        }
    }

    /// Carries all features onto a commit, one after another. `taken` says of a feature
    /// whether upstream has it already: it then changes nothing.
    pub fn onto(
        &self,
        trees: &Trees,
        commit: &str,
        taken: &dyn Fn(&Link, &Files<J>) -> bool,
    ) -> Result<Vec<Files<J>>> {
        let tree = trees.of_commit(commit)?;
        let mut changed: HashMap<String, Arc<Carried<J>>> = HashMap::new();
        let mut all = Vec::new();
        for (number, link) in self.chain.links.iter().enumerate() {
            let mut files = Vec::new();
            for (place, change) in link.changes.iter().enumerate() {
                let find = |path: &str| match changed.get(path) {
                    Some(carried) => Ok(carried.result.clone()),
                    None => trees.at(tree, path),
                };
                let mut path = change.path.clone();
                let mut there = find(&path)?;
                if there == At::Nothing
                    && change.before.is_some()
                    && let Some(renamed) = self.renamed(trees, tree, commit, &path)?
                {
                    there = find(&renamed)?;
                    path = renamed;
                }
                let before = changed.get(&path);
                files.push(self.file((number, place, path, there), before, trees)?);
            }
            if !taken(link, &files) {
                let by_path = |file: &Arc<Carried<J>>| (file.landed.path.clone(), file.clone());
                changed.extend(files.iter().map(by_path));
            }
            all.push(files);
        }
        Ok(all)
    }

    /// Where the commit has the file that is at `path` on the pin.
    fn renamed(
        &self,
        trees: &Trees,
        tree: Oid,
        commit: &str,
        path: &str,
    ) -> Result<Option<String>> {
        let known = guard(&self.renamed)?;
        let names = known.iter().filter(|((old, _), _)| old == path);
        let names: Vec<(At, String)> = names
            .map(|((_, at), new)| (at.clone(), new.clone()))
            .collect();
        drop(known);
        for (at, name) in names {
            if trees.at(tree, &name)? == at {
                return Ok(Some(name));
            }
        }
        let commit = Oid::from_str(commit).doing(|| "reading a commit's id".into())?;
        let Some(name) = trees.renames(self.chain.pin, commit)?.remove(path) else {
            return Ok(None);
        };
        let at = trees.at(tree, &name)?;
        guard(&self.renamed)?.insert((path.to_string(), at), name.clone());
        Ok(Some(name))
    }

    fn file(
        &self,
        key: Key,
        before: Option<&Arc<Carried<J>>>,
        trees: &Trees,
    ) -> Result<Arc<Carried<J>>> {
        if let Some(known) = guard(&self.known)?.get(&key) {
            return Ok(known.clone());
        }
        let change = &self.chain.links[key.0].changes[key.1];
        let file = match (&key.3, before) {
            (At::File(id, executable), None) => Some(trees.file(*id, *executable)?),
            (At::File(..), Some(carried)) => carried.landed.after.clone(),
            _ => None,
        };
        let carried = Arc::new(self.carry(change, &key.2, &key.3, file)?);
        guard(&self.known)?.insert(key, carried.clone());
        Ok(carried)
    }

    fn carry(
        &self,
        change: &Change,
        path: &str,
        there_at: &At,
        there: Option<File>,
    ) -> Result<Carried<J>> {
        let (outcome, after) = match there_at {
            At::Refused(why) => (Outcome::Refused(why.clone()), None),
            _ if *there_at == change.before_at => (Outcome::Same, change.after.clone()),
            // An overlay file is ours alone; of a hook, upstream did the same.
            _ if *there_at == change.after_at && change.source.is_none() => {
                (Outcome::Merged, there.clone())
            }
            _ => match self.merge(change, there.as_ref())? {
                Some(merged) => (Outcome::Merged, Some(merged)),
                None => (Outcome::Conflict, there.clone()),
            },
        };
        let result = match outcome {
            Outcome::Same => change.after_at.clone(),
            Outcome::Merged => at(after.as_ref())?,
            Outcome::Conflict | Outcome::Refused(_) => there_at.clone(),
        };
        let landed = Landed {
            path: path.to_string(),
            there,
            after,
            outcome,
        };
        let judged = (self.judge)(change, &landed)?;
        Ok(Carried {
            landed,
            judged,
            result,
        })
    }

    fn merge(&self, change: &Change, there: Option<&File>) -> Result<Option<File>> {
        let (Some(before), Some(there), Some(after)) = (&change.before, there, &change.after)
        else {
            return Ok(None);
        };
        let resolutions = &self.chain.resolutions;
        let (_, whole) = stack::merged(&change.path, Some(before), there, after, resolutions)?;
        Ok(whole)
    }
}

fn guard<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>> {
    let held = |_| Error::bug("a thread that carried the series panicked");
    mutex.lock().map_err(held)
}
