//! clang, which the emulator of Metal compiles kernels with: its instrumentation, its pragmas and
//! its vectors are what no other compiler has. Builds do without it.

use super::search::{self, Found, Lack};
use super::system::{Need, System};
use super::tools::Tool;
use crate::error::Result;

/// The oldest version that the emulator's code and flags are made for.
const LEAST: &str = "14";
/// The newest that is looked for under a name with its version.
const NEWEST: u32 = 22;

/// clang++ of this system: under its own name, or else under a name with its version.
pub fn find(system: &System) -> Found {
    let mut over = Vec::new();
    let versioned = (14..=NEWEST).rev().map(|n| format!("clang++-{n}"));
    let found = std::iter::once("clang++".to_string())
        .chain(versioned)
        .find_map(|name| search::on_path(system, &name, Some(LEAST), &mut over));
    found.ok_or_else(|| {
        let why = over.into_iter().next().map(|(_, why)| why);
        Lack::of(
            Need::Clang,
            why.unwrap_or_else(|| format!("no clang++ {LEAST} or later on PATH")),
        )
    })
}

/// The same, for those who can't do without it.
///
/// # Errors
/// [`crate::Kind::Environment`] with the command that brings it.
pub fn needed(system: &System) -> Result<Tool> {
    find(system).map_err(|lack| {
        search::lacking(
            "finding the emulator's compiler",
            &[("clang".into(), lack)],
            system,
        )
    })
}
