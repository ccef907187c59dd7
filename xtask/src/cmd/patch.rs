//! `cargo xtask patch`: everyday work on the series.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use comfy_table::{Table, presets};
use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::manager::edit::{Decided, Finished};
use mlx_fork::manager::incoming::{self, Request as Import};
use mlx_fork::manager::plan::Plan;
use mlx_fork::manager::questions::Goes;
use mlx_fork::manager::refresh::{self, Request as Refresh};
use mlx_fork::manager::status::{self, OnPin, Status};
use mlx_fork::manager::{Manager, check, export, journal};
use mlx_fork::{Error, Result};
use serde_json::json;

use crate::terminal::Terminal;

/// Works on the series of patches: status, edits, order, imports, with a way back.
///
/// Each operation is all or nothing: it is worked out in memory first, a run that is killed is
/// finished by the next one, and `undo` takes back the last. A conflict stops with exit code 3
/// and waits in mlx_local for --continue, --skip or --abort.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask patch                          where the series stands
  cargo xtask patch edit fused               open one patch in mlx_local; edit with any tool
  cargo xtask patch refresh                  take the edits to where they belong
  cargo xtask patch refresh --into fused     the same without opening the patch first
  cargo xtask patch import their.patch --name fast_sort
  cargo xtask patch --continue               go on after a conflict is resolved
  cargo xtask patch undo                     take the last operation back")]
pub struct Patch {
    #[command(subcommand)]
    action: Option<Action>,
    /// Goes on with the operation that stopped, with what was resolved in mlx_local.
    #[arg(long = "continue", group = "waiting")]
    resume: bool,
    /// Goes on without the feature that conflicts.
    #[arg(long, group = "waiting")]
    skip: bool,
    /// Ends what is open; mlx_local is again as it was before.
    #[arg(long, group = "waiting")]
    abort: bool,
    /// What it reports as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Each feature: applied, edited, and what becomes of it on each pin (the default).
    Status,
    /// Makes a feature without hooks, and opens it.
    New {
        /// Its name: a-z, 0-9 and _.
        feature: String,
        /// The first line of its commit message.
        #[arg(long)]
        subject: String,
        /// The feature that it comes behind; left out: the last.
        #[arg(long)]
        after: Option<String>,
    },
    /// Shows the fork up to one feature in mlx_local, for any tool to edit.
    Edit {
        /// The feature.
        feature: String,
    },
    /// Takes what changed in mlx_local to where it belongs: overlay files into the project,
    /// upstream's files into the open patch.
    Refresh {
        /// The feature whose patch gets changes of upstream's files, where none is open.
        #[arg(long)]
        into: Option<String>,
        /// A new file that is the project's: PATH in mlx_local = FILE of the project.
        #[arg(long, value_name = "PATH=FILE", value_parser = pair)]
        own: Vec<(String, String)>,
        /// A new file that the patch makes.
        #[arg(long, value_name = "PATH")]
        hook: Vec<String>,
        /// A deleted overlay file that leaves the series; the project keeps its source.
        #[arg(long, value_name = "PATH")]
        remove: Vec<String>,
    },
    /// Puts the features in this order.
    Reorder {
        /// All of them.
        #[arg(required = true)]
        features: Vec<String>,
    },
    /// Takes features out of the series; the project keeps their overlay files.
    Drop {
        /// Their names.
        #[arg(required = true)]
        features: Vec<String>,
    },
    /// Makes features of a diff, of mails, or of a clone's commits: new files and long runs of
    /// new lines become overlay files, the rest hooks.
    Import {
        /// Files with diffs or mails (`git format-patch`); `-`: standard input.
        #[arg(required_unless_present = "from")]
        files: Vec<PathBuf>,
        /// A clone, and a range of its commits: FROM..TO, without merges.
        #[arg(long, num_args = 2, value_names = ["CLONE", "RANGE"])]
        from: Option<Vec<String>>,
        /// The feature's name; left out: from the subject.
        #[arg(long)]
        name: Option<String>,
        /// The subject of a diff that comes without a mail.
        #[arg(long)]
        subject: Option<String>,
        /// The feature that it comes behind; left out: the last.
        #[arg(long)]
        after: Option<String>,
    },
    /// Writes the patch files as `check` wants them; with a folder: whole patches for `git am`.
    Export {
        /// Where whole patches go, overlay files included.
        folder: Option<PathBuf>,
    },
    /// Whether the patch files are hooks and no more, as export writes them; exit code 4 if not.
    Check,
    /// Takes the last operation back; again: the one before.
    Undo,
    /// Does again what undo took back.
    Redo,
    /// The last operations.
    Log,
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, file)) if !path.is_empty() && !file.is_empty() => {
            Ok((path.to_string(), file.to_string()))
        }
        _ => Err("it isn't PATH=FILE".into()),
    }
}

