//! `cargo xtask edits`: what a person changed in `mlx_local`, and the three ways out.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use comfy_table::{Table, presets};
use mlx_fork::error::{Doing, writing};
use mlx_fork::git::edits;
use mlx_fork::layout::Layout;
use mlx_fork::lock::Lock;
use mlx_fork::{Error, Result, series};
use serde_json::json;

use crate::terminal::Terminal;
use mlx_fork::ui::Ui;

/// Lists your changes in mlx_local; puts them aside, drops them, or makes a patch of them.
///
/// A checkout never overwrites them: it stops with exit code 3 until one of these is done.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask edits                       what differs from the fork
  cargo xtask edits patch my.patch        a patch of it all
  cargo xtask edits keep                  a commit of it all, then the fork again
  cargo xtask edits drop mlx/ops.cpp      back to the fork's, by name only")]
pub struct Edits {
    #[command(subcommand)]
    action: Option<Action>,
    /// The list as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists them (the default).
    List,
    /// Commits them under refs/mlx-fork/kept/ and makes mlx_local show the fork again.
    Keep,
    /// Makes the named files the fork's again; what they held is gone.
    Drop {
        /// Files, as `edits list` names them.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Writes them as a diff against the fork.
    Patch {
        /// Where to; standard output when left out.
        file: Option<PathBuf>,
    },
}

impl Edits {
    /// Does what the subcommand says; exit code 0 also where there is nothing to do.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        match self.action {
            None | Some(Action::List) => list(&layout, self.json)?,
            Some(Action::Keep) => {
                let _lock = lock(&layout)?;
                match edits::keep(&layout)? {
                    None => println!("nothing to keep: mlx_local shows the fork"),
                    Some(kept) => {
                        println!("kept {} file(s) as {}", kept.files.len(), kept.reference);
                        println!("to get them back:  {}", kept.way_back);
                    }
                }
            }
            Some(Action::Drop { paths }) => {
                let _lock = lock(&layout)?;
                for path in edits::drop(&layout, &paths)? {
                    println!("dropped {}", path.display());
                }
            }
            Some(Action::Patch { file }) => patch(&layout, file)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn lock(layout: &Layout) -> Result<Lock> {
    let terminal = Terminal::new();
    let lock = Lock::acquire(layout, Duration::from_secs(60), |holder| {
        terminal.note(&format!("waiting for another run: {holder}"));
    })?;
    mlx_fork::manager::recover(layout, &terminal)?;
    Ok(lock)
}

fn list(layout: &Layout, as_json: bool) -> Result<()> {
    let found = edits::list(layout)?;
    // An overlay file is edited in the project: say where.
    let series = series::load(layout).ok();
    let source = |path: &std::path::Path| {
        let overlay = series.as_ref()?.overlay_at(path.to_str()?)?;
        Some(overlay.source.clone())
    };
    if as_json {
        let files: Vec<_> = found
            .files
            .iter()
            .map(|e| json!({"path": e.path, "change": e.change.word(), "source": source(&e.path)}))
            .collect();
        let obstacles: Vec<&str> = found.obstacles.iter().map(|o| o.what.as_str()).collect();
        println!(
            "{}",
            json!({"files": files, "untracked": found.untracked, "obstacles": obstacles})
        );
        return Ok(());
    }
    if found.files.is_empty() && found.untracked.is_empty() && found.obstacles.is_empty() {
        println!("none: mlx_local shows the fork");
        return Ok(());
    }
    for obstacle in &found.obstacles {
        println!("{}\n  way out: {}", obstacle.what, obstacle.way_out);
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["change", "file", "is a copy of"]);
    for edit in &found.files {
        let source = source(&edit.path).unwrap_or_default();
        table.add_row([
            edit.change.word().to_string(),
            edit.path.display().to_string(),
            source,
        ]);
    }
    for path in &found.untracked {
        table.add_row([
            "untracked".to_string(),
            path.display().to_string(),
            String::new(),
        ]);
    }
    if table.row_count() > 0 {
        println!("{table}");
    }
    Ok(())
}

fn patch(layout: &Layout, file: Option<PathBuf>) -> Result<()> {
    let text = edits::patch(layout)?;
    match file {
        Some(path) => {
            let mut new = std::fs::File::create_new(&path).map_err(|e| match e.kind() {
                std::io::ErrorKind::AlreadyExists => Error::usage(format!(
                    "{} is there already, and is not overwritten",
                    path.display()
                )),
                _ => Error::environment(e.to_string()).doing(format!("writing {}", path.display())),
            })?;
            new.write_all(&text).doing(writing(&path))
        }
        None => std::io::stdout()
            .write_all(&text)
            .doing(|| "writing to standard output".into()),
    }
}
