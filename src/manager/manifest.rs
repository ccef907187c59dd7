//! Writes `patches/series.toml` anew for a changed series: what a person wrote there stays,
//! in its place and with its comments. Reading it is `series::manifest`'s.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use crate::error::{Doing, Error, Result};
use crate::series::manifest::{FeatureEntry, Manifest};
use crate::series::{Feature, Overlay, Series};

/// The text of series.toml for `new`; comments and what a person wrote of the rest stay.
///
/// # Errors
/// [`crate::Kind::Usage`] for a series that no later command could read.
pub fn edit(text: &str, old: &Series, new: &Series) -> Result<String> {
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
    // `feature = [{ … }]` says the same as tables.
    let tables = document.get("feature").cloned();
    let tables = tables.and_then(|item| item.into_array_of_tables().ok());
    let tables = tables.unwrap_or_default();
    let name = |table: &Table| table.get("name").and_then(Item::as_str).map(str::to_string);
    let mut ordered = ArrayOfTables::new();
    for feature in &new.features {
        let known = tables
            .iter()
            .find(|t| name(t).as_ref() == Some(&feature.name));
        let before = old.features.iter().find(|f| f.name == feature.name);
        let mut table = known.cloned().unwrap_or_default();
        forget_position(&mut table);
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
    let text = document.to_string();
    verify(&text, old, new).doing(|| "writing patches/series.toml".into())?;
    Ok(text)
}

/// Tables are written in the order of the file that they were read from; those below a feature
/// (`[feature.probes]`) would stay behind when it moves.
fn forget_position(table: &mut Table) {
    table.set_position(None);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(below) => forget_position(below),
            Item::ArrayOfTables(below) => below.iter_mut().for_each(forget_position),
            Item::None | Item::Value(_) => {}
        }
    }
}

/// Reads what would be written, as every later command does, and compares.
fn verify(text: &str, old: &Series, new: &Series) -> Result<()> {
    let manifest = Manifest::parse(text)?;
    let same = |entry: &FeatureEntry, feature: &Feature| {
        let known = old.features.iter().any(|f| f.name == feature.name);
        let budget = entry.exceeds.as_ref().map_or(manifest.budget, |e| e.lines);
        let overlay = entry.overlay.iter().map(|file| file.parts());
        let wanted = feature.overlay.iter();
        let wanted = wanted.map(|f| (f.source.as_str(), f.target.as_str(), f.executable));
        (&entry.name, &entry.patch) == (&feature.name, &feature.patch.name)
            && entry.requires == feature.requires
            && overlay.eq(wanted)
            && (!known || (&entry.probes, budget) == (&feature.probes, feature.budget))
    };
    let entries = manifest.features.iter().zip(&new.features);
    if manifest.base == new.base
        && manifest.features.len() == new.features.len()
        && entries
            .into_iter()
            .all(|(entry, feature)| same(entry, feature))
    {
        return Ok(());
    }
    Err(
        Error::bug("it would say something else than what was planned; nothing was written")
            .hint("write its features as `[[feature]]` tables, as docs/series.md shows them"),
    )
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
