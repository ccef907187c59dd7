//! Stamps: what a finished step was made from and what it made. Not the steps themselves.
//!
//! A step removes its stamp before it begins and writes it, atomically, when all else is
//! done: a step that was interrupted has none, and is done again.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Doing, Error, Result, reading};

use super::files::{hex, replace};

/// What a step is made from: a key by name. A name says in a note why a step is redone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs(BTreeMap<String, String>);

impl Inputs {
    /// Adds one.
    #[must_use]
    pub fn with(mut self, name: &str, key: impl Into<String>) -> Self {
        self.0.insert(name.into(), key.into());
        self
    }

    /// Adds all of `others`.
    #[must_use]
    pub fn and(mut self, others: &Inputs) -> Self {
        self.0.extend(others.0.clone());
        self
    }

    /// The key of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// One key for all of them.
    pub fn key(&self) -> String {
        let mut digest = Sha256::new();
        for (name, key) in &self.0 {
            for part in [name, key] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
        }
        hex(&digest.finalize())
    }
}

/// A file that a step made, as it left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    path: PathBuf,
    size: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
}

impl Made {
    fn now(path: &Path) -> std::io::Result<Self> {
        let metadata = path.symlink_metadata()?;
        Ok(Made {
            path: path.to_path_buf(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }

    /// What happened to it since, if anything.
    fn changed(&self) -> Option<String> {
        let problem = match Made::now(&self.path) {
            Ok(now) if now == *self => return None,
            Ok(_) => "has changed",
            Err(_) => "is gone",
        };
        Some(format!("{} {problem}", self.path.display()))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    inputs: Inputs,
    made: Vec<Made>,
}

/// The stamp of one step.
#[derive(Debug, Clone)]
pub struct Stamp {
    file: PathBuf,
}

impl Stamp {
    /// The stamp kept in this file.
    pub fn at(file: impl Into<PathBuf>) -> Self {
        Stamp { file: file.into() }
    }

    /// Why the step has to be done (again); `None` when what it made is there, and made
    /// from these inputs.
    pub fn stale(&self, inputs: &Inputs) -> Option<String> {
        let Some(content) = self.load() else {
            return Some("it has not been done".into());
        };
        if let Some(name) = changed(&content.inputs, inputs) {
            return Some(format!("{name} changed"));
        }
        content.made.iter().find_map(Made::changed)
    }

    /// Why what the step made can't be used, whatever it would be made from now: it was not
    /// finished, or a file is no longer as the step left it.
    pub fn altered(&self) -> Option<String> {
        match self.load() {
            None => Some(format!("{} is no record of it", self.file.display())),
            Some(content) => content.made.iter().find_map(Made::changed),
        }
    }

    /// The inputs of what is there: `None` unless all that the step made is as it left it.
    pub fn inputs(&self) -> Option<Inputs> {
        let content = self.load()?;
        let whole = content.made.iter().all(|made| made.changed().is_none());
        whole.then_some(content.inputs)
    }

    fn load(&self) -> Option<Content> {
        serde_json::from_slice(&std::fs::read(&self.file).ok()?).ok()
    }

    /// The step begins: until [`Self::save`] it counts as not done.
    pub fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).doing(|| format!("removing {}", self.file.display()))
            }
            _ => Ok(()),
        }
    }

    /// The step is done: it made these files from these inputs.
    pub fn save(&self, inputs: &Inputs, made: &[PathBuf]) -> Result<()> {
        let made = made
            .iter()
            .map(|path| Made::now(path).doing(reading(path)))
            .collect::<Result<_>>()?;
        let content = Content {
            inputs: inputs.clone(),
            made,
        };
        let text = serde_json::to_string(&content).map_err(|e| Error::bug(e.to_string()))?;
        replace(&self.file, &text)
    }

    /// A key of the finished step, inputs and outputs: what is made from its outputs uses
    /// this as an input.
    pub fn key(&self) -> Result<String> {
        let bytes = std::fs::read(&self.file).doing(reading(&self.file))?;
        Ok(hex(&Sha256::digest(bytes)))
    }
}

/// The name of the first input that differs.
fn changed<'a>(old: &'a Inputs, new: &'a Inputs) -> Option<&'a str> {
    let names = old.0.keys().chain(new.0.keys());
    names
        .map(String::as_str)
        .find(|name| old.get(name) != new.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished() -> (tempfile::TempDir, Stamp, Inputs, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("libmlx.so");
        std::fs::write(&output, "one").unwrap();
        let stamp = Stamp::at(dir.path().join("stamps/stock.json"));
        let inputs = Inputs::default().with("tree", "a").with("python", "yes");
        stamp.save(&inputs, std::slice::from_ref(&output)).unwrap();
        (dir, stamp, inputs, output)
    }

    #[test]
    fn a_finished_step_is_fresh_until_its_stamp_is_removed() {
        let (_dir, stamp, inputs, _) = finished();
        assert_eq!(stamp.stale(&inputs), None);
        stamp.remove().unwrap();
        stamp.remove().unwrap();
        assert!(stamp.stale(&inputs).is_some());
    }

    #[test]
    fn a_changed_added_or_missing_input_is_named() {
        let (_dir, stamp, inputs, _) = finished();
        for (inputs, name) in [
            (inputs.clone().with("tree", "b"), "tree"),
            (inputs.clone().with("new", "b"), "new"),
            (Inputs::default().with("tree", "a"), "python"),
        ] {
            assert_eq!(stamp.stale(&inputs), Some(format!("{name} changed")));
        }
    }

    #[test]
    fn an_output_that_was_deleted_or_written_over_makes_the_step_stale() {
        let (_dir, stamp, inputs, output) = finished();
        std::fs::write(&output, "two").unwrap();
        let why = stamp.stale(&inputs).unwrap();
        assert!(why.contains("libmlx.so has changed"), "{why}");
        std::fs::remove_file(&output).unwrap();
        let why = stamp.stale(&inputs).unwrap();
        assert!(why.contains("libmlx.so is gone"), "{why}");
    }

    #[test]
    fn a_stamp_that_is_half_a_file_counts_as_none() {
        let (dir, stamp, inputs, _) = finished();
        let file = dir.path().join("stamps/stock.json");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(stamp.stale(&inputs), Some("it has not been done".into()));
    }

    #[test]
    fn keys_do_not_run_into_each_other() {
        let one = Inputs::default().with("a", "bc").with("d", "");
        let two = Inputs::default().with("a", "b").with("cd", "");
        assert_ne!(one.key(), two.key());
    }
}
