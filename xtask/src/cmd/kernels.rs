//! `cargo xtask kernels`: the kernels' own tests, on each processor that can be had here.

use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use mlx_fork::build::{Options, tools};
use mlx_fork::kernel_tests::{self, Outcome, Target};
use mlx_fork::layout::Layout;
use mlx_fork::{Error, Result};

use crate::terminal::Terminal;

/// Tests the SIMD kernels by themselves, on this processor and on AArch64 under qemu
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cargo xtask kernels

Compiles mlx_primitives/tests/kernels with the headers of stock, which setup-mlx made, and
none of MLX's libraries. Runs every kernel that the processor has: portable, AVX2 and AVX-512
on x86, NEON on AArch64. On other Linux machines that one is emulated: it needs
aarch64-linux-gnu-g++ and qemu-aarch64 (`cargo xtask setup-mlx --install-deps`).
Exit code 4 when a check fails.")]
pub struct Kernels {}

impl Kernels {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let terminal = Terminal::new();
        let options = Options {
            python: false,
            ..Options::default()
        };
        let tools = tools::find(&layout, &options, &terminal)?;
        let mut outcomes = Vec::new();
        for target in Target::all() {
            outcomes.push(kernel_tests::run(
                &layout, &options, &tools, *target, &terminal,
            )?);
        }
        drop(terminal);
        print(&outcomes);
        match outcomes.iter().map(|outcome| outcome.failed).sum() {
            0 => Ok(ExitCode::SUCCESS),
            failed => Err(
                Error::gate(format!("{failed} checks of the kernels failed"))
                    .doing("testing the kernels"),
            ),
        }
    }
}

fn print(outcomes: &[Outcome]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "processor",
        "kernels",
        "passed",
        "failed",
        "compiled s",
        "ran s",
    ]);
    for outcome in outcomes {
        if !outcome.failures.is_empty() {
            println!("{}:\n{}\n", outcome.target.name(), outcome.failures);
        }
        let [compiled, ran] = outcome.seconds;
        table.add_row([
            outcome.target.name().to_string(),
            outcome.kernels.clone(),
            outcome.passed.to_string(),
            outcome.failed.to_string(),
            format!("{compiled:.1}"),
            format!("{ran:.1}"),
        ]);
    }
    println!("{table}");
    let passed: usize = outcomes.iter().map(|outcome| outcome.passed).sum();
    let failed: usize = outcomes.iter().map(|outcome| outcome.failed).sum();
    // The suite `kernels` of `cargo xtask test` reads this line.
    println!("kernels: {passed} passed, {failed} failed");
}
