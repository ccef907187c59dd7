//! Builds of any system, read from their files: libraries (ELF, Mach-O of one architecture or
//! several), Metal libraries, and wheels, which hold both. Nothing is loaded or run.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use object::FileKind;
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use serde::Serialize;

use super::binary::is_of_mlx;
use super::metallib::{self, Argument, Library};
use super::names::{plain, qualified_name, signature};
use super::room::Room;
use super::{archive, binary, file};
use crate::error::{Error, Kind, Result};

/// A universal file has two or three.
const MOST_ARCHITECTURES: usize = 16;
/// What a function takes beside the characters of its names.
const A_FUNCTION: usize = 512;

/// One library.
#[derive(Debug, Clone, Serialize)]
pub struct Artifact {
    /// The file; of a wheel's, `WHEEL!MEMBER`.
    pub file: String,
    /// `ELF x86_64`, `Mach-O aarch64`, `metallib`.
    pub format: String,
    /// The functions that it exports: their names, and the signatures of each.
    pub functions: BTreeMap<String, BTreeSet<String>>,
    /// What else of MLX it exports: what the compiler makes of its types.
    pub types: BTreeSet<String>,
    /// Its Metal kernels.
    pub kernels: BTreeMap<String, Kernel>,
    /// True where kernels are to be expected of it, or of a file beside it: it has some, or it
    /// computes with Metal.
    pub metal: bool,
    /// Metal kernels whose source is in it, to be compiled at run time.
    pub sources: BTreeSet<String>,
}

/// A Metal kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// What it is given, in order.
    pub arguments: Vec<Argument>,
}

/// The libraries at `path`: one, one for each architecture, or those of a wheel.
pub fn read(path: &Path) -> Result<Vec<Artifact>> {
    let doing = || format!("reading what {} can do", path.display());
    let bytes = file::read(path, Kind::Usage)?;
    parse(&path.display().to_string(), &bytes).map_err(|what| {
        Error::usage(what)
            .doing(doing())
            .hint("a library (.so, .dylib), a .metallib or a wheel is needed")
    })
}

/// As [`read`], from bytes; the error is what is wrong with them.
pub fn parse(name: &str, bytes: &[u8]) -> std::result::Result<Vec<Artifact>, String> {
    let room = Room::default();
    if !archive::is_one(bytes) {
        return libraries(name, bytes, &room);
    }
    let mut found = Vec::new();
    archive::libraries(bytes, |inside, data| {
        let name = format!("{name}!{inside}");
        let artifacts = libraries(&name, data, &room);
        found.extend(artifacts.map_err(|what| format!("{inside} in it: {what}"))?);
        Ok(())
    })?;
    match found.is_empty() {
        true => Err("it is an archive with no library in it".into()),
        false => Ok(found),
    }
}

fn libraries(name: &str, bytes: &[u8], room: &Room) -> std::result::Result<Vec<Artifact>, String> {
    if archive::is_one(bytes) {
        return Err("it is an archive in an archive".into());
    }
    if metallib::is_one(bytes) {
        return Ok(vec![metal(name, bytes, room)?]);
    }
    let damaged = |e: object::Error| format!("the file is damaged: {e}");
    match FileKind::parse(bytes) {
        Ok(FileKind::MachOFat32) => {
            let fat = MachOFatFile32::parse(bytes).map_err(damaged)?;
            each(name, bytes, fat.arches(), room)
        }
        Ok(FileKind::MachOFat64) => {
            let fat = MachOFatFile64::parse(bytes).map_err(damaged)?;
            each(name, bytes, fat.arches(), room)
        }
        _ => Ok(vec![library(name, bytes, room)?]),
    }
}

fn each<A: FatArch>(
    name: &str,
    bytes: &[u8],
    arches: &[A],
    room: &Room,
) -> std::result::Result<Vec<Artifact>, String> {
    if !(1..=MOST_ARCHITECTURES).contains(&arches.len()) {
        return Err(format!(
            "it is a Mach-O file of {} architectures",
            arches.len()
        ));
    }
    let range = |arch: &A| -> Range<u64> {
        let (offset, size) = (arch.offset().into(), arch.size().into());
        offset..offset.saturating_add(size)
    };
    let mut ranges: Vec<Range<u64>> = arches.iter().map(range).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    if ranges.windows(2).any(|two| two[1].start < two[0].end) {
        return Err("the file is damaged: two architectures share bytes".into());
    }
    let parts = arches.iter().map(|arch| {
        let part = arch
            .data(bytes)
            .map_err(|e| format!("the file is damaged: {e}"))?;
        match FileKind::parse(part) {
            Ok(FileKind::MachO32 | FileKind::MachO64) => library(name, part, room),
            _ => Err("the file is damaged: an architecture in it is no Mach-O".into()),
        }
    });
    parts.collect()
}

