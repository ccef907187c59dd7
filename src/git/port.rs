//! Carries a feature from the pin that its patch was made for to another tree: a three-way
//! merge of each file, in memory.
//!
//! Not libgit2's `cherrypick`: that asks the work tree's attributes and the configuration
//! for merge drivers, and the fork would depend on them.

use git2::{MergeFileInput, merge_file};

use crate::error::{Doing, Result};
use crate::git::draft::{Draft, File, Found};
use crate::git::place::{self, Misfit};
use crate::series::Feature;

/// Carries what layer `layer` of `exact` (this feature on the pin) changes into the newest
/// layer of `target`. What conflicts goes to `misfits`, and its file stays as it was.
pub fn feature(
    exact: &Draft<'_>,
    layer: usize,
    target: &mut Draft<'_>,
    feature: &Feature,
    misfits: &mut Vec<Misfit>,
) -> Result<()> {
    for (path, after) in &exact.layers()[layer] {
        let before = exact.find_below(layer, path)?;
        let there = target.find(path)?;
        if let Found::Refused(why) = &there {
            return Err(Draft::refusal(path, why));
        }
        if there == Found::Nothing
            && let Some(twin) = target.case_twin(path)?
        {
            return Err(Draft::refusal(
                path,
                &format!("differs from {twin} only by case"),
            ));
        }
        if there == before {
            target.set(path, after.clone());
            continue;
        }
        match merge(path, &before, after.as_ref(), &there)? {
            Some(merged) => target.set(path, Some(merged)),
            None => report(feature, path, &there, misfits),
        }
    }
    Ok(())
}

/// The merged file; `None` where both sides changed the same lines, or one lacks the file.
pub(super) fn merge(
    path: &str,
    before: &Found,
    after: Option<&File>,
    there: &Found,
) -> Result<Option<File>> {
    let (Found::File(before), Some(after), Found::File(there)) = (before, after, there) else {
        return Ok(None);
    };
    let [mut ancestor, mut ours, mut theirs] = [(); 3].map(|()| MergeFileInput::new());
    ancestor.content(&before.content);
    ours.content(&there.content);
    theirs.content(&after.content);
    let result = merge_file(&ancestor, &ours, &theirs, None).doing(|| format!("merging {path}"))?;
    Ok(result.is_automergeable().then(|| File {
        content: result.content().to_vec(),
        // A patch changes no modes: the file's own stays.
        executable: there.executable,
    }))
}

/// Says for each hunk of the feature in this file where its lines stand now.
fn report(feature: &Feature, path: &str, there: &Found, misfits: &mut Vec<Misfit>) {
    let patch = &feature.patch;
    let Some(file) = patch.files.iter().find(|file| file.path == path) else {
        let overlay = feature.overlay.iter().find(|o| o.target == path);
        misfits.push(Misfit {
            patch: overlay.map_or(feature.name.clone(), |o| o.source.clone()),
            path: path.into(),
            hunk: None,
            lines: Vec::new(),
            now: "upstream has a file of that name".into(),
        });
        return;
    };
    let found = match there {
        Found::File(there) => place::lines(&there.content),
        _ => Vec::new(),
    };
    let mut here = Vec::new();
    let mut standing = Vec::new();
    for hunk in &file.hunks {
        let now = match there {
            Found::File(_) => place::nearest(&hunk.old(), &found, hunk.old_start),
            _ => "the file isn't there".into(),
        };
        let stands = !place::standing(&hunk.old(), &found).is_empty();
        let list = if stands { &mut standing } else { &mut here };
        list.push(place::misfit(&patch.name, file, hunk, now));
    }
    // All lines stand somewhere, and the merge still failed: upstream changed lines beside
    // them, and any of the hunks may be the one.
    misfits.extend(if here.is_empty() { standing } else { here });
}
