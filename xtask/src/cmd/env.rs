//! `cargo xtask env`: what to export to use a build from other programs.

use std::collections::BTreeMap;
use std::process::ExitCode;

use mlx_fork::layout::Layout;
use mlx_fork::{Error, Result, run};

use super::side::OneSide;

/// Print what a shell must export so that other programs use the fork.
///
/// MLX_FORK_PREFIX is the build's folder (lib, include, share/cmake/MLX);
/// CMAKE_PREFIX_PATH makes find_package(MLX) find it; PATH and PYTHONPATH make `python`
/// the one whose mlx is the fork's. What these held before stays, after the fork's.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  eval \"$(cargo xtask env)\"
  cargo xtask env --stock --json")]
pub struct Env {
    #[command(flatten)]
    build: OneSide,
    /// Print a JSON object of names and values instead of lines for a shell.
    #[arg(long)]
    json: bool,
}

impl Env {
    /// Prints the variables.
    pub fn run(self) -> Result<ExitCode> {
        let layout = Layout::discover()?;
        let variables = run::environment(&layout, self.build.side())?;
        if self.json {
            let map: BTreeMap<String, String> = variables.into_iter().collect();
            let text = serde_json::to_string_pretty(&map).map_err(|e| Error::bug(e.to_string()))?;
            println!("{text}");
        } else {
            for (name, value) in variables {
                println!("{}", run::export_line(&name, &value));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
