//! The private Python environment under target/: what the system lacks, from PyPI by the
//! ordinary client, in versions that are named here.
//!
//! One environment for each list of requirements, so that two pins don't undo each other's. Its
//! stamp is written last and names its folder; a folder that no stamp names was never finished.
//! Each attempt has a folder of its own, since what a killed pip started may go on writing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::replace;
use super::python::Python;
use super::system::{entries, subfolders};
use crate::error::{Doing, Error, Result, writing};
use crate::layout::Layout;
use crate::process::{self, Command};
use crate::ui::Ui;

/// A finished environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Venv {
    folder: PathBuf,
    stamp: PathBuf,
}

/// What an environment was made from, and where it is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    python: Python,
    requirements: Vec<String>,
    folder: PathBuf,
}

fn name(python: &Python, requirements: &[String]) -> String {
    let mut hash = Sha256::new();
    hash.update(python.path.as_os_str().as_encoded_bytes());
    for requirement in requirements {
        hash.update([0]);
        hash.update(requirement);
    }
    let hash = hash.finalize();
    let short: String = hash.iter().take(5).map(|b| format!("{b:02x}")).collect();
    let (major, minor, _) = python.version;
    format!("py{major}.{minor}-{short}")
}

/// The environment with these requirements, made if it isn't there.
///
/// # Errors
/// [`crate::Kind::Environment`]: pip failed; its log is named, nothing half made is left to
/// be used.
pub fn ensure(
    layout: &Layout,
    python: &Python,
    requirements: &[String],
    ui: &dyn Ui,
) -> Result<Venv> {
    let name = name(python, requirements);
    let stamp = layout.venv().join(format!("{name}.json"));
    let finished = || {
        let found: Stamp = serde_json::from_slice(&std::fs::read(&stamp).ok()?).ok()?;
        let same = found.python == *python && found.requirements == requirements;
        let venv = Venv {
            folder: found.folder,
            stamp: stamp.clone(),
        };
        (same && venv.python().is_file()).then_some(venv)
    };
    if let Some(venv) = finished() {
        return Ok(venv);
    }
    // Doctor makes environments too, without the checkout's lock: one at a time.
    std::fs::create_dir_all(layout.venv()).doing(writing(&layout.venv()))?;
    let lock = layout.venv().join("lock");
    let lock = std::fs::File::create(&lock).doing(writing(&lock))?;
    lock.lock()
        .doing(|| "waiting for another run's Python environment".into())?;
    if let Some(venv) = finished() {
        return Ok(venv);
    }
    discard(layout, &name, &stamp)?;
    let attempt = tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(layout.venv())
        .doing(writing(&layout.venv()))?;
    let venv = Venv {
        folder: attempt.path().to_path_buf(),
        stamp: stamp.clone(),
    };
    let log = layout.logs().join("venv.log");
    ui.step("tools from PyPI");
    let what = || format!("making the Python environment {}", venv.folder.display());
    Command::new(&python.path)
        .args(["-I", "-m", "venv"])
        .arg(&venv.folder)
        .limit(Duration::from_secs(300))
        .log(&log)
        .run()
        .doing(what)?;
    install(&venv, requirements, &log, ui).doing(what)?;
    let made = Stamp {
        python: python.clone(),
        requirements: requirements.to_vec(),
        folder: attempt.keep(),
    };
    let text = serde_json::to_string(&made).map_err(|e| Error::bug(e.to_string()))?;
    replace(&stamp, &text)?;
    Ok(venv)
}

fn install(venv: &Venv, requirements: &[String], log: &Path, ui: &dyn Ui) -> Result<()> {
    // Wheels only: building cmake or libclang from source would need what is missing.
    let command = Command::new(venv.python())
        .args(["-m", "pip", "install", "--no-input"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .args(requirements)
        .env("PYTHONNOUSERSITE", "1")
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME")
        .limit(Duration::from_secs(900))
        .log(log);
    let shown = command.display();
    let total = requirements.len() as u64;
    let mut done = 0;
    let output = command.lines(|_, line| {
        if let Some(name) = line.trim().strip_prefix("Collecting ") {
            ui.progress(done, total, name);
            done = total.min(done + 1);
        }
    })?;
    process::check(&shown, &output, Some(log)).map_err(|error| {
        error.hint(format!(
            "pip could not bring {}: check the network and pip's own settings (PIP_INDEX_URL, \
             PIP_FIND_LINKS, PIP_CERT, a proxy), then run again",
            requirements.join(", ")
        ))
    })
}

/// Removes what earlier attempts left: the stamp first, so that what it names is not used half
/// removed.
fn discard(layout: &Layout, name: &str, stamp: &Path) -> Result<()> {
    match std::fs::remove_file(stamp) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).doing(|| format!("removing {}", stamp.display()));
        }
        _ => {}
    }
    for folder in entries(&layout.venv(), |found| {
        found.starts_with(&format!("{name}-"))
    }) {
        // An orphan may be writing there still; the next time takes what is left.
        let _ = std::fs::remove_dir_all(folder);
    }
    Ok(())
}

impl Venv {
    /// Its interpreter.
    pub fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// A program of its bin folder.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// A file of an installed package, by its path under site-packages.
    pub fn file(&self, path: &str) -> Option<PathBuf> {
        subfolders(&self.folder.join("lib"))
            .into_iter()
            .map(|python| python.join("site-packages").join(path))
            .find(|file| file.exists())
    }

    /// Takes the stamp away, so that the next run makes it again: for an environment in which
    /// something is missing that was there once.
    pub fn distrust(&self) {
        // Where it can't be removed, making it again would fail too, and say so.
        let _ = std::fs::remove_file(&self.stamp);
    }
}
