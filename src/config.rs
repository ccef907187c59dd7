//! `fork.toml`: which MLX, from where, and what a build of it must have.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Doing, Error, Result, project_file, reading};
use crate::layout::Layout;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The pin that is used when none is named.
    pub pin: String,
    /// Where MLX lives.
    pub upstream: Upstream,
    /// The pins by name.
    pub pins: BTreeMap<String, PinEntry>,
    /// What a build of the fork must have, beside what the series' features promise.
    #[serde(default)]
    pub expect: Expect,
    /// Third-party sources named by the user: a folder by name, before any other rule.
    #[serde(default)]
    pub third_party: BTreeMap<String, std::path::PathBuf>,
}

/// Where MLX lives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Git URL.
    pub url: String,
}

/// One `[pins.NAME]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinEntry {
    /// Commit id, 40 hex digits.
    pub commit: String,
    /// Tree id, 40 hex digits.
    pub tree: String,
    /// A crate that carries this tree.
    #[serde(rename = "crate")]
    pub krate: Option<CrateMirror>,
}

/// A crate as a mirror of a tree.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrateMirror {
    /// Its name.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// The folder inside the crate that holds the tree.
    pub folder: String,
}

/// What a build of the fork must have.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Exported functions of libmlx.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// Functions of the C API.
    #[serde(default)]
    pub c: Vec<String>,
    /// Attributes of the Python module `mlx.core`.
    #[serde(default)]
    pub python: Vec<String>,
}

/// A pin: a named upstream commit whose tree is known.
#[derive(Debug, Clone)]
pub struct Pin {
    /// Its name in fork.toml.
    pub name: String,
    /// Commit id.
    pub commit: String,
    /// Tree id.
    pub tree: String,
    /// A crate that carries this tree.
    pub krate: Option<CrateMirror>,
}

impl Config {
    /// Reads and checks `fork.toml`.
    pub fn load(layout: &Layout) -> Result<Self> {
        let path = layout.config();
        let text = std::fs::read_to_string(&path).map_err(project_file(&path))?;
        Self::parse(&text).doing(reading(&path))
    }

    /// Parses the text of a `fork.toml`.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Config = toml::from_str(text).map_err(|e| Error::usage(e.to_string()))?;
        for (name, pin) in &config.pins {
            for (what, id) in [("commit", &pin.commit), ("tree", &pin.tree)] {
                if !is_object_id(id) {
                    return Err(Error::usage(format!(
                        "pins.\"{name}\".{what} is \"{id}\", not 40 hex digits"
                    )));
                }
            }
        }
        config.pin(&config.pin)?;
        Ok(config)
    }

    /// The pin of this name.
    pub fn pin(&self, name: &str) -> Result<Pin> {
        let entry = self.pins.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.pins.keys().map(String::as_str).collect();
            Error::usage(format!("no pin named \"{name}\"")).hint(format!(
                "the pins of fork.toml are {}; a tag, branch or commit that is no pin goes into MLX_REF",
                known.join(", ")
            ))
        })?;
        Ok(Pin {
            name: name.to_string(),
            commit: entry.commit.clone(),
            tree: entry.tree.clone(),
            krate: entry.krate.clone(),
        })
    }
}

/// True for 40 lower-case hex digits.
pub fn is_object_id(id: &str) -> bool {
    id.len() == 40 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = include_str!("../fork.toml");

    #[test]
    fn the_repositorys_own_file_is_valid() {
        let config = Config::parse(OURS).unwrap();
        assert_eq!(config.pin("v0.31.2").unwrap().commit.len(), 40);
    }

    #[test]
    fn an_unknown_pin_is_answered_with_the_known_ones() {
        let error = Config::parse(OURS).unwrap().pin("v9").unwrap_err();
        assert!(error.hints()[0].contains("main-2026-06-20"), "{error:?}");
        assert_eq!(error.kind(), crate::Kind::Usage);
    }

    #[test]
    fn a_short_id_and_an_unknown_key_are_refused() {
        let short = OURS.replace("68cf2fddd8de5edd8ab3d926391772b2e2cedad8", "68cf2fd");
        assert!(Config::parse(&short).is_err());
        assert!(Config::parse(&format!("typo = 1\n{OURS}")).is_err());
    }
}
