//! What the checks for macOS came to. Not how it is printed.

use std::time::Instant;

use serde::Serialize;

use crate::error::{Error, Kind, Result};

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What must hold.
    pub name: String,
    /// Whether it does.
    pub passed: bool,
    /// What was seen; for a failure, what is wrong.
    pub note: String,
    /// How long it took.
    pub seconds: f64,
}

/// All of them.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `quick` or `whole`.
    pub form: &'static str,
    /// The fork that was checked.
    pub fork_id: String,
    /// The compiler.
    pub compiler: String,
    /// The release of MLX's macOS wheel that was linked against or compared with.
    pub wheel: String,
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Makes a check. One that fails is noted and the others go on; an error that is not the
    /// fork's (a full disk, no network) ends all.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Result<String>) -> Result<bool> {
        let start = Instant::now();
        let (passed, note) = match check() {
            Ok(note) => (true, note),
            Err(error) if error.kind() == Kind::Gate => {
                let hints = error.hints().iter();
                let hints: String = hints.map(|hint| format!("\n{hint}")).collect();
                (false, format!("{}{hints}", error.what()))
            }
            Err(error) => return Err(error.doing(format!("checking for macOS: {name}"))),
        };
        self.checks.push(Check {
            name: name.into(),
            passed,
            note,
            seconds: start.elapsed().as_secs_f64(),
        });
        Ok(passed)
    }

    /// Checks that failed.
    pub fn failed(&self) -> usize {
        self.checks.iter().filter(|check| !check.passed).count()
    }

    /// An error of [`Kind::Gate`] unless all checks passed and there was one.
    pub fn verdict(&self) -> Result<()> {
        let names: Vec<&str> = self
            .checks
            .iter()
            .filter(|check| !check.passed)
            .map(|check| check.name.as_str())
            .collect();
        match (names.is_empty(), self.checks.is_empty()) {
            (true, false) => Ok(()),
            (_, true) => Err(Error::gate("nothing was checked").doing("checking for macOS")),
            _ => Err(
                Error::gate(format!("{} failed: {}", names.len(), names.join(", ")))
                    .doing("checking for macOS"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            form: "quick",
            fork_id: String::new(),
            compiler: String::new(),
            wheel: String::new(),
            checks: Vec::new(),
        }
    }

    #[test]
    fn a_failed_check_is_named_and_the_next_one_is_made() {
        let mut report = report();
        let failed = || Err(Error::gate("no such method").hint("the log is here"));
        assert!(!report.check("it compiles", failed).unwrap());
        assert!(report.check("it links", || Ok("fine".into())).unwrap());
        assert_eq!(report.failed(), 1);
        assert_eq!(report.checks[0].note, "no such method\nthe log is here");
        let error = report.verdict().unwrap_err();
        assert_eq!(error.kind(), Kind::Gate);
        assert!(error.what().contains("it compiles") && !error.what().contains("it links"));
    }

    #[test]
    fn the_machines_fault_ends_all_and_nothing_checked_is_no_success() {
        let mut report = report();
        let full = || Err(Error::environment("the disk is full"));
        let error = report.check("it compiles", full).unwrap_err();
        assert_eq!(error.kind(), Kind::Environment);
        assert_eq!(report.verdict().unwrap_err().kind(), Kind::Gate);
    }
}
