//! The functions that a library exports, read from the file alone: ELF and Mach-O, one
//! architecture or several. Nothing is loaded or run here, so the file may be from another
//! system, damaged or hostile: what comes back is names or an error, in memory and time
//! that the file's size bounds.

use std::collections::BTreeSet;
use std::path::Path;

use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{Architecture, FileKind, Object, ObjectKind, ObjectSymbol, SymbolKind, SymbolScope};

use super::file;
use super::names::{plain, printable, qualified_name, signature};
use super::room::Room;
use super::source;
use crate::error::{Error, Kind, Result};

/// The longest names of libmlx, with the standard library's templates in them, are a few KB.
const LONGEST_NAME: usize = 32 << 10;
/// What a name takes besides its characters.
const A_NAME: usize = 64;

/// What a library offers to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exports {
    /// `ELF x86_64`, `Mach-O aarch64`.
    pub format: String,
    /// Exported functions as in the file (mangled; without Mach-O's leading underscore),
    /// sorted, each once.
    pub functions: Vec<String>,
    /// What else is exported: vtables, type information, constants. As the functions.
    pub data: Vec<String>,
    /// True where it computes with Metal: it takes Apple's functions for that, or what MLX makes
    /// of them, from others.
    pub metal: bool,
    /// Metal kernels whose source is in it, to be compiled at run time; sorted.
    pub sources: Vec<String>,
}

impl Exports {
    /// True when `name` is exported. It may be given as in the file (`mlx_fork_build_id`,
    /// `_ZN3mlx…`) or as C++ names it, without parameters (`mlx::core::gather_qmm`).
    pub fn has(&self, name: &str) -> bool {
        let raw = self.functions.binary_search_by(|f| f.as_str().cmp(name));
        raw.is_ok()
            || (name.contains("::") && self.functions.iter().any(|f| qualified_name(f) == name))
    }

    /// The exported functions of a namespace (`mlx::core::fused`), demangled.
    pub fn of_namespace(&self, namespace: &str) -> Vec<String> {
        let inside = format!("{namespace}::");
        let names = self.functions.iter().map(|f| qualified_name(f));
        names.filter(|name| name.starts_with(&inside)).collect()
    }
}

/// Reads the exports of the library at `path`.
pub fn exports(path: &Path) -> Result<Exports> {
    let bytes = file::read(path, Kind::Environment)?;
    parse(&bytes, &Room::default()).map_err(|what| {
        Error::environment(what)
            .doing(format!("reading the exports of {}", path.display()))
            .hint("`cargo xtask setup-mlx` builds what is damaged again")
    })
}

/// What the library at `path` takes of MLX from others, functions and types, as C++ writes it.
pub fn imports(path: &Path) -> Result<Vec<String>> {
    let bytes = file::read(path, Kind::Environment)?;
    let doing = || format!("reading what {} needs", path.display());
    taken(&bytes, &Room::default()).map_err(|what| Error::environment(what).doing(doing()))
}

/// True for a function of MLX, and for what the compiler makes of a type of MLX: `typeinfo for
/// mlx::core::Primitive`, which who inherits from it needs.
pub fn is_of_mlx(name: &str) -> bool {
    let made = ["typeinfo for ", "typeinfo name for ", "{vtable("];
    let name = made
        .into_iter()
        .find_map(|of| name.strip_prefix(of))
        .unwrap_or(name);
    name.starts_with("mlx::")
}

