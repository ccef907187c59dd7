//! The commands, one file each.

mod artifacts;
mod bench;
mod bench_worker;
mod bindings;
mod bump;
mod check_macos;
mod docs;
mod doctor;
mod drift;
mod edits;
mod emulate;
mod emulate_mlx;
mod emulated_kernel;
mod env;
mod kernels;
mod lint;
mod mutants;
mod parity;
mod parity_worker;
mod patch;
mod probe;
mod python;
mod sanitize;
mod setup_mlx;
mod side;
mod test;
mod upstream;

use std::process::ExitCode;

use clap::Subcommand;
use mlx_fork::Result;

/// One variant a command; its doc comment is the command's help.
#[derive(Debug, Subcommand)]
pub enum Command {
    SetupMlx(Box<setup_mlx::SetupMlx>),
    Doctor(doctor::Doctor),
    Edits(edits::Edits),
    Drift(drift::Drift),
    Patch(patch::Patch),
    Bump(bump::Bump),
    Probe(probe::Probe),
    Parity(parity::Parity),
    Bench(bench::Bench),
    Python(python::Python),
    Env(env::Env),
    Kernels(kernels::Kernels),
    Emulate(Box<emulate::Emulate>),
    EmulateMlx(emulate_mlx::EmulateMlx),
    Sanitize(sanitize::Sanitize),
    CheckMacos(check_macos::CheckMacos),
    Mutants(mutants::Mutants),
    Upstream(upstream::Upstream),
    Test(test::Test),
    Lint(lint::Lint),
    Bindings(bindings::Bindings),
    Docs(docs::Docs),
    #[command(hide = true)]
    EmulatedKernel(emulated_kernel::EmulatedKernel),
    #[command(hide = true)]
    BenchWorker(bench_worker::BenchWorker),
    #[command(hide = true)]
    ParityWorker(parity_worker::ParityWorker),
    #[command(hide = true)]
    ProbeWorker(probe::Worker),
}

impl Command {
    /// Runs it; the exit code is 0 unless the command says otherwise.
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Command::SetupMlx(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Edits(command) => command.run(),
            Command::Drift(command) => command.run(),
            Command::Patch(command) => command.run(),
            Command::Bump(command) => command.run(),
            Command::Probe(command) => command.run(),
            Command::Parity(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Python(command) => command.run(),
            Command::Env(command) => command.run(),
            Command::Kernels(command) => command.run(),
            Command::Emulate(command) => command.run(),
            Command::EmulateMlx(command) => command.run(),
            Command::EmulatedKernel(command) => command.run(),
            Command::Sanitize(command) => command.run(),
            Command::CheckMacos(command) => command.run(),
            Command::Mutants(command) => command.run(),
            Command::Upstream(command) => command.run(),
            Command::Test(command) => command.run(),
            Command::Lint(command) => command.run(),
            Command::Bindings(command) => command.run(),
            Command::Docs(command) => command.run(),
            Command::BenchWorker(command) => command.run(),
            Command::ParityWorker(command) => command.run(),
            Command::ProbeWorker(command) => command.run(),
        }
    }
}
