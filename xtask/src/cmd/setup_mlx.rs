//! `cargo xtask setup-mlx`: the main job.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser};
use comfy_table::{ContentArrangement, Table, presets};
use mlx_fork::build::{LauncherChoice, Options, install, wheel};
use mlx_fork::config::Config;
use mlx_fork::error::Doing;
use mlx_fork::layout::Layout;
use mlx_fork::macos::Kit;
use mlx_fork::setup::{self, Mode, Request, Summary, Until};
use mlx_fork::side::Side;
use mlx_fork::source::{self, Choice};
use mlx_fork::ui::Ui;
use mlx_fork::{Error, Result, env};

use crate::terminal::Terminal;

/// From a pin to a running fork: source, fork, stock and fork builds, bindings, probe, parity
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask setup-mlx --install-deps
  cargo xtask setup-mlx --pin main-2026-06-20
  cargo xtask setup-mlx --source path:../mlx
  MLX_REF=main cargo xtask setup-mlx
  cargo xtask setup-mlx --mode extension")]
pub struct SetupMlx {
    /// The pin to use, a name in fork.toml [default: `pin` of fork.toml]
    #[arg(long, value_name = "NAME")]
    pin: Option<String>,
    /// Where MLX's source comes from: auto, git, crate, or path:DIR
    #[arg(long, value_name = "MIRROR", default_value = "auto")]
    source: Choice,
    /// Only these features of patches/series.toml, and what they require
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    features: Vec<String>,
    /// What to build: the whole fork, or only our primitives against an MLX that is there
    #[arg(long, value_enum, default_value_t = ModeArg::Fork)]
    mode: ModeArg,
    /// With --mode extension: the prefix of the MLX to build against [default: the PyPI wheel
    /// that matches the pin]
    #[arg(long, value_name = "PREFIX")]
    against: Option<PathBuf>,
    /// Build without the Python extension
    #[arg(long)]
    no_python: bool,
    /// What runs the compilers: auto (ccache or sccache where there), none, or a program
    #[arg(long, value_name = "LAUNCHER", default_value = "auto")]
    launcher: LauncherChoice,
    /// How many compilers at once [default: as many as cores and memory allow]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// A folder to use for one of MLX's third-party sources
    #[arg(long, value_name = "NAME=DIR", value_parser = name_and_folder)]
    third_party: Vec<(String, PathBuf)>,
    /// Install what the build needs of the system first, with the commands that `doctor` shows
    #[arg(long)]
    install_deps: bool,
    /// Stop after this step
    #[arg(long, value_enum, value_name = "STEP", default_value_t = UntilArg::Parity)]
    until: UntilArg,
    /// Wait this many seconds for another run that holds this checkout
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    wait: u64,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ModeArg {
    Fork,
    Extension,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum UntilArg {
    Source,
    Fork,
    Build,
    Probe,
    Parity,
}

impl SetupMlx {
    /// Runs the command.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let config = Config::load(&layout)?;
        let ui = Terminal::new();
        let json = self.json;
        let install_deps = self.install_deps;
        let request = self.request(&config)?;
        if install_deps {
            ui.step("install");
            install::run(&layout, &request.options, &ui)?;
        }
        let summary = setup::run(&layout, &config, &request, &ui)?;
        if install_deps && !cfg!(target_os = "macos") {
            // What `cargo xtask test` compiles for macOS with.
            let release = wheel::release_of(&layout.mlx_local())?;
            Kit::prepare(&layout, &release, &ui)?;
        }
        drop(ui);
        if json {
            let text = serde_json::to_string_pretty(&summary)
                .map_err(|e| Error::bug(e.to_string()).doing("writing the summary"))?;
            println!("{text}");
        } else {
            show(&summary, layout.root());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn request(self, config: &Config) -> Result<Request> {
        if self.against.is_some() && self.mode != ModeArg::Extension {
            return Err(Error::usage("--against is only for --mode extension"));
        }
        let reference = env::MLX_REF.get();
        if let (Some(pin), Some(reference)) = (&self.pin, &reference) {
            return Err(Error::usage(format!(
                "--pin {pin} and MLX_REF={reference} both say which MLX"
            ))
            .hint("give one of them"));
        }
        let options = Options {
            python: !self.no_python,
            launcher: self.launcher,
            jobs: self.jobs.map(usize::from),
            third_party: self.third_party.into_iter().collect::<BTreeMap<_, _>>(),
            source: None,
        };
        Ok(Request {
            source: source::Request {
                pin: self.pin.unwrap_or_else(|| config.pin.clone()),
                reference,
                url: env::MLX_REPO_URL
                    .get()
                    .unwrap_or_else(|| config.upstream.url.clone()),
                choice: self.source,
            },
            features: self.features.iter().map(|f| f.trim().to_string()).collect(),
            options,
            mode: match self.mode {
                ModeArg::Fork => Mode::Fork,
                ModeArg::Extension => Mode::Extension(self.against),
            },
            until: match self.until {
                UntilArg::Source => Until::Source,
                UntilArg::Fork => Until::Fork,
                UntilArg::Build => Until::Build,
                UntilArg::Probe => Until::Probe,
                UntilArg::Parity => Until::Parity,
            },
            patience: Duration::from_secs(self.wait),
            worker: std::env::current_exe().doing(|| "finding xtask".into())?,
        })
    }
}

fn name_and_folder(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            Ok((name.to_string(), folder.into()))
        }
        _ => Err("expected NAME=DIR".into()),
    }
}

fn show(summary: &Summary, root: &Path) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    let mut row = |what: &str, value: String| {
        table.add_row([what.to_string(), value]);
    };
    let pin = summary.pin.as_deref().unwrap_or("(unpinned)");
    row("pin", format!("{pin}  {}", summary.commit));
    row("mirror", summary.mirror.clone());
    for (mirror, why) in &summary.passed_over {
        row("", format!("not {mirror}: {why}"));
    }
    if let Some(id) = &summary.fork_id {
        let ported = if summary.ported { "  (ported)" } else { "" };
        row("fork id", format!("{id}{ported}"));
    }
    for (feature, commit) in &summary.features {
        row("patch", format!("{} {feature}", &commit[..12]));
    }
    for build in &summary.builds {
        let prefix = build.prefix.strip_prefix(root).unwrap_or(&build.prefix);
        row(build.side.name(), prefix.display().to_string());
        if build.ours + build.upstream > 0 {
            // An extension compiles none of MLX: the others are nanobind's and its own.
            let others = match build.side {
                Side::Extension => "others",
                Side::Stock | Side::Fork => "of MLX's",
            };
            let counts = format!(
                "compiled {} of our sources and {} {others}",
                build.ours, build.upstream
            );
            row("", counts);
        }
    }
    for step in &summary.steps {
        let how = if step.up_to_date {
            "up to date".to_string()
        } else {
            format!("{:.1} s", step.seconds)
        };
        row(&format!("step {}", step.name), how);
    }
    for (what, counts) in [("probes", summary.probes), ("parity", summary.parity)] {
        if let Some((held, all)) = counts {
            row(what, format!("{held} of {all} hold"));
        }
    }
    println!("{table}");
    if let Some(path) = &summary.evidence {
        println!("the record of this run: {}", path.display());
    }
    if let Some(lines) = &summary.unpinned {
        println!("this commit is no pin; to pin it:\n{lines}");
    }
    if summary.up_to_date() {
        println!("nothing to do: everything is up to date");
    }
}

/// Sets up with no choices made, and builds the C++ tests: what `test` begins with.
pub fn for_tests(layout: &Layout, config: &Config, ui: &dyn Ui) -> Result<()> {
    let mut request = Defaults::parse_from(["setup-mlx"]).setup.request(config)?;
    request.until = Until::Tests;
    setup::run(layout, config, &request, ui).map(|_| ())
}

/// Composes the fork with no choices made and builds nothing: what `check-macos` begins with.
pub fn compose(layout: &Layout, config: &Config, ui: &dyn Ui) -> Result<()> {
    let mut request = Defaults::parse_from(["setup-mlx"]).setup.request(config)?;
    request.until = Until::Fork;
    setup::run(layout, config, &request, ui).map(|_| ())
}

/// The arguments' own defaults, without a command line.
#[derive(Debug, Parser)]
struct Defaults {
    #[command(flatten)]
    setup: SetupMlx,
}
