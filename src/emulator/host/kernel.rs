//! What the framework asks while MLX runs: a kernel, compiled, and the words for a report. It
//! asks by starting this program, and reads lines.

use std::fmt::Write as _;
use std::path::Path;

use crate::emulator::Report;
use crate::emulator::{Build, Kernel, Numerics, Role};
use crate::error::{Doing, Error, Result, reading};
use crate::layout::Layout;

use super::library;

/// Compiles a kernel of a library, and gives what the framework must know of it, a line each:
///
/// ```text
/// driver PATH
/// library PATH
/// buffer INDEX const|mutable NAME
/// threadgroup INDEX
/// ```
///
/// `None` where the library has no such kernel.
///
/// # Errors
/// As [`crate::emulator::Emulator::read`] and [`crate::emulator::Program::kernel`].
pub fn compile(layout: &Layout, path: &Path, name: &str, build: Build) -> Result<Option<String>> {
    with_kernel(layout, path, name, build, |kernel| {
        let mut facts = String::new();
        let driver = kernel.emulator.driver()?;
        // Writing to a string can't fail.
        let _ = writeln!(facts, "driver {}", driver.display());
        let _ = writeln!(facts, "library {}", kernel.library.display());
        for parameter in &kernel.parameters {
            let _ = match &parameter.role {
                Role::Buffer { index, .. } => {
                    let access = if parameter.writable {
                        "mutable"
                    } else {
                        "const"
                    };
                    writeln!(facts, "buffer {index} {access} {}", parameter.name)
                }
                Role::Threadgroup { index } => writeln!(facts, "threadgroup {index}"),
                Role::Position(_) => Ok(()),
            };
        }
        Ok(facts)
    })
}

/// The faults of a launch's report, with their lines in the source.
///
/// # Errors
/// As [`compile`], and where the library has no such kernel.
pub fn explain(
    layout: &Layout,
    path: &Path,
    name: &str,
    build: Build,
    report: &Path,
) -> Result<String> {
    let json = std::fs::read_to_string(report).doing(reading(report))?;
    let said = with_kernel(layout, path, name, build, |kernel| {
        let report = Report::read(&json, kernel)?;
        let mut text = String::new();
        for fault in &report.faults {
            let _ = writeln!(text, "{fault}");
        }
        let more = report
            .faults_in_all
            .saturating_sub(report.faults.len() as u64);
        if more > 0 {
            let _ = writeln!(text, "… and {more} more at the same places");
        }
        Ok(text)
    })?;
    said.ok_or_else(|| Error::usage(format!("{} has no kernel {name}", path.display())))
}

/// Does something with a compiled kernel; `None` where the library has none of this name.
fn with_kernel<T>(
    layout: &Layout,
    path: &Path,
    name: &str,
    build: Build,
    what: impl FnOnce(&Kernel<'_>) -> Result<T>,
) -> Result<Option<T>> {
    for source in library::read(path)? {
        if !source.may_have(name) {
            continue;
        }
        let emulator = source.emulator(layout)?;
        let program = emulator.read(source.path.as_path())?;
        if program.kernels().iter().any(|kernel| kernel.name == name) {
            let kernel = program.kernel(name, build, Numerics::default())?;
            return what(&kernel).map(Some);
        }
    }
    Ok(None)
}
