//! The crate mirror: cargo gets the crate, as for any dependency, into its ordinary cache.
//! Nothing of the crate is compiled or run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::config::CrateMirror;
use crate::error::{Doing, Error, Result, writing};
use crate::process::{Command, Output};

/// A crate of 8 MB over a slow line, and cargo's own retries.
const PATIENCE: Duration = Duration::from_secs(300);

/// The folder of the unpacked crate that holds the tree. `scratch` is a folder for the
/// manifest that asks for the crate.
pub(super) fn folder(scratch: &Path, mirror: &CrateMirror) -> Result<PathBuf> {
    let project = scratch.join("crate");
    fs::create_dir_all(project.join("src")).doing(writing(&project))?;
    let library = project.join("src/lib.rs");
    fs::write(&library, "").doing(writing(&library))?;
    let manifest = project.join("Cargo.toml");
    fs::write(&manifest, manifest_text(mirror)?).doing(writing(&manifest))?;
    fetch(&project)?;
    let output = check(
        cargo(&project)
            .args(["metadata", "--format-version=1", "--offline", "--quiet"])
            .output()?,
    )?;
    find(&output.stdout, mirror)
}

fn manifest_text(mirror: &CrateMirror) -> Result<String> {
    let plain = |text: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        !text.is_empty() && text.chars().all(known)
    };
    if !plain(&mirror.name) || !plain(&mirror.version) {
        return Err(Error::usage(format!(
            "\"{}\" ={} is no crate",
            mirror.name, mirror.version
        )));
    }
    Ok(format!(
        "[package]\nname = \"mlx-fork-mirror\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         publish = false\n\n[workspace]\n\n[dependencies]\n\
         {} = {{ version = \"={}\", default-features = false }}\n",
        mirror.name, mirror.version
    ))
}

/// From cargo's cache where it is there: no network, some 50 ms.
fn fetch(project: &Path) -> Result<()> {
    let cached = cargo(project).args(["fetch", "--offline", "--quiet"]);
    if cached.output()?.success() {
        return Ok(());
    }
    check(cargo(project).args(["fetch", "--quiet"]).output()?)?;
    Ok(())
}

fn cargo(project: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program)
        .current_dir(project)
        .limit(PATIENCE)
        // Cargo running cargo: these are the outer one's.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET");
    // Cargo's own default is three retries of 30 s each: too long to learn that there is no network.
    for (name, value) in [("CARGO_HTTP_TIMEOUT", "10"), ("CARGO_NET_RETRY", "1")] {
        if std::env::var_os(name).is_none() {
            command = command.env(name, value);
        }
    }
    command
}

fn check(output: Output) -> Result<Output> {
    if output.success() {
        return Ok(output);
    }
    // The first line says what failed, the last of the causes why.
    let mut said = output
        .stderr
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty());
    let first = said.next().map(str::to_string);
    let last = said.next_back();
    let text = match (first, last) {
        (Some(first), Some(last)) => format!("{first} … {last}"),
        (Some(first), None) => first,
        _ => output.ending(),
    };
    Err(Error::mirror(format!("cargo: {text}")))
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
}

fn find(metadata: &str, mirror: &CrateMirror) -> Result<PathBuf> {
    let metadata: Metadata = serde_json::from_str(metadata)
        .map_err(|e| Error::mirror(format!("cargo metadata: {e}")))?;
    let package = metadata
        .packages
        .iter()
        .find(|p| p.name == mirror.name && p.version == mirror.version)
        .and_then(|p| p.manifest_path.parent());
    let Some(unpacked) = package else {
        return Err(Error::mirror(format!(
            "cargo metadata names no {} {}",
            mirror.name, mirror.version
        )));
    };
    let folder = unpacked.join(&mirror.folder);
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(Error::mirror(format!(
        "the crate has no folder {} (looked for {})",
        mirror.folder,
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_add_lines_to_the_manifest_is_refused() {
        let mirror = |name: &str, version: &str| CrateMirror {
            name: name.into(),
            version: version.into(),
            folder: "vendor".into(),
        };
        let text = manifest_text(&mirror("some-crate", "1.2.3-rc.1+x")).unwrap();
        assert!(
            text.ends_with(
                "some-crate = { version = \"=1.2.3-rc.1+x\", default-features = false }\n"
            )
        );
        assert!(manifest_text(&mirror("a\nb", "1")).is_err());
        assert!(manifest_text(&mirror("a", "1\" }\n[patch]")).is_err());
    }
}
