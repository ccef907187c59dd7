//! What makes a commit a pin of the project.

use std::collections::BTreeMap;
use std::fs;

use toml_edit::{DocumentMut, Item, Table, value};

use crate::error::{Doing, Error, Result, reading};
use crate::git::{Repository, raw_commit};
use crate::manager::bump::Onto;
use crate::manager::{Manager, id};
use crate::source::Served;

/// What makes the commit a pin of the project, and the one that is used.
pub fn onto(manager: &Manager<'_>, served: &Served) -> Result<Onto> {
    let layout = manager.layout;
    let text = fs::read_to_string(layout.config()).doing(reading(&layout.config()))?;
    let mut document: DocumentMut = text
        .parse()
        .map_err(|e: toml_edit::TomlError| Error::usage(e.to_string()))
        .doing(reading(&layout.config()))?;
    let mut files = BTreeMap::new();
    let pin = match (&served.pin, &served.unpinned) {
        (Some(pin), _) => pin.clone(),
        (None, lines) => {
            let name = lines.as_deref().and_then(|lines| lines.split('"').nth(1));
            let name = name.unwrap_or(&served.commit).to_string();
            let commit = id(&served.commit)?;
            let mut table = Table::new();
            table.insert("commit", value(&served.commit));
            table.insert("tree", value(&served.tree));
            if let Some(pins) = document.get_mut("pins").and_then(Item::as_table_mut) {
                pins.insert(&name, Item::Table(table));
            }
            let raw = raw_commit(&manager.repo, commit)?;
            files.insert(format!("patches/pins/{name}.commit"), raw);
            let listing = listing(&manager.repo, served)?;
            files.insert(format!("patches/pins/{name}.tree"), listing);
            name
        }
    };
    if let Some(used) = document.get_mut("pin").and_then(Item::as_value_mut) {
        let decor = used.decor().clone();
        *used = toml_edit::Value::from(pin.clone());
        *used.decor_mut() = decor;
    }
    files.insert("fork.toml".into(), document.to_string().into_bytes());
    Ok(Onto {
        pin,
        commit: served.commit.clone(),
        files,
    })
}

/// The files of a commit as `git ls-tree -r` lists them.
fn listing(repo: &Repository, served: &Served) -> Result<Vec<u8>> {
    let files = crate::git::tree::list(repo, id(&served.tree)?)?;
    let mut text = Vec::new();
    for (path, entry) in files {
        let kind = if entry.mode == 0o160_000 {
            "commit"
        } else {
            "blob"
        };
        text.extend(format!("{:06o} {kind} {}\t", entry.mode, entry.id).bytes());
        text.extend(path);
        text.push(b'\n');
    }
    Ok(text)
}
