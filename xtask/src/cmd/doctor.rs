//! `cargo xtask doctor`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};
use mlx_fork::build::doctor::{self, Fitness, Report};
use mlx_fork::build::{LauncherChoice, Options};
use mlx_fork::layout::Layout;
use mlx_fork::{Error, Kind, Result};

use crate::terminal::Terminal;

/// Examine this machine: run every tool that a build uses, and say how to get what is lacking.
///
/// Exit code 0 where everything needed is fit, else 5.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask doctor --json | jq .mend")]
pub struct Doctor {
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Leave out what only the Python extension needs.
    #[arg(long)]
    no_python: bool,
    /// The compiler launcher: auto, none, or a program.
    #[arg(long, default_value = "auto", value_name = "PROGRAM")]
    launcher: LauncherChoice,
}

impl Doctor {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let options = Options {
            python: !self.no_python,
            launcher: self.launcher,
            ..Options::default()
        };
        let ui = Terminal::new();
        let report = doctor::examine(&layout, &options, &ui)?;
        drop(ui);
        let text = if self.json {
            serde_json::to_string_pretty(&report).map_err(|e| Error::bug(e.to_string()))?
        } else {
            table(&report, layout.root())
        };
        // A reader that has gone away (`| head`) is no failure of the examination.
        let _ = writeln!(std::io::stdout(), "{text}");
        Ok(match report.fit {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(Kind::Environment.exit_code()),
        })
    }
}

fn table(report: &Report, root: &Path) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(["what", "version", "from", "fitness", "path", "seen"]);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in &report.rows {
        let fitness = row.fitness.to_string();
        let path = Path::new(&row.path);
        let path = path
            .strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string();
        let cells = [
            &row.what,
            &row.version,
            &row.origin,
            &fitness,
            &path,
            &row.note,
        ];
        table.add_row(cells);
    }
    let mut text = table.to_string();
    for row in &report.rows {
        if let Some(mend) = &row.mend {
            text.push_str(&format!("\n{}: {mend}", row.what));
        }
    }
    let lacking = report
        .rows
        .iter()
        .filter(|row| row.fitness == Fitness::Lacking);
    match (lacking.count(), &report.mend) {
        (0, None) => text.push_str("\neverything that a build needs is fit"),
        (0, Some(mend)) => {
            text.push_str(&format!("\nfit; what is optional comes with: {mend}"));
        }
        (count, Some(mend)) => {
            text.push_str(&format!("\n{count} lacking; all at once: {mend}"));
        }
        (count, None) => text.push_str(&format!("\n{count} lacking")),
    }
    text
}
