//! Three-way merges of one file, in parts: what is clear, and the places that conflict.

use git2::{MergeFileInput, MergeFileOptions, merge_file};

use crate::error::{Doing, Error, Result};

/// A run of lines of a merged file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What both sides agree on, or only one changed.
    Clear(Vec<u8>),
    /// What both changed.
    Conflict(Conflict),
}

/// One conflicting place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The lines that are there.
    pub ours: Vec<u8>,
    /// What both sides were made from.
    pub base: Vec<u8>,
    /// What the patch makes of them.
    pub theirs: Vec<u8>,
}

/// Longer than any line of signs in a source file.
const MARKER: usize = 97;

/// Merges what `base` became in `ours` and in `theirs`.
pub fn three_way(path: &str, base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Vec<Part>> {
    // git2 reads an empty result, and none, through a null pointer. Where both sides changed
    // something, a line stays or it is a conflict; and libgit2 gives none for binary files.
    for (one, other) in [(base, theirs), (theirs, ours), (base, ours)] {
        if one == other {
            let result = if base == ours { theirs } else { ours };
            return Ok(vec![Part::Clear(result.to_vec())]);
        }
    }
    if [base, ours, theirs].iter().any(|side| side.contains(&0)) {
        return Ok(vec![Part::Conflict(Conflict {
            ours: ours.into(),
            base: base.into(),
            theirs: theirs.into(),
        })]);
    }
    // Merging alone doesn't start libgit2.
    super::isolate();
    let mut inputs = [(); 3].map(|()| MergeFileInput::new());
    for (input, content) in inputs.iter_mut().zip([base, ours, theirs]) {
        input.content(content);
    }
    let mut options = MergeFileOptions::new();
    options.style_diff3(true).marker_size(97);
    let [base, ours, theirs] = &inputs;
    let merged =
        merge_file(base, ours, theirs, Some(&mut options)).doing(|| format!("merging {path}"))?;
    if merged.is_automergeable() {
        return Ok(vec![Part::Clear(merged.content().to_vec())]);
    }
    parts(merged.content()).ok_or_else(|| {
        Error::bug("libgit2 marked the conflict as nobody reads it")
            .doing(format!("merging {path}"))
    })
}

/// Takes a file with markers apart.
fn parts(content: &[u8]) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut clear = Vec::new();
    let mut open: Option<([Vec<u8>; 3], usize)> = None;
    for line in content.split_inclusive(|b| *b == b'\n') {
        let sign = |sign: u8| {
            line.len() >= MARKER
                && line[..MARKER].iter().all(|b| *b == sign)
                && line
                    .get(MARKER)
                    .is_none_or(|b| matches!(b, b' ' | b'\n' | b'\r'))
        };
        match &mut open {
            None if sign(b'<') => {
                parts.push(Part::Clear(std::mem::take(&mut clear)));
                open = Some(Default::default());
            }
            None => clear.extend_from_slice(line),
            Some((_, at)) if sign(b'|') && *at == 0 => *at = 1,
            Some((_, at)) if sign(b'=') && *at == 1 => *at = 2,
            Some((sides, 2)) if sign(b'>') => {
                let [ours, base, theirs] = std::mem::take(sides);
                parts.push(Part::Conflict(Conflict { ours, base, theirs }));
                open = None;
            }
            Some((sides, at)) => sides[*at].extend_from_slice(line),
        }
    }
    parts.push(Part::Clear(clear));
    parts.retain(|part| !matches!(part, Part::Clear(text) if text.is_empty()));
    open.is_none().then_some(parts)
}

/// The merged file, if nothing conflicts.
pub fn clear(parts: &[Part]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    for part in parts {
        match part {
            Part::Clear(text) => content.extend_from_slice(text),
            Part::Conflict(_) => return None,
        }
    }
    Some(content)
}

/// What stands above the lines that are there.
const OURS: &[u8] = b"<<<<<<< upstream";
/// What stands above the lines that both sides were made from.
const BASE: &[u8] = b"||||||| what the patch was made for";

