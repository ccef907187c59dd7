//! Which Python: one that can make a virtual environment and, for the extension, has its C
//! headers. Only the search; the environment made from it is `venv`'s.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::system::{Need, System};
use crate::process::Command;

/// The oldest Python that MLX's own build accepts.
pub const LEAST: (u32, u32) = (3, 10);

/// A Python as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Python {
    /// The interpreter itself: no shim, no virtual environment.
    pub path: PathBuf,
    /// Major, minor, patch.
    pub version: (u32, u32, u32),
    /// Its include folder, whether or not headers are in it.
    pub include: PathBuf,
    /// True where `Python.h` is there.
    pub headers: bool,
    /// True where `python -m venv` can work (Debian packs it apart).
    pub venv: bool,
}

impl Python {
    /// `3.11.2`.
    pub fn version(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }

    fn lacks(&self, headers: bool) -> BTreeSet<Need> {
        let mut lacks = BTreeSet::new();
        if (self.version.0, self.version.1) < LEAST || !self.venv {
            lacks.insert(Need::Python);
        }
        if headers && !self.headers {
            lacks.insert(Need::PythonHeaders);
        }
        lacks
    }
}

/// The smallest extension module, to try the headers with.
pub const MODULE: &str = "\
#include <Python.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, \"doctor\", nullptr, -1, nullptr};
PyMODINIT_FUNC PyInit_doctor() { return PyModule_Create(&module); }
";

/// The include folder of this interpreter.
pub fn include(program: &Path) -> Result<PathBuf, String> {
    ask(program).map(|python| python.include)
}

/// Why no Python is fit.
#[derive(Debug, Clone)]
pub struct Unfit {
    /// What was found, and what it lacks.
    pub why: String,
    /// What would mend it.
    pub needs: BTreeSet<Need>,
}

// `_base_executable` and not `executable`: inside a virtual environment, or behind a shim, the
// latter is not what headers and the standard library belong to.
const ASK: &str = "
import importlib.util, json, os, sys, sysconfig
has = lambda name: importlib.util.find_spec(name) is not None
include = sysconfig.get_path('include')
print(json.dumps({
    'path': getattr(sys, '_base_executable', None) or sys.executable,
    'version': list(sys.version_info[:3]),
    'include': include,
    'headers': os.path.isfile(os.path.join(include, 'Python.h')),
    'venv': has('venv') and has('ensurepip'),
}))";

/// The first Python that is fit: `python3` on `PATH` in order, then the versioned names.
pub fn find(system: &System, headers: bool) -> Result<Python, Unfit> {
    let versioned = (LEAST.1..=14).rev().map(|minor| format!("python3.{minor}"));
    let mut nearest: Option<Python> = None;
    let mut broken = None;
    let mut seen = BTreeSet::new();
    for name in std::iter::once("python3".to_string()).chain(versioned) {
        for program in system.programs(&name) {
            if !seen.insert(program.canonicalize().unwrap_or_else(|_| program.clone())) {
                continue;
            }
            let python = match ask(&program) {
                Ok(python) => python,
                Err(why) => {
                    broken.get_or_insert(format!("{}: {why}", program.display()));
                    continue;
                }
            };
            let lacks = python.lacks(headers);
            if lacks.is_empty() {
                return Ok(python);
            }
            if nearest
                .as_ref()
                .is_none_or(|n| lacks.len() < n.lacks(headers).len())
            {
                nearest = Some(python);
            }
        }
    }
    Err(match nearest {
        Some(python) => unfit(&python, headers),
        None => {
            let mut needs = BTreeSet::from([Need::Python]);
            needs.extend(headers.then_some(Need::PythonHeaders));
            let why = broken.unwrap_or_else(|| "no python3 on PATH".into());
            Unfit { why, needs }
        }
    })
}

fn unfit(python: &Python, headers: bool) -> Unfit {
    let mut lacks = Vec::new();
    if (python.version.0, python.version.1) < LEAST {
        lacks.push(format!("is older than {}.{}", LEAST.0, LEAST.1));
    }
    if !python.venv {
        lacks.push("has no venv module".into());
    }
    if headers && !python.headers {
        lacks.push(format!("has no Python.h in {}", python.include.display()));
    }
    Unfit {
        why: format!(
            "{} ({}) {}",
            python.path.display(),
            python.version(),
            lacks.join(" and ")
        ),
        needs: python.lacks(headers),
    }
}

fn ask(program: &Path) -> Result<Python, String> {
    let output = Command::new(program)
        .args(["-I", "-c", ASK])
        .limit(Duration::from_secs(20))
        .run()
        .map_err(|e| e.what().to_string())?;
    serde_json::from_str(output.stdout.trim()).map_err(|e| format!("answers nonsense: {e}"))
}
