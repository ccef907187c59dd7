//! `cargo xtask bindings`.

use std::path::PathBuf;
use std::process::ExitCode;

use mlx_fork::build::bindings::{self, State};
use mlx_fork::layout::Layout;
use mlx_fork::{Error, Result};

/// Generates the Rust bindings of the C API, or checks that they are current
///
/// Reads mlx_primitives/c/mlx_fork.h and writes sys/src/bindings.rs; `setup-mlx` does the
/// same as one of its steps.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: cargo xtask bindings --check")]
pub struct Bindings {
    /// Write nothing; exit with 4 if the file is not what bindgen makes of the header
    #[arg(long)]
    check: bool,
    /// libclang, or the folder that holds it
    #[arg(long, env = "LIBCLANG_PATH", value_name = "PATH")]
    libclang: PathBuf,
    /// The C compiler whose builtin headers are used
    #[arg(long, default_value = "cc", value_name = "PROGRAM")]
    cc: PathBuf,
}

impl Bindings {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let generated = bindings::generate(&layout, &self.libclang, &self.cc)?;
        let path = bindings::checked_in(&layout);
        let state = if self.check {
            bindings::compare(&layout, &generated)?
        } else {
            bindings::update(&layout, &generated)?
        };
        match (self.check, state) {
            (_, State::Current) => println!("{} is current", path.display()),
            (false, State::Stale) => println!("{} written", path.display()),
            (true, State::Stale) => {
                return Err(Error::gate(format!(
                    "{} is not what bindgen makes of mlx_fork.h",
                    path.display()
                ))
                .hint("run `cargo xtask bindings` and commit the result"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