fn taken(bytes: &[u8], room: &Room) -> std::result::Result<Vec<String>, String> {
    let damaged = |e: object::Error| format!("the file is damaged: {e}");
    let file = object::File::parse(bytes).map_err(damaged)?;
    // Mach-O's loader looks for what other libraries may have too, by weak bindings.
    let own = file.symbols().filter(|symbol| symbol.is_definition());
    let own: BTreeSet<&[u8]> = own.filter_map(|symbol| symbol.name_bytes().ok()).collect();
    let mut names = Vec::new();
    for import in file.imports().map_err(damaged)? {
        let object::read::NameOrOrdinal::Name(name) = import.map_err(damaged)?.name() else {
            continue;
        };
        if own.contains(name) {
            continue;
        }
        room.take(name.len() + A_NAME)?;
        let raw = printable(name);
        // Mach-O puts an underscore before each name.
        let raw = raw
            .strip_prefix('_')
            .filter(|rest| rest.starts_with("_Z"))
            .unwrap_or(&raw);
        let name = plain(&signature(raw));
        if is_of_mlx(&name) {
            room.take(name.len() + A_NAME)?;
            names.push(name);
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// As [`exports`], from the bytes of a file; the error is what is wrong with them.
pub fn parse(bytes: &[u8], room: &Room) -> std::result::Result<Exports, String> {
    let damaged = |e: object::Error| format!("the file is damaged: {e}");
    match FileKind::parse(bytes) {
        Ok(FileKind::MachOFat32) => {
            let fat = MachOFatFile32::parse(bytes).map_err(damaged)?;
            parse(slice_of(bytes, fat.arches())?, room)
        }
        Ok(FileKind::MachOFat64) => {
            let fat = MachOFatFile64::parse(bytes).map_err(damaged)?;
            parse(slice_of(bytes, fat.arches())?, room)
        }
        Ok(kind @ (FileKind::Elf32 | FileKind::Elf64)) => read(bytes, kind, "ELF", room),
        Ok(kind @ (FileKind::MachO32 | FileKind::MachO64)) => read(bytes, kind, "Mach-O", room),
        Ok(other) => Err(format!(
            "it is of the kind {other:?}, no ELF or Mach-O library"
        )),
        Err(_) if bytes.is_empty() => Err("the file is empty".into()),
        Err(_) => Err("it is no ELF or Mach-O file".into()),
    }
}

/// The part of a file with several architectures that belongs to this machine, else the first.
fn slice_of<'a, A: FatArch>(
    bytes: &'a [u8],
    arches: &[A],
) -> std::result::Result<&'a [u8], String> {
    let here = if cfg!(target_arch = "aarch64") {
        Architecture::Aarch64
    } else {
        Architecture::X86_64
    };
    let arch = arches
        .iter()
        .find(|a| a.architecture() == here)
        .or(arches.first())
        .ok_or("it is a Mach-O file with no architecture in it")?;
    let part = arch
        .data(bytes)
        .map_err(|e| format!("the file is damaged: {e}"))?;
    // A slice that is again such a file could nest without end.
    match FileKind::parse(part) {
        Ok(FileKind::MachO32 | FileKind::MachO64) => Ok(part),
        _ => Err("the file is damaged: an architecture in it is no Mach-O".into()),
    }
}

fn read(
    bytes: &[u8],
    kind: FileKind,
    format: &str,
    room: &Room,
) -> std::result::Result<Exports, String> {
    let damaged = |e: object::Error| format!("the file is damaged: {e}");
    let file = object::File::parse(bytes).map_err(damaged)?;
    if file.kind() != ObjectKind::Dynamic {
        return Err(format!(
            "it is no shared library but of the kind {:?}",
            file.kind()
        ));
    }
    let macho = matches!(kind, FileKind::MachO32 | FileKind::MachO64);
    // Mach-O has one table; ELF's other one is what `strip` removes.
    let symbols = if macho {
        file.symbols()
    } else {
        file.dynamic_symbols()
    };
    let mut functions = Vec::new();
    let (mut data, mut metal) = (Vec::new(), false);
    for symbol in symbols {
        let exported = symbol.is_definition() && symbol.scope() != SymbolScope::Linkage;
        if !symbol.is_global() || !(exported || symbol.is_undefined()) {
            continue;
        }
        let name = symbol.name_bytes().map_err(damaged)?;
        if name.len() > LONGEST_NAME {
            return Err(format!(
                "the file is damaged: a symbol's name has {} bytes",
                name.len()
            ));
        }
        // Those that are not kept count too: names may overlap, and each is looked at.
        room.take(name.len() + A_NAME)?;
        let name = match name.strip_prefix(b"_") {
            Some(rest) if macho => rest,
            _ => name,
        };
        if !exported {
            metal |= METAL.iter().any(|start| name.starts_with(start));
        } else if symbol.kind() == SymbolKind::Text {
            functions.push(printable(name));
        } else {
            data.push(printable(name));
        }
    }
    for names in [&mut functions, &mut data] {
        names.sort_unstable();
        names.dedup();
    }
    if functions.is_empty() && data.is_empty() {
        return Err("it exports nothing: stripped too far, or damaged".into());
    }
    Ok(Exports {
        format: format!("{format} {}", architecture(file.architecture())),
        functions,
        data,
        metal,
        sources: source::kernels(bytes, room)?,
    })
}

/// What nothing but a user of Metal takes from others, by how it begins: Apple's function that
/// finds a device, and the methods of MLX's own device and encoder, which an extension needs.
const METAL: [&[u8]; 3] = [
    b"MTLCreateSystemDefaultDevice",
    b"_ZN3mlx4core5metal6Device",
    b"_ZN3mlx4core5metal14CommandEncoder",
];

fn architecture(architecture: Architecture) -> String {
    match architecture {
        Architecture::X86_64 => "x86_64".into(),
        Architecture::Aarch64 => "aarch64".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::crafted;
    use crate::process::Command;

    const SOURCE: &str = r#"
        namespace mlx { namespace core { namespace fused {
        __attribute__((visibility("default"))) int combine(int a, float b) { return a + (int)b; }
        } const char* hidden_in_release() { return "x"; } } }
        extern "C" __attribute__((visibility("default"))) int mlx_fork_answer(void) { return 42; }
        extern "C" { __attribute__((visibility("default"))) int mlx_fork_number = 7; }
    "#;

    /// A real shared library of this system, made by its compiler.
    fn library() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let (source, out) = (dir.path().join("a.cpp"), dir.path().join("liba.so"));
        std::fs::write(&source, SOURCE).unwrap();
        Command::new("c++")
            .args(["-shared", "-fPIC", "-fvisibility=hidden", "-o"])
            .args([&out, &source])
            .run()
            .unwrap();
        std::fs::read(out).unwrap()
    }

    /// xorshift: the same bytes on every run.
    fn next(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state >> 33).unwrap()
    }

    #[test]
    fn functions_are_listed_and_hidden_ones_and_data_are_not() {
        let exports = parse(&library(), &Room::default()).unwrap();
        assert!(exports.has("mlx_fork_answer"), "{exports:?}");
        assert!(exports.has("mlx::core::fused::combine"));
        assert!(!exports.has("mlx::core::hidden_in_release"));
        assert!(!exports.has("mlx_fork_number"));
        assert!(!exports.has("combine"));
        assert!(exports.data.iter().any(|name| name == "mlx_fork_number"));
        assert_eq!(
            exports.of_namespace("mlx::core::fused"),
            ["mlx::core::fused::combine"]
        );
    }

    #[test]
    fn a_library_cut_off_at_any_length_is_an_error_or_a_shorter_answer_never_a_panic() {
        let whole = library();
        let full = parse(&whole, &Room::default()).unwrap();
        let mut errors = 0;
        for length in 0..whole.len() {
            match parse(&whole[..length], &Room::default()) {
                Ok(exports) => assert!(exports.functions.len() <= full.functions.len()),
                Err(what) => {
                    assert!(!what.is_empty());
                    errors += 1;
                }
            }
        }
        // The dynamic symbols lie in the first part; cut before their end nothing may come out.
        assert!(errors > 512, "only {errors} of {} cuts failed", whole.len());
        assert_eq!(
            parse(&[], &Room::default()).unwrap_err(),
            "the file is empty"
        );
        assert!(parse(b"!<arch>\nnot a library at all, but text", &Room::default()).is_err());
    }

    #[test]
    fn a_library_with_changed_bytes_is_never_a_panic() {
        let whole = library();
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + next(&mut state) % 8 {
                // Headers and tables are where damage matters most.
                let range = if next(&mut state).is_multiple_of(2) {
                    0x400.min(bytes.len())
                } else {
                    bytes.len()
                };
                let at = next(&mut state) % range;
                bytes[at] = u8::try_from(next(&mut state) & 0xff).unwrap();
            }
            let _ = parse(&bytes, &Room::default());
        }
    }

    fn macho(filetype: u32) -> Vec<u8> {
        crafted::macho(filetype, &crafted::SYMBOLS)
    }

    #[test]
    fn a_library_of_macos_is_read_on_any_system() {
        let exports = parse(&macho(6), &Room::default()).unwrap();
        assert_eq!(exports.format, "Mach-O aarch64");
        assert!(exports.has("mlx_fork_answer") && exports.has("mlx::core::one"));
        assert!(!exports.has("elsewhere"));
        assert!(
            parse(&macho(1), &Room::default())
                .unwrap_err()
                .contains("no shared library")
        );
        let whole = macho(6);
        for length in 0..whole.len() {
            let _ = parse(&whole[..length], &Room::default());
        }
    }

    #[test]
    fn a_file_of_several_architectures_is_read_and_can_not_nest() {
        let inner = macho(6);
        let fat = |inner: &[u8]| crafted::fat(&[inner]);
        assert_eq!(
            parse(&fat(&inner), &Room::default()),
            parse(&inner, &Room::default())
        );
        assert!(parse(&fat(&fat(&inner)), &Room::default()).is_err());
    }

    #[test]
    fn what_is_no_file_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(exports(dir.path()).is_err());
        let error = exports(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}
