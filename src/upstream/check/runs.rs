//! The feature's tests: there, failing against stock MLX, passing with the change. Stock and
//! fork are the builds of `setup-mlx`; nothing is built here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::build::sides::test_program;
use crate::build::{Options, third_party, tools};
use crate::composed::Composed;
use crate::config::Config;
use crate::device::Device;
use crate::error::{Doing, Result, reading, writing};
use crate::git::branch;
use crate::layout::Layout;
use crate::process::Command;
use crate::run;
use crate::side::Side;
use crate::suites::{self, Runner, Suite};
use crate::ui::Ui;

use super::super::prepare::Prepared;
use super::super::prepare::build::module;
use super::{Finding, Outcome, cases};

/// The tests, and the builds to run them against.
pub struct Tests<'a> {
    layout: &'a Layout,
    prepared: &'a Prepared,
    /// The feature's functions in Python.
    pub functions: Vec<String>,
    /// Why there are no builds to use.
    lacking: Option<String>,
    /// What the builds are of, where that is another commit than the one to go onto.
    elsewhere: String,
    compiler: PathBuf,
    includes: Vec<PathBuf>,
}

impl<'a> Tests<'a> {
    /// Finds the builds.
    pub fn of(
        layout: &'a Layout,
        config: &Config,
        prepared: &'a Prepared,
        ui: &dyn Ui,
    ) -> Result<Self> {
        let features = prepared.series.features.iter();
        let feature = features.clone().find(|f| f.name == prepared.feature);
        let composed = Composed::read(layout);
        let elsewhere = elsewhere(layout, composed.as_ref(), prepared)?;
        let lacking = match composed {
            None => Some("there are no builds of stock and fork".to_string()),
            Some(composed) if !composed.features().contains(&prepared.feature) => {
                Some("the fork that was built is without the feature".into())
            }
            Some(composed) if !composed.is_current(layout)? => {
                Some("the fork was built from other sources than those on disk".into())
            }
            Some(_) => [Side::Stock, Side::Fork]
                .into_iter()
                .find_map(|side| run::installed(layout, side).err())
                .map(|error| error.to_string()),
        };
        let lacking = lacking.map(|why| format!("{why}: `cargo xtask setup-mlx` makes them"));
        let options = Options::default();
        let tools = tools::find(layout, &options, ui)?;
        let third = third_party::resolve(layout, config, &options, &tools, &layout.mlx_local())?;
        Ok(Tests {
            layout,
            prepared,
            functions: feature.map_or_else(Vec::new, |f| f.probes.python.clone()),
            lacking,
            elsewhere,
            compiler: tools.cxx.path,
            includes: third
                .rows
                .into_iter()
                .flat_map(|row| row.includes)
                .collect(),
        })
    }

    /// The C++ tests compile with the fork's headers and pass, and don't compile with stock's.
    pub fn cpp(&self, ui: &dyn Ui) -> Result<Outcome> {
        let (paths, _) = self.prepared.tests();
        if paths.is_empty() {
            return Ok(Outcome::failed("there are none: tests/*_tests.cpp"));
        }
        if let Some(why) = &self.lacking {
            return Ok(Outcome::not_checked(why));
        }
        let mut findings = Vec::new();
        for path in &paths {
            findings.extend(self.compiles_without(path)?);
        }
        let program = test_program(self.layout);
        let Ok(_) = program.metadata() else {
            return Ok(Outcome::not_checked(format!(
                "{} is not built: `cargo xtask test --only c++` builds it",
                program.display()
            )));
        };
        let files: Vec<String> = paths.iter().map(|path| format!("*{path}")).collect();
        let outcome = Suite {
            name: "c++",
            runner: Runner::Doctest,
            command: Command::new(program)
                .arg("--no-colors")
                .arg(format!("--source-file={}", files.join(",")))
                .env("DEVICE", Device::default().name()),
            log: self.log("cpp"),
        }
        .run(|line| ui.progress(0, 0, line))?;
        findings.extend(self.failures(&outcome, "cpp"));
        Ok(Outcome::of(
            findings,
            format!(
                "{} of {} files don't compile without it; {} cases pass with it{}",
                paths.len(),
                paths.len(),
                outcome.passed,
                self.elsewhere
            ),
            "a test has to use what the feature brings, and to pass",
        ))
    }

