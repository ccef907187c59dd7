//! What one file of a feature is worth on another commit: exactly in its place, merged, in
//! upstream already, in conflict. Each version of a file is judged once.

use serde::Serialize;

use super::places::{self, Finding};
use crate::error::Result;
use crate::git::carry::{Change, Landed, Outcome};
use crate::git::draft::File;
use crate::git::merge::{self, Part};
use crate::git::place;
use crate::series::patch::{FilePatch, Hunk, Side};

/// What a person should know about a hunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// The file in MLX's tree.
    pub path: String,
    /// The head of the hunk; `None` for the file as a whole.
    pub hunk: Option<String>,
    /// What it is about.
    pub what: What,
    /// The lines in question.
    pub lines: Vec<String>,
    /// Where they stand now, and in whose place.
    pub now: String,
}

/// What a detail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Upstream changed the same lines.
    Conflict,
    /// Upstream has this hunk already, and not all of the patch.
    InUpstream,
    /// Lines that the hunk adds are not there.
    Lost,
    /// They are there twice.
    Doubled,
    /// They are in another function, list or section.
    Misplaced,
}

/// Whether upstream has a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// None of it.
    None,
    /// Some hunks.
    Some,
    /// All of it.
    All,
}

/// A judgement.
#[derive(Debug)]
pub struct Judged {
    /// Every hunk stands at the line that it names.
    pub exact: bool,
    /// Whether upstream has it.
    pub held: Held,
    /// What a person should know.
    pub details: Vec<Detail>,
}

impl Judged {
    /// True where the merge was clean and the result isn't what the patch means.
    pub fn is_lost(&self) -> bool {
        let lost = |what| matches!(what, What::Lost | What::Doubled | What::Misplaced);
        self.details.iter().any(|detail| lost(detail.what))
    }
}

/// Judges a change of the pin's that landed elsewhere.
pub fn judge(change: &Change, landed: &Landed) -> Result<Judged> {
    let renamed = landed.path != change.path;
    if landed.outcome == Outcome::Same {
        return Ok(Judged {
            exact: !renamed,
            held: Held::None,
            details: Vec::new(),
        });
    }
    let Some(file) = &change.hunks else {
        return Ok(overlay(change, landed));
    };
    let held = held(change, landed, file);
    let all = match held.iter().filter(|held| **held).count() {
        0 => Held::None,
        n if n == held.len() => Held::All,
        _ => Held::Some,
    };
    let mut details = Vec::new();
    if all != Held::None {
        let those = file.hunks.iter().zip(&held).filter(|(_, held)| **held);
        details.extend(those.map(|(hunk, _)| {
            let now = "upstream has these lines already".to_string();
            detail(&landed.path, What::InUpstream, hunk, hunk.new_lines(), now)
        }));
    }
    let exact = match &landed.outcome {
        Outcome::Conflict => {
            conflicts(change, landed, file, &mut details)?;
            false
        }
        Outcome::Refused(why) => {
            details.push(whole(&landed.path, why.clone()));
            false
        }
        _ => {
            details.extend(lost(change, landed, file)?);
            let there = landed.there.as_ref();
            let stands = |there: &File| stands(&file.hunks, &place::lines(&there.content));
            !renamed && there.is_some_and(stands)
        }
    };
    Ok(Judged {
        exact,
        held: all,
        details,
    })
}

/// Hooks that a clean merge lost, doubled or put into another place.
fn lost(change: &Change, landed: &Landed, file: &FilePatch) -> Result<Vec<Detail>> {
    let content = |file: &Option<File>| file.as_ref().map_or(Vec::new(), |f| f.content.clone());
    let [before, after] = [&change.before, &change.after].map(content);
    let [there, result] = [&landed.there, &landed.after].map(content);
    let findings = places::check(&places::Carried {
        path: &landed.path,
        hunks: &file.hunks,
        pin: (&before, &after),
        there: (&there, &result),
    })?;
    let detail = |finding: Finding| Detail {
        now: finding.to_string(),
        path: finding.path,
        hunk: Some(finding.hunk),
        what: finding.what,
        lines: finding.lines,
    };
    Ok(findings.into_iter().map(detail).collect())
}