fn library(name: &str, bytes: &[u8], room: &Room) -> std::result::Result<Artifact, String> {
    let exports = binary::parse(bytes, room)?;
    let mut functions = BTreeMap::<_, BTreeSet<_>>::new();
    for raw in &exports.functions {
        let (name, signature) = (plain(&qualified_name(raw)), plain(&signature(raw)));
        room.take(name.len() + signature.len() + A_FUNCTION)?;
        functions.entry(name).or_default().insert(signature);
    }
    let mut types = BTreeSet::new();
    for raw in &exports.data {
        let name = plain(&signature(raw));
        if is_of_mlx(&name) {
            room.take(name.len() + A_FUNCTION)?;
            types.insert(name);
        }
    }
    Ok(Artifact {
        file: name.into(),
        format: exports.format,
        functions,
        types,
        kernels: BTreeMap::new(),
        metal: exports.metal,
        sources: exports.sources.into_iter().collect(),
    })
}

fn metal(name: &str, bytes: &[u8], room: &Room) -> std::result::Result<Artifact, String> {
    use rayon::prelude::*;
    let library = Library::parse(bytes, room)?;
    let names: Vec<&str> = library.kernels().collect();
    let kernels = names.into_par_iter().map(|kernel| {
        let arguments = library.arguments(kernel).unwrap_or_else(|| Ok(Vec::new()));
        let arguments = arguments.map_err(|what| format!("kernel {kernel}: {what}"))?;
        room.take(arguments.iter().map(Argument::size).sum())?;
        Ok((kernel.to_string(), Kernel { arguments }))
    });
    Ok(Artifact {
        file: name.into(),
        format: "metallib".into(),
        functions: BTreeMap::new(),
        types: BTreeSet::new(),
        kernels: kernels.collect::<std::result::Result<_, String>>()?,
        metal: true,
        sources: BTreeSet::new(),
    })
}

/// Of what is `needed`, as [`binary::imports`] gives it, that which no library exports.
pub fn lacking(libraries: &[Artifact], needed: &[String]) -> Vec<String> {
    let functions = libraries
        .iter()
        .flat_map(|l| l.functions.values().flatten());
    let types = libraries.iter().flat_map(|l| &l.types);
    let exported: BTreeSet<&String> = functions.chain(types).collect();
    let missing = needed.iter().filter(|name| !exported.contains(name));
    missing.cloned().collect()
}

/// What one build has and another has not.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Only in the second.
    pub added: Vec<String>,
    /// Only in the first.
    pub removed: Vec<String>,
    /// In both, with other parameters or arguments: its name, then what it was and is.
    pub changed: Vec<(String, Vec<String>, Vec<String>)>,
}

/// The differences of two builds.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Exported functions.
    pub functions: Difference,
    /// Metal kernels.
    pub kernels: Difference,
    /// Metal kernels as source.
    pub sources: Difference,
}

/// What differs between two builds.
pub fn compare(first: &[Artifact], second: &[Artifact]) -> Comparison {
    Comparison {
        functions: difference(&functions(first), &functions(second)),
        kernels: difference(&kernels(first), &kernels(second)),
        sources: difference(&sources(first), &sources(second)),
    }
}

fn sources(artifacts: &[Artifact]) -> BTreeMap<String, Vec<String>> {
    let all = artifacts.iter().flat_map(|a| &a.sources);
    all.map(|name| (name.clone(), Vec::new())).collect()
}

/// All functions by name, with their signatures.
fn functions(artifacts: &[Artifact]) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, BTreeSet<&String>>::new();
    for (name, signatures) in artifacts.iter().flat_map(|a| &a.functions) {
        all.entry(name.clone()).or_default().extend(signatures);
    }
    let owned = |set: BTreeSet<&String>| set.into_iter().cloned().collect();
    all.into_iter()
        .map(|(name, set)| (name, owned(set)))
        .collect()
}

fn kernels(artifacts: &[Artifact]) -> BTreeMap<String, Vec<String>> {
    let all = artifacts.iter().flat_map(|a| &a.kernels);
    all.map(|(name, kernel)| (name.clone(), kernel.lines()))
        .collect()
}

impl Kernel {
    /// One line for each argument: `buffer 0: read float x`.
    pub fn lines(&self) -> Vec<String> {
        self.arguments.iter().map(Argument::line).collect()
    }
}

fn difference(
    first: &BTreeMap<String, Vec<String>>,
    second: &BTreeMap<String, Vec<String>>,
) -> Difference {
    let mut all = Difference::default();
    for (name, was) in first {
        match second.get(name) {
            None => all.removed.push(name.clone()),
            Some(is) if is != was => all.changed.push((name.clone(), was.clone(), is.clone())),
            Some(_) => {}
        }
    }
    let added = second.keys().filter(|name| !first.contains_key(*name));
    all.added.extend(added.cloned());
    all
}
