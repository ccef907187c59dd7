//! Carries the series onto many upstream trees: what `compose` does for one, without writing,
//! and each file once for all commits that have the same version of it.
//!
//! The merge itself is `port`'s; what a result is worth is for the caller to judge, once a
//! version too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use git2::Oid;

use crate::error::{Doing, Error, Result};
use crate::git::draft::{Draft, File, Found};
use crate::git::trees::{At, Trees, id_of};
use crate::git::{apply, compose, port};
use crate::series::Series;
use crate::series::patch::{FilePatch, Patch};

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
    /// Merged without a conflict.
    Merged,
    /// Both sides changed the same lines, or one lacks the file.
    Conflict,
    /// No patch may touch it there: why.
    Refused(String),
}

/// A file of a feature on an upstream tree.
#[derive(Debug)]
pub struct Landed {
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

/// The series on its own pin, feature by feature: the patches applied exactly.
///
/// # Errors
/// [`crate::Kind::Conflict`] where they don't apply.
pub fn chain(repository: &Path, series: &Series, pin: &str) -> Result<Vec<Link>> {
    let doing = || format!("applying the series to its pin {}", series.base);
    let repo = super::open(repository).doing(doing)?;
    let pin = Oid::from_str(pin).doing(doing)?;
    let mut draft = Draft::of_commit(&repo, pin).doing(doing)?;
    let mut findings = apply::Findings::default();
    for feature in &series.features {
        draft.begin();
        compose::place_overlay(&mut draft, feature, &mut findings.misfits).doing(doing)?;
        apply::exactly(&mut draft, &feature.patch, &mut findings).doing(doing)?;
    }
    if let Some(misfit) = findings.misfits.first() {
        let count = findings.misfits.len();
        return Err(Error::conflict(format!(
            "{count} of its places don't fit there, the first is {misfit}"
        ))
        .doing(doing())
        .hint("`cargo xtask setup-mlx` lists them all; make those patches anew (docs/series.md)"));
    }
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
    Ok(links)
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

type Known<J> = HashMap<(usize, usize, At), Arc<Carried<J>>>;

/// Carries one series; shared by the threads that look at different commits.
pub struct Carrier<'a, J> {
    links: &'a [Link],
    judge: Judge<'a, J>,
    known: Mutex<Known<J>>,
}

/// What a caller thinks of a change of the pin's that landed elsewhere.
pub type Judge<'a, J> = &'a (dyn Fn(&Change, &Landed) -> Result<J> + Sync);

/// What all files of one feature came to on one commit.
pub type Files<J> = Vec<Arc<Carried<J>>>;

impl<'a, J> Carrier<'a, J> {
    /// For the series that [`chain`] read.
    pub fn new(links: &'a [Link], judge: Judge<'a, J>) -> Self {
        Carrier {
            links,
            judge,
            known: Mutex::default(),
        }
    }

    /// Carries all features onto a tree, one after another. `taken` says of a feature whether
    /// upstream has it already: it then changes nothing.
    pub fn onto(
        &self,
        trees: &Trees,
        tree: Oid,
        taken: &dyn Fn(&Link, &Files<J>) -> bool,
    ) -> Result<Vec<Files<J>>> {
        let mut changed: HashMap<&str, Arc<Carried<J>>> = HashMap::new();
        let mut all = Vec::new();
        for (number, link) in self.links.iter().enumerate() {
            let mut files = Vec::new();
            for (place, change) in link.changes.iter().enumerate() {
                let path = change.path.as_str();
                let before = changed.get(path);
                let there = match before {
                    Some(carried) => carried.result.clone(),
                    None => trees.at(tree, path)?,
                };
                files.push(self.file(number, place, there, before, trees)?);
            }
            if !taken(link, &files) {
                let paths = link.changes.iter().map(|change| change.path.as_str());
                changed.extend(paths.zip(files.iter().cloned()));
            }
            all.push(files);
        }
        Ok(all)
    }

    fn file(
        &self,
        number: usize,
        place: usize,
        there: At,
        before: Option<&Arc<Carried<J>>>,
        trees: &Trees,
    ) -> Result<Arc<Carried<J>>> {
        let key = (number, place, there);
        let held = |_| Error::bug("a thread that carried the series panicked");
        if let Some(known) = self.known.lock().map_err(held)?.get(&key) {
            return Ok(known.clone());
        }
        let change = &self.links[number].changes[place];
        let file = match (&key.2, before) {
            (At::File(id, executable), None) => Some(trees.file(*id, *executable)?),
            (At::File(..), Some(carried)) => carried.landed.after.clone(),
            _ => None,
        };
        let carried = Arc::new(self.carry(change, &key.2, file)?);
        self.known
            .lock()
            .map_err(held)?
            .insert(key, carried.clone());
        Ok(carried)
    }

    fn carry(&self, change: &Change, there_at: &At, there: Option<File>) -> Result<Carried<J>> {
        let found = |file: &Option<File>| file.clone().map_or(Found::Nothing, Found::File);
        let (outcome, after) = match there_at {
            At::Refused(why) => (Outcome::Refused(why.clone()), None),
            _ if *there_at == change.before_at => (Outcome::Same, change.after.clone()),
            _ => {
                let (before, now) = (found(&change.before), found(&there));
                match port::merge(&change.path, &before, change.after.as_ref(), &now)? {
                    Some(merged) => (Outcome::Merged, Some(merged)),
                    None => (Outcome::Conflict, there.clone()),
                }
            }
        };
        let result = match outcome {
            Outcome::Same => change.after_at.clone(),
            Outcome::Merged => at(after.as_ref())?,
            Outcome::Conflict | Outcome::Refused(_) => there_at.clone(),
        };
        let landed = Landed {
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
}
