//! MLX as PyPI has it: the wheel of a pin's release, in a private folder. Not its use.

use std::path::{Path, PathBuf};

use crate::error::{Doing, Error, Result, reading, writing};
use crate::layout::Layout;
use crate::process::{Command, last_lines};
use crate::ui::Ui;

use super::files::{beside, files_below, remove};
use super::stamp::{Inputs, Stamp};
use super::tools::Tools;

/// The folder that holds MLX's wheel of this release: a folder for `PYTHONPATH`, with the
/// library, the headers and the CMake files in its `mlx`. Fetched by pip where it is not
/// there yet.
///
/// # Errors
/// [`crate::Kind::Mirror`] where pip can't get it, [`crate::Kind::Usage`] without Python.
pub fn fetch(layout: &Layout, tools: &Tools, version: &str, ui: &dyn Ui) -> Result<PathBuf> {
    let python = tools.python.as_ref().ok_or_else(|| {
        Error::usage("MLX's wheel is a Python package, and this run is without Python")
            .hint("run without --no-python, or build against a prefix")
    })?;
    let folder = layout.target().join(format!("wheel-{version}"));
    let stamp = Stamp::at(layout.stamps().join(format!("wheel-{version}.json")));
    // On Linux the library is in a package of its own, which the extra asks for.
    let package = match cfg!(target_os = "macos") {
        true => format!("mlx=={version}"),
        false => format!("mlx[cpu]=={version}"),
    };
    let inputs = Inputs::default()
        .with("package", package.as_str())
        .with("Python", python.version.as_str());
    if stamp.stale(&inputs).is_none() {
        return Ok(folder);
    }
    stamp.remove()?;
    ui.step(&format!("{package} from PyPI"));
    let new = beside(&folder, "new");
    remove(&new)?;
    let log = layout.logs().join("wheel.log");
    let command = Command::new(&python.path)
        .args(["-m", "pip", "install", "--no-input"])
        .args(["--disable-pip-version-check", "--only-binary=:all:"])
        .arg("--target")
        .arg(&new)
        .arg(&package)
        .log(&log);
    let output = command.output()?;
    if !output.success() {
        let said = format!("{}{}", output.stdout, output.stderr);
        let what = format!(
            "pip ended with {}:\n{}",
            output.ending(),
            last_lines(&said, 8)
        );
        return Err(Error::mirror(what)
            .doing(format!("getting {package} from PyPI"))
            .hint("a pin that is no release has no wheel: build against a prefix instead")
            .hint(format!("the full log is {}", log.display())));
    }
    remove(&folder)?;
    std::fs::rename(&new, &folder).doing(writing(&folder))?;
    // Python adds its caches later; what pip put there is what counts.
    stamp.save(&inputs, &files_below(&folder)?)?;
    Ok(folder)
}

/// The release that a tree of MLX says it is, as PyPI names it.
pub fn release_of(tree: &Path) -> Result<String> {
    let path = tree.join("mlx/version.h");
    let text = std::fs::read_to_string(&path).doing(reading(&path))?;
    let part = |name: &str| {
        let define = format!("#define MLX_VERSION_{name} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&define))
            .map(str::trim)
    };
    match (part("MAJOR"), part("MINOR"), part("PATCH")) {
        (Some(major), Some(minor), Some(patch)) => Ok(format!("{major}.{minor}.{patch}")),
        _ => Err(Error::environment(format!(
            "{} does not say which release it is",
            path.display()
        ))
        .hint("name the MLX to build against: --against PREFIX")),
    }
}
