//! Fetches from remotes with the `git` program, which brings the user's proxies, credentials
//! and URL rewrites; libgit2 has none of them. Never waits for a person, nor for silence.

use std::path::Path;
use std::time::Duration;

use git2::{Oid, Repository};

use crate::error::{Doing, Error, Kind, Result};
use crate::process::{Command, Output};
use crate::ui::Ui;

/// A remote repository.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its URL.
    pub url: String,
    /// How long it may say nothing, from the connection to the last byte.
    pub patience: Duration,
}

/// A reference that a remote offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Full name: `refs/tags/v1`; an annotated tag comes a second time, as `refs/tags/v1^{}`.
    pub name: String,
    /// What it points to.
    pub id: Oid,
}

impl Remote {
    /// The remote at this URL. Fifteen seconds of silence end a try.
    pub fn new(url: &str) -> Self {
        Remote {
            url: url.to_string(),
            patience: Duration::from_secs(15),
        }
    }

    /// Fetches `what` (a commit's id or a reference's full name) without history into `into`;
    /// the commit that it names, tags peeled.
    ///
    /// # Errors
    /// [`Kind::Mirror`] with git's own words.
    pub fn fetch(&self, into: &Repository, what: &str, ui: &dyn Ui) -> Result<Oid> {
        const LANDING: &str = "refs/mlx-fork/fetched";
        let output = self
            .git(into.path())
            .args(["fetch", "--progress", "--depth=1", "--no-tags", "--force"])
            .args(["--no-recurse-submodules", "--end-of-options", &self.url])
            .arg(format!("{what}:{LANDING}"))
            .lines(|_, line| {
                if let Some((done, total)) = counts(line) {
                    ui.progress(done, total, &shown(&self.url));
                }
            })?;
        self.check(&output, what)?;
        let doing = || format!("reading what {} sent", shown(&self.url));
        let landed = into.find_reference(LANDING).doing(doing)?;
        Ok(landed.peel_to_commit().doing(doing)?.id())
    }

    /// Makes `into` a copy of all branches and tags with their history.
    ///
    /// # Errors
    /// [`Kind::Mirror`] with git's own words.
    pub fn mirror(&self, into: &Repository, ui: &dyn Ui) -> Result<()> {
        let output = self
            .git(into.path())
            .args(["fetch", "--progress", "--prune", "--force", "--no-tags"])
            .args(["--no-recurse-submodules", "--end-of-options", &self.url])
            .args(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"])
            .lines(|_, line| {
                if let Some((done, total)) = counts(line) {
                    ui.progress(done, total, &shown(&self.url));
                }
            })?;
        self.check(&output, "its history")
    }

    /// The references that the remote offers; those that end in `name` where one is given.
    pub fn offers(&self, scratch: &Path, name: Option<&str>) -> Result<Vec<Offered>> {
        let output = self
            .git(scratch)
            .args(["ls-remote", "--end-of-options", &self.url])
            .args(
                name.into_iter()
                    .flat_map(|n| [n.into(), format!("{n}^{{}}")]),
            )
            .output()?;
        self.check(&output, name.unwrap_or("its references"))?;
        let offered = output.stdout.lines().filter_map(|line| {
            let (id, name) = line.split_once('\t')?;
            let id = Oid::from_str(id).ok()?;
            let name = name.to_string();
            Some(Offered { name, id })
        });
        Ok(offered.collect())
    }

    fn git(&self, git_dir: &Path) -> Command {
        super::program()
            .silence_limit(self.patience)
            .arg("--git-dir")
            .arg(git_dir)
            .args(["-c", "safe.directory=*"])
            .args(["-c", "core.hooksPath=/dev/null"])
            .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            .args(["-c", "fetch.writeCommitGraph=false"])
    }

    fn check(&self, output: &Output, what: &str) -> Result<()> {
        if output.success() {
            return Ok(());
        }
        if output.timed_out {
            return Err(Error::mirror(format!(
                "{} said nothing for {} s",
                shown(&self.url),
                self.patience.as_secs_f32()
            )));
        }
        let said = complaint(&output.stderr).unwrap_or_else(|| output.ending());
        let said = said.replace(&self.url, &shown(&self.url));
        if said.contains("not our ref") || said.contains("couldn't find remote ref") {
            return Err(Error::mirror(format!("it has no {what} ({said})")));
        }
        Err(Error::new(Kind::Mirror, said))
    }
}

/// `Receiving objects:  45% (423/941)`.
fn counts(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.strip_prefix("Receiving objects:")?.split_once('(')?;
    let (done, rest) = rest.split_once('/')?;
    let (total, _) = rest.split_once(')')?;
    Some((done.parse().ok()?, total.parse().ok()?))
}

/// What git complained of, in one line, without repeats.
fn complaint(stderr: &str) -> Option<String> {
    let mut said: Vec<&str> = Vec::new();
    for line in stderr.lines() {
        let words = ["fatal: ", "error: ", "remote: error: ", "ssh: "]
            .iter()
            .find_map(|prefix| line.strip_prefix(prefix));
        if let Some(words) = words.filter(|words| !said.contains(words)) {
            said.push(words);
        }
    }
    (!said.is_empty()).then(|| said.join("; "))
}

/// The URL without the password or token that it may carry.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_string();
    };
    let host_ends = rest.find('/').unwrap_or(rest.len());
    match rest[..host_ends].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Silent;
    use std::net::TcpListener;

    #[test]
    fn a_remote_that_answers_the_call_and_then_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let repo = crate::git::store::init_bare(&dir.path().join("r")).unwrap();
        let remote = Remote {
            url: format!("git://{}/x", listener.local_addr().unwrap()),
            patience: Duration::from_millis(300),
        };
        let start = std::time::Instant::now();
        let error = remote.fetch(&repo, &"1".repeat(40), &Silent).unwrap_err();
        assert!(
            error.to_string().contains("said nothing for 0.3 s"),
            "{error}"
        );
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_eq!(error.kind(), Kind::Mirror);
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        assert_eq!(shown("https://u:p@h/x@y"), "https://h/x@y");
        assert_eq!(shown("https://h/x"), "https://h/x");
        assert_eq!(shown("git@host:mlx"), "git@host:mlx");
        assert_eq!(shown("ssh://git@host/mlx"), "ssh://host/mlx");
    }

    #[test]
    fn gits_progress_is_read() {
        let line = "Receiving objects:  45% (423/941), 1.2 MiB | 2 MiB/s";
        assert_eq!(counts(line), Some((423, 941)));
        assert_eq!(counts("remote: Counting objects: 100% (3/3)"), None);
    }
}
