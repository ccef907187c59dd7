//! Which commits changed the lines around a hunk: its lines are followed from version to
//! version of their file, under each of its names.

use std::ops::Range;

use git2::{Delta, DiffFindOptions, DiffOptions, Oid, Tree};

use super::{History, Upstream, described};
use crate::error::{Doing, Result};
use crate::git::changes::{self, Change};

/// A change this many lines away is still one of the hunk's place: what a patch shows around
/// its lines.
const CONTEXT: usize = 2;

impl History {
    /// The commits between `from` and `to` (first parents) that changed lines `lines` of the
    /// file `path`, or the two lines before and after them, or gave the file another name, or
    /// took it away. Lines count from 1, as they stand at `from`; the end is excluded.
    ///
    /// Where `to` is the older of the two, the way is walked backwards. Oldest first, each once.
    ///
    /// # Errors
    /// As [`History::range`].
    pub fn movers(
        &self,
        path: &str,
        lines: Range<usize>,
        from: &str,
        to: &str,
    ) -> Result<Vec<Upstream>> {
        let (from, to) = (self.commit(from)?.id(), self.commit(to)?.id());
        let doing = || format!("following {path} through {}", self.path.display());
        let back = from != to && self.repo.graph_descendant_of(from, to).doing(doing)?;
        let mut ids = if back {
            self.walk(to, from)?
        } else {
            self.walk(from, to)?
        };
        // Backwards, a commit leads from its own tree to that of the commit before it.
        let mut trees = ids.clone();
        if back {
            ids.reverse();
            trees.reverse();
            trees.remove(0);
            trees.push(to);
        }
        let mut followed = Followed {
            path: path.to_string(),
            lines: lines.start.saturating_sub(1)..lines.end.saturating_sub(1),
        };
        let mut old = self.tree(from)?;
        let mut found = Vec::new();
        for (id, tree) in ids.into_iter().zip(trees) {
            let new = self.tree(tree)?;
            let step = self.step(&old, &new, &mut followed).doing(doing)?;
            if step != Step::Untouched {
                found.push(described(&self.repo.find_commit(id).doing(doing)?));
            }
            if step == Step::Gone {
                break;
            }
            old = new;
        }
        if back {
            found.reverse();
        }
        Ok(found)
    }

    fn tree(&self, commit: Oid) -> Result<Tree<'_>> {
        let commit = self.repo.find_commit(commit);
        commit
            .and_then(|commit| commit.tree())
            .doing(|| format!("reading a tree of {}", self.path.display()))
    }

    fn step(&self, old: &Tree<'_>, new: &Tree<'_>, followed: &mut Followed) -> Result<Step> {
        let doing = || "comparing two commits".to_string();
        let at = |tree: &Tree<'_>, path: &str| tree.get_path(path.as_ref()).ok().map(|e| e.id());
        let (was, mut is) = (at(old, &followed.path), at(new, &followed.path));
        let Some(was) = was else {
            return Ok(Step::Gone);
        };
        if is == Some(was) {
            return Ok(Step::Untouched);
        }
        let mut renamed = false;
        if is.is_none() {
            let Some(name) = self.renamed(old, new, &followed.path)? else {
                return Ok(Step::Gone);
            };
            is = at(new, &name);
            followed.path = name;
            renamed = true;
        }
        let (Some(was), Some(is)) = (
            self.repo.find_blob(was).ok(),
            is.and_then(|is| self.repo.find_blob(is).ok()),
        ) else {
            return Ok(Step::Gone);
        };
        let changes = changes::between(was.content(), is.content()).doing(doing)?;
        let touched = followed.through(&changes);
        Ok(match touched || renamed {
            true => Step::Touched,
            false => Step::Untouched,
        })
    }

    /// The file's new name, where git takes one for it.
    fn renamed(&self, old: &Tree<'_>, new: &Tree<'_>, path: &str) -> Result<Option<String>> {
        let doing = || format!("looking for the new name of {path}");
        let mut diff = self
            .repo
            .diff_tree_to_tree(Some(old), Some(new), Some(&mut DiffOptions::new()))
            .doing(doing)?;
        diff.find_similar(Some(DiffFindOptions::new().renames(true)))
            .doing(doing)?;
        let renamed = diff.deltas().find(|delta| {
            delta.status() == Delta::Renamed
                && delta.old_file().path_bytes() == Some(path.as_bytes())
        });
        let name = renamed.and_then(|delta| delta.new_file().path_bytes().map(<[u8]>::to_vec));
        Ok(name.and_then(|name| String::from_utf8(name).ok()))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Untouched,
    Touched,
    /// The file is no more: nothing is left to follow.
    Gone,
}

/// Lines of a file on their way; from 0, the end excluded.
#[derive(Debug)]
struct Followed {
    path: String,
    lines: Range<usize>,
}

impl Followed {
    /// Moves on to the next version; true where a change was at the lines or beside them.
    fn through(&mut self, changes: &[Change]) -> bool {
        let (start, end) = (self.lines.start, self.lines.end);
        let (mut new_start, mut new_end) = (start, end);
        let mut touched = false;
        for Change { old, new } in changes {
            let grown = new.len() as isize - old.len() as isize;
            touched |= old.start < end + CONTEXT && old.end + CONTEXT > start;
            if old.end <= start {
                new_start = new_start.saturating_add_signed(grown);
            } else if old.start < start {
                // Across the first line: the new lines are part of the place.
                new_start -= start - old.start;
            }
            if old.start < end || old.end <= start {
                let inside = old.end.min(end) as isize - old.start as isize;
                new_end = new_end.saturating_add_signed(new.len() as isize - inside);
            }
        }
        self.lines = new_start..new_end.max(new_start);
        touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines 5..8 after one change, and whether it touched them.
    fn through(old: Range<usize>, new: Range<usize>) -> (Range<usize>, bool) {
        let mut followed = Followed {
            path: String::new(),
            lines: 5..8,
        };
        let touched = followed.through(&[Change { old, new }]);
        (followed.lines, touched)
    }

    #[test]
    fn lines_far_above_shift_them_and_are_no_change_of_theirs() {
        assert_eq!(through(0..0, 0..4), (9..12, false));
        assert_eq!(through(1..3, 1..1), (3..6, false));
        assert_eq!(through(2..3, 2..5), (7..10, false));
        assert_eq!(through(3..3, 3..4), (6..9, false), "above the context");
    }

    #[test]
    fn the_context_belongs_to_the_place() {
        assert_eq!(through(3..4, 3..4), (5..8, true));
        assert_eq!(through(4..4, 4..6), (7..10, true));
        assert_eq!(through(8..8, 8..9), (5..8, true), "directly behind");
        assert_eq!(through(9..10, 9..10), (5..8, true));
        assert_eq!(through(10..10, 10..11), (5..8, false));
    }

    #[test]
    fn a_change_inside_or_across_leaves_what_it_left_and_what_came() {
        assert_eq!(through(6..7, 6..9), (5..10, true));
        assert_eq!(through(4..6, 4..5), (4..7, true));
        assert_eq!(through(7..9, 7..8), (5..8, true));
        assert_eq!(through(4..9, 4..5), (4..5, true));
        assert_eq!(through(5..8, 5..5), (5..5, true));
    }
}
