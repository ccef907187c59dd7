//! The functions that a library exports, read from the file alone: ELF and Mach-O, one
//! architecture or several. Nothing is loaded or run here, so the file may be from another
//! system, damaged or hostile: what comes back is names or an error, in memory and time
//! that the file's size bounds.

use std::io::Read;
use std::path::Path;

use cpp_demangle::{DemangleOptions, DemangleWrite, ParseOptions};
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use object::{Architecture, FileKind, Object, ObjectKind, ObjectSymbol, SymbolKind, SymbolScope};

use crate::error::{Doing, Error, Result, reading};

/// A library with a CUDA backend is some hundred MB; more than this is no library of MLX.
const LARGEST_FILE: u64 = 4 << 30;
/// The longest names of libmlx, with the standard library's templates in them, are a few KB.
const LONGEST_NAME: usize = 32 << 10;
/// All names of one library together: libmlx has 300 KB of them.
const ALL_NAMES: usize = 256 << 20;
/// A demangled name can be exponentially longer than its mangled form.
const LONGEST_DEMANGLED: usize = 16 << 10;

/// What a library offers to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exports {
    /// `ELF x86_64`, `Mach-O aarch64`.
    pub format: String,
    /// Exported functions as in the file (mangled; without Mach-O's leading underscore),
    /// sorted, each once.
    pub functions: Vec<String>,
    /// How many other things are exported: vtables, type information, constants.
    pub data: usize,
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
    let shared = || format!("reading the exports of {}", path.display());
    let file = std::fs::File::open(path).doing(reading(path))?;
    let metadata = file.metadata().doing(reading(path))?;
    if !metadata.is_file() {
        return Err(Error::environment("it is not a regular file").doing(shared()));
    }
    if metadata.len() > LARGEST_FILE {
        let text = format!("it has {} bytes, too many for a library", metadata.len());
        return Err(Error::environment(text).doing(shared()));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE)
        .read_to_end(&mut bytes)
        .doing(reading(path))?;
    parse(&bytes).map_err(|what| {
        Error::environment(what)
            .doing(shared())
            .hint("`cargo xtask setup-mlx` builds what is damaged again")
    })
}

