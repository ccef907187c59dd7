//! The commands, one file each.

mod parity;
mod parity_worker;

use std::process::ExitCode;

use clap::Subcommand;
use mlx_fork::Result;

/// One variant a command; its doc comment is the command's help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Parity(parity::Parity),
    #[command(hide = true)]
    ParityWorker(parity_worker::ParityWorker),
}

impl Command {
    /// Runs it; the exit code is 0 unless the command says otherwise.
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Command::Parity(command) => command.run(),
            Command::ParityWorker(command) => command.run(),
        }
    }
}
