//! The project's own files that the manager writes: `patches/`, overlay sources, `fork.toml`.
//!
//! Each is replaced whole or not at all, and only where it is what the operation began with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::error::{Doing, Error, Result, reading, writing};
use crate::git::record;
use crate::layout::Layout;
use crate::manager::manifest;
use crate::series::resolutions::Resolution;
use crate::series::{self, Series};

/// What becomes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its bytes now; `None`: it isn't there.
    pub before: Option<Vec<u8>>,
    /// Its bytes then; `None`: it is gone.
    pub after: Option<Vec<u8>>,
}

impl Write {
    /// The file becomes this.
    pub fn new(before: Option<Vec<u8>>, after: Vec<u8>) -> Self {
        Write {
            before,
            after: Some(after),
        }
    }

    /// The way back.
    pub fn turned(self) -> Self {
        Write {
            before: self.after,
            after: self.before,
        }
    }
}

/// Files by their path from the project's root.
pub type Writes = BTreeMap<String, Write>;

/// The bytes of a file of the project; `None` where it isn't there.
pub fn read(layout: &Layout, path: &str) -> Result<Option<Vec<u8>>> {
    let full = layout.root().join(path);
    match fs::read(&full) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).doing(reading(&full)),
    }
}

/// Refuses where a file is neither what the operation began with nor what it makes.
pub fn check(layout: &Layout, writes: &Writes) -> Result<()> {
    let mut changed = Vec::new();
    for (path, write) in writes {
        let now = read(layout, path)?;
        if now != write.before && now != write.after {
            changed.push(format!("\n    {path}"));
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "these files were changed since; nothing was written{}",
        changed.concat()
    ))
    .hint("commit or put aside what you changed there, and run again"))
}

/// Writes what isn't written yet. A file that is neither before nor after is a person's: it
/// stays, and is named.
pub fn write(layout: &Layout, writes: &Writes) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    let mut folders = BTreeSet::new();
    for (path, write) in writes {
        let now = read(layout, path)?;
        let full = layout.root().join(path);
        // A killed run may have left it.
        let _ = fs::remove_file(full.with_file_name(NEW));
        if now == write.after {
            continue;
        }
        if now != write.before {
            kept.push(path.clone());
            continue;
        }
        match &write.after {
            Some(bytes) => replace(&full, bytes)?,
            None => {
                fs::remove_file(&full).doing(|| format!("removing {}", full.display()))?;
                folders.extend(full.parent().map(Path::to_path_buf));
            }
        }
    }
    for folder in folders {
        // Empty ones go with their last file, as git does it.
        let _ = fs::remove_dir(folder);
    }
    Ok(kept)
}

/// The name of a file that isn't whole yet: always the same, so that none stays for ever.
const NEW: &str = ".mlx-fork-new";

/// Replaces a file in one step; its permissions stay.
fn replace(full: &Path, bytes: &[u8]) -> Result<()> {
    let folder = full.parent().unwrap_or(full);
    fs::create_dir_all(folder).doing(writing(folder))?;
    let new = folder.join(NEW);
    fs::write(&new, bytes).doing(writing(&new))?;
    let permissions = fs::metadata(full).map(|meta| meta.permissions());
    let permissions = permissions.unwrap_or_else(|_| {
        use std::os::unix::fs::PermissionsExt;
        fs::Permissions::from_mode(0o644)
    });
    fs::set_permissions(&new, permissions).doing(writing(&new))?;
    // A loss of power must not leave the name with nothing behind it.
    record::sync_file(&new)?;
    fs::rename(&new, full).doing(writing(full))
}

/// What has to be written so that the project holds `new` in the place of `old`.
pub fn difference(layout: &Layout, old: &Series, new: &Series) -> Result<Writes> {
    let mut wanted: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
    for feature in &old.features {
        wanted.insert(patch(&feature.patch.name), None);
    }
    let text = read(layout, MANIFEST)?.unwrap_or_default();
    let text = String::from_utf8(text)
        .map_err(|_| Error::usage("it isn't UTF-8").doing("reading patches/series.toml"))?;
    let mut want = |path: String, content: Vec<u8>| match wanted.get(&path) {
        Some(Some(other)) if *other != content => Err(Error::usage(format!(
            "{path} would have to hold two things at once; nothing was written"
        ))
        .hint("each overlay file needs a file of the project for itself")),
        _ => {
            wanted.insert(path, Some(content));
            Ok(())
        }
    };
    let text = manifest::edit(&text, old, new)?;
    want(MANIFEST.into(), text.into_bytes())?;
    for (name, resolution) in new.resolutions.all() {
        want(answer(name), resolution.render()?.into_bytes())?;
    }
    for feature in &new.features {
        let name = patch(&feature.patch.name);
        // What no later command could read must not be written.
        series::patch::refuse_size(feature.patch.bytes.len() as u64).doing(|| unwritten(&name))?;
        want(name, feature.patch.bytes.clone())?;
        for file in &feature.overlay {
            series::overlay_path(layout.root(), &file.source)
                .and_then(|_| series::refuse_size(&file.source, file.content.len() as u64))
                .doing(|| unwritten(&file.source))?;
            want(file.source.clone(), file.content.clone())?;
        }
    }
    let ours = known(old);
    let mut writes = Writes::new();
    let mut foreign = Vec::new();
    for (path, after) in wanted {
        let before = read(layout, &path)?;
        if before != after {
            if before.is_some() && !ours.contains(&path) {
                foreign.push(format!("\n    {path}"));
            }
            writes.insert(path, Write { before, after });
        }
    }
    if foreign.is_empty() {
        return Ok(writes);
    }
    Err(Error::conflict(format!(
        "these files are there and not of the series, and would be overwritten; nothing was written{}",
        foreign.concat()
    ))
    .hint("move them away, or choose other names"))
}

fn unwritten(path: &str) -> String {
    format!("making {path}, of which nothing was written")
}

/// The files that a series is made of.
fn known(series: &Series) -> BTreeSet<String> {
    let mut files = BTreeSet::from([MANIFEST.to_string()]);
    files.extend(series.resolutions.all().keys().map(|name| answer(name)));
    for feature in &series.features {
        files.insert(patch(&feature.patch.name));
        files.extend(feature.overlay.iter().map(|file| file.source.clone()));
    }
    files
}

const MANIFEST: &str = "patches/series.toml";

fn patch(name: &str) -> String {
    format!("patches/{name}")
}

const ANSWERS: &str = "patches/resolutions/";

fn answer(name: &str) -> String {
    format!("{ANSWERS}{name}")
}

/// True for a kept answer to a conflict: what a person found out stays, whatever becomes of
/// the operation that they found it out for.
pub fn is_answer(path: &str) -> bool {
    path.starts_with(ANSWERS)
}

/// What keeps these answers in the project.
pub fn keeping(layout: &Layout, answers: &[Resolution]) -> Result<Writes> {
    let mut writes = Writes::new();
    for resolution in answers {
        let path = answer(&resolution.name());
        let (before, after) = (read(layout, &path)?, resolution.render()?.into_bytes());
        if before.as_ref() != Some(&after) {
            writes.insert(path, Write::new(before, after));
        }
    }
    Ok(writes)
}
