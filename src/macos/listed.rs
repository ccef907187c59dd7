//! What cmake made of our lists: the sources that are compiled, and the kernels that a metallib
//! is made of, read from what ninja is told to do.

use std::collections::BTreeSet;

use crate::build::project::Held;
use crate::error::{Doing, Error, Result, reading};

use super::tree::Tree;

fn ninja_file(held: &Held<'_>) -> Result<String> {
    let path = held.project().folder.join("build.ninja");
    std::fs::read_to_string(&path).doing(reading(&path))
}

/// That each source of ours that a Mac needs is compiled: one that no list of cmake's names
/// would be missed by nobody.
///
/// # Errors
/// [`crate::Kind::Gate`] with the names of those that are not.
pub fn sources(tree: &Tree, held: &Held<'_>) -> Result<String> {
    let text = ninja_file(held)?;
    let ours = tree.own_sources();
    let missing: Vec<&str> = ours
        .iter()
        .filter(|source| !text.contains(&format!("/{source}.o")))
        .copied()
        .collect();
    match missing.is_empty() {
        true => Ok(format!("{} sources", ours.len())),
        false => Err(Error::gate(format!(
            "in series.toml, but compiled by nothing: {}",
            missing.join(", ")
        ))
        .hint("mlx_primitives/sources.cmake lists what is compiled")),
    }
}

/// That each .metal file of ours goes into this metallib.
///
/// # Errors
/// [`crate::Kind::Gate`] with the names of those that don't.
pub fn kernels(tree: &Tree, held: &Held<'_>, metallib: &str) -> Result<String> {
    let listed = air_files(&ninja_file(held)?, metallib);
    if listed.is_empty() {
        return Err(Error::gate(format!("{metallib} is made of nothing")));
    }
    let ours = tree.kernels();
    let missing: Vec<&str> = ours
        .iter()
        .filter(|kernel| !listed.contains(**kernel))
        .copied()
        .collect();
    match missing.is_empty() {
        true => Ok(format!("{} of {} are ours", ours.len(), listed.len())),
        false => Err(Error::gate(format!(
            "in series.toml, but not in {metallib}: {}",
            missing.join(", ")
        ))
        .hint("metal/fused/kernels.cmake and the extension's metallib.cmake list them")),
    }
}

/// The files of this metallib, by their names.
fn air_files(ninja: &str, metallib: &str) -> BTreeSet<String> {
    let named = format!("/{metallib}");
    let rules = ninja.lines().filter(|line| line.starts_with("build "));
    let inputs = rules
        .filter_map(|line| line.split_once(": CUSTOM_COMMAND"))
        .find(|(outputs, _)| {
            outputs
                .split_whitespace()
                .any(|word| word.ends_with(&named))
        });
    let words = inputs.map_or("", |(_, inputs)| inputs).split_whitespace();
    words
        .filter_map(|word| word.strip_suffix(".air"))
        .filter_map(|word| word.rsplit('/').next())
        .map(String::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_are_those_that_the_metallib_is_made_of() {
        let ninja = "build m/kernels/arange.air: CUSTOM_COMMAND /s/arange.metal\n\
            build m/kernels/mlx.metallib | ${cmake_ninja_workdir}m/kernels/mlx.metallib: \
            CUSTOM_COMMAND m/kernels/arange.air m/kernels/rope.air || x\n\
            build e/other.metallib: CUSTOM_COMMAND e/other.air\n";
        let names = |metallib| -> Vec<String> { air_files(ninja, metallib).into_iter().collect() };
        assert_eq!(names("mlx.metallib"), ["arange", "rope"]);
        assert_eq!(names("other.metallib"), ["other"]);
        assert!(names("none.metallib").is_empty());
    }
}
