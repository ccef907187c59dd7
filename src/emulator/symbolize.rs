//! Addresses in a kernel's library to lines of the .metal file, inlined functions included; and
//! what its blocks of instructions compute.

use std::collections::BTreeMap;
use std::path::Path;

use object::{Object, ObjectSymbol};

use crate::build::system::System;
use crate::process::Command;

use super::compile::DEBUG_FOLDER;
use super::flops;
use super::report::Frame;

/// The debug information of one library.
pub struct Symbols {
    loader: Option<addr2line::Loader>,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols").finish_non_exhaustive()
    }
}

impl Symbols {
    /// Those of a library; none where it has none.
    pub fn read(library: &Path) -> Self {
        Symbols {
            loader: addr2line::Loader::new(library).ok(),
        }
    }

    /// The functions around the instruction before `pc`, innermost first: a return address is
    /// one past what called.
    pub fn frames(&self, pc: u64) -> Vec<Frame> {
        let mut all = Vec::new();
        let Some(loader) = &self.loader else {
            return all;
        };
        let Ok(mut frames) = loader.find_frames(pc.saturating_sub(1)) else {
            return all;
        };
        while let Ok(Some(frame)) = frames.next() {
            let function = frame.function.as_ref().and_then(|name| {
                let name = name.demangle().ok()?;
                Some(short(&name).to_string())
            });
            let place = frame.location.as_ref();
            let file = place.and_then(|place| place.file);
            let file = file.map(|file| file.strip_prefix(DEBUG_FOLDER).unwrap_or(file).to_string());
            let line = place.and_then(|place| place.line);
            if let (Some(file), Some(line)) = (file, line) {
                all.push(Frame {
                    function: function.unwrap_or_default(),
                    file,
                    line,
                });
            }
        }
        all
    }
}

/// A function's name without its parameters and what its template was given.
fn short(name: &str) -> &str {
    let end = name.find(['(', '<']).unwrap_or(name.len());
    let name = name[..end].trim();
    // `void f<…>` is how templates' names begin.
    name.rsplit(' ').next().unwrap_or(name)
}

/// For each name whether a library has a symbol of it; one that can't be read has none.
pub fn has_symbols(library: &Path, names: &[String]) -> Vec<bool> {
    let mut found = vec![false; names.len()];
    if names.is_empty() {
        return found;
    }
    let bytes = std::fs::read(library).unwrap_or_default();
    let Ok(file) = object::File::parse(&bytes[..]) else {
        return found;
    };
    for symbol in file.symbols() {
        let number = names.iter().position(|name| symbol.name() == Ok(name));
        if let Some(number) = number {
            found[number] = true;
        }
    }
    found
}

/// The floating-point operations of each block of a library; none where nothing disassembles.
pub fn blocks(library: &Path) -> BTreeMap<u64, u64> {
    let system = System::detect();
    let program = ["objdump", "llvm-objdump"]
        .iter()
        .find_map(|name| system.programs(name).into_iter().next());
    let Some(program) = program else {
        return BTreeMap::new();
    };
    let output = Command::new(program)
        .args(["-d", "--no-show-raw-insn"])
        .arg(library)
        .output();
    match output {
        Ok(output) if output.success() => flops::blocks(&output.stdout),
        _ => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_shortly() {
        for (full, name) in [
            ("void qdot<float, 4>(float const*, int)", "qdot"),
            ("affine_qmv", "affine_qmv"),
            ("mlx::steel::f(int)", "mlx::steel::f"),
        ] {
            assert_eq!(short(full), name);
        }
    }

    #[test]
    fn a_file_without_debug_information_has_no_frames() {
        let symbols = Symbols::read(Path::new("/dev/null"));
        assert!(symbols.frames(0x1000).is_empty());
        assert!(blocks(Path::new("/dev/null")).is_empty());
    }
}
