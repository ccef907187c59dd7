//! The patch series: our changes to MLX, as features of overlay files and one patch each.
//!
//! This reads and checks what is in the project (`patches/`, the overlay); it knows MLX's
//! tree only as paths. Putting a series onto a tree is [`compose`].

mod diff;
pub mod export;
pub mod header;
pub mod manifest;
pub mod patch;
pub mod path;
pub mod resolutions;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Doing, Error, Result, project_file, reading};
use crate::layout::Layout;

pub use crate::git::compose::{FeatureCommit, Fork, compose};
use header::Header;
pub use manifest::Probes;
use manifest::{FeatureEntry, Manifest};
pub use patch::Patch;
use resolutions::Resolutions;

/// No source file of ours is larger; a larger one is a mistake.
const LARGEST_OVERLAY: u64 = 16 << 20;

/// All features of `series.toml`, with everything that they are made of in memory: what
/// is keyed is what is used, whatever happens to the files meanwhile.
#[derive(Debug, Clone)]
pub struct Series {
    /// The pin that the patches apply to exactly.
    pub base: String,
    /// The features in order, those not selected too: a patch stands on all before it.
    pub features: Vec<Feature>,
    /// Answers to conflicts of a port.
    pub resolutions: Resolutions,
}

/// One feature.
#[derive(Debug, Clone)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// False where [`Series::select`] left it out.
    pub selected: bool,
    /// Features before it that it needs.
    pub requires: Vec<String>,
    /// Its hooks.
    pub patch: Patch,
    /// Its own files.
    pub overlay: Vec<Overlay>,
    /// What a build with it must have.
    pub probes: Probes,
    /// How many lines of upstream's files its patch may add and take away.
    pub budget: usize,
}

/// One overlay file.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// The file in the project, from its root.
    pub source: String,
    /// The path in MLX's tree.
    pub target: String,
    /// True for mode 100755, else 100644, whatever the file's own mode is.
    pub executable: bool,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Reads `patches/series.toml` and everything that it names.
///
/// # Errors
/// Wrong use (exit 2), naming the file and the place, for anything that is malformed.
pub fn load(layout: &Layout) -> Result<Series> {
    let path = layout.patches().join("series.toml");
    let text = std::fs::read_to_string(&path).map_err(project_file(&path))?;
    let manifest = Manifest::parse(&text).doing(reading(&path))?;
    let mut features = Vec::new();
    for entry in &manifest.features {
        let feature = load_feature(layout, entry, manifest.budget);
        features.push(feature.doing(|| format!("reading the feature {}", entry.name))?);
    }
    Ok(Series {
        base: manifest.base,
        features,
        resolutions: Resolutions::read(&layout.resolutions())?,
    })
}

fn load_feature(layout: &Layout, entry: &FeatureEntry, budget: usize) -> Result<Feature> {
    let patch = Patch::read(&layout.patches(), &entry.patch)?;
    if patch.header.feature != entry.name {
        return Err(Error::usage(format!(
            "{} says `Feature: {}`, and series.toml names it for \"{}\"",
            entry.patch, patch.header.feature, entry.name
        )));
    }
    let mut overlay = Vec::new();
    for file in &entry.overlay {
        let (source, target, executable) = file.parts();
        overlay.push(Overlay {
            source: source.into(),
            target: target.into(),
            executable,
            content: read_overlay(layout.root(), source)?,
        });
    }
    Ok(Feature {
        name: entry.name.clone(),
        selected: true,
        requires: entry.requires.clone(),
        patch,
        overlay,
        probes: entry.probes.clone(),
        budget: entry
            .exceeds
            .as_ref()
            .map_or(budget, |exceeds| exceeds.lines),
    })
}

