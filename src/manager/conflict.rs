//! What a person is told of a conflict: every place, of every patch that fails, and the
//! commits of upstream that moved it where a history is at hand.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::git::history::History;
use crate::git::place::Misfit;
use crate::git::stack::Stuck;
use crate::manager::plan::Plan;

/// A clone with history, and the commits between which it is looked at.
pub struct Past<'a> {
    /// The clone.
    pub history: &'a History,
    /// The commit that the patches were made for.
    pub from: String,
    /// The commit that they go to.
    pub to: String,
}

/// The error of an operation that stopped at `at`.
pub fn error(plan: &Plan, at: &str, stuck: &[Stuck], past: Option<&Past<'_>>) -> Result<Error> {
    let mut what = format!("`{plan}` stopped at {at}: conflicts");
    for stuck in stuck {
        for misfit in &stuck.misfits {
            what.push_str(&format!("\n{misfit}"));
            if let Some(past) = past {
                what.push_str(&past.movers(misfit)?);
            }
        }
    }
    let mut later: Vec<&str> = stuck
        .iter()
        .map(|stuck| stuck.feature.as_str())
        .filter(|feature| *feature != at)
        .collect();
    later.dedup();
    let mut error = Error::conflict(what);
    for stuck in stuck.iter().filter(|stuck| stuck.feature == at) {
        error = error.hint(match (&stuck.parts[..], &stuck.shown) {
            ([], None) => format!(
                "mlx_local/{} is gone upstream: put its change where it belongs now, or leave it",
                stuck.path
            ),
            ([], Some(_)) => format!(
                "mlx_local/{}: only one side has this file; keep, change or delete it",
                stuck.path
            ),
            _ => format!(
                "mlx_local/{} has the places between <<<<<<< and >>>>>>>",
                stuck.path
            ),
        });
    }
    if !later.is_empty() {
        error = error.hint(format!("after it, {} will conflict too", later.join(", ")));
    }
    Ok(error)
}

impl Past<'_> {
    /// The commits that changed the lines of a hunk, a line each.
    fn movers(&self, misfit: &Misfit) -> Result<String> {
        let lines = misfit.hunk.as_deref().and_then(old_lines);
        // Without a hunk it is the file as a whole: a line of it shows what became of it.
        let lines = lines.unwrap_or(1..2);
        let movers = self
            .history
            .movers(&misfit.path, lines, &self.from, &self.to)?;
        let mut text = String::new();
        for commit in movers {
            text.push_str(&format!(
                "\n    upstream {} {} {}",
                &commit.id[..10],
                commit.date,
                commit.subject
            ));
        }
        Ok(text)
    }
}

/// The lines before the change of `@@ -3,4 +3,5 @@`.
fn old_lines(header: &str) -> Option<Range<usize>> {
    let old = header.strip_prefix("@@ -")?.split(' ').next()?;
    let (start, count) = old.split_once(',').unwrap_or((old, "1"));
    let (start, count): (usize, usize) = (start.parse().ok()?, count.parse().ok()?);
    Some(start..start + count)
}

#[cfg(test)]
mod tests {
    use super::old_lines;

    #[test]
    fn the_lines_of_a_hunk_are_read_from_its_head() {
        assert_eq!(old_lines("@@ -3,4 +3,5 @@"), Some(3..7));
        assert_eq!(old_lines("@@ -3 +3,5 @@"), Some(3..4));
        assert_eq!(old_lines("3"), None);
    }
}
