//! `cargo xtask test`: every suite, each against the builds that setup made.

use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::suites::{self, Outcome};
use mlx_fork::{Error, Result};

use super::setup_mlx;
use crate::terminal::Terminal;

/// Run all tests: Rust, the overlay's C++ and Python, MLX's own C++ tests, parity, sanitizers,
/// the compile for macOS
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --only python\n  cargo xtask test --full"
)]
pub struct Test {
    /// The long ones too: MLX's own Python tests, every parity case, the other pins, the
    /// extension mode
    #[arg(long)]
    full: bool,
    /// Only suites whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Print what the tests print, not only the failures' end
    #[arg(long, short)]
    verbose: bool,
}

impl Test {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let config = Config::load(&layout)?;
        let ui = Terminal::new();
        setup_mlx::for_tests(&layout, &config, &ui)?;
        let mut outcomes = Vec::new();
        for suite in suites::plan(&layout, self.full)? {
            if self
                .only
                .as_deref()
                .is_some_and(|only| !suite.name.contains(only))
            {
                continue;
            }
            let (name, log) = (suite.name, suite.log.clone());
            eprintln!("[test] {name}: {}", suite.command.display());
            let mut tail = Vec::new();
            let outcome = suite.run(|line| {
                if self.verbose {
                    eprintln!("{line}");
                } else {
                    tail.push(line.to_string());
                }
            })?;
            if outcome.failed > 0 && !self.verbose {
                let from = tail.len().saturating_sub(80);
                eprintln!(
                    "{}\nthe full log is {}",
                    tail[from..].join("\n"),
                    log.display()
                );
            }
            outcomes.push(outcome);
        }
        report(&outcomes)
    }
}

fn report(outcomes: &[Outcome]) -> Result<ExitCode> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["suite", "passed", "failed", "skipped", "seconds", ""]);
    for o in outcomes {
        table.add_row([
            o.name.to_string(),
            o.passed.to_string(),
            o.failed.to_string(),
            o.skipped.to_string(),
            format!("{:.1}", o.seconds),
            o.remark.clone().unwrap_or_default(),
        ]);
    }
    println!("{table}");
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    let (passed, failed, skipped) = (sum(|o| o.passed), sum(|o| o.failed), sum(|o| o.skipped));
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 || passed == 0 {
        return Err(
            Error::gate(format!("{failed} tests failed, {passed} passed"))
                .doing("testing")
                .hint("`cargo xtask test --only SUITE --verbose` runs one suite again"),
        );
    }
    Ok(ExitCode::SUCCESS)
}