/// Reads a file of the project.
fn read_overlay(root: &Path, source: &str) -> Result<Vec<u8>> {
    let path = overlay_path(root, source)?;
    let meta = path
        .symlink_metadata()
        .map_err(|e| Error::usage(format!("the overlay file {source} can't be read: {e}")))?;
    if !meta.is_file() {
        return Err(Error::usage(format!(
            "the overlay file {source} is no regular file"
        )));
    }
    refuse_size(source, meta.len())?;
    std::fs::read(&path).doing(reading(&path))
}

/// Where an overlay file's source is, whether it is there or not.
///
/// # Errors
/// [`crate::Kind::Usage`] for a link on the way, which could lead out of the project.
pub fn overlay_path(root: &Path, source: &str) -> Result<PathBuf> {
    let mut path = root.to_path_buf();
    for part in source.split('/') {
        path.push(part);
        if path.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
            return Err(Error::usage(format!(
                "the overlay file {source} goes through the symbolic link {}",
                path.display()
            )));
        }
    }
    Ok(path)
}

/// Refuses an overlay file of so many bytes.
///
/// # Errors
/// [`crate::Kind::Usage`] beyond 16 MiB.
pub fn refuse_size(source: &str, bytes: u64) -> Result<()> {
    if bytes <= LARGEST_OVERLAY {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the overlay file {source} has {bytes} bytes, and a source has {LARGEST_OVERLAY} at most"
    )))
}

impl Feature {
    /// Its name, and what its commit says.
    pub fn head(&self) -> (&str, &Header) {
        (&self.name, &self.patch.header)
    }
}

impl Series {
    /// Leaves out all features but the named ones and those that they require.
    ///
    /// No name at all leaves every feature out: the fork is then the base itself.
    pub fn select(mut self, features: &[String]) -> Result<Self> {
        let mut wanted: BTreeSet<&str> = features.iter().map(String::as_str).collect();
        if let Some(unknown) = wanted
            .iter()
            .find(|name| !self.features.iter().any(|f| f.name == **name))
        {
            let known: Vec<&str> = self.features.iter().map(|f| f.name.as_str()).collect();
            return Err(
                Error::usage(format!("no feature named \"{unknown}\"")).hint(format!(
                    "the features of patches/series.toml are {}",
                    known.join(", ")
                )),
            );
        }
        let mut selected = Vec::new();
        // From the last to the first: a feature only requires features before it.
        for feature in self.features.iter().rev() {
            let keep = wanted.contains(feature.name.as_str());
            if keep {
                wanted.extend(feature.requires.iter().map(String::as_str));
            }
            selected.push(keep);
        }
        selected.reverse();
        for (feature, keep) in self.features.iter_mut().zip(selected) {
            feature.selected = keep;
        }
        Ok(self)
    }

    /// The features that go into the fork, in order.
    pub fn selected(&self) -> impl Iterator<Item = &Feature> {
        self.features.iter().filter(|f| f.selected)
    }

    /// The overlay file that stands at this path of MLX's tree.
    pub fn overlay_at(&self, target: &str) -> Option<&Overlay> {
        self.features
            .iter()
            .flat_map(|f| &f.overlay)
            .find(|o| o.target == target)
    }

    /// SHA-256 in hex of everything that the fork is made of beside MLX itself, and of the
    /// probes: equal keys, equal forks.
    pub fn content_key(&self) -> String {
        let mut hash = Sha256::new();
        // Each field is preceded by its length, so that no two series run together.
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(self.base.as_bytes());
        for (name, resolution) in self.resolutions.all() {
            field(name.as_bytes());
            field(resolution.resolved.as_bytes());
        }
        for feature in &self.features {
            field(feature.name.as_bytes());
            field(&[u8::from(feature.selected)]);
            field(feature.requires.join(",").as_bytes());
            field(feature.patch.name.as_bytes());
            field(&feature.patch.bytes);
            field(format!("{:?}", feature.probes).as_bytes());
            for file in &feature.overlay {
                field(file.target.as_bytes());
                field(&[u8::from(file.executable)]);
                field(&file.content);
            }
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
