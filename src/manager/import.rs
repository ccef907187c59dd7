//! Makes features of somebody's changes: a diff, a mailbox, commits of a clone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::git::local;
use crate::git::stack::{Change, Step};
use crate::manager::plan::Work;
use crate::manager::{Manager, id};
use crate::series::header::Header;
use crate::series::manifest::Probes;
use crate::series::{Feature, Overlay, export};

/// New features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// In their order.
    pub features: Vec<NewFeature>,
    /// The feature that they come behind; `None`: the last.
    pub after: Option<String>,
}

/// A new feature: the difference of two commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFeature {
    /// Its name.
    pub name: String,
    /// The head of its patch file.
    pub head: String,
    /// The commit before it.
    pub from: String,
    /// The commit after it.
    pub to: String,
    /// Which of its files are the project's own: path in MLX's tree, file of the project.
    pub own: BTreeMap<String, String>,
}

impl Imported {
    /// The features' names.
    pub fn names(&self) -> Vec<&str> {
        self.features.iter().map(|f| f.name.as_str()).collect()
    }

    /// True where nothing is changed yet.
    pub fn is_empty(&self) -> bool {
        self.features.iter().all(|f| f.from == f.to)
    }

    /// All commits that it names.
    pub fn commits(&self) -> Vec<&String> {
        self.features
            .iter()
            .flat_map(|f| [&f.from, &f.to])
            .collect()
    }
}

/// Puts new features into a plan.
pub fn apply(manager: &Manager<'_>, work: &mut Work, imported: &Imported) -> Result<()> {
    let first = match &imported.after {
        Some(name) => {
            let names = work.steps.iter().map(|step| step.feature.name.as_str());
            crate::manager::plan::position(names, name)? + 1
        }
        None => work.steps.len(),
    };
    for (at, new) in (first..).zip(&imported.features) {
        if work.steps.iter().any(|step| step.feature.name == new.name) {
            return Err(
                Error::usage(format!("there is a feature named \"{}\" already", new.name)).hint(
                    "choose another name; `cargo xtask patch edit` opens the one that is there",
                ),
            );
        }
        let mut changes = BTreeMap::new();
        let mut overlay = Vec::new();
        for (path, (before, after)) in local::changes(&manager.repo, id(&new.from)?, id(&new.to)?)?
        {
            match (new.own.get(&path), &after) {
                (Some(source), Some(file)) => overlay.push(Overlay {
                    source: source.clone(),
                    target: path,
                    executable: file.executable,
                    content: file.content.clone(),
                }),
                _ => drop(changes.insert(path, Change { before, after })),
            }
        }
        let head = Header::parse(&new.head)?;
        let file = format!("{:04}-{}.patch", at + 1, new.name.replace('_', "-"));
        let feature = Feature {
            name: new.name.clone(),
            selected: true,
            requires: Vec::new(),
            patch: export::patch(&file, &head, &[])?,
            overlay,
            probes: Probes::default(),
            budget: 0,
        };
        work.steps.insert(at, Step { feature, changes });
    }
    Ok(())
}
