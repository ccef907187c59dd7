//! The test suites that `cargo xtask test` runs, and the counts that their runners print.
//!
//! Knows the runners' closing lines (cargo, doctest, unittest, our own); a suite whose closing line is
//! missing, or that ran nothing, counts as a failure: a gate must not pass on silence.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::build::sides::test_program;
use crate::device::Device;
use crate::error::{Doing, Error, Result};
use crate::layout::Layout;
use crate::process::{Command, Output};
use crate::run;
use crate::side::Side;

/// Who runs a suite, and so how its closing line reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// `test result: ok. 3 passed; 0 failed; …`, one line a binary.
    Cargo,
    /// `[doctest] test cases: 3 | 3 passed | 0 failed | 0 skipped`.
    Doctest,
    /// `Ran 3 tests in 0.1s` and `OK` or `FAILED (failures=1)`.
    Unittest,
    /// `sanitizers: 3 passed, 0 failed`, a command of our own.
    Command,
}

/// One suite: a command and its runner.
#[derive(Debug)]
pub struct Suite {
    /// Its name, for the report.
    pub name: &'static str,
    /// Who runs it.
    pub runner: Runner,
    /// What to run.
    pub command: Command,
    /// Where its whole output goes.
    pub log: PathBuf,
}

/// What a suite came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The suite's name.
    pub name: &'static str,
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed; a runner that crashed or ran nothing counts as one.
    pub failed: usize,
    /// Tests that their suite chose to skip.
    pub skipped: usize,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed, where the counts don't say.
    pub remark: Option<String>,
}

impl Suite {
    /// Runs it; `each` hears every line of its output.
    pub fn run(self, mut each: impl FnMut(&str)) -> Result<Outcome> {
        let start = Instant::now();
        let output = self.command.log(&self.log).lines(|_, line| each(line))?;
        let mut outcome = judge(self.name, self.runner, &output)?;
        outcome.seconds = start.elapsed().as_secs_f64();
        Ok(outcome)
    }
}

/// Finds and runs Python's tests, but for those that need GGUF.
const DISCOVER: &str = include_str!("suites/discover.py");

/// The suites of a project whose builds are there; `full` adds the tests that are ignored
/// otherwise, and MLX's own Python tests.
pub fn plan(layout: &Layout, full: bool) -> Result<Vec<Suite>> {
    let log = |name: &str| layout.logs().join(format!("test-{name}.log"));
    let mut rust = Command::new("cargo").args(["test", "--workspace", "--no-fail-fast"]);
    if full {
        // All but the bodies of other tests' child processes, and what changes the sources.
        rust = rust.args(["--", "--include-ignored"]);
        rust = rust.args([
            "--skip",
            "in_a_process_of_its_own",
            "--skip",
            "write_the_corpus",
        ]);
    }
    let cpp = Command::new(test_program(layout))
        // Two of MLX's cases need GGUF, which is not built.
        .args(["--test-case-exclude=*gguf*", "--no-colors"])
        .env("DEVICE", Device::default().name());
    let mut suites = vec![
        Suite {
            name: "rust",
            runner: Runner::Cargo,
            command: rust.current_dir(layout.root()),
            log: log("rust"),
        },
        Suite {
            name: "c++",
            runner: Runner::Doctest,
            command: cpp,
            log: log("cpp"),
        },
    ];
    let tests = layout.build_source().join("python/tests");
    let files = if full {
        "test_*.py"
    } else {
        "test_gather_qmm_*.py"
    };
    let discover = layout.target().join("discover.py");
    std::fs::write(&discover, DISCOVER).doing(|| format!("writing {}", discover.display()))?;
    let args = [discover.into(), tests.into(), files.into()];
    suites.push(Suite {
        name: "python",
        runner: Runner::Unittest,
        command: run::python(layout, Side::Fork, &args)?.env("DEVICE", Device::default().name()),
        log: log("python"),
    });
    let this = std::env::current_exe().doing(|| "finding this program".into())?;
    suites.push(Suite {
        name: "kernels",
        runner: Runner::Command,
        command: Command::new(&this)
            .arg("kernels")
            .current_dir(layout.root()),
        log: log("kernels"),
    });
    if cfg!(target_os = "linux") {
        suites.push(Suite {
            name: "check-macos",
            runner: Runner::Command,
            command: Command::new(&this)
                .arg("check-macos")
                .args((!full).then_some("--quick"))
                .current_dir(layout.root()),
            log: log("check-macos"),
        });
        suites.push(Suite {
            name: "sanitizers",
            runner: Runner::Command,
            command: Command::new(this)
                .arg("sanitize")
                .args(full.then_some("--full"))
                .current_dir(layout.root()),
            log: log("sanitizers"),
        });
    }
    Ok(suites)
}

