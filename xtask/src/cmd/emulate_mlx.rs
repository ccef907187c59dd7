//! `cargo xtask emulate-mlx`: MLX with its Metal backend on this machine.

use std::process::ExitCode;

use clap::Args;
use mlx_fork::build::Options;
use mlx_fork::config::Config;
use mlx_fork::emulator::host;
use mlx_fork::layout::Layout;
use mlx_fork::{Error, Result};

use crate::terminal::Terminal;

/// Build MLX with its Metal backend for this machine, its kernels run by the emulator
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cargo xtask setup-mlx
  cargo xtask emulate-mlx
  cargo xtask python --emulated -c \"import mlx.core as mx; print(mx.softmax(mx.arange(4.0)))\"

The fork must have been built: most of its objects are used again. Needs clang, and metal-cpp from
PyPI's wheel of MLX for macOS (docs/emulated-mlx.md).")]
pub struct EmulateMlx {
    /// How many compilers at once [default: as many as cores and memory allow]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

impl EmulateMlx {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        if cfg!(target_os = "macos") {
            return Err(Error::usage("this is for machines that are no Mac")
                .hint("on a Mac, `cargo xtask setup-mlx` builds MLX for the GPU that is there"));
        }
        let layout = Layout::discover()?;
        let config = Config::load(&layout)?;
        let ui = Terminal::new();
        let options = Options {
            jobs: self.jobs.map(usize::from),
            ..Options::default()
        };
        let built = host::build(&layout, &config, &options, &ui)?;
        drop(ui);
        println!("{} has MLX with an emulated Metal", built.prefix.display());
        Ok(ExitCode::SUCCESS)
    }
}
