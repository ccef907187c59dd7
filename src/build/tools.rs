//! The programs that a build uses, and the answer kept between runs: looked for once, then
//! recognised by path, size and time without running anything. The search is `search`'s.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::declared::Declarations;
use super::files::replace;
use super::options::Options;
use super::search;
use super::system::System;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ui::Ui;

/// Where a tool came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Found on the system.
    System,
    /// From PyPI, in the private environment.
    Pypi,
    /// Named by the user.
    Override,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Origin::System => "system",
            Origin::Pypi => "PyPI",
            Origin::Override => "override",
        })
    }
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// What it is: `cmake`.
    pub name: String,
    /// The program, library or folder, absolute.
    pub path: PathBuf,
    /// Its version as it says it.
    pub version: String,
    /// Where it came from.
    pub origin: Origin,
}

impl Tool {
    /// Path, size and time of change, without running it; changes when the tool does.
    pub fn key(&self) -> String {
        file_key(&self.path)
    }
}

/// Path, size and time of change of a file.
pub fn file_key(path: &Path) -> String {
    let seen = std::fs::metadata(path).and_then(|m| Ok((m.len(), m.modified()?)));
    match seen {
        Ok((size, time)) => {
            let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{}:{size}:{}", path.display(), time.as_nanos())
        }
        Err(_) => format!("{}:missing", path.display()),
    }
}

/// What a build runs and reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// cmake, 3.25 or later.
    pub cmake: Tool,
    /// ninja.
    pub ninja: Tool,
    /// The C compiler.
    pub cc: Tool,
    /// The C++ compiler.
    pub cxx: Tool,
    /// ccache or sccache.
    pub launcher: Option<Tool>,
    /// The private environment's Python, with nanobind, numpy and psutil; with Python only.
    pub python: Option<Tool>,
    /// nanobind's package folder, in the version that MLX's tree wants; with Python only.
    pub nanobind: Option<Tool>,
    /// libclang, the file.
    pub libclang: PathBuf,
    /// Its version.
    pub libclang_version: String,
}

impl Tools {
    /// Every file that the tools are.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.cmake, &self.ninja, &self.cc, &self.cxx]
            .into_iter()
            .chain(&self.launcher)
            .chain(&self.python)
            .chain(&self.nanobind)
            .map(|tool| tool.path.as_path())
            .chain(std::iter::once(self.libclang.as_path()))
    }

    fn keys(&self) -> Vec<String> {
        self.paths().map(file_key).collect()
    }
}

/// What is kept of a search.
#[derive(Serialize, Deserialize)]
struct Kept {
    asked: String,
    keys: Vec<String>,
    tools: Tools,
}

/// The tools of this machine: from the system where they fit, else from PyPI.
///
/// # Errors
/// [`crate::Kind::Environment`] with everything that is missing, and one command that mends it.
pub fn find(layout: &Layout, options: &Options, ui: &dyn Ui) -> Result<Tools> {
    find_on(&System::detect(), layout, options, ui)
}

/// As [`find`], on a system as described.
pub fn find_on(system: &System, layout: &Layout, options: &Options, ui: &dyn Ui) -> Result<Tools> {
    let nanobind = match options.python {
        true => Some(wanted_nanobind(layout, options)?),
        false => None,
    };
    let asked = search::fingerprint(system, options, nanobind.as_deref());
    let path = record(layout, options.python);
    if let Some(tools) = recall(&path, &asked) {
        return Ok(tools);
    }
    let survey = search::survey(system, layout, options, nanobind.as_deref(), ui);
    let tools = survey.into_tools(system)?;
    keep(&path, asked, &tools)?;
    Ok(tools)
}

/// MLX's tree, as the options or the layout say.
pub fn source_tree(layout: &Layout, options: &Options) -> PathBuf {
    options.source.clone().unwrap_or_else(|| layout.mlx_local())
}

/// Where the last search is kept: a search without Python must not make one with it forget.
fn record(layout: &Layout, python: bool) -> PathBuf {
    let name = match python {
        true => "tools.json",
        false => "tools-without-python.json",
    };
    layout.stamps().join(name)
}

/// The tools that the last search with such options found, whatever became of them since.
pub fn recorded(layout: &Layout, options: &Options) -> Option<Tools> {
    let text = std::fs::read(record(layout, options.python)).ok()?;
    let kept: Kept = serde_json::from_slice(&text).ok()?;
    Some(kept.tools)
}

fn wanted_nanobind(layout: &Layout, options: &Options) -> Result<String> {
    let tree = source_tree(layout, options);
    Ok(Declarations::read(&tree)?.version("nanobind")?.to_string())
}

fn recall(path: &Path, asked: &str) -> Option<Tools> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let fresh = kept.asked == asked && kept.keys == kept.tools.keys();
    // A tool that was missing when it was kept must not count as unchanged.
    (fresh && kept.tools.paths().all(Path::exists)).then_some(kept.tools)
}

fn keep(path: &Path, asked: String, tools: &Tools) -> Result<()> {
    let kept = Kept {
        asked,
        keys: tools.keys(),
        tools: tools.clone(),
    };
    let text = serde_json::to_string_pretty(&kept).map_err(|e| Error::bug(e.to_string()))?;
    replace(path, &text)
}
