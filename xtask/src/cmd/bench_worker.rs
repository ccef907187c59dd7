//! `cargo xtask bench-worker`: a process of the bench that makes calls on one build, or reads
//! memory; started by `bench`, not by people.

use std::path::PathBuf;
use std::process::ExitCode;

use mlx_fork::Result;
use mlx_fork::bench::worker::Job;
use mlx_fork::parity::worker::Form;

use super::parity_worker::form;

/// Makes the bench's calls on one build (started by `bench`)
#[derive(Debug, clap::Args)]
pub struct BenchWorker {
    /// `stock` or `fork`: which form of the ops to call; without it, memory is read
    #[arg(long, value_parser = form, requires = "library")]
    form: Option<Form>,
    /// The build's libmlx_fork_c
    #[arg(long, requires = "form")]
    library: Option<PathBuf>,
    /// A case with the weights to load
    #[arg(long)]
    case: String,
    /// The seed of the inputs
    #[arg(long)]
    seed: u64,
    /// Threads of a plain read
    #[arg(long)]
    threads: usize,
}

impl BenchWorker {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        Job {
            build: self.library.zip(self.form),
            case: self.case,
            seed: self.seed,
            threads: self.threads,
        }
        .run()?;
        Ok(ExitCode::SUCCESS)
    }
}