/// An overlay file where upstream has something.
fn overlay(change: &Change, landed: &Landed) -> Judged {
    let equal = landed.there.is_some() && landed.there == change.after;
    let now = match &landed.outcome {
        Outcome::Refused(why) => why.clone(),
        _ => "upstream has a file of that name".into(),
    };
    Judged {
        exact: false,
        held: if equal { Held::All } else { Held::None },
        details: vec![whole(&landed.path, now)],
    }
}

fn whole(path: &str, now: String) -> Detail {
    Detail {
        path: path.into(),
        hunk: None,
        what: What::Conflict,
        lines: Vec::new(),
        now,
    }
}

fn detail(path: &str, what: What, hunk: &Hunk, lines: Vec<&[u8]>, now: String) -> Detail {
    let line = |line: &[u8]| String::from_utf8_lossy(line).trim_end().to_string();
    Detail {
        path: path.into(),
        hunk: Some(hunk.header.clone()),
        what,
        lines: lines.into_iter().map(line).collect(),
        now,
    }
}

/// The hunks that conflict.
fn conflicts(
    change: &Change,
    landed: &Landed,
    file: &FilePatch,
    details: &mut Vec<Detail>,
) -> Result<()> {
    let Some(there) = &landed.there else {
        let gone = file.hunks.iter().map(|hunk| {
            let now = "the file isn't there any more".to_string();
            detail(&landed.path, What::Conflict, hunk, hunk.old(), now)
        });
        details.extend(gone);
        return Ok(());
    };
    let lines = place::lines(&there.content);
    let parts = parts(change, there)?;
    let those = place::in_conflict(&file.hunks, &parts, &lines);
    details.extend(those.into_iter().map(|hunk| {
        let now = place::nearest(&hunk.old(), &lines, hunk.old_start);
        detail(&landed.path, What::Conflict, hunk, hunk.old(), now)
    }));
    Ok(())
}

/// The merge that failed.
fn parts(change: &Change, there: &File) -> Result<Vec<Part>> {
    let (Some(before), Some(after)) = (&change.before, &change.after) else {
        return Ok(Vec::new());
    };
    let [base, ours, theirs] = [before, there, after].map(|file| file.content.as_slice());
    merge::three_way(&change.path, base, ours, theirs)
}

/// True where each hunk stands at the line that it names.
fn stands(hunks: &[Hunk], lines: &[&[u8]]) -> bool {
    hunks.iter().all(|hunk| {
        let old = hunk.old();
        let at = hunk.old_start.saturating_sub(1);
        lines.get(at..at + old.len()) == Some(old.as_slice())
    })
}

/// Which hunks upstream has: each of the lines that they add stands there once more than on
/// the pin, each that they take away once less.
fn held(change: &Change, landed: &Landed, file: &FilePatch) -> Vec<bool> {
    if landed.there == change.after {
        return vec![true; file.hunks.len()];
    }
    // A merge that changes nothing: both sides made the same change.
    if landed.outcome == Outcome::Merged && landed.after == landed.there {
        return vec![true; file.hunks.len()];
    }
    let (Some(before), Some(there)) = (&change.before, &landed.there) else {
        return vec![false; file.hunks.len()];
    };
    let (before, there) = (place::lines(&before.content), place::lines(&there.content));
    let count = |run: &[&[u8]], lines: &[&[u8]]| place::standing(run, lines).len();
    let is_held = |hunk: &Hunk| {
        let mut any = false;
        for (side, run) in runs(hunk) {
            if !run.iter().any(|line| place::is_telling(line)) {
                continue;
            }
            let (was, is) = (count(&run, &before), count(&run, &there));
            let holds = if side == Side::New {
                is > was
            } else {
                is < was
            };
            if !holds {
                return false;
            }
            any = true;
        }
        any
    };
    file.hunks.iter().map(is_held).collect()
}

/// The runs of lines that a hunk adds and takes away, in order.
pub(super) fn runs(hunk: &Hunk) -> Vec<(Side, Vec<&[u8]>)> {
    let groups = hunk.lines.chunk_by(|a, b| a.0 == b.0);
    groups
        .filter(|group| group[0].0 != Side::Both)
        .map(|group| {
            let lines = group.iter().map(|(_, line)| line.as_slice());
            (group[0].0, lines.collect())
        })
        .collect()
}
