//! Everything that uses libgit2 or the `git` program. Knows nothing of MLX.

pub mod apply;
pub mod aside;
pub mod branch;
pub mod carry;
pub mod changes;
pub mod checkout;
pub mod compose;
pub mod diff;
pub mod draft;
pub mod edits;
pub mod fetch;
pub mod history;
pub mod local;
pub mod merge;
pub mod place;
pub mod record;
pub mod refs;
pub mod stack;
pub mod store;
pub mod survey;
pub mod tree;
pub mod trees;
pub mod worktree;

use std::path::Path;
use std::sync::Once;

use git2::{ConfigLevel, opts};
pub use git2::{Oid, Repository};

use crate::error::{Doing, Error, Result};
use crate::process::Command;

/// What the system says where it is to blame, and the way out.
const WAYS_OUT: &[(&str, &str)] = &[
    (
        "No space left",
        "free some disk space and run the same command again",
    ),
    (
        "quota exceeded",
        "free some disk space and run the same command again",
    ),
    (
        "File too large",
        "raise `ulimit -f` and run the same command again",
    ),
    (
        "Read-only file system",
        "make the folder writable for this user and run again",
    ),
    (
        "Permission denied",
        "make the folder writable for this user and run again",
    ),
];

impl<T> Doing<T> for std::result::Result<T, git2::Error> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| {
            // Where a write fails half way, libgit2 may have no words for it.
            if matches!(e.message(), "" | "no error") {
                return Error::environment("libgit2 failed and doesn't say why")
                    .doing(doing())
                    .hint("a full disk is the usual reason: free some space and run the same command again");
            }
            let error = Error::environment(e.message()).doing(doing());
            // libgit2 hands on only the system's words.
            let way_out = WAYS_OUT
                .iter()
                .find(|(words, _)| e.message().contains(words));
            way_out
                .iter()
                .fold(error, |error, (_, hint)| error.hint(*hint))
        })
    }
}

/// The bytes of a commit object.
pub fn raw_commit(repo: &Repository, id: Oid) -> Result<Vec<u8>> {
    let doing = || format!("reading the commit {id}");
    let odb = repo.odb().doing(doing)?;
    Ok(odb.read(id).doing(doing)?.data().to_vec())
}

/// Opens the repository at exactly this folder; none of its parents is looked at.
pub fn open(folder: &Path) -> std::result::Result<Repository, git2::Error> {
    isolate();
    Repository::open(folder)
}

/// Makes libgit2 the same in every home folder: a person's `core.autocrlf`, templates or
/// attributes must not get into trees and checkouts. Done once a process.
pub fn isolate() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let levels = [
            ConfigLevel::ProgramData,
            ConfigLevel::System,
            ConfigLevel::XDG,
            ConfigLevel::Global,
        ];
        for level in levels {
            // SAFETY: a global of libgit2, written once, before this process opens a repository.
            let _ = unsafe { opts::set_search_path(level, "") };
        }
        // The check protects programs that run hooks; libgit2 runs none, and a project in a
        // container's volume often belongs to another user.
        // SAFETY: as above.
        let _ = unsafe { opts::set_verify_owner_validation(false) };
    });
}

/// The git program, for whatever repository its arguments name.
pub fn program() -> Command {
    unhooked(Command::new("git"))
}

/// Takes from a command what a git hook or an alias that started us has set: it must not reach
/// another repository, and git speaks as scripts read it.
pub fn unhooked(command: Command) -> Command {
    let inherited = [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_SHALLOW_FILE",
        "GIT_DIFF_OPTS",
        "LANGUAGE",
    ];
    let command = inherited.iter().fold(command, |c, name| c.env_remove(name));
    command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C")
}
