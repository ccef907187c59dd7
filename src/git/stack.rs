//! Carries features from the tree that their patches were made for to another one, in
//! memory: a three-way merge of each file, following files that upstream renamed.
//!
//! Not libgit2's `cherrypick`: that asks the work tree's attributes and the configuration
//! for merge drivers, and the fork would depend on them.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use git2::{Delta, DiffFindOptions, Oid, Repository};

use crate::error::{Doing, Error, Result};
use crate::git::apply::{self, Findings};
use crate::git::diff;
use crate::git::draft::{Draft, File, Found};
use crate::git::merge::{self, Part};
use crate::git::place::{self, Misfit};
use crate::series::patch::Hunk;
use crate::series::resolutions::Resolutions;
use crate::series::{Feature, Overlay, Patch, Series, export};

/// What a feature makes of one file of upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Before it.
    pub before: Option<File>,
    /// After it.
    pub after: Option<File>,
}

/// A feature with what its patch does, whole files before and after.
#[derive(Debug, Clone)]
pub struct Step {
    /// The feature.
    pub feature: Feature,
    /// Upstream's files, by path.
    pub changes: BTreeMap<String, Change>,
}

/// What a person or an operation says a feature's change is on the new tree, in place of a
/// merge: its files after it, by path.
pub type Given = BTreeMap<String, BTreeMap<String, Option<File>>>;

/// A file of a feature that could not be carried.
#[derive(Debug, Clone)]
pub struct Stuck {
    /// The feature.
    pub feature: String,
    /// The file, where the feature's patch has it.
    pub origin: String,
    /// The file, where upstream has it.
    pub path: String,
    /// The merge where both have the file; empty where one lacks it.
    pub parts: Vec<Part>,
    /// What a work tree should show for a person to decide; `None`: no file.
    pub shown: Option<File>,
    /// Why, by hunks, with where their lines stand now.
    pub misfits: Vec<Misfit>,
}

/// Applies the series exactly to its pin, as far as its last selected feature.
///
/// # Errors
/// [`crate::Kind::Usage`] for what no patch may do; what doesn't fit comes back.
pub fn steps(repo: &Repository, series: &Series, pin: Oid) -> Result<(Vec<Step>, Vec<Misfit>)> {
    let (exact, misfits) = exactly(repo, series, pin)?;
    let mut steps = Vec::new();
    for (layer, feature) in series.features[..exact.layers().len()].iter().enumerate() {
        steps.push(step(&exact, layer, feature)?);
    }
    Ok((steps, misfits))
}

/// The draft of the series on its pin, and what doesn't fit.
pub fn exactly<'r>(
    repo: &'r Repository,
    series: &Series,
    pin: Oid,
) -> Result<(Draft<'r>, Vec<Misfit>)> {
    let last = series.features.iter().rposition(|f| f.selected);
    let needed = &series.features[..last.map_or(0, |last| last + 1)];
    let mut exact = Draft::of_commit(repo, pin)?;
    let mut findings = Findings::default();
    for feature in needed {
        exact.begin();
        for file in &feature.overlay {
            if let Some(misfit) = place_overlay(&mut exact, file)? {
                findings.misfits.push(misfit);
            }
        }
        apply::exactly(&mut exact, &feature.patch, &mut findings)?;
    }
    Ok((exact, findings.misfits))
}

/// What layer `layer` of a draft is beside the feature's overlay.
pub fn step(exact: &Draft<'_>, layer: usize, feature: &Feature) -> Result<Step> {
    let mut changes = BTreeMap::new();
    for (path, after) in &exact.layers()[layer] {
        if feature.overlay.iter().any(|file| file.target == *path) {
            continue;
        }
        let before = match exact.find_below(layer, path)? {
            Found::File(file) => Some(file),
            _ => None,
        };
        let after = after.clone();
        changes.insert(path.clone(), Change { before, after });
    }
    Ok(Step {
        feature: feature.clone(),
        changes,
    })
}

/// Puts an overlay file there. Overlay files are our own: where upstream has a file, only a
/// patch may change it.
fn place_overlay(draft: &mut Draft<'_>, file: &Overlay) -> Result<Option<Misfit>> {
    let found = draft.find(&file.target)?;
    let content = File {
        content: file.content.clone(),
        executable: file.executable,
    };
    match found {
        Found::Nothing => refuse_twin(draft, &file.target)?,
        Found::Refused(why) => return Err(Draft::refusal(&file.target, &why)),
        Found::File(_) => {
            return Ok(Some(Misfit {
                patch: file.source.clone(),
                path: file.target.clone(),
                hunk: None,
                lines: Vec::new(),
                now: "a file of that name is in the tree already".into(),
            }));
        }
    }
    draft.set(&file.target, Some(content));
    Ok(None)
}

