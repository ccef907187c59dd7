//! The third-party sources of MLX's build: for each, found where, which version, by which
//! rule, and what cmake has to be told. After this the build fetches nothing by itself.
//!
//! The rules, in order: a folder that the user named, the system, PyPI, and last what
//! upstream's own FetchContent would fetch, fetched here and kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::declared::Declarations;
use super::fetch::Fetcher;
use super::options::Options;
use super::search::{Lack, lacking};
use super::sources::{self, Located, SOURCES, Source};
use super::system::{Need, System};
use super::tools::{Tools, file_key};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::layout::Layout;

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name: `fmt`.
    pub name: String,
    /// The version that MLX's tree names; empty where it names none.
    pub wanted: String,
    /// The folder it was found in; empty where it is left out.
    pub found: String,
    /// The version found; empty where the files don't say.
    pub version: String,
    /// By which rule: `override`, `system`, `PyPI`, `fetched`, `left out`.
    pub rule: String,
    /// Folders for the compiler to find its headers.
    #[serde(skip)]
    pub includes: Vec<PathBuf>,
}

/// All of them.
#[derive(Debug, Clone)]
pub struct ThirdParty {
    /// What was found.
    pub rows: Vec<Row>,
    /// What cmake has to be told.
    pub cmake_args: Vec<String>,
    /// Changes when any of them does.
    pub key: String,
}

/// What was found and what is lacking, name by name.
#[derive(Debug)]
pub struct Resolution {
    /// In the order of the table.
    pub rows: Vec<Result<Row, (String, Lack)>>,
    cmake_args: Vec<String>,
    keys: Vec<String>,
}

/// Finds all third-party sources that a build of `source_tree` (a tree of MLX) needs.
///
/// # Errors
/// [`crate::Kind::Environment`] with everything that is missing and one command that mends all
/// of it; [`crate::Kind::Usage`] for an override that isn't what it says.
pub fn resolve(
    layout: &Layout,
    config: &Config,
    options: &Options,
    tools: &Tools,
    source_tree: &Path,
) -> Result<ThirdParty> {
    let system = System::detect();
    let declared = Declarations::read(source_tree)?;
    resolve_on(&system, layout, config, options, tools, &declared)?.into_third_party(&system)
}

/// As [`resolve`], on a system as described, with the lacks as rows.
pub fn resolve_on(
    system: &System,
    layout: &Layout,
    config: &Config,
    options: &Options,
    tools: &Tools,
    declared: &Declarations,
) -> Result<Resolution> {
    let overrides = overrides(layout, config, options)?;
    let mut fetcher = Fetcher::new(layout, tools);
    let mut resolution = Resolution {
        rows: Vec::new(),
        cmake_args: vec!["-DFETCHCONTENT_FULLY_DISCONNECTED=ON".into()],
        keys: Vec::new(),
    };
    for source in SOURCES {
        if !source.applies(system, options) {
            continue;
        }
        let declaration = declared.get(source.name);
        let found = match overrides.get(source.name) {
            Some(folder) => source.named(folder).map(Ok)?,
            None => match source.found(system, layout, tools)? {
                Ok(found) => Ok(found),
                Err(lack) => match declaration {
                    Some(declaration) => fetched(source, declaration, lack, &mut fetcher)?,
                    None => Err(lack),
                },
            },
        };
        resolution.rows.push(match found {
            Ok(located) => {
                resolution.keys.push(file_key(&located.evidence));
                resolution.cmake_args.extend(located.cmake_args);
                Ok(Row {
                    name: source.name.into(),
                    wanted: declaration.map_or_else(String::new, |d| d.version.clone()),
                    found: located.folder.display().to_string(),
                    version: located.version,
                    rule: located.rule.into(),
                    includes: located.includes,
                })
            }
            Err(lack) => Err((source.name.to_string(), lack)),
        });
    }
    Ok(resolution)
}

fn fetched(
    source: &Source,
    declaration: &super::declared::Declared,
    lack: Lack,
    fetcher: &mut Fetcher,
) -> Result<Result<Located, Lack>> {
    if !source.can_be_fetched() {
        return Ok(Err(lack));
    }
    Ok(match fetcher.fetch(declaration, source.marker)? {
        Ok(folder) => Ok(source.in_folder(&folder, "fetched")),
        Err(why) => Err(Lack {
            why: format!("{}; fetching {}: {why}", lack.why, declaration.version),
            ..lack
        }),
    })
}

/// Refuses names and folders of the user's that can't be right, before anything is done.
pub fn check_named(layout: &Layout, config: &Config, options: &Options) -> Result<()> {
    for (name, folder) in overrides(layout, config, options)? {
        if !folder.is_dir() {
            return Err(Error::usage(format!(
                "third-party source {name}: {} is no folder",
                folder.display()
            )));
        }
    }
    Ok(())
}

/// The folders that the user named: the command line's before fork.toml's.
fn overrides(
    layout: &Layout,
    config: &Config,
    options: &Options,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut named = BTreeMap::new();
    for (name, folder) in config.third_party.iter().chain(&options.third_party) {
        if !SOURCES.iter().any(|source| source.name == name) {
            let known: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
            return Err(
                Error::usage(format!("no third-party source is named \"{name}\""))
                    .hint(format!("they are {}", known.join(", "))),
            );
        }
        named.insert(name.clone(), layout.root().join(folder));
    }
    Ok(named)
}

/// What brings a source of the table.
pub fn need(name: &str) -> Option<Need> {
    let source = SOURCES.iter().find(|source| source.name == name)?;
    source.need
}

/// The sources that are not on the system, by looking for their headers only: for a machine
/// on which nothing can be compiled yet.
pub fn missing(system: &System, options: &Options) -> Vec<(String, Lack)> {
    SOURCES
        .iter()
        .filter(|source| source.applies(system, options) && source.need.is_some())
        .filter_map(|source| Some((source.name.to_string(), source.headers_missing(system)?)))
        .collect()
}

impl Resolution {
    /// What cmake has to be told of BLAS and LAPACK.
    pub fn linear_algebra_args(&self) -> Vec<String> {
        let of = |arg: &&String| arg.starts_with("-DBLAS_") || arg.starts_with("-DLAPACK_");
        self.cmake_args.iter().filter(of).cloned().collect()
    }

    /// Everything, or all that is lacking at once.
    pub fn into_third_party(self, system: &System) -> Result<ThirdParty> {
        let mut rows = Vec::new();
        let mut lacks = Vec::new();
        for row in self.rows {
            match row {
                Ok(row) => rows.push(row),
                Err(lack) => lacks.push(lack),
            }
        }
        if !lacks.is_empty() {
            let doing = "finding the third-party sources of MLX's build";
            let error = lacking(doing, &lacks, system);
            return Err(error.hint("`--third-party NAME=DIR` names a folder that has one"));
        }
        let mut hash = Sha256::new();
        for word in self.cmake_args.iter().chain(&self.keys) {
            hash.update(word);
            hash.update([0]);
        }
        for row in &rows {
            hash.update(format!("{} {} {}\n", row.name, row.version, row.rule));
        }
        let key = hash.finalize();
        Ok(ThirdParty {
            rows,
            cmake_args: self.cmake_args,
            key: sources::hex(&key),
        })
    }
}
