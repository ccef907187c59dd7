//! Silent loss: whether a hook that merged without a conflict is still what its patch means.
//!
//! A merge knows lines, not what they stand in. Here each run of lines that a hook adds is
//! looked for in the result, and the function, list or section around it is compared with the
//! one on the pin. All of it by text: no compiler, no cmake.

mod cmake;
mod cpp;
mod prose;
mod python;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::What;
use crate::error::Result;
use crate::git::changes;
use crate::git::merge::{self, Part};
use crate::git::place::{self, lines, standing};
use crate::series::patch::{Hunk, Side};

/// What encloses a line, the outermost first: `namespace mlx::core`, `struct Factory`, `if (x)`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Place(pub Vec<String>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("the top level of the file"),
            scopes => write!(f, "`{}`", scopes.join(" > ")),
        }
    }
}

/// The place of a line (from 1) of a file. A file whose language is not known has one place.
pub fn place_of(path: &str, content: &[u8], line: usize) -> Place {
    let text = String::from_utf8_lossy(content);
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    Place(match ending {
        _ if name == "CMakeLists.txt" => cmake::scopes(&text[..before]),
        "cmake" => cmake::scopes(&text[..before]),
        "cpp" | "cc" | "c" | "h" | "hpp" | "metal" | "mm" | "cu" | "cuh" => {
            cpp::scopes(&text, before)
        }
        "rst" => prose::rst(&text, before),
        "md" => prose::markdown(&text[..before]),
        "py" | "pyi" => python::scopes(&text[..before]),
        _ => Vec::new(),
    })
}

/// The places of the runs of lines that a hunk adds; `after` is the file with the hunk, where
/// the hunk says that it stands.
pub fn places_of_hunk(path: &str, after: &[u8], hunk: &Hunk) -> Vec<Place> {
    let runs = added(hunk);
    let places = runs.iter().map(|run| place_of(path, after, run.line));
    places.collect()
}

/// One file of a feature, on the pin and on another tree.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    /// Its path.
    pub path: &'a str,
    /// What the patch does to it.
    pub hunks: &'a [Hunk],
    /// The file on the pin, before the patch and after.
    pub pin: (&'a [u8], &'a [u8]),
    /// The file on the other tree, before and after.
    pub there: (&'a [u8], &'a [u8]),
}

/// A run of added lines that isn't what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The head of its hunk.
    pub hunk: String,
    /// Lost, doubled or misplaced.
    pub what: What,
    /// The lines.
    pub lines: Vec<String>,
    /// The place on the pin.
    pub was: Place,
    /// The place on the other tree and the line (from 1); `None` where it is lost.
    pub is: Option<(Place, usize)>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.what, &self.is) {
            (What::Doubled, Some((place, line))) => {
                write!(
                    f,
                    "its lines are there twice, again at line {line} in {place}"
                )
            }
            (_, Some((place, line))) => {
                write!(
                    f,
                    "it is at line {line} in {place}, and was in {}",
                    self.was
                )
            }
            (_, None) => write!(f, "its lines are gone; they were in {}", self.was),
        }
    }
}

/// A run of lines that a hunk adds.
struct Run<'a> {
    lines: Vec<&'a [u8]>,
    /// Its first line in the file after the patch, from 1.
    line: usize,
}

/// The telling runs: what stands everywhere shows no place.
fn added(hunk: &Hunk) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut line = hunk.new_start;
    let mut open = false;
    for (side, text) in &hunk.lines {
        match side {
            Side::New if open => runs.last_mut().into_iter().for_each(|r| r.lines.push(text)),
            Side::New => runs.push(Run {
                lines: vec![text],
                line,
            }),
            Side::Both | Side::Old => {}
        }
        open = *side == Side::New;
        line += usize::from(*side != Side::Old);
    }
    runs.retain(|run| run.lines.iter().any(|line| place::is_telling(line)));
    // A blank line before a hook is often in the scope above it.
    for run in &mut runs {
        let blank = |line: &&&[u8]| !place::is_telling(line);
        run.line += run.lines.iter().take_while(blank).count();
    }
    runs
}

/// Looks for each hook of a file: whether its lines are there, once, and in their place. A hook
/// that conflicts is where a person put it, and no finding.
pub fn check(carried: &Carried<'_>) -> Result<Vec<Finding>> {
    let [before, after] = [carried.pin.0, carried.pin.1].map(lines);
    let [there, result] = [carried.there.0, carried.there.1].map(lines);
    let changes = changes::between(carried.there.0, carried.there.1)?;
    let mut findings = Vec::new();
    for hunk in carried.hunks {
        for run in added(hunk) {
            let count = |lines: &[&[u8]]| standing(&run.lines, lines).len();
            let was = place_of(carried.path, carried.pin.1, run.line);
            let mut find = |what, at: Option<usize>| {
                findings.push(Finding {
                    path: carried.path.into(),
                    hunk: hunk.header.clone(),
                    what,
                    lines: shown(&run.lines),
                    was: was.clone(),
                    is: at.map(|line| (place_of(carried.path, carried.there.1, line), line)),
                });
            };
            let places = found(&run, &result);
            if places.is_empty() || count(&result) + count(&before) < count(&after) {
                find(What::Lost, None);
                continue;
            }
            if count(&result) > count(&after) && count(&there) > count(&before) {
                find(What::Doubled, places.last().copied());
                continue;
            }
            // Those that the merge put there, where it can be told.
            let put = |line: &&usize| {
                let in_change = |c: &changes::Change| c.new.contains(&(**line - 1));
                changes.iter().any(in_change)
            };
            let mut ours: Vec<usize> = places.iter().filter(put).copied().collect();
            if ours.is_empty() {
                ours = places;
            }
            let in_place = |line: &usize| place_of(carried.path, carried.there.1, *line) == was;
            if !ours.iter().any(in_place) {
                find(What::Misplaced, ours.first().copied());
            }
        }
    }
    if !findings.is_empty() {
        let answered = answered(carried)?;
        let is_ours = |line: &String| answered.contains(line);
        findings.retain(|finding| !finding.lines.iter().all(is_ours));
    }
    Ok(findings)
}

/// The lines that the patch has where it conflicts with the other tree: what became of those,
/// a person decided.
fn answered(carried: &Carried<'_>) -> Result<BTreeSet<String>> {
    let (before, after) = carried.pin;
    let parts = merge::three_way(carried.path, before, carried.there.0, after)?;
    let conflicts = parts.iter().filter_map(|part| match part {
        Part::Conflict(conflict) => Some(conflict.theirs.as_slice()),
        Part::Clear(_) => None,
    });
    Ok(conflicts.flat_map(|text| shown(&lines(text))).collect())
}

/// The lines (from 1) where a run stands, by its first telling line; where it was taken apart,
/// those of that line alone, if the other telling ones are there too.
fn found(run: &Run<'_>, file: &[&[u8]]) -> Vec<usize> {
    let skipped = run.lines.iter().take_while(|line| !place::is_telling(line));
    let skipped = skipped.count();
    let whole = standing(&run.lines, file);
    if !whole.is_empty() {
        return whole.into_iter().map(|line| line + skipped).collect();
    }
    let mut telling = run.lines.iter().filter(|line| place::is_telling(line));
    match telling.all(|line| file.contains(line)) {
        true => standing(&run.lines[skipped..=skipped], file),
        false => Vec::new(),
    }
}

fn shown(lines: &[&[u8]]) -> Vec<String> {
    let line = |line: &&[u8]| String::from_utf8_lossy(line).trim_end().to_string();
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
