//! `cargo xtask drift`: what becomes of each patch on other commits of upstream.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use comfy_table::{Table, presets};
use mlx_fork::config::Config;
use mlx_fork::git::history::{self, Upstream};
use mlx_fork::layout::Layout;
use mlx_fork::ui::Ui;
use mlx_fork::upstream::drift::api::{self, Api, Miss, Needs, Span};
use mlx_fork::upstream::drift::{
    self, Break, Commits, Detail, PatchReport, Point, Report, State, Wanted,
};
use mlx_fork::{Error, Result, series};

use crate::terminal::Terminal;

/// Says what becomes of each patch on other commits of MLX: applies, applies after port, already
/// upstream, lost, conflicts; in a range, which commit broke it.
///
/// Everything happens in memory; nothing is written but the copy of a URL's history.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask drift                                        all pins that mlx_local has
  cargo xtask drift main --history ../mlx                  a branch of a clone of MLX
  cargo xtask drift v0.31.2..main --history ../mlx         commit by commit: which one breaks what
  cargo xtask drift main --history ../mlx --api            headers and names that a build would miss
  cargo xtask drift v0.32.1 --history https://github.com/ml-explore/mlx")]
pub struct Drift {
    /// One range OLDER..NEWER (first parents), or pins, tags, branches and commits; all pins
    /// when left out
    #[arg(value_name = "RANGE|REFS")]
    names: Vec<String>,
    /// A clone of MLX with its history, or a URL to copy it from (into target/mlx/history)
    #[arg(long, value_name = "PATH|URL")]
    history: Option<String>,
    /// Also what the overlay uses of MLX's headers, and what of it the commits don't declare
    #[arg(long)]
    api: bool,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

impl Drift {
    /// Exit code 0 whatever the states are: this reports, and gates nothing.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let config = Config::load(&layout)?;
        let series = series::load(&layout)?;
        let terminal = Terminal::new();
        let history = self.history.as_deref();
        let wanted = Wanted {
            history: history
                .map(|place| folder(place, &layout, &terminal))
                .transpose()?,
            names: self.names,
        };
        let commits = Commits::find(&layout, &config, &series, &wanted)?;
        let needs = self.api.then(|| {
            let imports = api::imports(&layout);
            Needs::of(&series, &commits.base, imports.as_deref())
        });
        let needs = needs.transpose()?;
        let report = drift::drift(&series, &commits, needs.as_ref(), &terminal)?;
        drop(terminal);
        if self.json {
            let text = serde_json::to_string_pretty(&report);
            println!("{}", text.map_err(|e| Error::bug(e.to_string()))?);
        } else {
            print(&report);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A folder as it is; a URL's copy.
pub fn folder(place: &str, layout: &Layout, ui: &dyn Ui) -> Result<PathBuf> {
    let path = Path::new(place);
    // `host:path` is a URL to git; a folder's name may have a colon behind a slash.
    let before_slash = place.split('/').next().unwrap_or_default();
    if path.exists() || !before_slash.contains(':') {
        return Ok(path.to_path_buf());
    }
    ui.step("history");
    history::copy_of(place, &layout.histories(), ui)
}

fn print(report: &Report) {
    if report.is_range {
        print_range(report);
    } else {
        print_commits(report);
    }
    if let Some(api) = &report.api {
        print_api(api, report.is_range);
    }
    for name in &report.absent {
        println!(
            "{name}: not in mlx_local; `cargo xtask setup-mlx --pin {name}` or --history brings it"
        );
    }
}

fn print_commits(report: &Report) {
    let names = report.patches.iter().map(|patch| patch.feature.as_str());
    let header: Vec<&str> = ["commit", "date"].into_iter().chain(names).collect();
    let mut table = table(&header);
    for (at, point) in report.commits.iter().enumerate() {
        let states = report.patches.iter().map(|patch| patch.states[at].words());
        let head = [shown(point), point.upstream.date.clone()];
        table.add_row(head.into_iter().chain(states.map(str::to_string)));
    }
    println!("{table}");
    for patch in &report.patches {
        for run in patch.runs.iter().filter(|run| !run.details.is_empty()) {
            let (name, state) = (&patch.patch, run.state.words());
            println!("\n{name} on {}: {state}", shown(&run.first));
            print_details(&run.details);
        }
    }
}

fn shown(point: &Point) -> String {
    let id = &point.upstream.id[..9];
    match &point.name {
        Some(name) if !point.upstream.id.starts_with(name.as_str()) => format!("{name} ({id})"),
        _ => id.to_string(),
    }
}

fn print_range(report: &Report) {
    let (Some(first), Some(last)) = (report.commits.first(), report.commits.last()) else {
        return;
    };
    println!(
        "{}, {} {} to {} {}",
        counted(report.commits.len()),
        shown(first),
        first.upstream.date,
        shown(last),
        last.upstream.date
    );
    let mut table = table(&["patch", "result", "commits", "from", "to"]);
    for patch in &report.patches {
        for run in &patch.runs {
            table.add_row([
                patch.patch.clone(),
                run.state.words().to_string(),
                run.commits.to_string(),
                format!("{} {}", shown(&run.first), run.first.upstream.date),
                format!("{} {}", shown(&run.last), run.last.upstream.date),
            ]);
        }
    }
    println!("{table}");
    for patch in &report.patches {
        print_breaks(patch);
    }
}

fn print_breaks(patch: &PatchReport) {
    println!();
    if patch.breaks.is_empty() {
        let taken = patch.states.contains(&State::AlreadyUpstream);
        let rest = if taken { ", or upstream has it" } else { "" };
        println!("{}: no commit breaks it{rest}", patch.patch);
    }
    for Break {
        by,
        healed,
        commits,
        details,
    } in &patch.breaks
    {
        match by {
            Some(by) => println!("{}: first broken by {}", patch.patch, long(by)),
            None => println!("{}: broken before the range begins", patch.patch),
        }
        let count = counted(*commits);
        match healed {
            Some(by) => println!("  for {count}, healed by {}", long(by)),
            None => println!("  for {count}, to the end of the range"),
        }
        print_details(details);
    }
}

fn counted(commits: usize) -> String {
    match commits {
        1 => "1 commit".into(),
        n => format!("{n} commits"),
    }
}

/// `5ec30acd5 2026-03-01 Subject (#1234)`: the subject ends in the pull request's number.
fn long(commit: &Upstream) -> String {
    format!("{} {} {}", &commit.id[..9], commit.date, commit.subject)
}

fn print_details(details: &[Detail]) {
    for detail in details {
        let hunk = detail.hunk.as_deref().unwrap_or_default();
        println!("  {} {hunk}: {}", detail.path, detail.now);
        for line in &detail.lines {
            println!("    | {line}");
        }
    }
}

fn print_api(api: &Api, is_range: bool) {
    let imported = match api.imported {
        Some(count) => format!("{count} of them imported by the extension"),
        None => "no build of the extension to ask for its imports".into(),
    };
    println!(
        "\nof MLX, the overlay uses {} headers and {} names in them ({imported})",
        api.headers, api.names
    );
    if api.missing.is_empty() {
        println!("  all of it is declared on each of the commits as on the pin");
    }
    for (missing, spans) in &api.missing {
        let what = match missing.what {
            Miss::Header => format!("{} is gone", missing.header),
            Miss::Name => format!("{} is gone from {}", missing.name, missing.header),
            Miss::Changed => format!("{} of {} is changed", missing.name, missing.header),
        };
        let sure = if missing.imported { " (imported)" } else { "" };
        // The linker knows of uses that no source of ours shows.
        let users = match missing.users.as_slice() {
            [] => "inline functions of MLX's headers".into(),
            users => users.join(", "),
        };
        println!("{what}{sure}\n  used by {users}");
        for text in &missing.was {
            println!("  - {text}");
        }
        for text in &missing.is {
            println!("  + {text}");
        }
        for span in spans {
            println!("  {}", reached(span, is_range));
        }
    }
}

fn reached(span: &Span, is_range: bool) -> String {
    if !is_range {
        return format!("on {}", shown(&span.first));
    }
    format!(
        "on {}, from {}\n    to {}",
        counted(span.commits),
        long(&span.first.upstream),
        long(&span.last.upstream)
    )
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.to_vec());
    table
}
