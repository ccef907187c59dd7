//! `cargo xtask lint`: everything about the sources that a machine can judge without a build.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mlx_fork::build::system::System;
use mlx_fork::build::{python, venv};
use mlx_fork::error::{Doing, reading};
use mlx_fork::layout::Layout;
use mlx_fork::process::Command;
use mlx_fork::{Error, Result};

use crate::terminal::Terminal;

/// MLX's own clang-format version (its .pre-commit-config.yaml).
const CLANG_FORMAT: &str = "clang-format==21.1.8";

/// Check formatting, clippy, the overlay's clang-format and the generated documentation
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cargo xtask lint")]
pub struct Lint {
    /// Reformat the sources instead of failing on them
    #[arg(long)]
    fix: bool,
}

impl Lint {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let ui = Terminal::new();
        let fmt = Command::new("cargo").args(["fmt", "--all"]);
        let clippy = Command::new("cargo")
            .args(["clippy", "--quiet", "--workspace", "--all-targets"])
            .args(["--", "-D", "warnings"]);
        let docs =
            Command::new(std::env::current_exe().doing(|| "finding xtask".into())?).arg("docs");
        let checks = [
            ("rustfmt", if self.fix { fmt } else { fmt.arg("--check") }),
            ("clippy", clippy),
            ("clang-format", self.clang_format(&layout, &ui)?),
            ("docs", if self.fix { docs } else { docs.arg("--check") }),
        ];
        let mut failed = Vec::new();
        for (name, check) in checks {
            eprintln!("[lint] {name}");
            let output = check.current_dir(layout.root()).output()?;
            if !output.success() {
                eprint!("{}{}", output.stdout, output.stderr);
                failed.push(name);
            }
        }
        if failed.is_empty() {
            println!("lint: all clean");
            return Ok(ExitCode::SUCCESS);
        }
        Err(
            Error::gate(format!("{} found something", failed.join(", ")))
                .doing("linting")
                .hint("`cargo xtask lint --fix` reformats; the rest is above"),
        )
    }

    fn clang_format(&self, layout: &Layout, ui: &Terminal) -> Result<Command> {
        let system = System::detect();
        let python = python::find(&system, false).map_err(|unfit| {
            let error = Error::environment(unfit.why).doing("getting clang-format from PyPI");
            match system.mend_line(&unfit.needs) {
                Some(line) => error.hint(line),
                None => error,
            }
        })?;
        let program =
            venv::ensure(layout, &python, &[CLANG_FORMAT.into()], ui)?.program("clang-format");
        let how = if self.fix {
            ["-i", "--Werror"]
        } else {
            ["--dry-run", "--Werror"]
        };
        let mut sources = Vec::new();
        for folder in ["mlx_primitives", "metal"] {
            let before = sources.len();
            collect(&layout.root().join(folder), &mut sources)?;
            if sources.len() == before {
                return Err(Error::bug(format!(
                    "no C++ or Metal source under {folder}/"
                )));
            }
        }
        Ok(Command::new(program).args(how).args(sources))
    }
}

fn collect(folder: &std::path::Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).doing(reading(folder))? {
        let path = entry.doing(reading(folder))?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if matches!(
            path.extension().and_then(|e| e.to_str()),
            Some("h" | "cpp" | "metal")
        ) {
            into.push(path);
        }
    }
    into.sort();
    Ok(())
}
