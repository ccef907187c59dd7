//! Install prefixes: made beside their place and put there whole, so that nobody finds half
//! of one. Not what is built.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Doing, Error, Result, reading, writing};

use super::files::{beside, copy, files_below, remove};
use super::project::Held;
use crate::process::Command;
use crate::ui::Ui;

/// Installs a project as the new content of `prefix`. `complete` adds to the new prefix
/// before it takes the old one's place. Gives its files.
pub fn replace(
    held: &Held<'_>,
    prefix: &Path,
    ui: &dyn Ui,
    complete: impl FnOnce(&Path) -> Result<()>,
) -> Result<Vec<PathBuf>> {
    let (new, old) = (beside(prefix, "new"), beside(prefix, "old"));
    remove(&new)?;
    let made = held.install(&new, ui).and_then(|()| complete(&new));
    if let Err(error) = made {
        // The disk may be full: give back what this took. The error is what counts.
        let _ = remove(&new);
        return Err(error);
    }
    remove(&old)?;
    if prefix.symlink_metadata().is_ok() {
        std::fs::rename(prefix, &old).doing(writing(prefix))?;
    }
    std::fs::rename(&new, prefix).doing(writing(prefix))?;
    remove(&old)?;
    files_below(prefix)
}

/// Installs a project into a prefix that has other files too, each file whole. Gives the
/// installed ones.
pub fn add(held: &Held<'_>, prefix: &Path, ui: &dyn Ui) -> Result<Vec<PathBuf>> {
    let new = beside(prefix, "add");
    remove(&new)?;
    held.install(&new, ui)?;
    let mut added = Vec::new();
    for file in files_below(&new)? {
        let name = file
            .strip_prefix(&new)
            .map_err(|e| Error::bug(e.to_string()))?;
        let place = prefix.join(name);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).doing(writing(folder))?;
        }
        std::fs::rename(&file, &place).doing(writing(&place))?;
        added.push(place);
    }
    remove(&new)?;
    Ok(added)
}

/// Makes `prefix/python/mlx`: the extension module, the tree's Python files, and a way from
/// the module to the library (its run path is `lib` beside it).
pub fn add_python(prefix: &Path, tree: &Path, build_folder: &Path) -> Result<()> {
    let package = prefix.join("python/mlx");
    let pure = tree.join("python/mlx");
    for file in files_below(&pure)? {
        let name = file
            .strip_prefix(&pure)
            .map_err(|e| Error::bug(e.to_string()))?;
        // Notes for the stub generator: no part of the package.
        if name != Path::new("_stub_patterns.txt") {
            copy(&file, &package.join(name))?;
        }
    }
    let mut modules = 0;
    for entry in std::fs::read_dir(build_folder).doing(reading(build_folder))? {
        let path = entry.doing(reading(build_folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("core.") && name.ends_with(".so") {
            copy(&path, &package.join(name.as_ref()))?;
            modules += 1;
        }
    }
    if modules == 0 {
        return Err(Error::bug(format!(
            "the build made no Python module core.*.so in {}",
            build_folder.display()
        )));
    }
    let lib = package.join("lib");
    std::os::unix::fs::symlink("../../lib", &lib).doing(writing(&lib))
}

/// Writes the type stubs of `mlx.core` beside it, with nanobind's generator, as MLX's own
/// build does.
pub fn add_stubs(prefix: &Path, tree: &Path, python: &Path) -> Result<()> {
    let package = prefix.join("python/mlx");
    let output = Command::new(python)
        .args(["-m", "nanobind.stubgen", "-q", "-m", "mlx.core", "-r", "-p"])
        .arg(tree.join("python/mlx/_stub_patterns.txt"))
        .arg("-O")
        .arg(&package)
        .env("PYTHONPATH", prefix.join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .limit(Duration::from_secs(300))
        .run();
    output.doing(|| "writing the type stubs of mlx.core".into())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_package_reaches_its_library_from_wherever_the_prefix_is() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, build) = (dir.path().join("src"), dir.path().join("build"));
        let prefix = dir.path().join("stock");
        for (file, text) in [
            (tree.join("python/mlx/nn/layers.py"), "x"),
            (tree.join("python/mlx/_stub_patterns.txt"), "x"),
            (build.join("core.cpython-311-x86_64-linux-gnu.so"), "so"),
            (prefix.join("lib/libmlx.so"), "lib"),
        ] {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        add_python(&prefix, &tree, &build).unwrap();
        let moved = dir.path().join("moved");
        std::fs::rename(&prefix, &moved).unwrap();
        let package = moved.join("python/mlx");
        assert!(package.join("lib/libmlx.so").exists());
        assert!(package.join("nn/layers.py").exists());
        assert!(!package.join("_stub_patterns.txt").exists());
        assert!(
            package
                .join("core.cpython-311-x86_64-linux-gnu.so")
                .exists()
        );
    }
}
