//! The Rust bindings of the C API: runs bindgen on mlx_fork.h.
//!
//! The result is the same on every machine, whatever its libclang, its rustfmt and its
//! folders, so that it can be checked in (sys/src/bindings.rs) and compared. It does not
//! find libclang: see the tools.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bindgen::{Builder, EnumVariation, Formatter, RustTarget};

use crate::error::{Doing, Error, Result, reading, writing};
use crate::layout::Layout;
use crate::process::Command;

const HEAD: &str =
    "//! Generated from mlx_primitives/c/mlx_fork.h by `cargo xtask bindings`; do not edit.";

/// The header that the bindings are made from.
pub fn header(layout: &Layout) -> PathBuf {
    layout.root().join("mlx_primitives/c/mlx_fork.h")
}

/// Where the bindings are checked in.
pub fn checked_in(layout: &Layout) -> PathBuf {
    layout.root().join("sys/src/bindings.rs")
}

/// What checked-in bindings are compared with what bindgen makes of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They are the same.
    Current,
    /// They differ.
    Stale,
}

/// The text that sys/src/bindings.rs should have.
///
/// `libclang` is the library or the folder that holds it; `cc` a C compiler, whose builtin
/// headers are used: PyPI's libclang comes without.
///
/// # Errors
/// [`crate::Kind::Environment`] when libclang is not there or can't be loaded;
/// [`crate::Kind::Usage`] when clang finds errors in the header.
pub fn generate(layout: &Layout, libclang: &Path, cc: &Path) -> Result<String> {
    let doing = || "generating the bindings of the C API".to_string();
    let header = header(layout);
    if !header.is_file() {
        return Err(Error::usage(format!("{} does not exist", header.display()))).doing(doing);
    }
    check_libclang(libclang).doing(doing)?;
    let folder = header.parent().unwrap_or(Path::new("."));
    let mut builder = Builder::default()
        // By name, not by path: paths of this machine must not get into the result.
        .header_contents("bindings.h", "#include \"mlx_fork.h\"\n")
        .clang_arg(format!("-I{}", folder.display()))
        .allowlist_item("(mlx|MLX)_.*")
        // MLX_FORK_H and MLX_FORK_API are no part of the API.
        .blocklist_var("MLX_FORK_H|MLX_FORK_API")
        .dynamic_library_name("MlxForkC")
        .default_enum_style(EnumVariation::Consts)
        .prepend_enum_name(false)
        // The layout of two pointers needs no proof, and would be one platform's.
        .layout_tests(false)
        .wrap_unsafe_ops(true)
        .disable_header_comment()
        .raw_line(HEAD)
        .rust_target(RustTarget::stable(85, 0).map_err(|e| Error::bug(e.to_string()))?)
        .formatter(Formatter::Prettyplease);
    if let Some(include) = builtin_headers(cc)? {
        builder = builder
            .clang_arg("-isystem")
            .clang_arg(include.display().to_string());
    }
    let bindings = load_from(libclang, || builder.generate())
        .map_err(|e| Error::usage(e.to_string()))
        .doing(doing)?;
    let text = bindings.to_string();
    Ok(format!("{text}{}", list_of_functions(&text)))
}

/// The names of all functions, which bindgen knows and does not tell.
fn list_of_functions(bindings: &str) -> String {
    let mut list =
        String::from("/// The functions of the header.\npub const FUNCTIONS: &[&str] = &[\n");
    for line in bindings.lines() {
        if let Some(rest) = line.trim_start().strip_prefix("pub unsafe fn ")
            && let Some((name, _)) = rest.split_once('(')
            && name.starts_with("mlx_")
        {
            list.push_str(&format!("    \"{name}\",\n"));
        }
    }
    list + "];\n"
}

/// Compares sys/src/bindings.rs with what [`generate`] gave.
pub fn compare(layout: &Layout, generated: &str) -> Result<State> {
    let path = checked_in(layout);
    let found = std::fs::read_to_string(&path).doing(reading(&path))?;
    Ok(if found == generated {
        State::Current
    } else {
        State::Stale
    })
}

/// Writes sys/src/bindings.rs unless it is current.
pub fn update(layout: &Layout, generated: &str) -> Result<State> {
    let path = checked_in(layout);
    let state = match path.is_file() {
        true => compare(layout, generated)?,
        false => State::Stale,
    };
    if state == State::Stale {
        std::fs::write(&path, generated).doing(writing(&path))?;
    }
    Ok(state)
}

/// bindgen ends the process's thread when it can't load libclang; find out before.
fn check_libclang(libclang: &Path) -> Result<()> {
    let is_one = |path: &Path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| {
                name.starts_with("libclang") && (name.contains(".so") || name.ends_with(".dylib"))
            })
    };
    let found = if libclang.is_dir() {
        std::fs::read_dir(libclang)
            .doing(reading(libclang))?
            .flatten()
            .any(|entry| is_one(&entry.path()))
    } else {
        libclang.is_file() && is_one(libclang)
    };
    if found {
        return Ok(());
    }
    Err(
        Error::environment(format!("there is no libclang at {}", libclang.display()))
            .hint("`cargo xtask doctor` says how to get one"),
    )
}

/// The folder of stdbool.h and stddef.h, where the compiler tells it.
fn builtin_headers(cc: &Path) -> Result<Option<PathBuf>> {
    let output = Command::new(cc).arg("-print-file-name=include").run()?;
    let folder = PathBuf::from(output.stdout.trim());
    Ok(folder.join("stddef.h").is_file().then_some(folder))
}

/// Runs `f`, in which bindgen loads libclang, once a process, from where LIBCLANG_PATH says.
fn load_from<T>(libclang: &Path, f: impl FnOnce() -> T) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: other threads of this program at most draw progress; none calls into C code
    // that reads the environment.
    unsafe { std::env::set_var("LIBCLANG_PATH", libclang) };
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let root = env!("CARGO_MANIFEST_DIR");
        Layout::at(root, Path::new(root).join("target/mlx"))
    }

    #[test]
    fn a_folder_without_libclang_is_an_error_of_the_environment_not_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let error = generate(&layout(), folder.path(), Path::new("cc")).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Environment);
        assert!(error.to_string().contains(folder.path().to_str().unwrap()));
    }

    #[test]
    fn the_checked_in_bindings_have_every_function_of_the_header_and_no_path() {
        let bindings = std::fs::read_to_string(checked_in(&layout())).unwrap();
        let header = std::fs::read_to_string(header(&layout())).unwrap();
        let mut functions = 0;
        for word in header.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '(') {
            if let Some((name, _)) = word.split_once('(')
                && name.starts_with("mlx_fork_")
            {
                functions += 1;
                assert!(
                    bindings.contains(&format!("pub unsafe fn {name}(")),
                    "{name}"
                );
            }
        }
        assert!(functions > 40, "{functions}");
        assert!(!bindings.contains("/usr") && !bindings.contains(env!("CARGO_MANIFEST_DIR")));
    }

    #[test]
    fn an_edited_file_is_stale_and_is_written_once() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("sys/src")).unwrap();
        let layout = Layout::at(root.path(), root.path());
        assert_eq!(update(&layout, "new").unwrap(), State::Stale);
        assert_eq!(update(&layout, "new").unwrap(), State::Current);
        assert_eq!(compare(&layout, "newer").unwrap(), State::Stale);
    }
}