/// The merged file with git's markers around what conflicts; `theirs` names the patch.
pub fn marked(parts: &[Part], theirs: &str) -> Vec<u8> {
    let mut content = Vec::new();
    let line = |content: &mut Vec<u8>, text: &[u8]| {
        content.extend_from_slice(text);
        if !content.is_empty() && !content.ends_with(b"\n") {
            content.push(b'\n');
        }
    };
    for part in parts {
        match part {
            Part::Clear(text) => content.extend_from_slice(text),
            Part::Conflict(conflict) => {
                line(&mut content, OURS);
                line(&mut content, &conflict.ours);
                line(&mut content, BASE);
                line(&mut content, &conflict.base);
                line(&mut content, b"=======\n");
                line(&mut content, &conflict.theirs);
                line(&mut content, format!(">>>>>>> {theirs}\n").as_bytes());
            }
        }
    }
    content
}

/// The lines (from 1) of `resolved` that are conflict markers: those that [`marked`] put into
/// `shown`, the file as a person found it, and such as a tool of theirs leaves. A line that
/// `shown` has beside its markers, as a text on merges may, is none.
pub fn markers_left(shown: &[u8], theirs: &str, resolved: &[u8]) -> Vec<usize> {
    let lines = |content: &[u8]| -> Vec<Vec<u8>> {
        let lines = content.split(|b| *b == b'\n');
        lines.map(|line| line.trim_ascii_end().to_vec()).collect()
    };
    let (shown, resolved) = (lines(shown), lines(resolved));
    let count = |lines: &[Vec<u8>], line: &[u8]| lines.iter().filter(|l| *l == line).count();
    let theirs = format!(">>>>>>> {theirs}");
    let ours = [OURS, BASE, b"=======", theirs.as_bytes()];
    let conflicts = count(&shown, BASE);
    let is_left = |line: &[u8]| {
        let signs = [&b"<<<<<<< "[..], b"||||||| ", b">>>>>>> "];
        let sign = line == b"=======" && conflicts > 0 || signs.iter().any(|s| line.starts_with(s));
        // Each conflict has one of each.
        let put = if ours.contains(&line) { conflicts } else { 0 };
        sign && count(&resolved, line) > count(&shown, line).saturating_sub(put)
    };
    let left = resolved.iter().zip(1..).filter(|(line, _)| is_left(line));
    left.map(|(_, number)| number).collect()
}

/// What a person made of each conflict of `parts`, read from the file that they left. `None`
/// where lines around the conflicts changed too: then no answer is one place's own.
pub fn answers(parts: &[Part], resolved: &[u8]) -> Option<Vec<(Conflict, Vec<u8>)>> {
    let mut answers = Vec::new();
    let mut rest = resolved;
    let mut open: Option<&Conflict> = None;
    for part in parts {
        match part {
            Part::Conflict(conflict) => {
                // Two with nothing between them: no telling where one ends.
                if open.replace(conflict).is_some() {
                    return None;
                }
            }
            Part::Clear(text) => match open.take() {
                None => rest = rest.strip_prefix(text.as_slice())?,
                Some(conflict) => {
                    let at = find(rest, text)?;
                    answers.push((conflict.clone(), rest[..at].to_vec()));
                    rest = &rest[at + text.len()..];
                }
            },
        }
    }
    match open {
        Some(conflict) => answers.push((conflict.clone(), rest.to_vec())),
        None if rest.is_empty() => {}
        None => return None,
    }
    Some(answers)
}

