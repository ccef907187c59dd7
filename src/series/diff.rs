//! Reads the diffs of a patch file, line by line, and refuses what a hook may not do.

use std::fmt;

use crate::error::{Error, Result};
use crate::series::patch::{Action, FilePatch, Hunk, Side};
use crate::series::path;

/// Walks the lines of a diff.
pub struct Reader<'a> {
    lines: Vec<&'a str>,
    at: usize,
    /// The line of the patch file where `lines` begins.
    first: usize,
}

impl<'a> Reader<'a> {
    /// Of a diff that begins at line `first` of its file.
    pub fn new(diff: &'a str, first: usize) -> Self {
        Reader {
            lines: diff.split_inclusive('\n').collect(),
            at: 0,
            first,
        }
    }

    /// True when all is read.
    pub fn done(&self) -> bool {
        self.at >= self.lines.len()
    }

    fn peek(&self) -> Option<&'a str> {
        self.lines
            .get(self.at)
            .map(|line| line.trim_end_matches('\n'))
    }

    fn wrong(&self, what: impl fmt::Display) -> Error {
        Error::usage(format!("line {}: {what}", self.first + self.at))
    }

    /// Takes the next line if it starts with `start`; gives what follows.
    fn take(&mut self, start: &str) -> Option<&'a str> {
        let rest = self.peek()?.strip_prefix(start)?;
        self.at += 1;
        Some(rest)
    }

    /// The diff of the next file.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`], with the line, for whatever isn't a plain change of lines.
    pub fn file(&mut self) -> Result<FilePatch> {
        let begin = self.at;
        let Some(names) = self.take("diff --git ") else {
            let what = match self.peek() {
                Some("-- ") => {
                    "a signature, and nothing may follow the last hunk (git format-patch --no-signature)"
                }
                _ => "neither a line of a hunk nor the diff of another file",
            };
            return Err(self.wrong(what));
        };
        let path = same_names(names).map_err(|what| {
            self.at = begin;
            self.wrong(what)
        })?;
        if let Some(why) = path::refuse(path) {
            self.at = begin;
            return Err(self.wrong(format!("the path {path:?} {why}")));
        }
        let action = self.action()?;
        let index = self.index()?;
        for start in ["GIT binary patch", "Binary files "] {
            if self.peek().is_some_and(|line| line.starts_with(start)) {
                return Err(self.wrong("a binary diff"));
            }
        }
        if self
            .peek()
            .is_none_or(|line| line.starts_with("diff --git "))
        {
            return Err(self.wrong(format!("{path}: a diff without hunks")));
        }
        let names = match action {
            Action::Change => (format!("a/{path}"), format!("b/{path}")),
            Action::Create { .. } => ("/dev/null".into(), format!("b/{path}")),
            Action::Delete => (format!("a/{path}"), "/dev/null".into()),
        };
        for (start, name) in [("--- ", &names.0), ("+++ ", &names.1)] {
            let line = self.peek().and_then(|line| line.strip_prefix(start));
            // git ends a name with a space in it by a tab.
            let there = line.map(|line| line.strip_suffix('\t').unwrap_or(line));
            if there != Some(name.as_str()) {
                return Err(self.wrong(format!("expected `{start}{name}`")));
            }
            self.at += 1;
        }
        let mut hunks = Vec::new();
        while self.peek().is_some_and(|line| line.starts_with("@@")) {
            let hunk = self.hunk(action, hunks.last())?;
            hunks.push(hunk);
        }
        if hunks.is_empty() {
            return Err(self.wrong(format!("{path}: a diff without hunks")));
        }
        Ok(FilePatch {
            path: path.into(),
            action,
            index,
            hunks,
        })
    }

    /// The lines between `diff --git` and `index` that say what happens to the file.
    fn action(&mut self) -> Result<Action> {
        for (start, what) in [
            ("old mode", "changes a file's mode"),
            ("new mode", "changes a file's mode"),
            ("similarity index", "renames or copies a file"),
            ("dissimilarity index", "rewrites a file"),
            ("rename ", "renames a file"),
            ("copy ", "copies a file"),
        ] {
            if self.peek().is_some_and(|line| line.starts_with(start)) {
                return Err(self.wrong(format!("{what}, and a hook may only change lines")));
            }
        }
        let at = self.at;
        let action = if let Some(mode) = self.take("new file mode ") {
            (
                mode,
                Action::Create {
                    executable: mode == "100755",
                },
            )
        } else if let Some(mode) = self.take("deleted file mode ") {
            (mode, Action::Delete)
        } else {
            return Ok(Action::Change);
        };
        match action {
            ("100644" | "100755", action) => Ok(action),
            (mode, _) => {
                self.at = at;
                Err(self.wrong(format!(
                    "the mode {mode} is no plain file (120000: symbolic link, 160000: submodule)"
                )))
            }
        }
    }

    fn index(&mut self) -> Result<Option<(String, String)>> {
        let at = self.at;
        let Some(rest) = self.take("index ") else {
            return Ok(None);
        };
        let (ids, mode) = rest.split_once(' ').unwrap_or((rest, "100644"));
        let ids = ids.split_once("..");
        let whole = |id: &str| crate::config::is_object_id(id);
        if let Some((old, new)) = ids
            && whole(old)
            && whole(new)
            && matches!(mode, "100644" | "100755")
        {
            return Ok(Some((old.into(), new.into())));
        }
        self.at = at;
        Err(self.wrong(
            "the index line isn't two ids of 40 hex digits and a plain file's mode (git diff --full-index)",
        ))
    }

    fn hunk(&mut self, action: Action, before: Option<&Hunk>) -> Result<Hunk> {
        let header = self.peek().unwrap_or_default();
        let Some((ranges, shown)) = ranges(header) else {
            return Err(self.wrong(format!("`{header}` is no head of a hunk")));
        };
        let [old_start, old_count, new_start, new_count] = ranges;
        let start = self.at;
        self.at += 1;
        let (mut old_left, mut new_left) = (old_count, new_count);
        let mut lines: Vec<(Side, Vec<u8>)> = Vec::new();
        while old_left + new_left > 0 {
            let Some(line) = self.lines.get(self.at) else {
                return Err(self.wrong(format!(
                    "the patch ends inside the hunk {shown}: {old_left} old and {new_left} new lines are missing"
                )));
            };
            let (side, rest) = match line.as_bytes()[0] {
                b' ' => (Side::Both, &line[1..]),
                b'-' => (Side::Old, &line[1..]),
                b'+' => (Side::New, &line[1..]),
                // Editors that strip blanks turn an empty context line into this.
                b'\n' => (Side::Both, *line),
                _ => return Err(self.wrong(format!("no line of a hunk, and {shown} isn't complete: {old_left} old and {new_left} new lines are missing"))),
            };
            for (left, other) in [(&mut old_left, Side::New), (&mut new_left, Side::Old)] {
                if side != other {
                    *left = left.checked_sub(1).ok_or_else(|| {
                        Error::usage(format!(
                            "line {}: the hunk {shown} has more lines than its head says",
                            self.first + self.at
                        ))
                    })?;
                }
            }
            self.at += 1;
            let mut line = rest.as_bytes().to_vec();
            if self.take("\\ ").is_some() {
                line.pop();
            }
            lines.push((side, line));
        }
        let at = |what: &str| {
            Err(Error::usage(format!(
                "line {}: {shown} {what}",
                self.first + start
            )))
        };
        if lines.iter().all(|(side, _)| *side == Side::Both) {
            return at("changes nothing");
        }
        match action {
            Action::Change if old_count == 0 => {
                return at("has no line of the file, so that its place can't be checked");
            }
            Action::Change if old_start == 0 || new_start == 0 && new_count > 0 => {
                return at("begins at line 0");
            }
            Action::Create { .. } if (old_start, old_count, new_start) != (0, 0, 1) => {
                return at("isn't the one hunk of a new file");
            }
            Action::Delete if (new_start, new_count, old_start) != (0, 0, 1) => {
                return at("isn't the one hunk of a deleted file");
            }
            _ => {}
        }
        // Places must follow from each other: a hunk that says another place than the sum
        // of those before it lies about one of the two.
        let (end, shift) = match before {
            None => (1, 0),
            Some(_) if action != Action::Change => {
                return at("is a second hunk of a file made or deleted");
            }
            Some(hunk) => {
                let (old, new) = (hunk.old().len(), hunk.new_lines().len());
                let last = (hunk.new_start + new) as i64 - (hunk.old_start + old) as i64;
                (hunk.old_start + old, last)
            }
        };
        // An empty side is numbered by the line before it.
        let new_first = new_start as i64 + i64::from(new_count == 0);
        if action == Action::Change && (old_start < end || new_first - old_start as i64 != shift) {
            return at("says a place that doesn't follow from the hunks before it");
        }
        let new_start = usize::try_from(new_first).unwrap_or_default();
        Ok(Hunk {
            header: shown,
            old_start,
            new_start,
            lines,
        })
    }
}

