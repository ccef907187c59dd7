//! `cargo xtask upstream`: a feature on its way to upstream MLX, as far as a machine may take it.

use std::process::ExitCode;

use clap::Subcommand;
use comfy_table::{Table, presets};
use mlx_fork::config::Config;
use mlx_fork::error::Doing;
use mlx_fork::layout::Layout;
use mlx_fork::upstream::check::{self, Report, Request, Verdict};
use mlx_fork::upstream::{bundle, prepare};
use mlx_fork::{Error, Result};
use serde_json::json;

use super::setup_mlx;
use crate::terminal::Terminal;

/// Checks a feature against upstream's rules, and puts it where upstream would have it.
///
/// Nothing is ever pushed, and no text is written for upstream: its rules want a person's words.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask upstream check gather_qmm_swiglu
  cargo xtask upstream prepare gather_qmm_swiglu --onto main-2026-06-20 --build
  cargo xtask upstream bundle gather_qmm_swiglu")]
pub struct Upstream {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(Check),
    Prepare(Prepare),
    Bundle(Bundle),
}

/// Gathers evidence for a pull request that a person writes: reports, exact commits, an empty form.
///
/// Into target/mlx/upstream/FEATURE/COMMIT, for the branch that `prepare` made. Pushes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask upstream bundle gather_qmm_swiglu

patches/upstream.toml lists the commands whose output is the evidence. Exit code 4 when one of
them doesn't end well; the bundle is there all the same.")]
struct Bundle {
    /// The feature, as patches/series.toml names it.
    feature: String,
    /// What is in the bundle, as JSON.
    #[arg(long)]
    json: bool,
}

/// Checks what upstream asks of a contribution and a machine can tell, one row a rule.
///
/// The feature's tests run against the builds of setup-mlx, which are brought up to date first:
/// they have to fail on stock and to pass on the fork.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask upstream check gather_qmm_swiglu
  cargo xtask upstream check gather_qmm_swiglu --onto main-2026-06-20 --builds --json")]
struct Check {
    /// The feature, as patches/series.toml names it.
    feature: String,
    /// A pin, or a tag, branch or commit of upstream; the series' own pin when left out.
    #[arg(long, value_name = "REF")]
    onto: Option<String>,
    /// Build what upstream would get: without GPU, without CPU backend, for macOS.
    #[arg(long)]
    builds: bool,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

/// Makes the branch upstream/FEATURE in mlx_local: one commit upon REF, files and sections where
/// upstream would have them.
///
/// mlx_local's work tree stays as it is. The commit's message is for you to write.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask upstream prepare gather_qmm_swiglu --onto main-2026-06-20 --build")]
struct Prepare {
    /// The feature, as patches/series.toml names it.
    feature: String,
    /// A pin, or a tag, branch or commit of upstream; the series' own pin when left out.
    #[arg(long, value_name = "REF")]
    onto: Option<String>,
    /// Build it (CPU, a folder of its own) and run its tests.
    #[arg(long)]
    build: bool,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
}

impl Upstream {
    /// Runs the subcommand.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let config = Config::load(&layout)?;
        let ui = Terminal::new();
        match self.action {
            Action::Check(check) => check.run(&layout, &config, &ui),
            Action::Prepare(prepare) => prepare.run(&layout, &config, &ui),
            Action::Bundle(bundle) => bundle.run(&layout, &config, &ui),
        }
    }
}

impl Check {
    fn run(self, layout: &Layout, config: &Config, ui: &Terminal) -> Result<ExitCode> {
        check::refuse_unknown(layout, &self.feature)?;
        setup_mlx::for_tests(layout, config, ui)?;
        let request = Request {
            feature: &self.feature,
            onto: self.onto.as_deref(),
            builds: self.builds,
        };
        let report = check::check(layout, config, request, ui)?;
        match self.json {
            true => println!(
                "{}",
                serde_json::to_string_pretty(&report).map_err(|e| Error::bug(e.to_string()))?
            ),
            false => print_report(&report),
        }
        report.verdict().map(|()| ExitCode::SUCCESS)
    }
}

