//! A remote's history, kept in a folder of the tool's own and brought up to date on each use.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Doing, Result, writing};
use crate::git::fetch::{Remote, shown};
use crate::git::store;
use crate::ui::Ui;

/// The folder below `all` that has the history of `url`: a bare repository with all of its
/// branches and tags, as the remote has them now.
///
/// # Errors
/// [`crate::Kind::Mirror`] where the remote doesn't serve.
pub fn copy_of(url: &str, all: &Path, ui: &dyn Ui) -> Result<PathBuf> {
    let key: String = Sha256::digest(url.as_bytes())[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let folder = all.join(format!("{key}.git"));
    if !folder.join("HEAD").exists() {
        fs::create_dir_all(all).doing(writing(all))?;
        // It gets its name when it is one: a killed run leaves no half of a repository there.
        let new = tempfile::Builder::new()
            .prefix("new-")
            .tempdir_in(all)
            .doing(writing(all))?;
        store::init_bare(&new.path().join("git"))?;
        fs::rename(new.path().join("git"), &folder).doing(writing(&folder))?;
    }
    let repo = crate::git::open(&folder).doing(|| format!("opening {}", folder.display()))?;
    Remote::new(url)
        .mirror(&repo, ui)
        .doing(|| format!("fetching the history of {}", shown(url)))?;
    Ok(folder)
}