impl Patch {
    /// Does what the subcommand says.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let terminal = Terminal::new();
        let manager = Manager::open(&layout, &terminal)?;
        let waiting = self.resume || self.skip || self.abort;
        if waiting && self.action.is_some() {
            return Err(Error::usage(
                "--continue, --skip and --abort stand alone, without a subcommand",
            ));
        }
        if waiting {
            let finished = match () {
                () if self.resume => manager.resume()?,
                () if self.skip => manager.skip()?,
                () => manager.abort()?,
            };
            self.finished(&finished);
            return Ok(ExitCode::SUCCESS);
        }
        match &self.action {
            None | Some(Action::Status) => {
                let config = Config::load(&layout)?;
                let pins: Vec<String> = config.pins.keys().cloned().collect();
                let status = status::status(&manager, &pins)?;
                if self.json {
                    println!("{}", json!(status));
                } else {
                    show(&status);
                }
            }
            Some(Action::New {
                feature,
                subject,
                after,
            }) => {
                incoming::new(&manager, feature, subject, after.as_deref())?;
                self.finished(&manager.edit(feature)?);
            }
            Some(Action::Edit { feature }) => self.finished(&manager.edit(feature)?),
            Some(Action::Refresh {
                into,
                own,
                hook,
                remove,
            }) => {
                let mut request = Refresh {
                    into: into.clone(),
                    own: own.iter().cloned().collect::<BTreeMap<_, _>>(),
                    hook: hook.iter().cloned().collect::<BTreeSet<_>>(),
                    remove: remove.iter().cloned().collect::<BTreeSet<_>>(),
                };
                if !self.json {
                    ask(&manager, &terminal, &mut request)?;
                }
                match refresh::refresh(&manager, &request)? {
                    None if self.json => println!("{}", json!({ "operation": null })),
                    None => println!("nothing to take: mlx_local shows the fork"),
                    Some((routes, finished)) if self.json => {
                        let mut report = report(&finished);
                        report["files"] = files(&routes);
                        report["untracked"] = json!(routes.left);
                        println!("{report}");
                    }
                    Some((routes, finished)) => {
                        tell_routes(&routes);
                        self.finished(&finished);
                    }
                }
            }
            Some(Action::Reorder { features }) => {
                let order = features.clone();
                self.planned(&manager, Plan::Reorder { order })?;
            }
            Some(Action::Drop { features }) => {
                let features = features.clone();
                self.planned(&manager, Plan::Drop { features })?;
            }
            Some(Action::Import {
                files,
                from,
                name,
                subject,
                after,
            }) => {
                let request = Import {
                    files: files.clone(),
                    commits: from.as_ref().map(|f| (PathBuf::from(&f[0]), f[1].clone())),
                    name: name.clone(),
                    subject: subject.clone(),
                    after: after.clone(),
                };
                let (placed, finished) = incoming::import(&manager, &request)?;
                if self.json {
                    let mut report = report(&finished);
                    report["moved"] = json!(placed.moved);
                    report["empty"] = json!(placed.empty);
                    println!("{report}");
                } else {
                    for moved in &placed.moved {
                        println!("moved  {moved}");
                    }
                    for subject in &placed.empty {
                        println!("no change in the mail \"{subject}\"");
                    }
                    self.finished(&finished);
                }
            }
            Some(Action::Export { folder: None }) => self.planned(&manager, Plan::Export)?,
            Some(Action::Export {
                folder: Some(folder),
            }) => {
                let written = export::export(&manager, folder)?;
                if self.json {
                    println!("{}", json!({ "written": written }));
                } else {
                    for path in written {
                        println!("{}", path.display());
                    }
                }
            }
            Some(Action::Check) => return self.check(&manager),
            Some(Action::Undo) => self.finished(&manager.undo()?),
            Some(Action::Redo) => self.finished(&manager.redo()?),
            Some(Action::Log) => self.log(&manager)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn planned(&self, manager: &Manager<'_>, plan: Plan) -> Result<()> {
        let local = manager.clean()?;
        self.finished(&manager.run(plan, Decided::default(), local, local)?);
        Ok(())
    }

    fn finished(&self, finished: &Finished) {
        if self.json {
            println!("{}", report(finished));
            return;
        }
        println!("{}: done", finished.what);
        for path in &finished.written {
            println!("  wrote    {path}");
        }
        for path in &finished.removed {
            println!("  removed  {path}");
        }
        print_answers(finished);
        for feature in &finished.skipped {
            println!("  left out {feature}");
        }
        for path in &finished.left {
            println!(
                "  mlx_local/{} was changed meanwhile, and is left",
                path.display()
            );
        }
        if let Some(kept) = &finished.kept {
            println!("  kept     {kept}");
        }
        println!("  mlx_local shows {}", finished.shown);
    }

    fn check(&self, manager: &Manager<'_>) -> Result<ExitCode> {
        let findings = check::check(manager)?;
        if self.json {
            println!("{}", json!(findings));
        } else if findings.is_empty() {
            println!(
                "every patch is as export writes it, applies exactly, and is within its budget"
            );
        }
        if findings.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let list: Vec<String> = findings
            .iter()
            .map(|found| format!("\n    {}: {}", found.file, found.what))
            .collect();
        let error = Error::gate(format!("{} finding(s){}", findings.len(), list.concat()))
            .doing("checking the series");
        let mut hints: Vec<&String> = findings.iter().map(|found| &found.hint).collect();
        hints.dedup();
        Err(hints
            .into_iter()
            .fold(error, |error, hint| error.hint(hint.clone())))
    }

    fn log(&self, manager: &Manager<'_>) -> Result<()> {
        let rows = journal::log(&manager.repo, 20)?;
        if self.json {
            println!("{}", json!(rows));
            return Ok(());
        }
        for row in rows {
            println!(
                "{}  {} ({} files)",
                &row.id[..10],
                row.what,
                row.files.len()
            );
        }
        Ok(())
    }
}

/// Asks what only a person can say, where one sits at the terminal; what stays open is refused
/// by the refresh itself.
fn ask(manager: &Manager<'_>, terminal: &Terminal, request: &mut Refresh) -> Result<()> {
    while terminal.can_ask()
        && let Some(question) = refresh::questions(manager, request)?.first()
    {
        let text = format!("{}: {} ", question.what(), question.prompt());
        if !question.answer(&terminal.ask(&text), request) {
            break;
        }
    }
    Ok(())
}

/// All that an operation did.
pub fn report(finished: &Finished) -> serde_json::Value {
    json!({
        "operation": finished.what,
        "written": finished.written,
        "removed": finished.removed,
        "skipped": finished.skipped,
        "shown": finished.shown,
        "left": finished.left,
        "kept": finished.kept,
        "answers": finished.answers,
    })
}

/// Where each changed file went: `overlay` with its source, `patch` with its feature, `out`.
fn files(routes: &refresh::Routes) -> serde_json::Value {
    let rows = routes.files.iter().map(|(path, goes)| match goes {
        Goes::Overlay(source) => json!({ "path": path, "overlay": source }),
        Goes::Patch(feature) => json!({ "path": path, "patch": feature }),
        Goes::Out => json!({ "path": path, "out": true }),
    });
    rows.collect()
}

/// A path on one line, whatever is in it.
fn on_a_line(path: &std::path::Path) -> String {
    let text = path.to_string_lossy();
    match text.contains(char::is_control) {
        true => text.escape_debug().to_string(),
        false => text.into_owned(),
    }
}

fn tell_routes(routes: &refresh::Routes) {
    for (path, goes) in &routes.files {
        match goes {
            Goes::Overlay(source) => println!("{path} -> {source}"),
            Goes::Patch(feature) => println!("{path} -> the patch of {feature}"),
            Goes::Out => println!("{path} -> out of the series"),
        }
    }
    for path in &routes.left {
        println!("{} stays: it is no part of the fork", on_a_line(path));
    }
}

/// What was resolved outlives what it was resolved for, and is given again: that is said.
pub fn print_answers(finished: &Finished) {
    if !finished.answers.is_empty() {
        println!("  these answers to conflicts stay, and are given again; delete one to be asked:");
    }
    for path in &finished.answers {
        println!("    {path}");
    }
}

fn show(status: &Status) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let pins: BTreeSet<&String> = status
        .features
        .iter()
        .flat_map(|row| row.pins.keys())
        .collect();
    let mut header = vec!["feature", "mlx_local", "own files", "hooks", "upstream"];
    header.extend(pins.iter().map(|pin| pin.as_str()));
    table.set_header(header);
    for row in &status.features {
        let local = match (row.applied, row.edited.is_empty()) {
            (_, false) => "edited",
            (true, true) => "applied",
            (false, true) => "not shown",
        };
        let mut cells = vec![
            row.feature.clone(),
            local.to_string(),
            row.overlay.to_string(),
            format!("{} files, +{} -{}", row.hooked, row.lines.0, row.lines.1),
            row.upstream.clone(),
        ];
        cells.extend(pins.iter().map(|pin| {
            let state = row.pins.get(*pin).copied().unwrap_or(OnPin::Unknown);
            state.word().to_string()
        }));
        table.add_row(cells);
    }
    println!("{table}");
    if let (Some(session), Some(ways_out)) = (&status.session, &status.ways_out) {
        println!("{session}\n  {ways_out}");
    } else if !status.in_step {
        println!(
            "mlx_local shows another state than the series: cargo xtask setup-mlx --until fork"
        );
    }
    for (what, way_out) in &status.obstacles {
        println!("{what}\n  {way_out}");
    }
    // Several features may change one file.
    let rows = status.features.iter().flat_map(|row| &row.edited);
    let edited: BTreeSet<_> = rows.chain(&status.edited).collect();
    for path in edited {
        println!("edited     {}", on_a_line(path));
    }
    for path in &status.untracked {
        println!("untracked  {}", on_a_line(path));
    }
    if let Some(last) = &status.last {
        println!("last operation: {last}");
    }
}