/// The functions of MLX that the library at `path` takes from others, as C++ writes them.
pub fn imports(path: &Path) -> Result<Vec<String>> {
    let bytes = std::fs::read(path).doing(reading(path))?;
    let file = object::File::parse(&*bytes).map_err(|e| {
        Error::environment(format!("the file is damaged: {e}"))
            .doing(format!("reading what {} needs", path.display()))
    })?;
    let damaged = |e: object::Error| {
        Error::environment(format!("the file is damaged: {e}"))
            .doing(format!("reading what {} needs", path.display()))
    };
    let mut names = Vec::new();
    for import in file.imports().map_err(damaged)? {
        let import = import.map_err(damaged)?;
        let object::read::NameOrOrdinal::Name(name) = import.name() else {
            continue;
        };
        let raw = String::from_utf8_lossy(name);
        // Mach-O puts an underscore before each name.
        let raw = raw
            .strip_prefix('_')
            .filter(|rest| rest.starts_with("_Z"))
            .unwrap_or(&raw);
        if qualified_name(raw).starts_with("mlx::") {
            names.push(plain(&signature(raw)));
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// A C++ name as libstdc++ and libc++ both have it: without their inline namespaces, and with
/// the short names that only one of them has in its mangling.
pub fn plain(name: &str) -> String {
    const SAME: [(&str, &str); 5] = [
        ("std::__1::", "std::"),
        ("std::__cxx11::", "std::"),
        (
            "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
            "std::string",
        ),
        (
            "std::basic_ostream<char, std::char_traits<char> >",
            "std::ostream",
        ),
        // A function's parameters after its template result.
        ("> (", ">("),
    ];
    let replace = |name: String, (long, short): (&str, &str)| name.replace(long, short);
    SAME.into_iter().fold(name.to_string(), replace)
}

/// As [`exports`], from the bytes of a file; the error is what is wrong with them.
pub fn parse(bytes: &[u8]) -> std::result::Result<Exports, String> {
    let damaged = |e: object::Error| format!("the file is damaged: {e}");
    match FileKind::parse(bytes) {
        Ok(FileKind::MachOFat32) => {
            let fat = MachOFatFile32::parse(bytes).map_err(damaged)?;
            parse(slice_of(bytes, fat.arches())?)
        }
        Ok(FileKind::MachOFat64) => {
            let fat = MachOFatFile64::parse(bytes).map_err(damaged)?;
            parse(slice_of(bytes, fat.arches())?)
        }
        Ok(kind @ (FileKind::Elf32 | FileKind::Elf64)) => read(bytes, kind, "ELF"),
        Ok(kind @ (FileKind::MachO32 | FileKind::MachO64)) => read(bytes, kind, "Mach-O"),
        Ok(other) => Err(format!("it is a {other:?} file, no ELF or Mach-O library")),
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

fn read(bytes: &[u8], kind: FileKind, format: &str) -> std::result::Result<Exports, String> {
    let damaged = |e: object::Error| format!("the file is damaged: {e}");
    let file = object::File::parse(bytes).map_err(damaged)?;
    if file.kind() != ObjectKind::Dynamic {
        return Err(format!("it is a {:?} file, no shared library", file.kind()));
    }
    let macho = matches!(kind, FileKind::MachO32 | FileKind::MachO64);
    // Mach-O has one table; ELF's other one is what `strip` removes.
    let symbols = if macho {
        file.symbols()
    } else {
        file.dynamic_symbols()
    };
    let mut functions = Vec::new();
    let (mut data, mut length) = (0, 0);
    for symbol in symbols {
        if !symbol.is_definition() || !symbol.is_global() || symbol.scope() == SymbolScope::Linkage
        {
            continue;
        }
        let name = symbol.name_bytes().map_err(damaged)?;
        if name.len() > LONGEST_NAME {
            return Err(format!(
                "the file is damaged: a symbol's name has {} bytes",
                name.len()
            ));
        }
        if symbol.kind() != SymbolKind::Text {
            data += 1;
            continue;
        }
        length += name.len();
        if length > ALL_NAMES {
            return Err(format!(
                "the file is damaged: its names have more than {ALL_NAMES} bytes"
            ));
        }
        let name = String::from_utf8_lossy(name);
        let plain = match name.strip_prefix('_') {
            Some(rest) if macho => rest,
            _ => &name,
        };
        functions.push(plain.to_string());
    }
    functions.sort_unstable();
    functions.dedup();
    if functions.is_empty() && data == 0 {
        return Err("it exports nothing: stripped too far, or damaged".into());
    }
    Ok(Exports {
        format: format!("{format} {}", architecture(file.architecture())),
        functions,
        data,
    })
}

fn architecture(architecture: Architecture) -> String {
    match architecture {
        Architecture::X86_64 => "x86_64".into(),
        Architecture::Aarch64 => "aarch64".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The C++ name of a mangled symbol without parameters and result: `mlx::core::gather_qmm`;
/// what is not mangled (or not demangled within bounds) stays as it is.
pub fn qualified_name(raw: &str) -> String {
    demangled(raw, DemangleOptions::new().no_params().no_return_type())
}

/// The C++ name with its parameters.
pub fn signature(raw: &str) -> String {
    demangled(raw, DemangleOptions::new().no_return_type())
}

fn demangled(raw: &str, options: DemangleOptions) -> String {
    if !raw.starts_with("_Z") {
        return raw.to_string();
    }
    let parse = ParseOptions::default().recursion_limit(96);
    let options = options.recursion_limit(96);
    let mut bounded = Bounded(String::new());
    match cpp_demangle::Symbol::new_with_options(raw, &parse) {
        Ok(symbol) if symbol.structured_demangle(&mut bounded, &options).is_ok() => bounded.0,
        _ => raw.to_string(),
    }
}

struct Bounded(String);

impl DemangleWrite for Bounded {
    fn write_string(&mut self, part: &str) -> std::fmt::Result {
        if self.0.len() + part.len() > LONGEST_DEMANGLED {
            return Err(std::fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let exports = parse(&library()).unwrap();
        assert!(exports.has("mlx_fork_answer"), "{exports:?}");
        assert!(exports.has("mlx::core::fused::combine"));
        assert!(!exports.has("mlx::core::hidden_in_release"));
        assert!(!exports.has("mlx_fork_number"));
        assert!(!exports.has("combine"));
        assert!(exports.data >= 1);
        assert_eq!(
            exports.of_namespace("mlx::core::fused"),
            ["mlx::core::fused::combine"]
        );
    }

    #[test]
    fn a_library_cut_off_at_any_length_is_an_error_or_a_shorter_answer_never_a_panic() {
        let whole = library();
        let full = parse(&whole).unwrap();
        let mut errors = 0;
        for length in 0..whole.len() {
            match parse(&whole[..length]) {
                Ok(exports) => assert!(exports.functions.len() <= full.functions.len()),
                Err(what) => {
                    assert!(!what.is_empty());
                    errors += 1;
                }
            }
        }
        // The dynamic symbols lie in the first part; cut before their end nothing may come out.
        assert!(errors > 512, "only {errors} of {} cuts failed", whole.len());
        assert_eq!(parse(&[]).unwrap_err(), "the file is empty");
        assert!(parse(b"!<arch>\nnot a library at all, but text").is_err());
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
            let _ = parse(&bytes);
        }
    }

    /// A Mach-O library for aarch64 by hand: a header, a segment with `__text`, a symbol table.
    fn macho(filetype: u32) -> Vec<u8> {
        let strings = b"\0_mlx_fork_answer\0__ZN3mlx4core3oneEv\0_elsewhere\0";
        let (symbols_at, symbols) = (32 + 152 + 24, 3);
        let strings_at = symbols_at + symbols * 16;
        let mut out = Vec::new();
        let word = |out: &mut Vec<u8>, v: u32| out.extend(v.to_le_bytes());
        let long = |out: &mut Vec<u8>, v: u64| out.extend(v.to_le_bytes());
        for v in [0xfeed_facf, 0x0100_000c, 0, filetype, 2, 176, 0, 0] {
            word(&mut out, v);
        }
        word(&mut out, 0x19);
        word(&mut out, 152);
        out.extend(b"__TEXT\0\0\0\0\0\0\0\0\0\0");
        for v in [0, 0x1000, 0, 0] {
            long(&mut out, v);
        }
        for v in [5, 5, 1, 0] {
            word(&mut out, v);
        }
        out.extend(b"__text\0\0\0\0\0\0\0\0\0\0__TEXT\0\0\0\0\0\0\0\0\0\0");
        long(&mut out, 0);
        long(&mut out, 0x100);
        for v in [0, 0, 0, 0, 0x8000_0400, 0, 0, 0] {
            word(&mut out, v);
        }
        for v in [2, 24, symbols_at, symbols, strings_at, 49] {
            word(&mut out, v);
        }
        for (name, kind, section) in [(1, 0x0f, 1), (18, 0x0f, 1), (38, 0x01, 0)] {
            word(&mut out, name);
            out.extend([kind, section, 0, 0]);
            long(&mut out, 0);
        }
        out.extend(strings);
        out
    }

    #[test]
    fn a_library_of_macos_is_read_on_any_system() {
        let exports = parse(&macho(6)).unwrap();
        assert_eq!(exports.format, "Mach-O aarch64");
        assert!(exports.has("mlx_fork_answer") && exports.has("mlx::core::one"));
        assert!(!exports.has("elsewhere"));
        assert!(parse(&macho(1)).unwrap_err().contains("no shared library"));
        let whole = macho(6);
        for length in 0..whole.len() {
            let _ = parse(&whole[..length]);
        }
    }

    #[test]
    fn a_file_of_several_architectures_is_read_and_can_not_nest() {
        let inner = macho(6);
        let fat = |inner: &[u8]| {
            let size = u32::try_from(inner.len()).unwrap();
            let header = [0xcafe_babe_u32, 1, 0x0100_000c, 0, 28, size, 0];
            let mut out: Vec<u8> = header.iter().flat_map(|v| v.to_be_bytes()).collect();
            out.extend(inner);
            out
        };
        assert_eq!(parse(&fat(&inner)), parse(&inner));
        assert!(parse(&fat(&fat(&inner))).is_err());
    }

    #[test]
    fn a_name_that_explodes_when_demangled_stays_mangled() {
        // Each template argument repeats the whole of what came before it.
        let mut bomb = String::from("_Z1fI");
        let mut level = String::from("1aIiiE");
        for seq in ["S_", "S0_", "S1_", "S2_", "S3_", "S4_", "S5_", "S6_", "S7_"] {
            level = format!("1aI{level}{seq}{seq}{seq}{seq}E");
        }
        bomb.push_str(&level);
        bomb.push_str("Evv");
        assert!(qualified_name(&bomb).len() <= LONGEST_DEMANGLED);
        assert_eq!(qualified_name("_ZN3mlx4core3oneEv"), "mlx::core::one");
        assert_eq!(qualified_name("_Zgarbage"), "_Zgarbage");
    }

    #[test]
    fn one_function_has_one_name_in_both_standard_libraries() {
        // operator<<(std::ostream&, mlx::core::array) by libstdc++ and by libc++.
        let names = [
            "_ZN3mlx4corelsERSoNS0_5arrayE",
            "_ZN3mlx4corelsERNSt3__113basic_ostreamIcNS1_11char_traitsIcEEEENS0_5arrayE",
        ];
        for raw in names {
            let name = plain(&signature(raw));
            assert_eq!(
                name,
                "mlx::core::operator<<(std::ostream&, mlx::core::array)"
            );
        }
    }

    #[test]
    fn what_is_no_file_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(exports(dir.path()).is_err());
        let error = exports(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}
