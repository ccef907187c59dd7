//! `cargo xtask python`: Python on a build.

use std::ffi::OsString;
use std::process::ExitCode;

use mlx_fork::layout::Layout;
use mlx_fork::{Result, run};

use super::side::OneSide;

/// Run Python on the fork: `mlx` is the fork's, everything after the options is Python's.
///
/// The exit code is Python's own. Where the build is missing or is not the one that was
/// recorded, it is 5 and Python is not started.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  cargo xtask python -c \"import mlx.core as mx; print(hasattr(mx, 'gather_qmm_swiglu'))\"
  cargo xtask python --stock benchmark.py --rounds 3
  cargo xtask python -- --help     (Python's help; without `--` it is this text)")]
pub struct Python {
    #[command(flatten)]
    build: OneSide,
    /// Python's arguments, passed on untouched.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Python {
    /// Becomes Python; comes back only where it can't be started.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        Err(run::python(&layout, self.build.side(), &self.args)?.exec())
    }
}
