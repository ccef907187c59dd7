//! The commands, one file each.

mod bindings;
mod docs;
mod doctor;
mod env;
mod parity;
mod parity_worker;
mod probe;
mod python;
mod side;

use std::process::ExitCode;

use clap::Subcommand;
use mlx_fork::Result;

/// One variant a command; its doc comment is the command's help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Bindings(bindings::Bindings),
    Doctor(doctor::Doctor),
    Docs(docs::Docs),
    Env(env::Env),
    Probe(probe::Probe),
    #[command(hide = true)]
    ProbeWorker(probe::Worker),
    Python(python::Python),
    Parity(parity::Parity),
    #[command(hide = true)]
    ParityWorker(parity_worker::ParityWorker),
}

impl Command {
    /// Runs it; the exit code is 0 unless the command says otherwise.
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Command::Bindings(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Docs(command) => command.run(),
            Command::Env(command) => command.run(),
            Command::Probe(command) => command.run(),
            Command::ProbeWorker(command) => command.run(),
            Command::Python(command) => command.run(),
            Command::Parity(command) => command.run(),
            Command::ParityWorker(command) => command.run(),
        }
    }
}
