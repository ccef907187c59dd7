//! `cargo xtask sanitize`: parity's cases on the overlay compiled with sanitizers.

use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use mlx_fork::build::{Options, tools};
use mlx_fork::error::Doing;
use mlx_fork::layout::Layout;
use mlx_fork::sanitize::{self, Outcome, Sanitizer, Selection};
use mlx_fork::{Error, Result};

use crate::terminal::Terminal;

/// Runs parity's cases on the overlay compiled with the compiler's sanitizers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask sanitize                      the quick cases with each of them
  cargo xtask sanitize thread --full        every case, on every SIMD path of this processor
  cargo xtask sanitize address --filter mxfp4

Needs GCC on Linux, and the build of stock that setup-mlx made. Exit code 4 when one of them
reports anything. docs/mutants.md says more.")]
pub struct Sanitize {
    /// address, undefined, thread; all of them where none is named
    #[arg(value_name = "SANITIZER")]
    sanitizers: Vec<Sanitizer>,
    /// Every case on every SIMD path, instead of the quick ones on the default path
    #[arg(long)]
    full: bool,
    /// Only cases with this in their name; with * or ?, a pattern for the whole name
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
}

impl Sanitize {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let terminal = Terminal::new();
        let options = Options {
            python: false,
            ..Options::default()
        };
        let tools = tools::find(&layout, &options, &terminal)?;
        let worker = std::env::current_exe().doing(|| "finding this program".into())?;
        let selection = Selection {
            filter: self.filter,
            full: self.full,
        };
        let chosen = match self.sanitizers.is_empty() {
            true => Sanitizer::ALL.to_vec(),
            false => self.sanitizers,
        };
        let mut outcomes = Vec::new();
        for sanitizer in chosen {
            outcomes.push(sanitize::run(
                &layout, &options, &tools, sanitizer, &selection, &worker, &terminal,
            )?);
        }
        drop(terminal);
        if self.json {
            let text = serde_json::to_string_pretty(&outcomes);
            println!("{}", text.map_err(|e| Error::bug(e.to_string()))?);
        } else {
            print(&outcomes);
        }
        let found = outcomes.iter().flat_map(|outcome| &outcome.findings);
        match found.clone().next() {
            None => Ok(ExitCode::SUCCESS),
            Some(first) => {
                let what = format!("{} cases failed under a sanitizer", found.count());
                Err(Error::gate(what).hint(format!("`{}` runs the first one again", first.rerun)))
            }
        }
    }
}

fn print(outcomes: &[Outcome]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "sanitizer",
        "simd",
        "cases",
        "failed",
        "seconds",
    ]);
    for outcome in outcomes {
        for finding in &outcome.findings {
            println!(
                "{}, {} ({}):\n{}\nagain: {}\n",
                outcome.sanitizer,
                finding.case,
                finding.simd.as_deref().unwrap_or("SIMD unknown"),
                finding.what,
                finding.rerun
            );
        }
        table.add_row([
            outcome.sanitizer.to_string(),
            outcome.simd.join(", "),
            outcome.cases.to_string(),
            outcome.findings.len().to_string(),
            format!("{:.1}", outcome.seconds),
        ]);
    }
    println!("{table}");
    let cases: usize = outcomes.iter().map(|outcome| outcome.cases).sum();
    let failed: usize = outcomes.iter().map(|o| o.findings.len()).sum();
    // The suite `sanitizers` of `cargo xtask test` reads this line.
    println!("sanitizers: {} passed, {failed} failed", cases - failed);
}