fn print_report(report: &Report) {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["rule", "", "seconds", ""]);
    for row in &report.rows {
        let verdict = match row.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "WARNING",
            Verdict::Failed => "FAILED",
            Verdict::NotChecked => "not checked",
        };
        let seconds = format!("{:.1}", row.seconds);
        table.add_row([row.rule.as_str(), verdict, &seconds, &row.note]);
    }
    println!("{table}");
    for row in report.rows.iter().filter(|row| !row.findings.is_empty()) {
        println!("\n{}:", row.rule);
        for finding in &row.findings {
            println!("  {}: {}", finding.place, finding.what);
        }
    }
    println!(
        "{} on {} ({}): {} ok, {} to look at, {} failed, {} not checked",
        report.feature,
        report.onto,
        &report.base[..10],
        report.count(Verdict::Ok),
        report.count(Verdict::Warning),
        report.count(Verdict::Failed),
        report.count(Verdict::NotChecked)
    );
}

impl Prepare {
    fn run(self, layout: &Layout, config: &Config, ui: &Terminal) -> Result<ExitCode> {
        let prepared = prepare::prepare(layout, config, &self.feature, self.onto.as_deref(), ui)?;
        let branch = prepared.branch(layout, ui)?;
        let built = match self.build {
            true => Some(prepare::build::build(layout, config, &prepared, ui)?),
            false => None,
        };
        let (added, removed) = prepared
            .stat
            .iter()
            .fold((0, 0), |(a, r), f| (a + f.added, r + f.removed));
        if self.json {
            println!(
                "{}",
                json!({"feature": prepared.feature, "onto": prepared.onto, "base": prepared.base.id(),
                    "branch": branch, "files": prepared.stat, "added": added, "removed": removed,
                    "build": built})
            );
        } else {
            let mut table = Table::new();
            table.load_style(presets::UTF8_FULL_CONDENSED);
            table.set_header(["file", "", "+", "-"]);
            for file in &prepared.stat {
                let new = prepared.changes.get(&file.path);
                let new = new.is_some_and(|change| change.before.is_none());
                table.add_row([
                    file.path.clone(),
                    if new { "new" } else { "" }.into(),
                    file.added.to_string(),
                    file.removed.to_string(),
                ]);
            }
            println!("{table}");
            println!(
                "{} files, {added} lines added, {removed} removed; {} is {} ({}){}",
                prepared.stat.len(),
                branch.name,
                &branch.commit[..10],
                branch.kept,
                if branch.new { "" } else { ", as it was" }
            );
            if let Some(built) = &built {
                print_built(built);
            }
            println!("nothing was pushed, and mlx_local shows what it showed. To go on by hand:");
            println!("  git -C mlx_local switch {}", branch.name);
            println!("  git -C mlx_local commit --amend     the message is yours to write");
        }
        if let Some(built) = &built {
            built.verdict()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Bundle {
    fn run(self, layout: &Layout, config: &Config, ui: &Terminal) -> Result<ExitCode> {
        let this = std::env::current_exe().doing(|| "finding this program".into())?;
        let made = bundle::bundle(layout, config, &self.feature, &this, ui)?;
        if self.json {
            println!(
                "{}",
                serde_json::to_string_pretty(&made).map_err(|e| Error::bug(e.to_string()))?
            );
        } else {
            print_bundle(&made);
        }
        made.verdict().map(|()| ExitCode::SUCCESS)
    }
}

fn print_bundle(made: &bundle::Bundle) {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["evidence", "", "seconds", "file", "command"]);
    for piece in &made.pieces {
        let ending = if piece.passed { "ok" } else { &piece.ending };
        let seconds = format!("{:.0}", piece.seconds);
        table.add_row([&piece.name, ending, &seconds, &piece.file, &piece.command]);
    }
    println!("{table}");
    println!("commit    {} onto {}", made.commit, made.onto);
    println!("project   {}", made.project);
    println!("fork      {}", made.fork.as_deref().unwrap_or("none"));
    if let Some((other, file)) = &made.before {
        println!("before    {other}: {file}");
    }
    println!("folder    {}", made.folder.display());
    let form = match made.filled {
        true => "is as you left it",
        false => "is upstream's form, empty: upstream wants a person's words",
    };
    println!("{} {form}. Nothing was pushed.", bundle::PULL_REQUEST);
}

fn print_built(built: &prepare::build::Built) {
    println!(
        "built in {:.0} s ({} sources compiled)",
        built.seconds, built.compiled
    );
    for suite in &built.suites {
        println!(
            "{}: {} passed, {} failed, {} skipped in {:.1} s{}",
            suite.name,
            suite.passed,
            suite.failed,
            suite.skipped,
            suite.seconds,
            suite
                .remark
                .as_ref()
                .map(|r| format!(" ({r})"))
                .unwrap_or_default()
        );
    }
}
