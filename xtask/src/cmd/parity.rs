//! `cargo xtask parity`: is the fork right, and how far are both builds from float64.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use comfy_table::{CellAlignment, Table, presets};
use mlx_fork::composed::Composed;
use mlx_fork::device::Device;
use mlx_fork::error::Doing;
use mlx_fork::layout::Layout;
use mlx_fork::parity::report::{ArmReport, CaseReport, SideReport, Verdict};
use mlx_fork::parity::{self, Plan, Report};
use mlx_fork::simd;
use mlx_fork::{Error, Result};

use crate::terminal::Terminal;

/// Compares the fork with stock and with float64, case by case
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask parity                                 all cases, worst first
  cargo xtask parity --filter mxfp4                  names with \"mxfp4\" in them
  cargo xtask parity --filter 'gather_qmm_swiglu/*/bf16/*' --json
  cargo xtask parity --simd all                      with all kernels that this processor runs

Exit code 4 when a case fails or none matches. docs/parity.md explains the table.")]
pub struct Parity {
    /// Only cases with this in their name; with * or ?, a pattern for the whole name
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// The seed of all inputs
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Only the quick cases that also run at the end of setup-mlx
    #[arg(long)]
    smoke: bool,
    /// Let the fork compute with these SIMD instructions, each in turn
    #[arg(long, value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    #[arg(value_parser = PossibleValuesParser::new(["all"].into_iter().chain(simd::NAMES)))]
    simd: Vec<String>,
    /// What both builds compute on: cpu or gpu [default: gpu on a Mac, else cpu]
    #[arg(long, value_name = "DEVICE")]
    device: Option<Device>,
    /// Compare within the extension's build, instead of stock with the fork
    #[arg(long)]
    extension: bool,
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
    /// Print the cases' names and run nothing
    #[arg(long, conflicts_with = "json")]
    list: bool,
}

/// Rows of a long table; failing cases are always shown, JSON has all.
const ROWS: usize = 30;

impl Parity {
    /// Runs it.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let plan = Plan {
            filter: self.filter,
            seed: self.seed,
            device: self.device.unwrap_or_default(),
            smoke: self.smoke,
            simds: if self.simd.iter().any(|name| name == "all") {
                simd::available().into_iter().map(String::from).collect()
            } else {
                self.simd
            },
            extension: self.extension,
            ops: Composed::read(&layout).map(|last| last.features()),
            ..Plan::default()
        };
        if self.list {
            for case in parity::select(&plan)? {
                println!("{}", case.name());
            }
            return Ok(ExitCode::SUCCESS);
        }
        let worker = std::env::current_exe().doing(|| "finding this program".into())?;
        let terminal = Terminal::new();
        let report = parity::run(&layout, &plan, &worker, &terminal)?;
        drop(terminal);
        if self.json {
            let text = serde_json::to_string_pretty(&report);
            println!("{}", text.map_err(|e| Error::bug(e.to_string()))?);
        } else {
            print(&report);
        }
        report.check()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn print(report: &Report) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "case",
        "error stock",
        "error fork",
        "bound stock",
        "bound fork",
        "ulp",
        "bits",
        "simd",
        "path",
        "ms stock",
        "ms fork",
        "",
    ]);
    for column in (1..=5).chain([9, 10]) {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let shown = report
        .cases
        .iter()
        .enumerate()
        .filter(|(place, case)| *place < ROWS || case.verdict == Verdict::Fail);
    for (_, case) in shown {
        table.add_row(row(case));
    }
    println!("stock {}\nfork  {}", report.stock_id, report.fork_id);
    for arm in &report.arms {
        println!("      {}", computed_with(arm));
    }
    println!("\n{table}");
    let hidden = report.cases.len().saturating_sub(ROWS.max(report.failed));
    if hidden > 0 {
        println!("{hidden} more cases passed with less of their bound (--json has all)");
    }
    println!("{}", report.summary());
}

/// `avx512, 2 threads; the same bits with 1, 3`.
fn computed_with(arm: &ArmReport) -> String {
    let (Some(simd), Some(threads)) = (&arm.simd, arm.threads) else {
        return "the build doesn't say with what it computes".into();
    };
    let others: Vec<String> = arm.same_bits_with.iter().map(i32::to_string).collect();
    let threads = format!("{simd}, {threads} threads");
    if others.is_empty() {
        threads
    } else {
        format!("{threads}; bits compared with {}", others.join(", "))
    }
}

fn row(case: &CaseReport) -> [String; 12] {
    let error = |side: &SideReport| match &side.judgement {
        Some(judgement) => format!("{:.1e}", judgement.error_rel),
        None => side.outcome.to_string(),
    };
    let part = |side: &SideReport| match &side.judgement {
        Some(judgement) => part_of_bound(judgement.part_of_bound),
        None => String::new(),
    };
    let time = |side: &SideReport| {
        side.seconds
            .map_or_else(String::new, |s| format!("{:.3}", s * 1e3))
    };
    [
        case.name.clone(),
        error(&case.stock),
        error(&case.fork),
        part(&case.stock),
        part(&case.fork),
        match case.ulps {
            Some(u64::MAX) => "NaN".into(),
            Some(ulps) if ulps > 1_000_000 => ">1e6".into(),
            Some(ulps) => ulps.to_string(),
            None => String::new(),
        },
        match case.bits_equal {
            Some(true) => "=".into(),
            Some(false) => "≠".into(),
            None => String::new(),
        },
        case.simd.clone().unwrap_or_default(),
        case.fork.path.clone().unwrap_or_default(),
        time(&case.stock),
        time(&case.fork),
        match case.verdict {
            Verdict::Pass => "ok".into(),
            Verdict::Fail => "FAIL".into(),
        },
    ]
}

/// `0.43`; of what is far outside no number says more.
fn part_of_bound(part: f64) -> String {
    if part < 1000.0 {
        format!("{part:.2}")
    } else {
        ">1000".into()
    }
}
