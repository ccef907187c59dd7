//! `cargo xtask mutants`: are deliberate faults in the overlay caught by parity.

use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use mlx_fork::build::{Options, tools};
use mlx_fork::error::Doing;
use mlx_fork::layout::Layout;
use mlx_fork::mutants::report::Row;
use mlx_fork::mutants::run::{Bench, selected};
use mlx_fork::mutants::{self, Mutant, Report, Selection, Verdict};
use mlx_fork::{Error, Result};

use crate::terminal::Terminal;

/// Puts deliberate faults into the overlay, one at a time, and has parity catch them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask mutants --sample 40            40 faults from all over the kernels
  cargo xtask mutants --filter fault         those that have a name, from mutants.toml
  cargo xtask mutants --filter qmm_t.h: --list

Takes some seconds a fault, and has more than a thousand. Works in target/mlx/variants; needs the
build of stock that setup-mlx made. Exit code 4 when a fault survives. docs/mutants.md says more.")]
pub struct Mutants {
    /// Only faults with this in their name (FILE:LINE:COLUMN:OPERATOR) or description; `fault`
    /// for those of mutants.toml
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// At most so many, spread over files and operators
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Which ones a sample takes
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only parity's cases with this in their name judge; with * or ?, a pattern
    #[arg(long, value_name = "NAME")]
    cases: Option<String>,
    /// Print the faults and run nothing
    #[arg(long)]
    list: bool,
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
}

impl Mutants {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let selection = Selection {
            filter: self.filter,
            sample: self.sample,
            seed: self.seed,
        };
        if self.list {
            let (mutants, _) = selected(&layout, &selection)?;
            match self.json {
                true => println!("{}", json(&mutants)?),
                false => mutants.iter().for_each(list),
            }
            return Ok(ExitCode::SUCCESS);
        }
        let terminal = Terminal::new();
        let options = Options {
            python: false,
            ..Options::default()
        };
        let tools = tools::find(&layout, &options, &terminal)?;
        let worker = std::env::current_exe().doing(|| "finding this program".into())?;
        let bench = Bench {
            layout: &layout,
            options: &options,
            tools: &tools,
            worker: &worker,
            cases: self.cases.as_deref(),
        };
        let report = mutants::run(bench, &selection, &terminal)?;
        drop(terminal);
        match self.json {
            true => println!("{}", json(&report)?),
            false => print(&report),
        }
        report.check()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::bug(e.to_string()))
}

fn list(mutant: &Mutant) {
    println!("{}\n{}", mutant.name, change(mutant));
}

/// A fault's description, and the lines that it changes.
fn change(mutant: &Mutant) -> String {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = mutant.what.iter().map(|what| format!("  {what}\n"));
    format!(
        "{}  - {}\n  + {}",
        what.collect::<String>(),
        one_line(&mutant.before),
        one_line(&mutant.after)
    )
}

fn print(report: &Report) {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["fault", "caught by", "seconds"]);
    // What was not judged comes last, survivors first.
    let order = |row: &&Row| match row.verdict {
        Verdict::Survived => 0,
        Verdict::Caught { .. } => 1,
        _ => 2,
    };
    let mut rows: Vec<&Row> = report.mutants.iter().collect();
    rows.sort_by_key(order);
    for row in rows {
        let verdict = match &row.verdict {
            Verdict::Caught { by, how } => {
                let first = how.lines().next().unwrap_or_default();
                format!("{by}\n  {}", first.chars().take(70).collect::<String>())
            }
            Verdict::Survived => "SURVIVED".into(),
            Verdict::Equivalent { reason } => format!("equivalent: {reason}"),
            Verdict::SameCode => "compiles to the same code".into(),
            Verdict::Unbuildable { why } => {
                format!(
                    "doesn't compile: {}",
                    why.chars().take(60).collect::<String>()
                )
            }
            Verdict::NotHere => "code for another processor".into(),
        };
        let seconds = format!("{:.1} + {:.1}", row.seconds[0], row.seconds[1]);
        let fault = format!("{}\n{}", row.mutant.name, change(&row.mutant));
        table.add_row([fault, verdict, seconds]);
    }
    println!("{table}\n{}", report.summary());
}
