//! `cargo xtask bindings`.

use std::process::ExitCode;
use std::time::Duration;

use mlx_fork::build::bindings::{self, State};
use mlx_fork::build::{Options, tools};
use mlx_fork::layout::Layout;
use mlx_fork::lock::Lock;
use mlx_fork::{Error, Result};

use crate::terminal::Terminal;

/// Generates the Rust bindings of the C API, or checks that they are current
///
/// Reads mlx_primitives/c/mlx_fork.h and writes sys/src/bindings.rs; `setup-mlx` does the
/// same as one of its steps. Needs libclang, from the system or PyPI, and no MLX.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: cargo xtask bindings --check")]
pub struct Bindings {
    /// Write nothing; exit with 4 if the file is not what bindgen makes of the header
    #[arg(long)]
    check: bool,
}

impl Bindings {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let _lock = Lock::acquire(&layout, Duration::ZERO, |_| {})?;
        let options = Options {
            python: false,
            ..Options::default()
        };
        let tools = tools::find(&layout, &options, &Terminal::new())?;
        let generated = bindings::generate(&layout, &tools.libclang, &tools.cc.path)?;
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
