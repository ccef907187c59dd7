//! `cargo xtask python`: Python on a build.

use std::ffi::OsString;
use std::process::ExitCode;

use mlx_fork::emulator::{Build, host};
use mlx_fork::error::Doing;
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
    /// Use the fork with its Metal backend, on an emulated GPU that checks each kernel: what
    /// `emulate-mlx` builds.
    #[arg(long, conflicts_with_all = ["stock", "extension"])]
    emulated: bool,
    /// With --emulated: run kernels for speed, without looking at what they access.
    #[arg(long, requires = "emulated")]
    plain: bool,
    /// Python's arguments, passed on untouched.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

impl Python {
    /// Becomes Python; comes back only where it can't be started.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        if self.emulated {
            let build = if self.plain {
                Build::Plain
            } else {
                Build::Checked
            };
            let program = std::env::current_exe().doing(|| "finding this program".into())?;
            return Err(host::python(&layout, &program, build, &self.args)?.exec());
        }
        Err(run::python(&layout, self.build.side(), &self.args)?.exec())
    }
}
