//! The proof that a mirror is the right one: the id of its tree, and nothing else.

use std::fs;

use git2::{ObjectType, Oid, Repository};

use crate::config::Pin;
use crate::error::{Doing, Error, Result, reading};
use crate::git::tree::{self, Listing};
use crate::layout::Layout;

/// How many paths an error lists.
const SHOWN: usize = 10;

/// The pin's raw commit object, checked: it has the pin's id and names the pin's tree.
pub(super) fn commit_of(layout: &Layout, pin: &Pin) -> Result<Vec<u8>> {
    let path = layout.pin_commit(&pin.name);
    let raw = match fs::read(&path) {
        Ok(raw) => raw,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::usage(format!(
                "the pin {} has no raw commit object: {} is missing",
                pin.name,
                path.display()
            ))
            .hint(format!(
                "in a clone of MLX: git cat-file commit {} > {}",
                pin.commit,
                path.display()
            )));
        }
        Err(e) => return Err(e).doing(reading(&path)),
    };
    let id = Oid::hash_object(ObjectType::Commit, &raw).doing(reading(&path))?;
    let first = raw.split(|&b| b == b'\n').next().unwrap_or_default();
    let names_tree = first.strip_prefix(b"tree ") == Some(pin.tree.as_bytes());
    if id.to_string() != pin.commit || !names_tree {
        return Err(Error::usage(format!(
            "{} is the commit {id} with the {}, but fork.toml says commit {} with the tree {}",
            path.display(),
            String::from_utf8_lossy(first),
            pin.commit,
            pin.tree
        ))
        .hint(format!(
            "in a clone of MLX: git cat-file commit {} > {}",
            pin.commit,
            path.display()
        )));
    }
    Ok(raw)
}

/// An error unless `found` is the pin's tree: both ids, and the first paths that differ where
/// `patches/pins/NAME.tree` says what belongs there. `found` is a tree of `repo`.
pub(super) fn tree(layout: &Layout, pin: &Pin, repo: &Repository, found: Oid) -> Result<()> {
    if found.to_string() == pin.tree {
        return Ok(());
    }
    let mut text = format!(
        "its tree is {found}, but {} has the tree {}",
        pin.name, pin.tree
    );
    match wanted_files(layout, pin)? {
        Some(wanted) => {
            let differences = tree::differences(&wanted, &tree::list(repo, found)?);
            text.push_str(&match differences.len() {
                1 => "; 1 path differs:".to_string(),
                n => format!("; {n} paths differ:"),
            });
            for difference in differences.iter().take(SHOWN) {
                text.push_str(&format!("\n    {difference}"));
            }
            if differences.len() > SHOWN {
                text.push_str(&format!("\n    … and {} more", differences.len() - SHOWN));
            }
        }
        None => text.push_str(&format!(
            "; which paths differ can't be said without {}",
            layout.pin_tree(&pin.name).display()
        )),
    }
    Err(Error::mirror(text))
}

/// The pin's files, from `patches/pins/NAME.tree`; `None` where that file is not kept.
fn wanted_files(layout: &Layout, pin: &Pin) -> Result<Option<Listing>> {
    let path = layout.pin_tree(&pin.name);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).doing(reading(&path)),
    };
    let listing = tree::parse_listing(&text).doing(reading(&path))?;
    let id = tree::id_of(&listing)?;
    if id.to_string() == pin.tree {
        return Ok(Some(listing));
    }
    Err(Error::usage(format!(
        "{} lists the files of the tree {id}, not of {}",
        path.display(),
        pin.tree
    ))
    .hint(format!(
        "in a clone of MLX: git ls-tree -r {} > {}",
        pin.commit,
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_commits_and_trees_of_our_pins_hash_to_the_ids_of_fork_toml() {
        let root = env!("CARGO_MANIFEST_DIR");
        let layout = Layout::at(root, format!("{root}/target/mlx"));
        let config = Config::load(&layout).unwrap();
        for name in config.pins.keys() {
            let pin = config.pin(name).unwrap();
            commit_of(&layout, &pin).unwrap();
            let files = wanted_files(&layout, &pin).unwrap().unwrap();
            assert!(files.len() > 900, "{name}: {}", files.len());
        }
    }
}
