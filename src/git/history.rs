//! A clone of upstream with its history: its commits in order, and which of them changed the
//! lines around a hunk. Only read: whose clone it is doesn't matter, nothing in it changes.

mod copy;
mod movers;

use std::path::{Path, PathBuf};

use git2::{Commit, ErrorCode, ObjectType, Oid, Repository, Sort};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::series::header::civil;

pub use copy::copy_of;

/// A commit of upstream, as people speak of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its id, 40 hex digits.
    pub id: String,
    /// The day on which it got into upstream, `2026-08-22`, where its committer was.
    pub date: String,
    /// The first line of its message.
    pub subject: String,
    /// The pull request that it came from: `(#1234)` at the end of the subject.
    pub pull_request: Option<u32>,
}

/// A clone with history.
pub struct History {
    repo: Repository,
    path: PathBuf,
}

impl History {
    /// Opens the clone in this folder, bare or with a work tree.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] where there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let repo = super::open(path).map_err(|e| {
            Error::usage(format!("it is no git repository: {}", e.message()))
                .doing(format!("opening the history at {}", path.display()))
                .hint("--history takes a clone of MLX (its folder, or a bare one), or a URL")
        })?;
        Ok(History {
            repo,
            path: path.to_path_buf(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if it has this commit with its tree.
    pub fn has(&self, commit: &str) -> bool {
        let id = Oid::from_str(commit);
        id.is_ok_and(|id| self.repo.find_commit(id).is_ok_and(|c| c.tree().is_ok()))
    }

    /// The commit that a tag, a branch (of `origin` too) or an id means; `A^` and `A~3` as in
    /// git. `None` where it means nothing here.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] for an abbreviated id that several commits have.
    pub fn find(&self, name: &str) -> Result<Option<String>> {
        for name in [name, &format!("refs/remotes/origin/{name}")] {
            let found = match self.repo.revparse_single(name) {
                Ok(found) => found,
                Err(e) if e.code() == ErrorCode::Ambiguous => {
                    return Err(Error::usage(format!("several commits begin with {name}"))
                        .hint("more digits of its id tell which"));
                }
                Err(_) => continue,
            };
            if let Ok(commit) = found.peel(ObjectType::Commit) {
                return Ok(Some(commit.id().to_string()));
            }
        }
        Ok(None)
    }

    /// What is known of one commit.
    pub fn upstream(&self, commit: &str) -> Result<Upstream> {
        Ok(described(&self.commit(commit)?))
    }

    /// The commits after `from` up to `to`, first parents only, oldest first.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] where `from` is no ancestor of `to`, or the clone is cut off
    /// before it.
    pub fn range(&self, from: &str, to: &str) -> Result<Vec<Upstream>> {
        let ids = self.walk(self.commit(from)?.id(), self.commit(to)?.id())?;
        let commit = |id: &Oid| self.repo.find_commit(*id).map(|c| described(&c));
        let commits: std::result::Result<_, _> = ids.iter().map(commit).collect();
        commits.doing(|| format!("reading the commits of {}", self.path.display()))
    }

    fn walk(&self, from: Oid, to: Oid) -> Result<Vec<Oid>> {
        let doing = || format!("walking from {from} to {to} in {}", self.path.display());
        if from == to {
            return Ok(Vec::new());
        }
        if !self.repo.graph_descendant_of(to, from).doing(doing)? {
            let [from, to] = [from, to].map(|id| id.to_string());
            let error = Error::usage(format!("{from:.10} is no ancestor of {to:.10}"));
            return Err(match self.repo.is_shallow() {
                true => {
                    error.hint("this clone has no full history (`git fetch --unshallow` brings it)")
                }
                false => error.hint("a range is OLDER..NEWER"),
            }
            .doing(doing()));
        }
        let mut walk = self.repo.revwalk().doing(doing)?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)
            .doing(doing)?;
        walk.simplify_first_parent().doing(doing)?;
        walk.push(to).doing(doing)?;
        walk.hide(from).doing(doing)?;
        let ids: std::result::Result<_, _> = walk.collect();
        ids.doing(doing)
    }

    fn commit(&self, id: &str) -> Result<Commit<'_>> {
        let doing = || {
            format!(
                "reading the commit {id} of the history at {}",
                self.path.display()
            )
        };
        let id = Oid::from_str(id).doing(doing)?;
        self.repo.find_commit(id).doing(doing)
    }
}

fn described(commit: &Commit<'_>) -> Upstream {
    let subject = commit.summary_bytes().unwrap_or_default();
    let subject = String::from_utf8_lossy(subject).into_owned();
    let time = commit.time();
    Upstream {
        id: commit.id().to_string(),
        date: day(time.seconds() + i64::from(time.offset_minutes()) * 60),
        pull_request: pull_request(&subject),
        subject,
    }
}

/// `Subject (#1234)`.
fn pull_request(subject: &str) -> Option<u32> {
    let (_, number) = subject.trim_end().strip_suffix(')')?.rsplit_once("(#")?;
    number.parse().ok()
}

/// The day of the calendar, from seconds since 1970.
fn day(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::{day, pull_request};

    #[test]
    fn a_pull_request_is_the_number_at_the_subjects_end() {
        assert_eq!(pull_request("Fix a (#12) thing (#3433)"), Some(3433));
        for none in ["Fix #3433", "Fix (#3433) it", "Fix (#x)", ""] {
            assert_eq!(pull_request(none), None, "{none}");
        }
    }

    #[test]
    fn days_follow_the_calendar() {
        for (seconds, shown) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400, "2000-02-29"),
            (1_709_251_199, "2024-02-29"),
            (1_767_225_600, "2026-01-01"),
        ] {
            assert_eq!(day(seconds), shown);
        }
    }
}