/// Where `text` stands in `rest` at the beginning of a line, if at one place only.
fn find(rest: &[u8], text: &[u8]) -> Option<usize> {
    let starts = std::iter::once(0).chain(
        rest.iter()
            .enumerate()
            .filter(|(_, b)| **b == b'\n')
            .map(|(at, _)| at + 1),
    );
    let mut found = starts.filter(|at| rest[*at..].starts_with(text));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: &[u8] = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n";

    fn edit(from: &str, to: &str) -> Vec<u8> {
        String::from_utf8_lossy(NUMBERS)
            .replace(from, to)
            .into_bytes()
    }

    #[test]
    fn changes_apart_merge_and_changes_of_one_place_are_shown_with_all_three() {
        let merged =
            three_way("f", NUMBERS, &edit("2\n", "two\n"), &edit("8\n", "eight\n")).unwrap();
        assert_eq!(
            clear(&merged).unwrap(),
            b"1\ntwo\n3\n4\n5\n6\n7\neight\n9\n"
        );
        let merged = three_way("f", NUMBERS, &edit("5\n", "five\n"), &edit("5\n", "V\n")).unwrap();
        assert_eq!(clear(&merged), None);
        let conflict = Conflict {
            ours: b"five\n".into(),
            base: b"5\n".into(),
            theirs: b"V\n".into(),
        };
        assert_eq!(merged[1], Part::Conflict(conflict.clone()));
        let shown = marked(&merged, "patch");
        assert_eq!(markers_left(&shown, "patch", &shown), [5, 7, 9, 11]);
        let resolved = b"1\n2\n3\n4\nfive\nV\n6\n7\n8\n9\n";
        assert!(markers_left(&shown, "patch", resolved).is_empty());
        assert_eq!(
            answers(&merged, resolved).unwrap(),
            [(conflict, b"five\nV\n".to_vec())]
        );
        assert_eq!(answers(&merged, b"0\n2\n3\n4\nV\n6\n7\n8\n9\n"), None);
    }

    #[test]
    fn a_line_of_signs_in_a_file_is_no_marker() {
        let title = format!("title\n{}\n5\n", "=".repeat(40));
        let ours = title.replace("5\n", "five\n");
        let theirs = title.replace("5\n", "V\n");
        let merged = three_way("f", title.as_bytes(), ours.as_bytes(), theirs.as_bytes()).unwrap();
        assert_eq!(merged.len(), 2);
        let shown = marked(&merged, "t");
        assert!(markers_left(&shown, "t", ours.as_bytes()).is_empty());
    }

    #[test]
    fn each_marker_that_is_left_is_found_and_a_line_that_was_there_before_is_none() {
        let text = "title\n=======\n<<<<<<< HEAD\n5\n";
        let ours = text.replace("5\n", "five\n");
        let theirs = text.replace("5\n", "V\n");
        let merged = three_way("f", text.as_bytes(), ours.as_bytes(), theirs.as_bytes()).unwrap();
        let shown = marked(&merged, "t");
        assert!(markers_left(&shown, "t", ours.as_bytes()).is_empty());
        let half = "title\n=======\n<<<<<<< HEAD\nfive\n=======\r\nV\n";
        assert_eq!(markers_left(&shown, "t", half.as_bytes()), [2, 5]);
        for line in ["<<<<<<< stash", ">>>>>>> t"] {
            let left = format!("{line}\n{ours}");
            assert_eq!(markers_left(&shown, "t", left.as_bytes()), [1], "{line}");
        }
        assert!(markers_left(b"a\n", "t", b"a\n=======\n").is_empty());
    }

    #[test]
    fn a_file_that_one_side_emptied_merges_to_an_empty_one() {
        for (ours, theirs) in [(&b""[..], NUMBERS), (NUMBERS, b""), (b"", b"")] {
            let merged = three_way("f", NUMBERS, ours, theirs).unwrap();
            assert_eq!(clear(&merged).unwrap(), b"");
        }
        let added = three_way("f", b"", b"", b"new\n").unwrap();
        assert_eq!(clear(&added).unwrap(), b"new\n");
        for half in ["1\n2\n3\n4\n", "5\n6\n7\n8\n9\n"] {
            let merged = three_way("f", NUMBERS, b"", &edit(half, "")).unwrap();
            assert_eq!(clear(&merged), None);
        }
        let apart = three_way(
            "f",
            NUMBERS,
            &edit("1\n2\n3\n4\n", ""),
            &edit("5\n6\n7\n8\n9\n", ""),
        );
        assert_eq!(clear(&apart.unwrap()), None);
    }

    #[test]
    fn a_binary_file_that_both_sides_changed_is_one_conflict() {
        let merged = three_way("f", b"\0one\ntwo\n", b"\0ONE\ntwo\n", b"\0one\nTWO\n").unwrap();
        assert!(matches!(&merged[..], [Part::Conflict(c)] if c.ours == b"\0ONE\ntwo\n"));
        let merged = three_way("f", b"\0one\n", b"\0one\n", b"text\n").unwrap();
        assert_eq!(clear(&merged).unwrap(), b"text\n");
    }

    #[test]
    fn files_without_an_end_of_line_come_back_whole() {
        let merged = three_way("f", b"a", b"b", b"c").unwrap();
        let shown = String::from_utf8(marked(&merged, "t")).unwrap();
        assert!(shown.contains("\nb\n|||||||"), "{shown}");
        assert_eq!(answers(&merged, b"d").unwrap()[0].1, b"d");
    }
}