fn refuse_twin(draft: &Draft<'_>, path: &str) -> Result<()> {
    match draft.case_twin(path)? {
        Some(twin) => Err(Draft::refusal(
            path,
            &format!("differs from {twin} only by case"),
        )),
        None => Ok(()),
    }
}

/// Features on another tree than the one that they were made for.
pub struct Stack<'r> {
    repo: &'r Repository,
    draft: Draft<'r>,
    /// The commits whose trees tell what was renamed.
    between: (Oid, Oid),
    renames: OnceCell<BTreeMap<String, String>>,
    resolutions: &'r Resolutions,
}

impl<'r> Stack<'r> {
    /// On the tree of `base`, for features made on that of `from`.
    pub fn new(
        repo: &'r Repository,
        from: Oid,
        base: Oid,
        resolutions: &'r Resolutions,
    ) -> Result<Self> {
        Ok(Stack {
            repo,
            draft: Draft::of_commit(repo, base)?,
            between: (from, base),
            renames: OnceCell::new(),
            resolutions,
        })
    }

    /// What stands so far.
    pub fn draft(&self) -> &Draft<'r> {
        &self.draft
    }

    /// What stands so far, to go on with by hand.
    pub fn into_draft(self) -> Draft<'r> {
        self.draft
    }

    /// Puts a feature on top: its overlay, and its patch by merges, or as `given`. What
    /// conflicts comes back, and its file stays as it was.
    pub fn push(
        &mut self,
        step: &Step,
        given: Option<&BTreeMap<String, Option<File>>>,
    ) -> Result<Vec<Stuck>> {
        self.draft.begin();
        let mut stuck = Vec::new();
        for file in &step.feature.overlay {
            if let Some(mut misfit) = place_overlay(&mut self.draft, file)? {
                misfit.now = "upstream has a file of that name".into();
                stuck.push(Stuck {
                    feature: step.feature.name.clone(),
                    origin: file.target.clone(),
                    path: file.target.clone(),
                    parts: Vec::new(),
                    shown: match self.draft.find(&file.target)? {
                        Found::File(there) => Some(there),
                        _ => None,
                    },
                    misfits: vec![misfit],
                });
            }
        }
        if let Some(given) = given {
            for (path, file) in given {
                self.set(path, file.clone())?;
            }
            return Ok(stuck);
        }
        for (path, change) in &step.changes {
            stuck.extend(self.carry(step, path, change)?);
        }
        Ok(stuck)
    }

    fn set(&mut self, path: &str, file: Option<File>) -> Result<()> {
        match self.draft.find(path)? {
            Found::Refused(why) => return Err(Draft::refusal(path, &why)),
            Found::Nothing if file.is_some() => refuse_twin(&self.draft, path)?,
            _ => {}
        }
        self.draft.set(path, file);
        Ok(())
    }

    fn carry(&mut self, step: &Step, path: &str, change: &Change) -> Result<Option<Stuck>> {
        let mut path_there = path.to_string();
        let mut found = self.draft.find(path)?;
        if found == Found::Nothing
            && change.before.is_some()
            && let Some(renamed) = self.renamed(path)?
        {
            found = self.draft.find(&renamed)?;
            path_there = renamed;
        }
        let there = match found {
            Found::Refused(why) => return Err(Draft::refusal(&path_there, &why)),
            Found::File(there) => Some(there),
            Found::Nothing => None,
        };
        if there == change.before {
            self.set(&path_there, change.after.clone())?;
            return Ok(None);
        }
        // Upstream did the same.
        if there == change.after {
            return Ok(None);
        }
        let parts = match (&change.before, &there, &change.after) {
            (before, Some(there), Some(after)) => {
                let (parts, merged) =
                    merged(path, before.as_ref(), there, after, self.resolutions)?;
                if let Some(merged) = merged {
                    if merged != *there {
                        self.draft.set(&path_there, Some(merged));
                    }
                    return Ok(None);
                }
                parts
            }
            _ => Vec::new(),
        };
        let shown = match (&there, &change.after) {
            (Some(there), Some(_)) => Some(File {
                content: merge::marked(&parts, &step.feature.name),
                executable: there.executable,
            }),
            (there, after) => there.clone().or(after.clone()),
        };
        Ok(Some(Stuck {
            feature: step.feature.name.clone(),
            origin: path.into(),
            path: path_there,
            misfits: misfits(&step.feature, path, there.as_ref(), &parts),
            parts,
            shown,
        }))
    }

    /// Where upstream has the file that was at `path` in the tree of the patches.
    fn renamed(&self, path: &str) -> Result<Option<String>> {
        if self.between.0 == self.between.1 {
            return Ok(None);
        }
        if self.renames.get().is_none() {
            let found = renames(self.repo, self.between.0, self.between.1)?;
            let _ = self.renames.set(found);
        }
        Ok(self.renames.get().and_then(|r| r.get(path).cloned()))
    }

    /// The patch of the feature in layer `layer`, written anew for the tree below it.
    pub fn export(&self, layer: usize, feature: &Feature) -> Result<Patch> {
        export_layer(&self.draft, layer, feature)
    }
}

