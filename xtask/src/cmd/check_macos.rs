//! `cargo xtask check-macos`: the host code of the fork, compiled and linked for a Mac here.

use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use mlx_fork::build::Options;
use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::macos::{Report, Setting};
use mlx_fork::{Error, Result};

use super::setup_mlx;
use crate::terminal::Terminal;

/// Compile and link the fork for arm64 macOS, on Linux: all but the Metal kernels
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask check-macos --quick
  cargo xtask check-macos --json

Needs no Mac and no Xcode: the compiler is PyPI's ziglang, MLX for macOS is PyPI's mlx-metal,
and metal/macos has what stands in for Apple's tools, headers and libraries (docs/check-macos.md).
Exit code 4 when a check fails.")]
pub struct CheckMacos {
    /// Only our own sources and the files of MLX that the series patches: seconds after an edit
    #[arg(long)]
    quick: bool,
    /// How many compilers at once [default: as many as cores and memory allow]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl CheckMacos {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        if cfg!(target_os = "macos") {
            return Err(Error::usage("this is for machines that are no Mac")
                .hint("on a Mac, `cargo xtask setup-mlx` compiles with Apple's own tools"));
        }
        let layout = Layout::discover()?;
        let config = Config::load(&layout)?;
        let ui = Terminal::new();
        setup_mlx::compose(&layout, &config, &ui)?;
        let options = Options {
            python: false,
            jobs: self.jobs.map(usize::from),
            ..Options::default()
        };
        let setting = Setting::prepare(&layout, &config, options, &ui)?;
        let report = match self.quick {
            true => setting.quick(&ui)?,
            false => setting.whole(&ui)?,
        };
        drop(ui);
        match self.json {
            true => println!("{}", json(&report)?),
            false => print(&report),
        }
        report.verdict().map(|()| ExitCode::SUCCESS)
    }
}

fn json(report: &Report) -> Result<String> {
    serde_json::to_string_pretty(report)
        .map_err(|e| Error::bug(e.to_string()).doing("writing the report"))
}

fn print(report: &Report) {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["check", "", "seconds", ""]);
    for check in &report.checks {
        let (verdict, note) = match check.passed {
            true => ("ok", check.note.as_str()),
            false => ("FAILED", ""),
        };
        table.add_row([
            check.name.as_str(),
            verdict,
            &format!("{:.1}", check.seconds),
            note,
        ]);
    }
    println!("{table}");
    for check in report.checks.iter().filter(|check| !check.passed) {
        println!("\nFAILED: {}\n{}", check.name, check.note);
    }
    println!(
        "{} form, {}, against mlx-metal {}, fork {}",
        report.form, report.compiler, report.wheel, report.fork_id
    );
    let failed = report.failed();
    // The suite `check-macos` of `cargo xtask test` reads this line.
    println!(
        "check-macos: {} passed, {failed} failed",
        report.checks.len() - failed
    );
}
