//! MLX for macOS as PyPI has it: headers, CMake files and libraries of the wheel `mlx-metal`,
//! without its compiled kernels. Not its use.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::build::files::{beside, copy_from, files_below, remove};
use crate::build::stamp::{Inputs, Stamp};
use crate::error::{Doing, Error, Result, reading, writing};
use crate::layout::Layout;
use crate::process::{Command, last_lines};
use crate::ui::Ui;

/// The oldest macOS that MLX has wheels for, as pip names it.
const PLATFORM: &str = "macosx_14_0_arm64";

/// An unpacked wheel.
#[derive(Debug, Clone)]
pub struct Wheel {
    /// A prefix of MLX: lib, include, share.
    pub prefix: PathBuf,
    /// Its release.
    pub version: String,
}

/// The wheel of `release`, or the newest before it: a pin may be older than its release.
/// Fetched by the pip of `python` where it is not there yet.
///
/// # Errors
/// [`crate::Kind::Mirror`] where pip can't get it.
pub fn fetch(layout: &Layout, python: &Path, release: &str, ui: &dyn Ui) -> Result<Wheel> {
    let home = layout.target().join("macos");
    let folder = home.join(format!("wheel-{release}"));
    let stamp = Stamp::at(home.join(format!("wheel-{release}.json")));
    let wanted = format!("mlx-metal<={release}");
    let inputs = Inputs::default()
        .with("package", wanted.as_str())
        .with("platform", PLATFORM);
    if stamp.stale(&inputs).is_some() {
        stamp.remove()?;
        ui.step(&format!("{wanted} for macOS from PyPI"));
        let new = beside(&folder, "new");
        remove(&new)?;
        let file = download(layout, python, &wanted, &new)?;
        unpack(&file, &new).doing(|| format!("unpacking {}", file.display()))?;
        remove(&file)?;
        remove(&folder)?;
        std::fs::rename(&new, &folder).doing(writing(&folder))?;
        stamp.save(&inputs, &files_below(&folder)?)?;
    }
    let version = folder.join("version");
    Ok(Wheel {
        version: std::fs::read_to_string(&version).doing(reading(&version))?,
        prefix: folder.join("mlx"),
    })
}

fn download(layout: &Layout, python: &Path, wanted: &str, into: &Path) -> Result<PathBuf> {
    let log = layout.logs().join("macos-wheel.log");
    let output = Command::new(python)
        .args(["-m", "pip", "download", "--no-input", "--no-deps"])
        .args(["--disable-pip-version-check", "--only-binary=:all:"])
        .args(["--platform", PLATFORM, "--dest"])
        .arg(into)
        .arg(wanted)
        .log(&log)
        .output()?;
    let found = files_below(into).unwrap_or_default().into_iter().next();
    match found.filter(|_| output.success()) {
        Some(file) => Ok(file),
        None => {
            let said = format!("{}{}", output.stdout, output.stderr);
            let ending = output.ending();
            Err(Error::mirror(format!(
                "pip ended with {ending}:\n{}",
                last_lines(&said, 8)
            ))
            .doing(format!("getting {wanted} for macOS from PyPI"))
            .hint("check the network and pip's own settings, then run again")
            .hint(format!("the full log is {}", log.display())))
        }
    }
}

/// Unpacks what is compiled and linked against, and writes the file `version`.
fn unpack(file: &Path, into: &Path) -> Result<()> {
    let damaged = |e: zip::result::ZipError| Error::mirror(format!("it is damaged: {e}"));
    let mut archive =
        zip::ZipArchive::new(File::open(file).doing(reading(file))?).map_err(damaged)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged)?;
        let Some(path) = entry.enclosed_name() else {
            return Err(Error::mirror("it names a file outside its folder"));
        };
        let parts = ["mlx/include", "mlx/lib", "mlx/share"];
        let wanted = parts.iter().any(|part| path.starts_with(part));
        // The kernels are six times all else.
        if entry.is_file() && wanted && path.extension().is_none_or(|e| e != "metallib") {
            copy_from(&mut entry, &into.join(path))?;
        }
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let version = name.split('-').nth(1).unwrap_or_default();
    let path = into.join("version");
    std::fs::write(&path, version).doing(writing(&path))
}
