//! libclang: where it is, and whether it works, by having it parse a header. Not the
//! bindings: those are bindgen's, which loads the library found here.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};
use std::path::{Path, PathBuf};

use libloading::{Library, Symbol};

use super::system::{System, entries};

/// The folders that may hold libclang.
pub fn folders(system: &System) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(named) = &system.libclang {
        folders.push(named.clone());
    }
    for folder in system.libraries() {
        let llvms = entries(&folder, |name| name.starts_with("llvm"));
        folders.extend(llvms.iter().map(|llvm| llvm.join("lib")));
        folders.push(folder);
    }
    if system.macos {
        let xcode =
            "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain";
        folders.push("/Library/Developer/CommandLineTools/usr/lib".into());
        folders.push(Path::new(xcode).join("usr/lib"));
    }
    folders
}

/// Files that may be libclang, the user's first, then the newest.
pub fn candidates(system: &System) -> Vec<PathBuf> {
    let folders = folders(system);
    let (named, usual) = folders.split_at(usize::from(system.libclang.is_some()));
    let mut found: Vec<PathBuf> = usual.iter().flat_map(|f| libraries_in(f)).collect();
    found.sort_by_key(|path| std::cmp::Reverse(llvm_version(path)));
    let named = named.iter().flat_map(|path| match path.is_dir() {
        true => libraries_in(path),
        false => vec![path.clone()],
    });
    named.chain(found).collect()
}

fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    entries(folder, |name| {
        // libclang-14.so.14, but neither libclang-cpp.so nor libclang_rt.
        let Some(rest) = name.strip_prefix("libclang") else {
            return false;
        };
        let rest = rest.trim_start_matches(|c: char| c == '-' || c == '.' || c.is_ascii_digit());
        rest.starts_with("so") || rest == "dylib"
    })
}

/// The numbers of a path, for `llvm-18` before `llvm-14`.
fn llvm_version(path: &Path) -> u32 {
    path.to_string_lossy()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .filter(|n| (3..100).contains(n))
        .max()
        .unwrap_or(0)
}

#[repr(C)]
struct Text {
    data: *const c_void,
    flags: c_uint,
}

#[repr(C)]
struct Unsaved {
    name: *const c_char,
    contents: *const c_char,
    length: c_ulong,
}

/// Loads this file, has it parse a header, and gives its version; or says what is wrong.
pub fn examine(file: &Path) -> Result<String, String> {
    let problem = |what: String| format!("{}: {what}", file.display());
    // SAFETY: the file is a libclang, by its name; its initialisers are LLVM's.
    let library = unsafe { Library::new(file) }.map_err(|e| problem(e.to_string()))?;
    // SAFETY: the signatures are those of clang-c/Index.h and CXString.h, stable since 3.0.
    unsafe { parse_header(&library) }.map_err(problem)
}

unsafe fn parse_header(library: &Library) -> Result<String, String> {
    fn get<'a, T>(library: &'a Library, name: &str) -> Result<Symbol<'a, T>, String> {
        // SAFETY: the caller names the type that clang-c/Index.h has.
        unsafe { library.get(name.as_bytes()) }.map_err(|e| e.to_string())
    }
    type Handle = *mut c_void;
    type Parse = unsafe extern "C" fn(
        Handle,
        *const c_char,
        *const *const c_char,
        c_int,
        *mut Unsaved,
        c_uint,
        c_uint,
    ) -> Handle;
    type Release = unsafe extern "C" fn(Handle);
    let version = get::<unsafe extern "C" fn() -> Text>(library, "clang_getClangVersion")?;
    let text = get::<unsafe extern "C" fn(Text) -> *const c_char>(library, "clang_getCString")?;
    let create = get::<unsafe extern "C" fn(c_int, c_int) -> Handle>(library, "clang_createIndex")?;
    let parse = get::<Parse>(library, "clang_parseTranslationUnit")?;
    let problems =
        get::<unsafe extern "C" fn(Handle) -> c_uint>(library, "clang_getNumDiagnostics")?;
    let dispose = get::<Release>(library, "clang_disposeTranslationUnit")?;
    let close = get::<Release>(library, "clang_disposeIndex")?;

    let name = c"mlx_fork_doctor.h";
    let header = c"typedef struct { void* ctx; } doctor_array;\nint doctor_add(doctor_array* a);\n";
    let mut unsaved = Unsaved {
        name: name.as_ptr(),
        contents: header.as_ptr(),
        length: header.to_bytes().len() as c_ulong,
    };
    // SAFETY: the pointers outlive the calls; handles are released once, in order.
    unsafe {
        // A CXString is released with clang_disposeString; this one lives as long as we do.
        let said = text(version());
        let said = if said.is_null() {
            String::new()
        } else {
            CStr::from_ptr(said).to_string_lossy().into_owned()
        };
        let index = create(0, 0);
        let unit = parse(
            index,
            name.as_ptr(),
            std::ptr::null(),
            0,
            &mut unsaved,
            1,
            0,
        );
        let outcome = if unit.is_null() {
            Err("it can't parse a header of two lines".to_string())
        } else {
            let problems = problems(unit);
            dispose(unit);
            match problems {
                0 => super::search::version_in(&said).ok_or("it says no version".into()),
                n => Err(format!("it finds {n} errors in a correct header")),
            }
        };
        close(index);
        outcome
    }
}
