//! The difference of one file as text: two lines of context, whole ids, no renames.

use git2::{DiffOptions, ObjectType, Oid, Patch};

use crate::error::{Doing, Error, Result};
use crate::git::draft::File;

/// What git prints for one path between two trees; empty where both are the same.
///
/// # Errors
/// [`crate::Kind::Usage`] for what a patch of a series can't hold: a file whose mode alone or
/// whose kind changes, an empty file, bytes that are no text.
pub fn unified(path: &str, before: Option<&File>, after: Option<&File>) -> Result<Vec<u8>> {
    if before == after {
        return Ok(Vec::new());
    }
    let wrong = |what: &str| Err(Error::usage(format!("{path} {what}")));
    let sides = [before, after].into_iter().flatten();
    for file in sides {
        if file.content.is_empty() {
            return wrong("is empty on one side, which a patch of a series can't hold");
        }
        if file.content.contains(&0) {
            return wrong("is no text, and a patch of a series changes lines");
        }
        if std::str::from_utf8(&file.content).is_err() {
            return wrong("isn't UTF-8, which a patch of a series has to be");
        }
    }
    let mode = |file: &File| if file.executable { "100755" } else { "100644" };
    let mut text = format!("diff --git a/{path} b/{path}\n").into_bytes();
    let mut shown = "";
    match (before, after) {
        (Some(old), Some(new)) if old.executable != new.executable => {
            return wrong("changes its mode, and a patch of a series changes lines only");
        }
        (Some(old), Some(_)) => shown = mode(old),
        (None, Some(new)) => text.extend(format!("new file mode {}\n", mode(new)).bytes()),
        (Some(old), None) => text.extend(format!("deleted file mode {}\n", mode(old)).bytes()),
        (None, None) => {}
    }
    let id = |file: Option<&File>| -> Result<String> {
        let Some(file) = file else {
            return Ok("0".repeat(40));
        };
        let id = Oid::hash_object(ObjectType::Blob, &file.content);
        Ok(id.doing(|| format!("hashing {path}"))?.to_string())
    };
    let gap = if shown.is_empty() { "" } else { " " };
    text.extend(format!("index {}..{}{gap}{shown}\n", id(before)?, id(after)?).bytes());
    // As git does it, for those who read up to a space.
    let end = if path.contains(' ') { "\t" } else { "" };
    let name = |side: &str, file: Option<&File>| match file {
        Some(_) => format!("{side}/{path}{end}"),
        None => "/dev/null".into(),
    };
    text.extend(format!("--- {}\n+++ {}\n", name("a", before), name("b", after)).bytes());
    hunks(path, before, after, &mut text)?;
    Ok(text)
}

fn hunks(
    path: &str,
    before: Option<&File>,
    after: Option<&File>,
    text: &mut Vec<u8>,
) -> Result<()> {
    let doing = || format!("comparing {path} before and after");
    let content = |file: Option<&'_ File>| file.map_or(Vec::new(), |file| file.content.clone());
    let (old, new) = (content(before), content(after));
    let mut options = DiffOptions::new();
    options
        .context_lines(2)
        .interhunk_lines(0)
        .indent_heuristic(true)
        .force_text(true);
    let patch = Patch::from_buffers(&old, None, &new, None, Some(&mut options)).doing(doing)?;
    for hunk in 0..patch.num_hunks() {
        let (head, count) = patch.hunk(hunk).doing(doing)?;
        let range = |start: u32, lines: u32| match lines {
            1 => start.to_string(),
            lines => format!("{start},{lines}"),
        };
        let ranges = format!(
            "@@ -{} +{} @@\n",
            range(head.old_start(), head.old_lines()),
            range(head.new_start(), head.new_lines())
        );
        text.extend(ranges.bytes());
        for line in 0..count {
            let line = patch.line_in_hunk(hunk, line).doing(doing)?;
            match line.origin() {
                ' ' | '+' | '-' => {
                    text.push(line.origin() as u8);
                    text.extend_from_slice(line.content());
                    if !line.content().ends_with(b"\n") {
                        text.extend_from_slice(b"\n\\ No newline at end of file\n");
                    }
                }
                // libgit2's own words for the same.
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::patch::Patch as SeriesPatch;

    fn file(content: &str) -> File {
        File {
            content: content.into(),
            executable: false,
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same_change() {
        let long: String = (0..40).map(|n| format!("line {n}\n")).collect();
        let texts = [
            "a\n".to_string(),
            "a".into(),
            "a\r\nb\r\n".into(),
            long.clone(),
            long.replace("line 20\n", "line 20\nnew\n"),
            long.replace("line 39\n", "line 39"),
            long.replace("line 0\n", "").replace("line 33\n", "x\ny\n"),
        ];
        for before in &texts {
            for after in &texts {
                let (old, new) = (file(before), file(after));
                let text = unified("d/f", Some(&old), Some(&new)).unwrap();
                let files = SeriesPatch::diffs(std::str::from_utf8(&text).unwrap(), 1).unwrap();
                assert_eq!(files.is_empty(), before == after);
                let Some(change) = files.first() else {
                    continue;
                };
                let mut lines: Vec<&[u8]> =
                    before.as_bytes().split_inclusive(|b| *b == b'\n').collect();
                for hunk in change.hunks.iter().rev() {
                    let at = hunk.old_start - 1;
                    lines.splice(at..at + hunk.old().len(), hunk.new_lines());
                }
                assert_eq!(lines.concat(), after.as_bytes(), "{before:?} to {after:?}");
            }
        }
    }

    #[test]
    fn what_no_patch_of_a_series_can_hold_is_refused() {
        let mut executable = file("a\n");
        executable.executable = true;
        for (before, after) in [
            (Some(file("a\n")), Some(executable)),
            (None, Some(file(""))),
            (Some(file("a\n")), Some(file("a\0"))),
        ] {
            assert!(unified("f", before.as_ref(), after.as_ref()).is_err());
        }
        assert!(unified("f", None, None).unwrap().is_empty());
    }
}