/// What `there` becomes by a feature's change from `before` to `after`: by parts, and whole
/// where nothing conflicts, kept answers included.
pub(super) fn merged(
    path: &str,
    before: Option<&File>,
    there: &File,
    after: &File,
    resolutions: &Resolutions,
) -> Result<(Vec<Part>, Option<File>)> {
    let base = before.map_or(&[][..], |file| &file.content);
    let parts = merge::three_way(path, base, &there.content, &after.content)?;
    let parts = resolutions.replay(path, parts);
    // Where both sides made the file, no merge says which is meant.
    let content = before.and_then(|_| merge::clear(&parts));
    let whole = content.map(|content| File {
        content,
        // A patch changes no modes: the file's own stays.
        executable: there.executable,
    });
    Ok((parts, whole))
}

/// The patch of the feature in one layer of a draft.
pub fn export_layer(draft: &Draft<'_>, layer: usize, feature: &Feature) -> Result<Patch> {
    let step = step(draft, layer, feature)?;
    let mut diffs = Vec::new();
    for (path, change) in &step.changes {
        let text = diff::unified(path, change.before.as_ref(), change.after.as_ref())?;
        diffs.push(text);
    }
    let patch = &feature.patch;
    export::patch(&patch.name, &patch.header, &diffs)
        .doing(|| format!("writing the patch of {}", feature.name))
}

/// Files that went to another name between two commits, by the old name.
pub fn renames(repo: &Repository, from: Oid, to: Oid) -> Result<BTreeMap<String, String>> {
    let doing = || format!("looking for files renamed between {from} and {to}");
    let tree = |id| repo.find_commit(id).and_then(|commit| commit.tree());
    let (from, to) = (tree(from).doing(doing)?, tree(to).doing(doing)?);
    let mut diff = repo
        .diff_tree_to_tree(Some(&from), Some(&to), None)
        .doing(doing)?;
    let mut options = DiffFindOptions::new();
    options.renames(true).rename_threshold(50);
    diff.find_similar(Some(&mut options)).doing(doing)?;
    let mut renames = BTreeMap::new();
    for delta in diff
        .deltas()
        .filter(|delta| delta.status() == Delta::Renamed)
    {
        let name = |path: Option<&std::path::Path>| {
            path.and_then(|path| path.to_str()).map(str::to_string)
        };
        if let (Some(old), Some(new)) =
            (name(delta.old_file().path()), name(delta.new_file().path()))
        {
            renames.insert(old, new);
        }
    }
    Ok(renames)
}

/// Says for each hunk of the feature in this file where its lines stand now.
fn misfits(feature: &Feature, path: &str, there: Option<&File>, parts: &[Part]) -> Vec<Misfit> {
    let patch = &feature.patch;
    let whole = |now: &str| {
        vec![Misfit {
            patch: patch.name.clone(),
            path: path.into(),
            hunk: None,
            lines: Vec::new(),
            now: now.into(),
        }]
    };
    let Some(file) = patch.files.iter().find(|file| file.path == path) else {
        return whole("the change doesn't merge");
    };
    let Some(there) = there else {
        let gone = |hunk| place::misfit(&patch.name, file, hunk, "the file isn't there".into());
        return file.hunks.iter().map(gone).collect();
    };
    let found = place::lines(&there.content);
    let those = place::in_conflict(&file.hunks, parts, &found).into_iter();
    let misfit = |hunk: &Hunk| {
        let now = place::nearest(&hunk.old(), &found, hunk.old_start);
        place::misfit(&patch.name, file, hunk, now)
    };
    those.map(misfit).collect()
}

/// An error for all that doesn't fit, if anything doesn't.
pub fn refuse(misfits: &[Misfit], onto: &str) -> Result<()> {
    if misfits.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = misfits.iter().map(|misfit| format!("\n{misfit}")).collect();
    let (count, verb) = match misfits.len() {
        1 => ("1 place".to_string(), "doesn't"),
        n => (format!("{n} places"), "don't"),
    };
    Err(Error::conflict(format!(
        "{count} of the series {verb} fit {onto}; nothing was written{}",
        list.concat()
    )))
}