    /// A test must not compile against stock, none of its cases, and because of what the
    /// feature brings.
    fn compiles_without(&self, path: &str) -> Result<Vec<Finding>> {
        let text = self
            .prepared
            .changes
            .get(path)
            .map_or("", |change| &change.after);
        // Headers that the feature brings are not there, which says nothing of the test.
        let brought = |line: &str| {
            let name = line
                .strip_prefix("#include \"")
                .and_then(|l| l.split('"').next());
            name.and_then(|name| self.prepared.changes.get(name))
                .is_some_and(|change| change.before.is_none())
        };
        let lines = text
            .lines()
            .map(|line| if brought(line) { "" } else { line });
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        let folder = tempfile::tempdir().doing(|| "making a folder for a test".into())?;
        let file = folder.path().join("test.cpp");
        std::fs::write(&file, &text).doing(writing(&file))?;
        let compile = |prefix: &Path| {
            let command = Command::new(&self.compiler)
                .args([
                    "-std=c++20",
                    "-fsyntax-only",
                    "-w",
                    "-fno-diagnostics-color",
                    "-fmax-errors=0",
                ])
                .arg("-I")
                .arg(prefix.join("include"));
            let includes = self.includes.iter();
            let command = includes.fold(command, |c, folder| c.arg("-I").arg(folder));
            command.env("LC_ALL", "C").arg(&file).output()
        };
        let stock = compile(&self.layout.prefix(Side::Stock.name()))?;
        if stock.success() {
            return Ok(vec![Finding::of_file(
                path,
                "compiles against stock MLX: it tests nothing new",
            )]);
        }
        let names = |name: &&String| stock.stderr.contains(name.as_str());
        if !self.functions.iter().any(|name| names(&name)) {
            let first = stock.stderr.lines().find(|line| line.contains("error"));
            let why = first.unwrap_or_default();
            let what =
                format!("fails against stock MLX for another reason than the feature: {why}");
            return Ok(vec![Finding::of_file(path, what)]);
        }
        let errors = cases::errors(&stock.stderr, "test.cpp");
        let new = cases::compiling(&text, &errors).into_iter().map(|case| {
            let what = format!("\"{case}\" compiles against stock MLX: it tests nothing new");
            Finding::of_file(path, what)
        });
        Ok(new.collect())
    }

    /// The Python tests fail against stock and pass against the fork.
    pub fn python(&self, ui: &dyn Ui) -> Result<Outcome> {
        let (_, paths) = self.prepared.tests();
        if paths.is_empty() {
            return Ok(Outcome::failed("there are none: python/tests/test_*.py"));
        }
        if let Some(why) = &self.lacking {
            return Ok(Outcome::not_checked(why));
        }
        let mut findings = Vec::new();
        let mut note = Vec::new();
        for path in paths {
            let name = module(path);
            let stock = self.unittest(Side::Stock, &[name.into()], ui)?;
            if stock.failed == 0 {
                findings.push(Finding::of_file(
                    path,
                    "passes on stock MLX: it tests nothing new",
                ));
            } else {
                // By name: each part of a test (`subTest`) counts as a failure of its own, so
                // the numbers say nothing of the tests that passed.
                let log = self.log(&format!("python-{}", Side::Stock.name()));
                let text = std::fs::read_to_string(&log).doing(reading(&log))?;
                findings.extend(passing(&text).into_iter().map(|test| {
                    let what = format!("{test} passes on stock MLX: it doesn't test the feature");
                    Finding::of_file(path, what)
                }));
            }
            let fork = self.unittest(Side::Fork, &[name.into()], ui)?;
            findings.extend(self.failures(&fork, "python-fork"));
            note.push(format!(
                "{name}: {} fail without it, {} pass with it",
                stock.failed, fork.passed
            ));
        }
        Ok(Outcome::of(
            findings,
            note.join("; ") + &self.elsewhere,
            "a test has to use what the feature brings, and to pass",
        ))
    }

    /// The stubs of the fork's Python module have the feature's functions, stock's don't.
    pub fn stubs(&self) -> Result<Outcome> {
        if let Some(why) = &self.lacking {
            return Ok(Outcome::not_checked(why));
        }
        let read = |side: Side| {
            let path = self
                .layout
                .prefix(side.name())
                .join("python/mlx/core/__init__.pyi");
            std::fs::read_to_string(&path).doing(reading(&path))
        };
        let (stock, fork) = (read(Side::Stock)?, read(Side::Fork)?);
        let mut findings = Vec::new();
        for name in &self.functions {
            let start = format!("def {name}(");
            if !fork.contains(&start) {
                findings.push(Finding::of_file(
                    "mlx/core/__init__.pyi",
                    format!("no `{start}…`"),
                ));
            }
            if stock.contains(&start) {
                let what = format!("stock has `{start}…`, too");
                findings.push(Finding::of_file("mlx/core/__init__.pyi", what));
            }
        }
        Ok(Outcome::of(
            findings,
            format!(
                "made by nanobind's generator, as upstream's build makes them{}",
                self.elsewhere
            ),
            "the binding has to be part of mlx.core",
        ))
    }

