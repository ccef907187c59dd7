//! `patches/series.toml`: its shape, and what is wrong with it before anything is read
//! that it names.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::series::path;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The pin that the patches apply to exactly.
    pub base: String,
    /// How many lines of upstream's files a patch may add and take away.
    #[serde(default = "hooks")]
    pub budget: usize,
    /// The features, in the order of their commits.
    #[serde(default, rename = "feature")]
    pub features: Vec<FeatureEntry>,
}

/// One `[[feature]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureEntry {
    /// Its name: the trailer `Feature` of its patch.
    pub name: String,
    /// Its patch, a file name in patches/.
    pub patch: String,
    /// Features before it that it needs.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Its own files.
    #[serde(default)]
    pub overlay: Vec<OverlayEntry>,
    /// What a build with it must have.
    #[serde(default)]
    pub probes: Probes,
    /// A larger budget of its own.
    pub exceeds: Option<Exceeds>,
}

/// Why a patch is larger than hooks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exceeds {
    /// How many lines it may add and take away.
    pub lines: usize,
    /// Why they can't be overlay files.
    pub reason: String,
}

/// The budget where series.toml names none: a dozen hooks with their blank lines.
fn hooks() -> usize {
    40
}

/// `[file in the project, path in MLX's tree]`, or with `"executable"` as a third.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OverlayEntry {
    /// Mode 100644.
    Plain(String, String),
    /// Mode 100755.
    Executable(String, String, Executable),
}

/// The word `executable`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Executable {
    /// Mode 100755.
    Executable,
}

/// What a build with a feature must have, for `cargo xtask probe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Exported functions of libmlx.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// Attributes of the Python module `mlx.core`.
    #[serde(default)]
    pub python: Vec<String>,
    /// Functions of the C API.
    #[serde(default)]
    pub c: Vec<String>,
    /// Metal kernels, where a build computes with Metal.
    #[serde(default)]
    pub kernels: Vec<KernelEntry>,
}

/// `"NAME"`, `"START*"` for at least one kernel whose name begins so, or `["START*", 24]` for
/// exactly so many.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum KernelEntry {
    /// One kernel, or any number of them.
    Name(String),
    /// So many kernels.
    Several(String, usize),
}

impl KernelEntry {
    /// The name or its beginning with `*`, and how many there must be.
    pub fn parts(&self) -> (&str, Option<usize>) {
        match self {
            KernelEntry::Name(name) => (name, None),
            KernelEntry::Several(name, count) => (name, Some(*count)),
        }
    }

    /// What is wrong with it.
    fn refuse(&self) -> Option<String> {
        let (name, count) = self.parts();
        let stem = name.strip_suffix('*');
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match (stem.unwrap_or(name), count) {
            ("", _) => Some("names any".into()),
            (text, _) if !text.chars().all(word) => {
                Some("is not of letters, digits and _, with * only at its end".into())
            }
            (_, Some(_)) if stem.is_none() => {
                Some("has a number, and is one kernel: a * belongs at its end".into())
            }
            (_, Some(0)) => Some("is to be there 0 times".into()),
            _ => None,
        }
    }
}

impl OverlayEntry {
    /// The file in the project, the path in MLX's tree, and whether it is executable.
    pub fn parts(&self) -> (&str, &str, bool) {
        match self {
            OverlayEntry::Plain(from, to) => (from, to, false),
            OverlayEntry::Executable(from, to, _) => (from, to, true),
        }
    }
}

