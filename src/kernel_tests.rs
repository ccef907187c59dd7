//! The kernels' own tests (mlx_primitives/tests/kernels): compiled without MLX's libraries and
//! run on this processor and, where it is none, on an emulated AArch64. Not what they check.

use std::time::{Duration, Instant};

use crate::build::emulation::Emulation;
use crate::build::project::Project;
use crate::build::stamp::Inputs;
use crate::build::system::System;
use crate::build::{Options, Tools};
use crate::error::{Doing, Error, Kind, Result};
use crate::layout::Layout;
use crate::process::{Command, last_lines};
use crate::side::Side;
use crate::ui::Ui;

/// A processor to test on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// This machine's.
    Native,
    /// An emulated AArch64, for NEON.
    Aarch64,
}

impl Target {
    /// All that are to be tested from here.
    pub fn all() -> &'static [Target] {
        match Emulation::WANTED {
            true => &[Target::Native, Target::Aarch64],
            false => &[Target::Native],
        }
    }

    /// `native`, `aarch64`: also the end of its folder's name.
    pub fn name(self) -> &'static str {
        match self {
            Target::Native => "native",
            Target::Aarch64 => "aarch64",
        }
    }
}

/// What the tests came to on one processor.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Which.
    pub target: Target,
    /// Whose kernels ran: `portable avx2`.
    pub kernels: String,
    /// Checks that held.
    pub passed: usize,
    /// Checks that did not; a program that crashed counts as one.
    pub failed: usize,
    /// What was said of those.
    pub failures: String,
    /// How long it took to compile and to run, in seconds.
    pub seconds: [f64; 2],
}

/// The slowest emulators take a tenth of this.
const LIMIT: Duration = Duration::from_secs(600);

/// Builds the tests for one processor, and runs them.
///
/// # Errors
/// [`Kind::Gate`] where they don't compile, [`Kind::Environment`] where this machine lacks
/// what the target needs.
pub fn run(
    layout: &Layout,
    options: &Options,
    tools: &Tools,
    target: Target,
    ui: &dyn Ui,
) -> Result<Outcome> {
    let start = Instant::now();
    let emulation = match target {
        Target::Native => None,
        Target::Aarch64 => Some(Emulation::find(&System::detect())?),
    };
    let program = build(layout, options, tools, emulation.as_ref(), target, ui)?;
    let compiled = start.elapsed().as_secs_f64();
    let name = format!("kernel-tests-{}", target.name());
    ui.step(&format!("{name}: run"));
    let command = match &emulation {
        None => Command::new(program),
        Some(emulation) => Command::new(&emulation.emulator.path).arg(program),
    };
    let log = layout.logs().join(format!("{name}.log"));
    let output = command.limit(LIMIT).log(log).output()?;
    let said = format!("{}{}", output.stdout, output.stderr);
    let mut outcome = read(target, &output.stdout);
    outcome.seconds = [compiled, start.elapsed().as_secs_f64() - compiled];
    if output.success() && outcome.passed == 0 {
        return Err(Error::bug(format!("{name} ended well and ran no check")));
    }
    if !output.success() && outcome.failed == 0 {
        outcome.failed = 1;
        outcome.failures = format!(
            "it ended with {}:\n{}",
            output.ending(),
            last_lines(&said, 5)
        );
    }
    Ok(outcome)
}

fn build(
    layout: &Layout,
    options: &Options,
    tools: &Tools,
    emulation: Option<&Emulation>,
    target: Target,
    ui: &dyn Ui,
) -> Result<std::path::PathBuf> {
    let name = format!("kernel-tests-{}", target.name());
    let headers = layout.prefix(Side::Stock.name()).join("include");
    if !headers.join("mlx/types/half_types.h").is_file() {
        return Err(
            Error::environment(format!("no headers of stock in {}", headers.display()))
                .doing(format!("building {name}"))
                .hint(format!("`{}` makes them", Side::Stock.maker())),
        );
    }
    let mut args = vec![format!("-DMLX_INCLUDE={}", headers.display())];
    let mut tools = tools.clone();
    if let Some(emulation) = emulation {
        tools.cxx = emulation.compiler.clone();
        args.push("-DCMAKE_SYSTEM_NAME=Linux".into());
        args.push("-DCMAKE_SYSTEM_PROCESSOR=aarch64".into());
    }
    let source = layout.root().join("mlx_primitives/tests/kernels");
    let folder = layout.target().join(format!("build-{name}"));
    let project = Project {
        layout,
        tools: &tools,
        options,
        name,
        listed: source.clone(),
        source,
        folder: folder.clone(),
        args,
        id: String::new(),
        against: Inputs::default(),
        read: Inputs::default(),
        environment: Vec::new(),
        failure: Kind::Gate,
    };
    let held = project.hold(ui)?;
    held.configure(ui)?;
    held.build(&["kernel_tests"], ui)
        .doing(|| "building the kernels' tests".into())?;
    Ok(folder.join("kernel_tests"))
}

/// What the program printed: the kernels first, failures, the counts last.
fn read(target: Target, text: &str) -> Outcome {
    let kernels = text.lines().find_map(|line| line.strip_prefix("kernels:"));
    let failures: Vec<&str> = text.lines().filter(|l| l.starts_with("FAILED")).collect();
    let counts = text.lines().next_back().and_then(|line| {
        let (checks, failed) = line.strip_suffix(" failed")?.split_once(" checks, ")?;
        let failed: usize = failed.parse().ok()?;
        Some((checks.parse::<usize>().ok()?.checked_sub(failed)?, failed))
    });
    let (passed, failed) = counts.unwrap_or_default();
    Outcome {
        target,
        kernels: kernels.unwrap_or_default().trim().into(),
        passed,
        failed,
        failures: failures.join("\n"),
        seconds: [0.0; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_last_line_is_counted_and_its_failures_kept() {
        let said =
            "kernels: portable neon\nFAILED: neon silu: x\n(and 2 more)\n9 checks, 3 failed\n";
        let outcome = read(Target::Aarch64, said);
        assert_eq!(outcome.kernels, "portable neon");
        assert_eq!((outcome.passed, outcome.failed), (6, 3));
        assert_eq!(outcome.failures, "FAILED: neon silu: x");
    }

    #[test]
    fn a_program_that_stops_halfway_has_no_counts() {
        for said in [
            "",
            "kernels: portable\n",
            "9 checks, 0 failed\nFAILED: in x\n",
        ] {
            let outcome = read(Target::Native, said);
            assert_eq!((outcome.passed, outcome.failed), (0, 0), "{said}");
        }
    }
}
