//! `cargo xtask bench`: how long the fork's ops take, against stock's and the memory's speed.

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::{CellAlignment, Table, presets};
use mlx_fork::bench::report::{CaseReport, Numbers, Times};
use mlx_fork::bench::stats::Estimate;
use mlx_fork::bench::{self, Plan, Report, plot};
use mlx_fork::error::{Doing, writing};
use mlx_fork::layout::Layout;
use mlx_fork::{Error, Result};

use crate::terminal::Terminal;

/// Measures the fork against stock, and against a plain read of the same weights
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench --case qwen3/t1                      one token, all types and ops
  cargo xtask bench --case qwen3/t1/bf16/layer --budget 60
  cargo xtask bench --case '*/bf16/layer' --svg bench.svg
  MLX_FUSED_CPU_SIMD=avx2 cargo xtask bench --case qwen3/t1

Exit code 4 when a case could not be measured or none matches. docs/bench.md explains the table.")]
pub struct Bench {
    /// Only cases with these parts in their name, MODEL/tTOKENS/TYPE/OP; with * or ?, a pattern
    /// for the whole name
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Numbers of tokens
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_values_t = Plan::default().tokens,
        value_parser = tokens
    )]
    tokens: Vec<usize>,
    /// Time for each case; a slow stock takes longer, for its one call
    #[arg(long, value_name = "SECONDS", default_value_t = Plan::default().budget, value_parser = budget)]
    budget: f64,
    /// The seed of all inputs, of the order and of the resampling
    #[arg(long, value_name = "N", default_value_t = Plan::default().seed)]
    seed: u64,
    /// The same experts in every call, so that caches may hold them
    #[arg(long)]
    hot: bool,
    /// Compare within the extension's build, instead of stock with the fork
    #[arg(long)]
    extension: bool,
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
    /// Write a plot to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the cases' names and measure nothing
    #[arg(long, conflicts_with_all = ["json", "svg"])]
    list: bool,
}

fn tokens(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| (1..=4096).contains(n));
    number.ok_or_else(|| "a number from 1 to 4096 is needed".to_string())
}

fn budget(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|s| (0.01..=86400.0).contains(s));
    number.ok_or_else(|| "seconds are needed, from 0.01 to 86400".to_string())
}

impl Bench {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let plan = Plan {
            case: self.case,
            tokens: self.tokens,
            seed: self.seed,
            budget: self.budget,
            hot: self.hot,
            extension: self.extension,
            ..Plan::default()
        };
        if self.list {
            for case in bench::select(&plan)? {
                println!("{}", case.name());
            }
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(file) = &self.svg {
            // Minutes of measuring are not to end with a path that can't be written.
            let mut options = std::fs::OpenOptions::new();
            options.create(true).append(true);
            options.open(file).doing(writing(file))?;
        }
        let worker = std::env::current_exe().doing(|| "finding this program".into())?;
        let terminal = Terminal::new();
        let report = bench::run(&layout, &plan, &worker, &terminal)?;
        drop(terminal);
        if self.json {
            let text = serde_json::to_string_pretty(&report);
            println!("{}", text.map_err(|e| Error::bug(e.to_string()))?);
        } else {
            print(&report);
        }
        if let Some(file) = &self.svg {
            std::fs::write(file, plot::svg(&report)).doing(writing(file))?;
        }
        report.check()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print(report: &Report) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "case",
        "stock ms",
        "fork ms",
        "times faster",
        "noise",
        "",
        "× plain read",
        "GB/s",
        "samples",
        "path",
    ]);
    for column in [1, 2, 3, 4, 6, 7, 8] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for case in &report.cases {
        table.add_row(match &case.numbers {
            Some(numbers) => row(case, numbers),
            None => vec![case.name.clone(), "not measured".into()],
        });
    }
    println!(
        "stock {}\nfork  {}\n{}",
        report.stock_id,
        report.fork_id,
        machine(report)
    );
    println!("\n{table}");
    let cut = report
        .cases
        .iter()
        .filter(|case| case.experts[1] < case.experts[2]);
    let mut named = Vec::new();
    for case in cut {
        if !named.contains(&case.model) {
            named.push(case.model);
            let [_, present, all] = case.experts;
            println!(
                "{}: {present} of the model's {all} experts were present",
                case.model
            );
        }
    }
    for warning in &report.warnings {
        println!("warning: {warning}");
    }
    println!("{}", report.summary());
}

fn machine(report: &Report) -> String {
    let machine = &report.machine;
    let simd = report.simd.as_deref().unwrap_or("no choice of kernels");
    let speed = report
        .read_gb_per_s
        .map_or("unknown".into(), |speed| format!("{speed:.1} GB/s"));
    let load = |load: Option<f64>| load.map_or("unknown".into(), |load| format!("{load:.1}"));
    format!(
        "{}, {} cores; {simd}, {} threads; memory {speed}; load {} before, {} after; seed {}{}",
        machine.cpu,
        machine.cores,
        report.threads,
        load(report.load[0]),
        load(report.load[1]),
        report.seed,
        if report.hot { "; hot" } else { "" },
    )
}

fn row(case: &CaseReport, numbers: &Numbers) -> Vec<String> {
    vec![
        case.name.clone(),
        milliseconds(&numbers.stock),
        milliseconds(&numbers.fork),
        match numbers.stock.samples {
            1 => digits(numbers.judgement.ratio.value),
            _ => interval(&numbers.judgement.ratio),
        },
        format!("±{:.1} %", 100.0 * (numbers.judgement.floor - 1.0)),
        numbers.judgement.verdict.name().into(),
        interval(&numbers.of_read),
        digits(numbers.gb_per_s),
        format!("{}/{}", numbers.stock.samples, numbers.fork.samples),
        numbers.path.clone().unwrap_or_default(),
    ]
}

fn milliseconds(times: &Times) -> String {
    let ms = |seconds: f64| digits(seconds * 1e3);
    match times.interval {
        Some([low, high]) => format!("{} [{}, {}]", ms(times.median), ms(low), ms(high)),
        None => format!("{} (n=1)", ms(times.median)),
    }
}

fn interval(e: &Estimate) -> String {
    format!(
        "{} [{}, {}]",
        digits(e.value),
        digits(e.low),
        digits(e.high)
    )
}

/// Four significant digits, without an exponent.
fn digits(value: f64) -> String {
    let whole = value.abs().max(1e-9).log10().floor() as i32;
    let after = usize::try_from(3 - whole).unwrap_or(0).min(4);
    format!("{value:.after$}")
}
