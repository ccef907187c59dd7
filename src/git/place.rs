//! Where the lines of a hunk that doesn't fit stand now: for people, never for applying.

use std::fmt;

use crate::git::merge::Part;
use crate::series::patch::{FilePatch, Hunk, Side};

/// A hunk, or a whole file, that doesn't fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The patch file, or the overlay file.
    pub patch: String,
    /// The file in MLX's tree.
    pub path: String,
    /// The hunk's head; `None` where it is the file as a whole.
    pub hunk: Option<String>,
    /// The lines that the hunk wants to find.
    pub lines: Vec<String>,
    /// What is there instead, and where the lines stand now.
    pub now: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.patch, self.path)?;
        if let Some(hunk) = &self.hunk {
            write!(f, " {hunk}")?;
        }
        write!(f, ": {}", self.now)?;
        for line in &self.lines {
            write!(f, "\n    | {line}")?;
        }
        Ok(())
    }
}

/// A hunk of `patch` that doesn't fit the file, which now has `content`.
pub fn misfit(patch: &str, file: &FilePatch, hunk: &Hunk, now: String) -> Misfit {
    let old = hunk.old();
    Misfit {
        patch: patch.into(),
        path: file.path.clone(),
        hunk: Some(hunk.header.clone()),
        lines: old
            .iter()
            .map(|l| String::from_utf8_lossy(l).trim_end().to_string())
            .collect(),
        now,
    }
}

/// The lines of a file, each with its newline.
pub fn lines(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|b| *b == b'\n').collect()
}

/// All places (lines from 1) where `wanted` stands as it is.
pub fn standing(wanted: &[&[u8]], file: &[&[u8]]) -> Vec<usize> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let windows = file.windows(wanted.len()).enumerate();
    windows
        .filter(|(_, window)| *window == wanted)
        .map(|(at, _)| at + 1)
        .collect()
}

/// False for blank lines and lone brackets, which stand everywhere and show no place.
pub fn is_telling(line: &[u8]) -> bool {
    line.iter().filter(|b| b.is_ascii_alphanumeric()).count() >= 3
}

/// The hunks that a failed merge is about. Where its conflicts have none of their lines, those
/// that don't stand in `file` any more; or any of them.
pub fn in_conflict<'h>(hunks: &'h [Hunk], parts: &[Part], file: &[&[u8]]) -> Vec<&'h Hunk> {
    let those: Vec<&Hunk> = hunks.iter().filter(|h| is_in_conflict(h, parts)).collect();
    if !those.is_empty() {
        return those;
    }
    let gone = |hunk: &&Hunk| standing(&hunk.old(), file).is_empty();
    let gone: Vec<&Hunk> = hunks.iter().filter(gone).collect();
    match gone.is_empty() {
        true => hunks.iter().collect(),
        false => gone,
    }
}

/// True where a line that the hunk adds or takes away is part of a conflict.
fn is_in_conflict(hunk: &Hunk, parts: &[Part]) -> bool {
    let conflicts = || {
        parts.iter().filter_map(|part| match part {
            Part::Conflict(conflict) => Some(conflict),
            Part::Clear(_) => None,
        })
    };
    let has = |text: &[u8], line: &Vec<u8>| lines(text).contains(&line.as_slice());
    hunk.lines.iter().any(|(side, line)| {
        is_telling(line)
            && match side {
                Side::New => conflicts().any(|conflict| has(&conflict.theirs, line)),
                Side::Old => conflicts().any(|conflict| has(&conflict.base, line)),
                Side::Both => false,
            }
    })
}

/// Says where `wanted`, expected at line `expected`, stands in `file`.
pub fn nearest(wanted: &[&[u8]], file: &[&[u8]], expected: usize) -> String {
    let places = standing(wanted, file);
    if let Some(line) = places.iter().min_by_key(|line| line.abs_diff(expected)) {
        let others = match places.len() {
            1 => String::new(),
            n => format!(" (and at {} other places)", n - 1),
        };
        return format!(
            "its lines stand at line {line} now{}{others}",
            moved(expected, *line)
        );
    }
    let span = wanted.len() + wanted.len().min(12);
    let best = (0..file.len())
        .filter(|at| wanted.contains(&file[*at]) && is_telling(file[*at]))
        .map(|at| {
            let window = &file[at..file.len().min(at + span)];
            (common(wanted, window), at + 1)
        })
        .max_by_key(|(found, line)| (*found, std::cmp::Reverse(line.abs_diff(expected))));
    match best {
        Some((found, line)) => format!(
            "its context is changed: {found} of its {} lines found, nearest from line {line}{}",
            wanted.len(),
            moved(expected, line)
        ),
        None => format!("its context is gone: 0 of its {} lines found", wanted.len()),
    }
}

fn moved(from: usize, to: usize) -> String {
    match to.cmp(&from) {
        std::cmp::Ordering::Equal => String::new(),
        std::cmp::Ordering::Greater => format!(", {} further down", to - from),
        std::cmp::Ordering::Less => format!(", {} further up", from - to),
    }
}

/// How many lines two runs of lines have in common, in order.
fn common(a: &[&[u8]], b: &[&[u8]]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y {
                diagonal + 1
            } else {
                above.max(row[j])
            };
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"one 1\ntwo 2\n}\nthree 3\nfour 4\n}\ntwo 2\n}\n";

    fn ask(wanted: &str, expected: usize) -> String {
        nearest(&lines(wanted.as_bytes()), &lines(FILE), expected)
    }

    #[test]
    fn lines_that_moved_are_found_with_how_far() {
        assert_eq!(
            ask("three 3\nfour 4\n", 1),
            "its lines stand at line 4 now, 3 further down"
        );
        assert_eq!(
            ask("two 2\n}\n", 6),
            "its lines stand at line 7 now, 1 further down (and at 1 other places)"
        );
    }

    #[test]
    fn lines_that_changed_are_found_by_those_that_did_not() {
        assert_eq!(
            ask("two 2\n}\nthree III\nfour 4\n", 2),
            "its context is changed: 3 of its 4 lines found, nearest from line 2"
        );
    }

    #[test]
    fn lines_that_stand_everywhere_show_no_place() {
        assert_eq!(
            ask("}\nnine 9\n", 3),
            "its context is gone: 0 of its 2 lines found"
        );
    }
}
