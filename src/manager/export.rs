//! Patches for others: each feature whole, overlay files too, as `git am` takes them.

use std::path::{Path, PathBuf};

use crate::error::{Doing, Error, Result, writing};
use crate::git::draft::Found;
use crate::git::{diff, stack};
use crate::manager::Manager;
use crate::series::{self, export};

/// Writes one patch file a feature into `folder`; applied in order to the series' pin they
/// make the fork.
///
/// # Errors
/// [`crate::Kind::Usage`] where a file is there already, or an overlay file is no text.
pub fn export(manager: &Manager<'_>, folder: &Path) -> Result<Vec<PathBuf>> {
    let series = series::load(manager.layout)?;
    let pin = manager.pin(&series.base)?;
    let (exact, misfits) = stack::exactly(&manager.repo, &series, pin)?;
    stack::refuse(&misfits, &format!("the pin {}", series.base))?;
    let mut files = Vec::new();
    for (layer, feature) in series.features.iter().enumerate() {
        let mut diffs = Vec::new();
        for (path, after) in &exact.layers()[layer] {
            let before = match exact.find_below(layer, path)? {
                Found::File(file) => Some(file),
                _ => None,
            };
            diffs.push(diff::unified(path, before.as_ref(), after.as_ref())?);
        }
        let patch = export::patch(&feature.patch.name, &feature.patch.header, &diffs)
            .doing(|| format!("writing the whole patch of {}", feature.name))?;
        files.push((folder.join(&feature.patch.name), patch.bytes));
    }
    if let Some((there, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(Error::usage(format!(
            "{} is there already, and is not overwritten",
            there.display()
        )));
    }
    std::fs::create_dir_all(folder).doing(writing(folder))?;
    for (path, bytes) in &files {
        std::fs::write(path, bytes).doing(writing(path))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}
