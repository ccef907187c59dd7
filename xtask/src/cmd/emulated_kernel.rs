//! `cargo xtask emulated-kernel`: what an emulated MLX asks of this program while it runs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use mlx_fork::Result;
use mlx_fork::emulator::{Build, host};
use mlx_fork::layout::Layout;

/// Compile a kernel of a library, or explain a report (used by `python --emulated`)
#[derive(Debug, Args)]
pub struct EmulatedKernel {
    /// Compile for speed, without looking at accesses
    #[arg(long)]
    plain: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print where the compiled kernel is, and what it takes; `absent` where there is none
    Compile {
        /// A metallib of the emulator's, or a Metal source
        library: PathBuf,
        /// The kernel's name
        kernel: String,
    },
    /// Print the faults of a launch
    Explain {
        /// A metallib of the emulator's, or a Metal source
        library: PathBuf,
        /// The kernel's name
        kernel: String,
        /// The driver's report
        report: PathBuf,
    },
}

impl EmulatedKernel {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let build = if self.plain {
            Build::Plain
        } else {
            Build::Checked
        };
        match self.what {
            What::Compile { library, kernel } => {
                let facts = host::compile(&layout, &library, &kernel, build)?;
                print!("{}", facts.unwrap_or_else(|| "absent\n".into()));
            }
            What::Explain {
                library,
                kernel,
                report,
            } => print!(
                "{}",
                host::explain(&layout, &library, &kernel, build, &report)?
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}
