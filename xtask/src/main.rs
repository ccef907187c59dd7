//! `cargo xtask`: the command line of mlx-fork. Each command is a file under `cmd/`.

mod cmd;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

/// Keeps, builds and proves a fork of Apple's MLX.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: cmd::Command,
}

fn main() -> ExitCode {
    terminal::end_quietly_when_nobody_reads();
    let cli = Cli::parse();
    match cli.command.run() {
        Ok(code) => code,
        Err(error) => terminal::report(&error),
    }
}