impl Manifest {
    /// Parses and checks the text of a `series.toml`.
    pub fn parse(text: &str) -> Result<Self> {
        let manifest: Manifest =
            toml::from_str(text).map_err(|e| Error::usage(e.to_string().trim_end().to_string()))?;
        if manifest.base.is_empty() {
            return Err(Error::usage("base names no pin"));
        }
        let mut known: Vec<&str> = Vec::new();
        // By the name without case: a file system may take two such for one.
        let mut targets: BTreeMap<String, &str> = BTreeMap::new();
        let mut patches: Vec<&str> = Vec::new();
        for feature in &manifest.features {
            let name = feature.name.as_str();
            let wrong = |what: String| Err(Error::usage(format!("feature \"{name}\": {what}")));
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.is_empty() || !name.chars().all(word) {
                return wrong("a name is of a-z, 0-9 and _".into());
            }
            if known.contains(&name) {
                return wrong("it is there twice".into());
            }
            if let Some(missing) = feature
                .requires
                .iter()
                .find(|r| !known.contains(&r.as_str()))
            {
                return wrong(format!(
                    "it requires \"{missing}\", and no feature before it has that name"
                ));
            }
            if feature.patch.contains('/') || path::refuse(&feature.patch).is_some() {
                return wrong(format!(
                    "its patch \"{}\" is no file name in patches/",
                    feature.patch
                ));
            }
            if patches.contains(&feature.patch.as_str()) {
                return wrong(format!(
                    "its patch \"{}\" is another feature's",
                    feature.patch
                ));
            }
            if let Some(exceeds) = &feature.exceeds
                && (exceeds.reason.trim().is_empty() || exceeds.lines <= manifest.budget)
            {
                return wrong(format!(
                    "`exceeds` needs a reason, and more lines than the budget of {}",
                    manifest.budget
                ));
            }
            for entry in &feature.overlay {
                let (from, to, _) = entry.parts();
                for path in [from, to] {
                    if let Some(why) = path::refuse(path) {
                        return wrong(format!("the overlay path {path:?} {why}"));
                    }
                }
                if let Some(other) = targets.insert(to.to_ascii_lowercase(), name) {
                    return wrong(format!("{to} is already an overlay file of \"{other}\""));
                }
            }
            for entry in &feature.probes.kernels {
                if let Some(why) = entry.refuse() {
                    return wrong(format!("the kernel {:?} {why}", entry.parts().0));
                }
            }
            known.push(name);
            patches.push(&feature.patch);
        }
        // A file can't be the folder of another.
        for target in targets.keys() {
            let mut folder = target.as_str();
            while let Some((parent, _)) = folder.rsplit_once('/') {
                if targets.contains_key(parent) {
                    return Err(Error::usage(format!(
                        "{parent} is an overlay file, and the folder of {target}"
                    )));
                }
                folder = parent;
            }
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        base = "v1"
        [[feature]]
        name = "fused"
        patch = "0001-fused.patch"
        overlay = [["p/CMakeLists.txt", "mlx/fused/CMakeLists.txt"], ["p/run.sh", "tools/run.sh", "executable"]]
        probes = { symbols = ["f"], python = [], c = ["g"], kernels = ["k", "k_*", ["l_*", 24]] }
        [[feature]]
        name = "second"
        patch = "0002-second.patch"
        requires = ["fused"]
    "#;

    #[test]
    fn a_series_with_two_features_is_read() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert_eq!(
            manifest.features[0].overlay[1].parts(),
            ("p/run.sh", "tools/run.sh", true)
        );
        assert_eq!(manifest.features[0].probes.c, ["g"]);
        let kernels = manifest.features[0].probes.kernels.iter();
        let kernels: Vec<_> = kernels.map(KernelEntry::parts).collect();
        assert_eq!(kernels, [("k", None), ("k_*", None), ("l_*", Some(24))]);
        assert_eq!(manifest.features[1].requires, ["fused"]);
    }

    #[test]
    fn what_is_wrong_is_said_by_name() {
        for (from, to, says) in [
            ("base =", "bass =", "bass"),
            ("requires =", "require =", "require"),
            ("requires = [\"fused\"]", "requires = [\"other\"]", "other"),
            ("\"second\"", "\"fused\"", "twice"),
            ("\"second\"", "\"Second one\"", "a name is"),
            ("0002-second.patch", "0001-fused.patch", "another feature's"),
            ("0002-second.patch", "../0002-second.patch", "no file name"),
            ("p/CMakeLists.txt", "/etc/passwd", "absolute"),
            ("p/CMakeLists.txt", "p/../../x", ".."),
            ("mlx/fused/CMakeLists.txt", "mlx/.GIT/config", ".git"),
            ("mlx/fused/CMakeLists.txt", "Tools/run.sh", "already"),
            ("mlx/fused/CMakeLists.txt", "tools", "the folder of"),
            ("\"executable\"", "\"setuid\"", "overlay"),
            ("symbols", "symbol", "symbol"),
            ("k_*", "*k_", "only at its end"),
            ("k_*", "*", "any"),
            ("k_*", "k x", "letters"),
            ("l_*", "l_", "one kernel"),
            ("24", "0", "0 times"),
            ("24", "-1", "kernels"),
        ] {
            let error = Manifest::parse(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.what().contains(says), "{to}: {error}");
            assert_eq!(error.kind(), crate::Kind::Usage);
        }
    }

    #[test]
    fn a_feature_may_only_require_one_before_it() {
        let swapped = GOOD.replace(
            "name = \"fused\"",
            "name = \"fused\"\n requires = [\"second\"]",
        );
        assert!(Manifest::parse(&swapped).is_err());
    }
}
