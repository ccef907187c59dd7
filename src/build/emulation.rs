//! What tests need on a processor that this machine has not: a compiler for AArch64 and an
//! emulator of it. Where the machine is one, or runs no Linux programs, none is looked for.

use super::search::{self, Found, Lack};
use super::system::{Need, System};
use super::tools::Tool;
use crate::error::Result;

/// The two.
#[derive(Debug, Clone)]
pub struct Emulation {
    /// A C++ compiler for AArch64, with libraries to link statically.
    pub compiler: Tool,
    /// Runs programs for AArch64.
    pub emulator: Tool,
}

impl Emulation {
    /// True where kernels for AArch64 can be tested by emulation only.
    pub const WANTED: bool = cfg!(all(target_os = "linux", not(target_arch = "aarch64")));

    /// Those of this system.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`] with what is lacking and the command that brings it.
    pub fn find(system: &System) -> Result<Self> {
        match (compiler(system), emulator(system)) {
            (Ok(compiler), Ok(emulator)) => Ok(Emulation { compiler, emulator }),
            (compiler, emulator) => {
                let named = [("AArch64 compiler", compiler), ("emulator", emulator)];
                let lacks: Vec<(String, Lack)> = named
                    .into_iter()
                    .filter_map(|(name, found)| Some((name.into(), found.err()?)))
                    .collect();
                let doing = "finding what emulates AArch64";
                Err(search::lacking(doing, &lacks, system))
            }
        }
    }
}

/// The compiler.
pub fn compiler(system: &System) -> Found {
    program(system, &["aarch64-linux-gnu-g++"], Need::CrossCompiler)
}

/// The emulator.
pub fn emulator(system: &System) -> Found {
    let names = ["qemu-aarch64", "qemu-aarch64-static"];
    program(system, &names, Need::Emulator)
}

fn program(system: &System, names: &[&str], need: Need) -> Found {
    let mut over = Vec::new();
    let found = names
        .iter()
        .find_map(|name| search::on_path(system, name, None, &mut over));
    found.ok_or_else(|| {
        let why = over.into_iter().next().map(|(_, why)| why);
        Lack::of(
            need,
            why.unwrap_or_else(|| format!("no {} on PATH", names[0])),
        )
    })
}
