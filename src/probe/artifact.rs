//! Builds of any system, read from their files: libraries (ELF, Mach-O of one architecture or
//! several), Metal libraries, and wheels, which hold both. Nothing is loaded or run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::path::Path;

use object::FileKind;
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use serde::Serialize;

use super::binary;
use super::metallib::{self, Argument, Library};
use crate::error::{Doing, Error, Result, reading};

/// The largest wheel of MLX has some hundred MB.
const LARGEST_FILE: u64 = 2 << 30;
/// What a wheel may unpack to, all its libraries together.
const LARGEST_WHEEL: u64 = 2 << 30;

/// A universal file has two or three.
const MOST_ARCHITECTURES: usize = 16;

/// One library.
#[derive(Debug, Clone, Serialize)]
pub struct Artifact {
    /// The file; of a wheel's, `WHEEL!MEMBER`.
    pub file: String,
    /// `ELF x86_64`, `Mach-O aarch64`, `metallib`.
    pub format: String,
    /// The functions that it exports: their names, and the signatures of each.
    pub functions: BTreeMap<String, BTreeSet<String>>,
    /// Its Metal kernels.
    pub kernels: BTreeMap<String, Kernel>,
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
    let file = std::fs::File::open(path).doing(reading(path))?;
    let metadata = file.metadata().doing(reading(path))?;
    if !metadata.is_file() {
        return Err(Error::usage("it is not a regular file").doing(doing()));
    }
    if metadata.len() > LARGEST_FILE {
        let text = format!(
            "it has {} bytes, too many for a build of MLX",
            metadata.len()
        );
        return Err(Error::usage(text).doing(doing()));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE)
        .read_to_end(&mut bytes)
        .doing(reading(path))?;
    let name = path.display().to_string();
    parse(&name, &bytes).map_err(|what| {
        Error::usage(what)
            .doing(doing())
            .hint("a library (.so, .dylib), a .metallib or a wheel is needed")
    })
}

/// As [`read`], from bytes; the error is what is wrong with them.
pub fn parse(name: &str, bytes: &[u8]) -> std::result::Result<Vec<Artifact>, String> {
    if bytes.starts_with(b"PK\x03\x04") {
        return wheel(name, bytes);
    }
    if metallib::is_one(bytes) {
        return Ok(vec![metal(name, bytes)?]);
    }
    let damaged = |e: object::Error| format!("the file is damaged: {e}");
    match FileKind::parse(bytes) {
        Ok(FileKind::MachOFat32) => {
            let fat = MachOFatFile32::parse(bytes).map_err(damaged)?;
            each(name, bytes, fat.arches())
        }
        Ok(FileKind::MachOFat64) => {
            let fat = MachOFatFile64::parse(bytes).map_err(damaged)?;
            each(name, bytes, fat.arches())
        }
        _ => Ok(vec![library(name, bytes)?]),
    }
}

fn each<A: FatArch>(
    name: &str,
    bytes: &[u8],
    arches: &[A],
) -> std::result::Result<Vec<Artifact>, String> {
    // Each may name the same bytes again.
    if !(1..=MOST_ARCHITECTURES).contains(&arches.len()) {
        return Err(format!(
            "it is a Mach-O file of {} architectures",
            arches.len()
        ));
    }
    let parts = arches.iter().map(|arch| {
        let part = arch
            .data(bytes)
            .map_err(|e| format!("the file is damaged: {e}"))?;
        match FileKind::parse(part) {
            Ok(FileKind::MachO32 | FileKind::MachO64) => library(name, part),
            _ => Err("the file is damaged: an architecture in it is no Mach-O".into()),
        }
    });
    parts.collect()
}

fn library(name: &str, bytes: &[u8]) -> std::result::Result<Artifact, String> {
    let exports = binary::parse(bytes)?;
    let mut functions = BTreeMap::<_, BTreeSet<_>>::new();
    for raw in &exports.functions {
        let signatures = functions
            .entry(binary::plain(&binary::qualified_name(raw)))
            .or_default();
        signatures.insert(binary::plain(&binary::signature(raw)));
    }
    Ok(Artifact {
        file: name.into(),
        format: exports.format,
        functions,
        kernels: BTreeMap::new(),
    })
}

fn metal(name: &str, bytes: &[u8]) -> std::result::Result<Artifact, String> {
    use rayon::prelude::*;
    let library = Library::parse(bytes)?;
    let names: Vec<&str> = library.kernels().collect();
    let kernels = names.into_par_iter().map(|kernel| {
        let arguments = library.arguments(kernel).unwrap_or_else(|| Ok(Vec::new()));
        let arguments = arguments.map_err(|what| format!("kernel {kernel}: {what}"))?;
        Ok((kernel.to_string(), Kernel { arguments }))
    });
    Ok(Artifact {
        file: name.into(),
        format: "metallib".into(),
        functions: BTreeMap::new(),
        kernels: kernels.collect::<std::result::Result<_, String>>()?,
    })
}

/// The libraries in a wheel, by their names' endings: `.so`, `.dylib`, `.metallib`.
fn wheel(name: &str, bytes: &[u8]) -> std::result::Result<Vec<Artifact>, String> {
    let damaged = |e: zip::result::ZipError| format!("the wheel is damaged: {e}");
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut left = LARGEST_WHEEL;
    let mut found = Vec::new();
    for i in 0..archive.len() {
        let member = archive.by_index(i).map_err(damaged)?;
        let inside = member.name().map_err(damaged)?.into_owned();
        let wanted = [".so", ".dylib", ".metallib"];
        if !member.is_file() || !wanted.iter().any(|end| inside.ends_with(end)) {
            continue;
        }
        let mut data = Vec::new();
        member
            .take(left)
            .read_to_end(&mut data)
            .map_err(|e| format!("the wheel is damaged: {inside}: {e}"))?;
        left -= data.len() as u64;
        if left == 0 {
            return Err(format!("it unpacks to more than {LARGEST_WHEEL} bytes"));
        }
        let name = format!("{name}!{inside}");
        if data.starts_with(b"PK\x03\x04") {
            return Err(format!("{inside} in it is another archive"));
        }
        let artifacts = parse(&name, &data).map_err(|what| format!("{inside} in it: {what}"))?;
        found.extend(artifacts);
    }
    match found.is_empty() {
        true => Err("it is an archive with no library in it".into()),
        false => Ok(found),
    }
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

/// The differences of two builds: functions, and Metal kernels.
pub fn compare(first: &[Artifact], second: &[Artifact]) -> (Difference, Difference) {
    (
        difference(&functions(first), &functions(second)),
        difference(&kernels(first), &kernels(second)),
    )
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