/// `a/PATH b/PATH` with the same path twice.
fn same_names(names: &str) -> Result<&str, String> {
    if names.starts_with('"') {
        return Err("a quoted path: it has characters that a hook's path must not have".into());
    }
    // Twice the path, `a/`, `b/` and a blank.
    let half = names
        .len()
        .checked_sub(5)
        .filter(|n| n % 2 == 0)
        .map(|n| n / 2);
    let pair = half.and_then(|n| Some((names.get(..n + 2)?, names.get(n + 3..)?)));
    let paths = pair.and_then(|(a, b)| Some((a.strip_prefix("a/")?, b.strip_prefix("b/")?)));
    let twice = names.len() / 2;
    if paths.is_none() && twice > 0 && names.get(..twice) == names.get(twice + 1..) {
        return Err(format!("`{names}` has no `a/` and `b/` before its paths"));
    }
    match paths {
        Some((a, b)) if a == b => Ok(a),
        _ => Err(format!(
            "`{names}` isn't `a/PATH b/PATH` with one path: a rename, or a path outside the tree"
        )),
    }
}

/// The four numbers of `@@ -1,2 +3,4 @@ …`, and that head without the text behind it.
fn ranges(header: &str) -> Option<([usize; 4], String)> {
    let (inside, behind) = header.strip_prefix("@@ -")?.split_once(" @@")?;
    if !behind.is_empty() && !behind.starts_with(' ') {
        return None;
    }
    let (old, new) = inside.split_once(" +")?;
    let range = |text: &str| -> Option<(usize, usize)> {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        let number = |s: &str| -> Option<usize> {
            let digits = !s.is_empty() && s.len() < 9 && s.bytes().all(|b| b.is_ascii_digit());
            s.parse().ok().filter(|_| digits)
        };
        Some((number(start)?, number(count)?))
    };
    let ((a, b), (c, d)) = (range(old)?, range(new)?);
    Some(([a, b, c, d], format!("@@ -{inside} @@")))
}

#[cfg(test)]
mod tests {
    use super::same_names;

    #[test]
    fn names_are_read_only_where_both_are_one() {
        assert_eq!(same_names("a/x b/y b/x b/y"), Ok("x b/y"));
        for wrong in ["a/x b/y", "a/x", "", " ", "a/ b/x", "x b/x", "a/é b/x"] {
            assert!(same_names(wrong).is_err(), "{wrong}");
        }
        assert!(same_names("x/y x/y").unwrap_err().contains("no `a/`"));
    }
}