fn judge(name: &'static str, runner: Runner, output: &Output) -> Result<Outcome> {
    let text = format!("{}{}", output.stdout, output.stderr);
    let counts = match runner {
        Runner::Cargo => cargo_counts(&text),
        Runner::Doctest => doctest_counts(&text),
        Runner::Unittest => unittest_counts(&text),
        Runner::Command => command_counts(name, &text),
    };
    let mut outcome = Outcome {
        name,
        passed: counts.passed,
        failed: counts.failed,
        skipped: counts.skipped,
        seconds: 0.0,
        remark: None,
    };
    if outcome.failed == 0 && !output.success() {
        outcome.failed = 1;
        outcome.remark = Some(format!("its runner ended with {}", output.ending()));
    } else if outcome.failed == 0 && outcome.passed == 0 {
        outcome.failed = 1;
        outcome.remark = Some("it ran no test".into());
    } else if outcome.failed > 0 && output.success() {
        return Err(Error::bug(format!(
            "{name}: {} failures counted, but its runner ended well",
            outcome.failed
        )));
    }
    Ok(outcome)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// The number right before `word` in a line such as `3 passed; 1 failed`.
fn before(line: &str, word: &str) -> usize {
    line.split(word)
        .next()
        .filter(|head| head.len() < line.len())
        .and_then(|head| head.split_whitespace().next_back())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn cargo_counts(text: &str) -> Counts {
    let lines = text.lines().filter(|l| l.starts_with("test result:"));
    lines.fold(Counts::default(), |sum, line| Counts {
        passed: sum.passed + before(line, " passed"),
        failed: sum.failed + before(line, " failed"),
        skipped: sum.skipped + before(line, " ignored"),
    })
}

fn doctest_counts(text: &str) -> Counts {
    let line = text
        .lines()
        .rfind(|line| line.starts_with("[doctest] test cases:"))
        .unwrap_or_default();
    Counts {
        passed: before(line, " passed"),
        failed: before(line, " failed"),
        skipped: 0,
    }
}

fn command_counts(name: &str, text: &str) -> Counts {
    let line = text
        .lines()
        .rfind(|line| line.strip_prefix(name).is_some_and(|l| l.starts_with(": ")))
        .unwrap_or_default();
    Counts {
        passed: before(line, " passed"),
        failed: before(line, " failed"),
        skipped: 0,
    }
}

fn unittest_counts(text: &str) -> Counts {
    let ran = text
        .lines()
        .rfind(|line| line.starts_with("Ran "))
        .map_or(0, |line| before(line, " test"));
    let closing = text
        .lines()
        .rfind(|line| line.starts_with("OK") || line.starts_with("FAILED"))
        .unwrap_or_default();
    let count = |key: &str| -> usize {
        closing
            .split(['(', ')', ',', ' '])
            .find_map(|part| part.strip_prefix(key))
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    };
    let failed = count("failures=") + count("errors=") + count("successes=");
    let skipped = count("skipped=");
    Counts {
        passed: ran.saturating_sub(failed + skipped),
        failed,
        skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_closing_lines_are_counted() {
        let cargo = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\
                     test result: FAILED. 2 passed; 4 failed; 0 ignored";
        let doctest = "[doctest] test cases:  3 |  2 passed | 1 failed | 7 skipped";
        let ours = "sanitizers: 2 cases\nsanitizers: 5 passed, 1 failed\nerror: 1 passed";
        let unittest = "Ran 10 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=3)";
        let counts = |passed, failed, skipped| Counts {
            passed,
            failed,
            skipped,
        };
        assert_eq!(cargo_counts(cargo), counts(5, 4, 1));
        assert_eq!(doctest_counts(doctest), counts(2, 1, 0));
        assert_eq!(command_counts("sanitizers", ours), counts(5, 1, 0));
        assert_eq!(command_counts("others", ours), Counts::default());
        assert_eq!(unittest_counts(unittest), counts(4, 3, 3));
        assert_eq!(unittest_counts("Ran 2 tests in 1s\n\nOK"), counts(2, 0, 0));
    }

    fn outcome(script: &str, runner: Runner) -> Outcome {
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        judge("suite", runner, &output).unwrap()
    }

    #[test]
    fn a_runner_that_crashes_or_runs_nothing_is_a_failure() {
        let crashed = outcome(
            "echo 'test result: ok. 3 passed; 0 failed'; exit 101",
            Runner::Cargo,
        );
        assert_eq!((crashed.passed, crashed.failed), (3, 1));
        let silent = outcome("true", Runner::Unittest);
        assert_eq!((silent.passed, silent.failed), (0, 1));
        assert_eq!(silent.remark.as_deref(), Some("it ran no test"));
    }

    #[test]
    fn only_what_needs_gguf_is_skipped() {
        let tests = tempfile::tempdir().unwrap();
        let text = "import unittest\n\
            class TestLoad(unittest.TestCase):\n    \
                def test_non_contiguous(self): self.fail()\n    \
                def test_save_and_load_gguf(self): self.fail()\n    \
                def test_load(self): pass\n    \
                def test_fails(self): self.fail()\n";
        std::fs::write(tests.path().join("test_load.py"), text).unwrap();
        std::fs::write(tests.path().join("test_broken.py"), "import no_such\n").unwrap();
        let output = Command::new("python3")
            .args(["-c", DISCOVER])
            .args([tests.path().as_os_str(), "test_*.py".as_ref()])
            .output()
            .unwrap();
        let outcome = judge("python", Runner::Unittest, &output).unwrap();
        let counts = (outcome.passed, outcome.failed, outcome.skipped);
        assert_eq!(counts, (1, 2, 2), "{}", output.stderr);
    }
}
