//! Which lines of a text became which lines of another: ranges only, for whoever follows
//! lines through time. What the lines say is not looked at.

use std::ops::Range;

use git2::{DiffOptions, Patch};

use crate::error::{Doing, Result};

/// Lines that became other lines; counted from 0, ends excluded. One of the two may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// In the old text.
    pub old: Range<usize>,
    /// In the new one.
    pub new: Range<usize>,
}

/// All changes between two texts, in their order.
pub fn between(old: &[u8], new: &[u8]) -> Result<Vec<Change>> {
    let doing = || "comparing two versions of a file".to_string();
    let mut options = DiffOptions::new();
    options.context_lines(0).force_text(true);
    let patch = Patch::from_buffers(old, None, new, None, Some(&mut options)).doing(doing)?;
    let mut changes = Vec::new();
    for at in 0..patch.num_hunks() {
        let (hunk, _) = patch.hunk(at).doing(doing)?;
        changes.push(Change {
            old: range(hunk.old_start(), hunk.old_lines()),
            new: range(hunk.new_start(), hunk.new_lines()),
        });
    }
    Ok(changes)
}

/// A diff counts from 1, and names the line before where there is none.
fn range(start: u32, count: u32) -> Range<usize> {
    let first = if count == 0 { start } else { start - 1 } as usize;
    first..first + count as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_of_lines_is_found_where_it_stands() {
        let changes = between(b"a\nb\nc\nd\n", b"new\na\nB1\nB2\nc\n").unwrap();
        let ranges: Vec<_> = changes.into_iter().map(|c| (c.old, c.new)).collect();
        assert_eq!(ranges, [(0..0, 0..1), (1..2, 2..4), (3..4, 5..5)]);
    }

    #[test]
    fn equal_texts_have_none_and_an_empty_one_is_all_new() {
        assert_eq!(between(b"a\0\n", b"a\0\n").unwrap(), []);
        let all = between(b"", b"a\nb\n").unwrap();
        assert_eq!((all[0].old.clone(), all[0].new.clone()), (0..0, 0..2));
    }
}
