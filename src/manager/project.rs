//! The project's own files that the manager writes: `patches/`, overlay sources, `fork.toml`.
//!
//! Each is replaced whole or not at all, and only where it is what the operation began with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use crate::error::{Doing, Error, Result, reading, writing};
use crate::layout::Layout;
use crate::series::resolutions::Resolution;
use crate::series::{Feature, Overlay, Series};

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
    want(MANIFEST.into(), edit(&text, old, new)?.into_bytes())?;
    for (name, resolution) in new.resolutions.all() {
        want(answer(name), resolution.render()?.into_bytes())?;
    }
    for feature in &new.features {
        want(patch(&feature.patch.name), feature.patch.bytes.clone())?;
        for file in &feature.overlay {
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

/// The text of series.toml for `new`; comments and what a person wrote of the rest stay.
fn edit(text: &str, old: &Series, new: &Series) -> Result<String> {
    let mut document: DocumentMut = text
        .parse()
        .map_err(|e: toml_edit::TomlError| Error::usage(e.to_string()))
        .doing(|| "reading patches/series.toml".into())?;
    if old.base != new.base
        && let Some(base) = document.get_mut("base").and_then(Item::as_value_mut)
    {
        // The comment behind it stays.
        let decor = base.decor().clone();
        *base = Value::from(new.base.clone());
        *base.decor_mut() = decor;
    }
    let tables = document
        .get("feature")
        .and_then(Item::as_array_of_tables)
        .cloned()
        .unwrap_or_default();
    let name = |table: &Table| table.get("name").and_then(Item::as_str).map(str::to_string);
    let mut ordered = ArrayOfTables::new();
    for feature in &new.features {
        let known = tables
            .iter()
            .find(|t| name(t).as_ref() == Some(&feature.name));
        let before = old.features.iter().find(|f| f.name == feature.name);
        let mut table = known.cloned().unwrap_or_default();
        table.set_position(None);
        if before.is_none() {
            table.decor_mut().set_prefix("\n");
            table.insert("name", value(&feature.name));
        }
        if before.is_none_or(|b| b.patch.name != feature.patch.name) {
            table.insert("patch", value(&feature.patch.name));
        }
        if before.is_none_or(|b| b.requires != feature.requires) {
            table.insert(
                "requires",
                value(feature.requires.iter().collect::<Array>()),
            );
        }
        edit_overlay(&mut table, before, feature);
        ordered.push(table);
    }
    if ordered.is_empty() {
        document.remove("feature");
    } else {
        document.insert("feature", Item::ArrayOfTables(ordered));
    }
    Ok(document.to_string())
}

fn edit_overlay(table: &mut Table, before: Option<&Feature>, after: &Feature) {
    let row = |file: &Overlay| (file.source.clone(), file.target.clone(), file.executable);
    let rows = |feature: &Feature| feature.overlay.iter().map(row).collect::<Vec<_>>();
    let (old, new) = (before.map(rows).unwrap_or_default(), rows(after));
    if before.is_some() && old == new || before.is_none() && new.is_empty() {
        return;
    }
    if !table.contains_key("overlay") {
        table.insert("overlay", value(Array::new()));
    }
    let Some(array) = table.get_mut("overlay").and_then(Item::as_array_mut) else {
        return;
    };
    let target = |value: &Value| {
        let row = value.as_array()?;
        row.get(1)?.as_str().map(str::to_string)
    };
    array.retain(|value| new.iter().any(|row| target(value).as_ref() == Some(&row.1)));
    for (source, to, executable) in new {
        let known = old.iter().find(|row| row.1 == to);
        let same = (source.clone(), to.clone(), executable);
        if known == Some(&same) {
            continue;
        }
        let mut row: Array = [source, to.clone()].iter().collect();
        if executable {
            row.push("executable");
        }
        let mut row = Value::Array(row);
        row.decor_mut().set_prefix("\n  ");
        let at = array
            .iter()
            .position(|value| target(value).as_ref() == Some(&to));
        match at {
            Some(at) => drop(array.replace_formatted(at, row)),
            None => array.push_formatted(row),
        }
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
}
