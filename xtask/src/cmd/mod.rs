//! The commands, one file each.

mod doctor;

use std::process::ExitCode;

use clap::Subcommand;
use mlx_fork::Result;

/// One variant a command; its doc comment is the command's help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Doctor(doctor::Doctor),
}

impl Command {
    /// Runs it; the exit code is 0 unless the command says otherwise.
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Command::Doctor(command) => command.run(),
        }
    }
}
