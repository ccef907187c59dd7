//! `cargo xtask probe`: what the builds can do, and whether that is what was promised.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use comfy_table::{Table, presets};
use mlx_fork::composed::Composed;
use mlx_fork::config::Config;
use mlx_fork::error::Doing;
use mlx_fork::layout::Layout;
use mlx_fork::probe::{self, Report, worker};
use mlx_fork::run;
use mlx_fork::side::Side;
use mlx_fork::{Error, Result};

use super::artifacts;

/// Show what stock and fork can do, and check that it is what was promised.
///
/// Reads the libraries' files, loads them in a process of its own, and asks their Python.
/// Exit code 4: something that the series' features or fork.toml promise is missing, stock
/// has something of ours, an id is not the recorded one, or nothing is promised at all.
/// --artifact and --compare show what files have and judge nothing: a build that someone else
/// made need not have what is promised here, and their exit code is 0 without it.
/// docs/probe.md says what each row means.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  cargo xtask probe
  cargo xtask probe --side fork --json
  cargo xtask probe --artifact mlx.metallib --name affine_gather_qmv
  cargo xtask probe --compare old.whl new.whl")]
pub struct Probe {
    /// Only this build; may be given more than once [default: stock, fork, and the
    /// extension where there is one].
    #[arg(long)]
    side: Vec<SideName>,
    /// Look at these files instead: libraries (.so, .dylib), .metallib, wheels, of any system
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["side", "compare"])]
    artifact: Vec<PathBuf>,
    /// With --artifact: also list functions and kernels with this in their name
    #[arg(long, value_name = "NAME", requires = "artifact")]
    name: Option<String>,
    /// Show what differs between two files
    #[arg(long, value_names = ["A", "B"], num_args = 2, conflicts_with = "side")]
    compare: Vec<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SideName {
    Stock,
    Fork,
    Extension,
}

impl SideName {
    fn side(self) -> Side {
        match self {
            SideName::Stock => Side::Stock,
            SideName::Fork => Side::Fork,
            SideName::Extension => Side::Extension,
        }
    }
}

impl Probe {
    /// Probes, prints, and fails where the report does.
    pub fn run(self) -> Result<ExitCode> {
        if let [first, second] = &self.compare[..] {
            artifacts::compare(first, second, self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let layout = Layout::discover()?;
        let config = Config::load(&layout)?;
        let series = Composed::series_on_disk(&layout)?;
        let expected = probe::expected(&config, &series);
        if !self.artifact.is_empty() {
            let name = self.name.as_deref();
            artifacts::show(&self.artifact, name, &expected, &layout, self.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut sides: Vec<Side> = Side::ALL.to_vec();
        if self.side.is_empty() {
            let there = layout.prefix(Side::Extension.name()).is_dir();
            sides.retain(|side| *side != Side::Extension || there);
        } else {
            sides.retain(|side| self.side.iter().any(|name| name.side() == *side));
        }
        let mut subjects = Vec::new();
        for side in sides {
            subjects.push(run::installed(&layout, side)?.subject(&layout)?);
        }
        let program = std::env::current_exe().doing(|| "finding this program".into())?;
        let report = probe::run(&subjects, &expected, (&program, Worker::NAME))?;
        if self.json {
            let text =
                serde_json::to_string_pretty(&report).map_err(|e| Error::bug(e.to_string()))?;
            println!("{text}");
        } else {
            println!("{}\n{}", table(&report), report.cpu_line());
        }
        report.verdict()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn table(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    for row in report.rows() {
        table.add_row(row);
    }
    table
}

/// Loads the libraries of one build and says what they are: the probe's other process.
#[derive(Debug, clap::Args)]
pub struct Worker {
    /// The library with the C++ functions.
    library: PathBuf,
    /// The library with the C API.
    c_api: PathBuf,
}

impl Worker {
    /// The command's name.
    pub const NAME: &str = "probe-worker";

    /// Answers on standard output.
    pub fn run(self) -> Result<ExitCode> {
        let task = worker::Task {
            library: self.library,
            c_api: self.c_api,
        };
        worker::serve(&task, &mut std::io::stdout())?;
        Ok(ExitCode::SUCCESS)
    }
}
