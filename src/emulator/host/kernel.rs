//! What the framework asks while MLX runs: a kernel, compiled, and the words for a report. It
//! asks by starting this program, and reads lines.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::build::clang;
use crate::build::files::{content_key, replace};
use crate::build::stamp::Inputs;
use crate::build::system::System;
use crate::build::tools::file_key;
use crate::emulator::cache::Cache;
use crate::emulator::{Build, Kernel, Numerics, Report, Role};
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
/// constant INDEX NAME        one without which it can't be launched
/// ```
///
/// `None` where the library has no such kernel.
///
/// # Errors
/// As [`crate::emulator::Emulator::read`] and [`crate::emulator::Program::kernel`].
pub fn compile(layout: &Layout, path: &Path, name: &str, build: Build) -> Result<Option<String>> {
    let memory = memory(layout, path, name, build)?;
    if let Some(facts) = recall(layout, &memory) {
        return Ok(Some(facts));
    }
    let facts = facts(layout, path, name, build)?;
    if let Some(facts) = &facts {
        replace(&memory, facts)?;
    }
    Ok(facts)
}

/// Where the facts of a kernel are kept: a name that changes with all that they depend on.
/// Reading a source of MLX's takes a second, and a program asks for many kernels.
fn memory(layout: &Layout, path: &Path, name: &str, build: Build) -> Result<PathBuf> {
    let emulator = layout.root().join("metal/emulator");
    let program = std::env::current_exe().doing(|| "finding this program".into())?;
    let mut inputs = Inputs::default()
        .with("kernel", name)
        .with("build", format!("{build:?}"))
        .with("translator", file_key(&program))
        .with("clang", clang::needed(&System::detect())?.key());
    for part in ["include", "preprocess", "runtime"] {
        inputs = inputs.with(part, content_key(&emulator.join(part))?);
    }
    // A metallib is written anew where its sources are. A source of the JIT's has all that it
    // needs in it, and a name of its own in each process.
    let key = match library::is_source(path) {
        true => std::fs::read_to_string(path).doing(reading(path))?,
        false => file_key(path),
    };
    let inputs = inputs.with("library", key);
    let folder = layout.target().join("emulator/facts");
    Ok(folder.join(&inputs.key()[..32]))
}

/// The facts that were kept, where what they name is still there.
fn recall(layout: &Layout, memory: &Path) -> Option<String> {
    let facts = std::fs::read_to_string(memory).ok()?;
    let cache = Cache::new(layout.target().join("emulator"));
    let is_kept = |file: &Path| {
        let entry = file.parent();
        entry.is_some_and(|entry| cache.uses(entry, file))
    };
    let files = ["driver ", "library "];
    let are_there = files.iter().all(|what| {
        let mut found = facts.lines().filter_map(|line| line.strip_prefix(what));
        found.next().is_some_and(|file| is_kept(Path::new(file)))
    });
    (are_there && cache.uses(memory, memory)).then_some(facts)
}

fn facts(layout: &Layout, path: &Path, name: &str, build: Build) -> Result<Option<String>> {
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
        for constant in kernel.needed_constants() {
            let _ = writeln!(facts, "constant {} {}", constant.index, constant.name);
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