    /// The tests that export the function pass with the fork.
    pub fn export(&self, ui: &dyn Ui) -> Result<Outcome> {
        if let Some(why) = &self.lacking {
            return Ok(Outcome::not_checked(why));
        }
        let (_, paths) = self.prepared.tests();
        let mut tests = Vec::new();
        for path in paths {
            let text = self
                .prepared
                .changes
                .get(path)
                .map_or("", |change| &change.after);
            let found = tests_that_call(text, "export_function(");
            tests.extend(
                found
                    .into_iter()
                    .map(|test| format!("{}.{test}", module(path))),
            );
        }
        if tests.is_empty() {
            return Ok(Outcome::failed("no Python test calls mx.export_function"));
        }
        let args: Vec<OsString> = tests.iter().map(OsString::from).collect();
        let outcome = self.unittest(Side::Fork, &args, ui)?;
        let findings = self.failures(&outcome, "python-fork");
        Ok(Outcome::of(
            findings.into_iter().collect(),
            tests.join(", ") + &self.elsewhere,
            "what is exported and imported again has to give the same",
        ))
    }

    fn unittest(&self, side: Side, args: &[OsString], ui: &dyn Ui) -> Result<suites::Outcome> {
        let mut all: Vec<OsString> = ["-m", "unittest", "-v"].map(Into::into).to_vec();
        all.extend_from_slice(args);
        let suite = Suite {
            name: "python",
            runner: Runner::Unittest,
            command: run::python(self.layout, side, &all)?
                .current_dir(self.prepared.folder().join("python/tests"))
                .env("DEVICE", Device::default().name())
                .env("PYTHONDONTWRITEBYTECODE", "1"),
            log: self.log(&format!("python-{}", side.name())),
        };
        suite.run(|line| ui.progress(0, 0, line))
    }

    fn failures(&self, outcome: &suites::Outcome, log: &str) -> Option<Finding> {
        let (failed, remark) = (
            outcome.failed,
            outcome.remark.as_deref().unwrap_or_default(),
        );
        let log = self.log(log);
        (failed > 0).then(|| {
            let what = format!("{failed} of the feature's tests fail with it; {remark}");
            Finding::of_file(&log.display().to_string(), what)
        })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.layout
            .logs()
            .join(format!("upstream-check-{name}.log"))
    }
}

/// What to say where stock and fork are builds of another commit: the tests then say nothing
/// of the one that the feature goes onto.
fn elsewhere(layout: &Layout, composed: Option<&Composed>, prepared: &Prepared) -> Result<String> {
    let Some(composed) = composed else {
        return Ok(String::new());
    };
    let pin = match composed.fork.commits.first() {
        Some(first) => branch::parents(layout, &first.id)?.pop(),
        None => Some(composed.fork.id.clone()),
    };
    let base = prepared.base.id();
    Ok(match pin {
        Some(pin) if pin != base => format!(
            " (by the builds of {pin:.10}; on {base:.10}: --builds, or `prepare --onto … --build`)"
        ),
        _ => String::new(),
    })
}

/// The tests that passed, by what unittest says of each.
fn passing(log: &str) -> BTreeSet<&str> {
    let mut passed = BTreeSet::new();
    let mut test = "";
    for line in log.lines() {
        // One with a description has that, and its ending, on the line below its name.
        if line.starts_with("test") && line.contains(" (") {
            test = line.split(' ').next().unwrap_or_default();
        }
        if line.ends_with("... ok") {
            passed.insert(test);
        }
    }
    passed
}

/// `Class.test` of all tests of a module that call this.
fn tests_that_call<'a>(text: &'a str, call: &str) -> Vec<String> {
    let (mut class, mut test) = ("", "");
    let mut found = Vec::new();
    for line in text.lines() {
        let name = |rest: &'a str| rest.split(['(', ':']).next().unwrap_or_default();
        if let Some(rest) = line.strip_prefix("class ") {
            class = name(rest);
        } else if let Some(rest) = line.strip_prefix("    def ") {
            test = name(rest);
        } else if line.contains(call) && test.starts_with("test") {
            let name = format!("{class}.{test}");
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_passes_among_many_failures_is_named() {
        let log = "test_a (m.T.test_a) ... FAIL\ntest_b (m.T.test_b) ... ok\n\
            test_c (m.T.test_c)\nWhat it is for. ... ok\ntest_d (m.T.test_d) ... skipped 'x'\n\
            FAIL: test_a (m.T.test_a) (k=1)\nRan 4 tests in 1s\n\nFAILED (failures=178)\n";
        assert_eq!(passing(log), ["test_b", "test_c"].into());
    }

    #[test]
    fn the_tests_that_call_a_function_are_named_and_helpers_inside_of_them_are_not() {
        let text = "class A(Case):\n    def helper(self):\n        save(x)\n    def test_a(self):\n        def f(x):\n            return x\n        save(f)\n        save(f)\n    def test_b(self):\n        pass\n";
        assert_eq!(tests_that_call(text, "save("), ["A.test_a"]);
    }
}
