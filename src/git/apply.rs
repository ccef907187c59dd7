//! Applies a patch to a draft exactly: every hunk at the line that it names, every line of
//! its context as it says. No fuzz, no offset, no whitespace rules.
//!
//! Not libgit2's `apply`: that stops at the first hunk that fails and says neither which
//! nor why, and the text would be read twice, by two parsers.

use std::collections::BTreeSet;

use git2::{ObjectType, Oid};

use crate::error::{Doing, Error, Result};
use crate::git::draft::{Draft, File, Found};
use crate::git::place::{self, Misfit};
use crate::series::patch::{Action, FilePatch, Patch};

/// What a run over several patches found so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// All that doesn't fit.
    pub misfits: Vec<Misfit>,
    /// Files where a hunk failed: what later patches say of their lines is off.
    spoiled: BTreeSet<String>,
}

/// Applies `patch` to the newest layer of `draft`. What doesn't fit goes to `findings`,
/// and its file stays as it was.
///
/// # Errors
/// Wrong use, for a path that no patch may touch or a patch that contradicts itself.
pub fn exactly(draft: &mut Draft<'_>, patch: &Patch, findings: &mut Findings) -> Result<()> {
    for file in &patch.files {
        let found = draft.find(&file.path)?;
        let changed = one(draft, patch, file, found, findings)
            .doing(|| format!("applying {}", patch.name))?;
        match changed {
            Some(changed) => draft.set(&file.path, changed),
            None => {
                findings.spoiled.insert(file.path.clone());
            }
        }
    }
    Ok(())
}

/// What the file becomes; `None` where it doesn't fit.
fn one(
    draft: &Draft<'_>,
    patch: &Patch,
    file: &FilePatch,
    found: Found,
    findings: &mut Findings,
) -> Result<Option<Option<File>>> {
    if let Found::Refused(why) = &found {
        return Err(Draft::refusal(&file.path, why));
    }
    if found == Found::Nothing
        && let Some(twin) = draft.case_twin(&file.path)?
    {
        return Err(Draft::refusal(
            &file.path,
            &format!("differs from {twin} only by case"),
        ));
    }
    let mut fail = |now: &str| {
        let misfits = file
            .hunks
            .iter()
            .map(|hunk| place::misfit(&patch.name, file, hunk, now.into()));
        findings.misfits.extend(misfits);
        Ok(None)
    };
    let before = match (file.action, found) {
        (Action::Create { executable }, Found::Nothing) => File {
            content: Vec::new(),
            executable,
        },
        (Action::Create { .. }, _) => return fail("the file is there already"),
        (_, Found::File(before)) => before,
        (_, _) => return fail("the file isn't there"),
    };
    let lines = place::lines(&before.content);
    let mut after = Vec::new();
    let mut next = 0;
    let mut failed = false;
    let spoiled = findings.spoiled.contains(&file.path);
    for hunk in &file.hunks {
        let old = hunk.old();
        let at = hunk.old_start.saturating_sub(1);
        if spoiled && place::standing(&old, &lines).is_empty()
            || !spoiled && lines.get(at..at + old.len()) != Some(old.as_slice())
        {
            let now = place::nearest(&old, &lines, hunk.old_start);
            findings
                .misfits
                .push(place::misfit(&patch.name, file, hunk, now));
            failed = true;
        } else if !spoiled && !failed {
            after.extend_from_slice(&lines[next..at]);
            after.extend(hunk.new_lines());
            next = at + old.len();
        }
    }
    if failed || spoiled {
        return Ok(None);
    }
    after.extend_from_slice(&lines[next..]);
    let unended = after.iter().rposition(|line| !line.ends_with(b"\n"));
    if unended.is_some_and(|at| at + 1 < after.len()) {
        return Err(Error::usage(format!(
            "{}: a line without an end is not the last one",
            file.path
        )));
    }
    let content = after.concat();
    check_ids(file, &before.content, &content)?;
    match file.action {
        Action::Delete if content.is_empty() => Ok(Some(None)),
        Action::Delete => {
            let lines = place::lines(&content).len();
            findings.misfits.extend(file.hunks.iter().map(|hunk| {
                let now = format!("{lines} lines of the file would be left");
                place::misfit(&patch.name, file, hunk, now)
            }));
            Ok(None)
        }
        _ => Ok(Some(Some(File {
            content,
            executable: before.executable,
        }))),
    }
}

/// Where the file is the very one that the patch was made from, the result has to be the
/// one that it was made to: this finds damage that leaves every count right.
fn check_ids(file: &FilePatch, before: &[u8], after: &[u8]) -> Result<()> {
    let Some((old, new)) = &file.index else {
        return Ok(());
    };
    let id = |content: &[u8]| -> Result<String> {
        let id = Oid::hash_object(ObjectType::Blob, content);
        Ok(id.doing(|| format!("hashing {}", file.path))?.to_string())
    };
    let none = "0".repeat(40);
    let starts = if matches!(file.action, Action::Create { .. }) {
        *old == none
    } else {
        id(before)? == *old
    };
    let ends = if file.action == Action::Delete {
        *new == none
    } else {
        id(after)? == *new
    };
    if starts && !ends {
        return Err(Error::usage(format!(
            "{}: the result isn't the blob {new} that the index line names: the patch is damaged or was edited by hand",
            file.path
        ))
        .hint("make it anew (git diff -U2 --full-index), or take its index line out"));
    }
    Ok(())
}
