//! Everything that uses libgit2 or the `git` program. Knows nothing of MLX.

pub mod apply;
pub mod checkout;
pub mod compose;
pub mod draft;
pub mod edits;
pub mod fetch;
pub mod place;
pub mod port;
pub mod refs;
pub mod store;
pub mod survey;
pub mod tree;
pub mod worktree;

use std::path::Path;
use std::sync::Once;

use git2::{ConfigLevel, Repository, opts};

use crate::error::{Doing, Error, Result};

impl<T> Doing<T> for std::result::Result<T, git2::Error> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| {
            let error = Error::environment(e.message()).doing(doing());
            if e.message().contains("No space left") {
                return error.hint("free some disk space and run the same command again");
            }
            error
        })
    }
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
