//! `cargo xtask parity-worker`: the process that computes the cases of one build; started by
//! `parity`, not by people.

use std::path::PathBuf;
use std::process::ExitCode;

use mlx_fork::Result;
use mlx_fork::device::Device;
use mlx_fork::parity::worker::{Form, Job};

/// Computes parity's cases on one build (started by `parity`)
#[derive(Debug, clap::Args)]
pub struct ParityWorker {
    /// `stock` or `fork`: which form of the ops to compute
    #[arg(long, value_parser = form)]
    form: Form,
    /// The build's libmlx_fork_c
    #[arg(long)]
    library: PathBuf,
    /// A file of case names, one a line
    #[arg(long)]
    cases: PathBuf,
    /// The folder for results
    #[arg(long)]
    out: PathBuf,
    /// The seed of the inputs
    #[arg(long)]
    seed: u64,
    /// `cpu` or `gpu`: what to compute on
    #[arg(long)]
    device: Device,
    /// Address space that this process may have, in MiB
    #[arg(long)]
    memory: u64,
    /// Compute each case several times
    #[arg(long)]
    timed: bool,
}

/// A form by its name.
pub(super) fn form(text: &str) -> Result<Form, String> {
    [Form::Stock, Form::Fork]
        .into_iter()
        .find(|side| side.name() == text)
        .ok_or_else(|| "there are stock and fork".to_string())
}

impl ParityWorker {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        Job {
            library: self.library,
            form: self.form,
            cases: self.cases,
            out: self.out,
            seed: self.seed,
            device: self.device,
            memory: self.memory,
            timed: self.timed,
        }
        .run()?;
        Ok(ExitCode::SUCCESS)
    }
}
