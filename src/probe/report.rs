//! What a probe found, as data: field names are those of `cargo xtask probe --json` and
//! stay. See docs/probe.md.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::judge::Check;
use crate::error::{Error, Result};
use crate::side::Side;

/// The result of a probe.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// True when nothing failed and there was something to check.
    pub ok: bool,
    /// How many promised things were checked.
    pub probes: usize,
    /// How many of all checks failed.
    pub failed: usize,
    /// The builds.
    pub sides: Vec<SideReport>,
    /// CPU features that kernels may use, and whether this machine has them.
    pub cpu_features: BTreeMap<String, bool>,
    /// Each thing that was checked.
    pub checks: Vec<Check>,
}

/// What one build is and can do.
#[derive(Debug, Clone, Serialize)]
pub struct SideReport {
    /// Which.
    pub side: Side,
    /// Its install folder.
    pub prefix: PathBuf,
    /// MLX's version, as the library says it.
    pub version: Option<String>,
    /// The id that the build was recorded with; none for stock.
    pub recorded_id: Option<String>,
    /// The id that the library says (`mlx_fork_build_id`); stock says none.
    pub library_id: Option<String>,
    /// The id that the C API says (`mlx_fork_id`).
    pub c_api_id: Option<String>,
    /// What the library exports.
    pub functions: Option<Functions>,
    /// How many Metal kernels are in the libraries beside it; none where it does not compute with
    /// Metal.
    pub kernels: Option<usize>,
    /// Functions of the C API that were found by name in the loaded library.
    pub c_functions: Vec<String>,
    /// Its Python module, where it was built with one and answered.
    pub python: Option<Python>,
    /// `cpu`, `gpu`, `metal`, `cuda`: whether MLX can use it here.
    pub devices: BTreeMap<String, bool>,
}

/// Exports of a library.
#[derive(Debug, Clone, Serialize)]
pub struct Functions {
    /// `ELF x86_64`, `Mach-O aarch64`.
    pub format: String,
    /// How many functions it exports.
    pub exported: usize,
    /// How many other things.
    pub data: usize,
}

/// A Python module.
#[derive(Debug, Clone, Serialize)]
pub struct Python {
    /// Python's own version.
    pub version: String,
    /// The file of `mlx.core`.
    pub module: PathBuf,
    /// How many public attributes `mlx.core` has.
    pub attributes: usize,
}

impl Report {
    pub(super) fn new(
        sides: Vec<SideReport>,
        cpu_features: BTreeMap<String, bool>,
        checks: Vec<Check>,
    ) -> Self {
        let probes = checks.iter().filter(|c| c.is_probe()).count();
        let failed = checks.iter().filter(|c| !c.ok).count();
        Report {
            ok: failed == 0 && probes > 0,
            probes,
            failed,
            sides,
            cpu_features,
            checks,
        }
    }

    /// The gate: an error with each failed check and what to do, or with there being none.
    pub fn verdict(&self) -> Result<()> {
        if self.ok {
            return Ok(());
        }
        if self.probes == 0 && self.failed == 0 {
            return Err(Error::gate("nothing is promised, so nothing was proved")
                .doing("probing the builds")
                .hint("name what a build must have in the `probes` of patches/series.toml or in [expect] of fork.toml"));
        }
        let failures = self.checks.iter().filter(|c| !c.ok);
        let lines: Vec<String> = failures
            .map(|c| {
                let to_do = c.to_do.as_deref().unwrap_or_default();
                let side = c.side.name();
                format!(
                    "    {side}: {} {}: {}\n        {to_do}",
                    c.what.name(),
                    c.name,
                    c.found
                )
            })
            .collect();
        let text = format!(
            "{} of {} checks failed:\n{}",
            self.failed,
            self.checks.len(),
            lines.join("\n")
        );
        Err(Error::gate(text).doing("probing the builds"))
    }
}

impl Report {
    /// The report as a table: a heading and a row a fact, one column a build; then a row a
    /// promised thing.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let column = |name: &str, of: &dyn Fn(&SideReport) -> Option<String>| {
            let mut row = vec![name.to_string()];
            row.extend(
                self.sides
                    .iter()
                    .map(|s| of(s).unwrap_or_else(|| "-".into())),
            );
            row
        };
        let mut rows = vec![
            column("", &|s| Some(s.side.name().into())),
            column("MLX version", &|s| s.version.clone()),
            column("recorded id", &|s| s.recorded_id.as_deref().map(short)),
            column("id of the library", &|s| s.library_id.as_deref().map(short)),
            column("id of the C API", &|s| s.c_api_id.as_deref().map(short)),
            column("file", &|s| Some(s.functions.as_ref()?.format.clone())),
            column("exported functions", &|s| {
                Some(s.functions.as_ref()?.exported.to_string())
            }),
            column("C functions that resolve", &|s| {
                Some(s.c_functions.len().to_string())
            }),
            column("Python", &|s| Some(s.python.as_ref()?.version.clone())),
            column("attributes of mlx.core", &|s| {
                Some(s.python.as_ref()?.attributes.to_string())
            }),
            column("devices", &|s| {
                let here = s.devices.iter().filter(|(_, available)| **available);
                let here: Vec<&str> = here.map(|(name, _)| name.as_str()).collect();
                (!here.is_empty()).then(|| here.join(", "))
            }),
        ];
        if self.sides.iter().any(|side| side.kernels.is_some()) {
            let count = |s: &SideReport| Some(s.kernels?.to_string());
            rows.push(column("Metal kernels", &count));
        }
        let mut seen: Vec<(&'static str, &str)> = Vec::new();
        for check in self.checks.iter().filter(|c| c.is_probe()) {
            let key = (check.what.name(), check.name.as_str());
            if seen.contains(&key) {
                continue;
            }
            seen.push(key);
            rows.push(column(&format!("{} {}", key.0, key.1), &|side| {
                let of = |c: &&Check| {
                    (c.side, c.what.name(), c.name.as_str()) == (side.side, key.0, key.1)
                };
                let check = self.checks.iter().find(of)?;
                let mark = if check.ok { "" } else { " (WRONG)" };
                Some(format!("{}{mark}", check.found))
            }));
        }
        rows.push(column("checks", &|side| {
            let own: Vec<&Check> = self.checks.iter().filter(|c| c.side == side.side).collect();
            let good = own.iter().filter(|c| c.ok).count();
            Some(format!("{good} of {} hold", own.len()))
        }));
        rows
    }

    /// The machine's CPU features in a line: those that it has, and those that it lacks.
    pub fn cpu_line(&self) -> String {
        let names = |has: bool| {
            let these = self.cpu_features.iter().filter(|(_, here)| **here == has);
            let these: Vec<&str> = these.map(|(name, _)| name.as_str()).collect();
            match these.is_empty() {
                true => "none".to_string(),
                false => these.join(" "),
            }
        };
        format!("CPU features: {}; lacking: {}", names(true), names(false))
    }
}

/// A commit id as people write it; anything else as it is.
fn short(id: &str) -> String {
    if crate::config::is_object_id(id) {
        id[..12].to_string()
    } else {
        id.to_string()
    }
}
