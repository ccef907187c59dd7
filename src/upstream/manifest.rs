//! `patches/upstream.toml`: where upstream would have what the overlay has, feature by feature.
//!
//! It names files, items by how they begin, and single lines to stand beside; it holds no text
//! of MLX's beyond those lines.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Doing, Error, Result, project_file, reading};
use crate::layout::Layout;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// More lines added than this is worth a warning.
    pub budget: usize,
    /// Words that name this project: none may go upstream.
    pub names: Vec<String>,
    /// The line about copyright.
    pub header: Header,
    /// What only the fork needs.
    #[serde(rename = "fork-only")]
    pub fork_only: ForkOnly,
    /// Lists of sources in CMake files.
    #[serde(rename = "list")]
    pub lists: Vec<List>,
    /// What a bundle gathers.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// The features.
    pub feature: BTreeMap<String, Feature>,
}

/// The line about copyright, in our files and in upstream's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// What our files say.
    pub ours: String,
    /// What they say upstream.
    pub theirs: String,
}

/// Parts of the overlay that only the fork needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForkOnly {
    /// Names: a statement that uses one is left out.
    pub statements: Vec<String>,
    /// Macros that are never defined upstream.
    pub macros: Vec<String>,
}

/// A list of sources: each new `.cpp` of its folder that is in no nearer list gets a row.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The CMake file.
    pub file: String,
    /// The line that the rows follow, without its indentation.
    pub after: String,
    /// A row, with `{}` for the path from the file's folder.
    pub row: String,
}

/// A command of the project whose output is evidence.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it shows.
    pub name: String,
    /// Arguments of `cargo`; `{feature}`, `{onto}` and `{bench}` are filled in.
    pub command: Vec<String>,
    /// What its standard output is called in the bundle.
    pub file: String,
}

/// One feature.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Why its parts go where they go, for people.
    #[serde(default)]
    pub why: String,
    /// Its cases of `cargo xtask bench`, for a bundle.
    #[serde(default)]
    pub bench: String,
    /// Files, or folders that end in `/`: from, to. The longest `from` that fits counts.
    #[serde(default, rename = "move")]
    pub moves: Vec<(String, String)>,
    /// Files that stay behind: of this feature, or of those that it requires.
    #[serde(default)]
    pub leave: Vec<String>,
    /// What an include of a file becomes that is taken apart.
    #[serde(default)]
    pub include: BTreeMap<String, Vec<String>>,
    /// Lines of files that are taken apart, beside includes, comments and namespaces, that
    /// belong to no item and stay behind.
    #[serde(default)]
    pub frame: Vec<String>,
    /// Items to be left out of files.
    #[serde(default)]
    pub omit: Vec<Omit>,
    /// Items that go into upstream's files.
    #[serde(default, rename = "section")]
    pub sections: Vec<Section>,
    /// Lines that go into upstream's files.
    #[serde(default, rename = "line")]
    pub lines: Vec<Line>,
}

/// Items to be left out of an overlay file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Omit {
    /// The overlay's file, by its path in the fork.
    pub from: String,
    /// How the items begin.
    pub items: Vec<String>,
}

/// Items of an overlay file that go into one of upstream's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The overlay's file, by its path in the fork.
    pub from: String,
    /// How the items begin, in the order in which they are to stand.
    pub items: Vec<String>,
    /// Upstream's file.
    pub into: String,
    /// How the item begins that they follow; or
    pub after: Option<String>,
    /// that they come before.
    pub before: Option<String>,
    /// True for items that belong in a namespace without a name.
    #[serde(default)]
    pub anonymous: bool,
    /// What `into` has to include for them.
    #[serde(default)]
    pub includes: Vec<String>,
}

/// Lines for one of upstream's files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Upstream's file.
    pub into: String,
    /// The line that they follow, without its indentation, which they get.
    pub after: String,
    /// The lines.
    pub lines: Vec<String>,
}

impl Manifest {
    /// Reads the project's.
    pub fn load(layout: &Layout) -> Result<Self> {
        let path = layout.patches().join("upstream.toml");
        let text = std::fs::read_to_string(&path).map_err(project_file(&path))?;
        Self::parse(&text).doing(reading(&path))
    }

    /// Parses its text.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] for what is malformed.
    pub fn parse(text: &str) -> Result<Self> {
        let manifest: Manifest = toml::from_str(text).map_err(|e| Error::usage(e.to_string()))?;
        for (name, feature) in &manifest.feature {
            for section in &feature.sections {
                if section.after.is_some() == section.before.is_some() {
                    return Err(Error::usage(format!(
                        "feature.{name}: the section of {} into {} needs either `after` or `before`",
                        section.from, section.into
                    )));
                }
            }
            if feature
                .moves
                .iter()
                .any(|(from, to)| from.ends_with('/') != to.ends_with('/'))
            {
                return Err(Error::usage(format!(
                    "feature.{name}: a folder moves to a folder, a file to a file"
                )));
            }
        }
        Ok(manifest)
    }
}
