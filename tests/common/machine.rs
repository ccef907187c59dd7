//! What tests use of this machine: the builds' tools and the real `xtask`.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use mlx_fork::build::Options;
use mlx_fork::build::tools::{self, Tools};
use mlx_fork::layout::Layout;
use mlx_fork::ui::Silent;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The tools of this machine, without Python's. Looked for in a folder of the tests' own:
/// the checkout's record of its tools, with Python's, must stay as setup made it.
pub fn tools() -> &'static Tools {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let layout = Layout::at(ROOT, Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools"));
        let options = Options {
            python: false,
            ..Options::default()
        };
        tools::find(&layout, &options, &Silent).expect("the tools of this machine")
    })
}

/// The `xtask` program beside the tests, which `cargo xtask test` has just built; built here
/// where there is none.
pub fn xtask() -> &'static Path {
    static XTASK: OnceLock<PathBuf> = OnceLock::new();
    XTASK.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("xtask");
        if !program.is_file() {
            let build = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "--package", "xtask"])
                .current_dir(ROOT)
                .status();
            assert!(build.unwrap().success() && program.is_file());
        }
        program
    })
}
