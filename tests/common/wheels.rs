//! Wheels of MLX from PyPI, kept from one run to the next.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use mlx_fork::build::system::System;
use mlx_fork::build::{python, venv};
use mlx_fork::layout::Layout;
use mlx_fork::ui::Silent;

/// The wheel of MLX's Metal backend for macOS, of this release.
pub fn mlx_metal(version: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wheels");
    let file = format!("mlx_metal-{version}-py3-none-macosx_14_0_arm64.whl");
    let kept = home.join(&file);
    if kept.is_file() {
        return kept;
    }
    std::fs::create_dir_all(&home).unwrap();
    let layout = Layout::at(env!("CARGO_MANIFEST_DIR"), home.join("python"));
    let python = python::find(&System::detect(), false).expect("a Python");
    // Some systems' Pythons have no pip; each environment has one.
    let environment = venv::ensure(&layout, &python, &["pip".into()], &Silent).unwrap();
    let fresh = tempfile::tempdir_in(&home).unwrap();
    let output = Command::new(environment.python())
        .args([
            "-m",
            "pip",
            "download",
            "--no-input",
            "--no-deps",
            "--quiet",
        ])
        .args(["--disable-pip-version-check", "--only-binary=:all:"])
        .args(["--platform", "macosx_14_0_arm64", "--dest"])
        .arg(fresh.path())
        .arg(format!("mlx-metal=={version}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::rename(fresh.path().join(&file), &kept).unwrap();
    kept
}
