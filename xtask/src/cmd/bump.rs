//! `cargo xtask bump`: the fork onto another commit of MLX.

use std::process::ExitCode;

use clap::Parser;
use comfy_table::{Table, presets};
use mlx_fork::build::Options;
use mlx_fork::bump::{self, Report, To};
use mlx_fork::config::Config;
use mlx_fork::error::Doing;
use mlx_fork::layout::Layout;
use mlx_fork::setup::Until;
use mlx_fork::source::{self, Choice};
use mlx_fork::{Error, Result, env};

use super::{drift, patch};
use crate::terminal::Terminal;

/// Takes the fork to another commit of MLX, all or nothing.
///
/// The series is carried over by three-way merges; then the new fork is built, probed, compared
/// and tested in a project of its own. Only when all of that passes do fork.toml, patches/ and
/// mlx_local change; `cargo xtask patch undo` takes even that back. Conflicts stop with exit
/// code 3 and wait in mlx_local; what is resolved is kept in patches/resolutions/ and given
/// again where the same conflict comes back.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo xtask bump main-2026-06-20 --dry-run   does the series fit there?
  cargo xtask bump main-2026-06-20             go there
  cargo xtask bump v0.32.1                     a tag that is no pin yet becomes one
  cargo xtask bump --continue                  go on after a conflict is resolved")]
pub struct Bump {
    /// A pin of fork.toml, or a tag, branch or commit of MLX
    #[arg(value_name = "REF", required_unless_present_any = ["resume", "skip", "abort"])]
    reference: Option<String>,
    /// Say what the port comes to, and change nothing
    #[arg(long, requires = "reference")]
    dry_run: bool,
    /// Go on with what was resolved in mlx_local
    #[arg(long = "continue", conflicts_with_all = ["reference", "skip"])]
    resume: bool,
    /// Go on without the feature that conflicts
    #[arg(long, conflicts_with = "reference")]
    skip: bool,
    /// End it; all is as before, but for the answers that were gone on with
    #[arg(long, conflicts_with_all = ["reference", "resume", "skip"])]
    abort: bool,
    /// Where MLX comes from: auto, git, crate or path:DIR
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    source: Choice,
    /// The last step that has to pass before the project changes
    #[arg(long, value_enum, value_name = "STEP", default_value_t = UntilArg::Tests)]
    until: UntilArg,
    /// A clone of MLX with history (or a URL): conflicts then name the commits that moved them
    #[arg(long, value_name = "PATH|URL")]
    history: Option<String>,
    /// Take hooks over that a merge put into another function, list or section
    #[arg(long)]
    accept_moved: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum UntilArg {
    Port,
    Build,
    Probe,
    Parity,
    Tests,
}

impl Bump {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let config = Config::load(&layout)?;
        let ui = Terminal::new();
        if self.abort {
            let finished = bump::abort(&layout, &ui)?;
            if self.json {
                println!("{}", patch::report(&finished));
                return Ok(ExitCode::SUCCESS);
            }
            println!("{}: done", finished.what);
            patch::print_answers(&finished);
            if let Some(kept) = &finished.kept {
                println!("  what was resolved so far is kept as {kept}");
            }
            return Ok(ExitCode::SUCCESS);
        }
        let to = match &self.reference {
            _ if self.resume => To::Continue,
            _ if self.skip => To::Skip,
            reference => To::Source(source::Request {
                pin: config.pin.clone(),
                reference: reference.clone(),
                url: env::MLX_REPO_URL
                    .get()
                    .unwrap_or_else(|| config.upstream.url.clone()),
                choice: self.source.clone(),
            }),
        };
        let request = bump::Request {
            to,
            options: Options {
                python: true,
                ..Options::default()
            },
            until: match self.until {
                UntilArg::Port => Until::Fork,
                UntilArg::Build => Until::Build,
                UntilArg::Probe => Until::Probe,
                UntilArg::Parity => Until::Parity,
                UntilArg::Tests => Until::Tests,
            },
            worker: std::env::current_exe().doing(|| "finding xtask".into())?,
            history: match &self.history {
                Some(place) => Some(drift::folder(place, &layout, &ui)?),
                None => None,
            },
            accept_moved: self.accept_moved,
        };
        let (report, kept) = if self.dry_run {
            (bump::dry_run(&layout, &config, &request, &ui)?, None)
        } else {
            let (report, finished) = bump::run(&layout, &config, &request, &ui)?;
            (report, finished.kept)
        };
        drop(ui);
        if self.json {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|e| Error::bug(e.to_string()).doing("writing the report"))?;
            println!("{text}");
        } else {
            show(&report);
            if let Some(kept) = kept {
                println!("what was resolved of the feature left out is kept as {kept}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(report: &Report) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for step in &report.steps {
        table.add_row([
            step.name.clone(),
            step.result.clone(),
            format!("{:.1} s", step.seconds),
        ]);
    }
    println!("{table}");
    for path in &report.written {
        println!(
            "{} {path}",
            if report.dry_run {
                "would write"
            } else {
                "wrote"
            }
        );
    }
    for feature in &report.skipped {
        println!("left out {feature}");
    }
    let verb = if report.dry_run { "would be" } else { "is" };
    println!(
        "the fork {verb} {} on {} ({})",
        report.fork, report.to, report.commit
    );
}
