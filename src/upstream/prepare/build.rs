//! A prepared tree, built on this machine's CPU and tested there. Its own folders: the builds
//! that people use are not touched.

use std::ffi::OsString;

use serde::Serialize;

use crate::build::sides::{self, SideInput, Sides};
use crate::build::{Options, third_party, tools};
use crate::config::Config;
use crate::device::Device;
use crate::error::{Doing, Error, Kind, Result};
use crate::git::checkout;
use crate::layout::Layout;
use crate::run;
use crate::side::Side;
use crate::suites::{Outcome, Runner, Suite};
use crate::ui::Ui;

use super::{Prepared, home, lock};

/// What a build and its tests came to.
#[derive(Debug, Clone, Serialize)]
pub struct Built {
    /// How long the build took.
    pub seconds: f64,
    /// Sources that were compiled.
    pub compiled: usize,
    /// All C++ tests of the tree, the feature's C++ tests, the feature's Python tests.
    pub suites: Vec<Outcome>,
}

impl Built {
    /// An error of [`Kind::Gate`] unless all tests passed.
    pub fn verdict(&self) -> Result<()> {
        let failed = self.suites.iter().filter(|suite| suite.failed > 0);
        let names: Vec<&str> = failed.map(|suite| suite.name).collect();
        match names.is_empty() {
            true => Ok(()),
            false => Err(Error::gate(format!("failed: {}", names.join(", ")))
                .doing("testing the prepared tree")
                .hint("the logs are in target/mlx/upstream/FEATURE/logs")),
        }
    }
}

/// The folders of the feature's build.
pub fn own(layout: &Layout, feature: &str) -> Layout {
    Layout::at(layout.root(), home(layout).join(feature))
}

/// Builds the tree with its Python module and C++ tests, and runs the tests.
///
/// # Errors
/// [`Kind::Gate`] where it doesn't compile. Tests that fail are no error: they are in the result.
pub fn build(layout: &Layout, config: &Config, prepared: &Prepared, ui: &dyn Ui) -> Result<Built> {
    let own = own(layout, &prepared.feature);
    let show = |tree: &str| -> Result<()> {
        let _lock = lock(layout, ui)?;
        checkout::materialize(&own, tree).map(drop)
    };
    show(&prepared.tree)?;
    let options = Options {
        source: Some(own.build_source()),
        ..Options::default()
    };
    let tools = tools::find(layout, &options, ui)?;
    let third = third_party::resolve(layout, config, &options, &tools, &own.build_source())?;
    let sides = Sides {
        layout: &own,
        options: &options,
        tools: &tools,
        third_party: &third,
        show: &show,
    };
    let input = SideInput {
        side: Side::Stock,
        tree: prepared.tree.clone(),
        id: prepared.base.id(),
        overlay: Vec::new(),
    };
    let doing = || format!("building {} on {}", prepared.feature, prepared.onto);
    let ui = &Named {
        ui,
        name: &prepared.feature,
    };
    let build = sides.build(&input, None, ui).map_err(ours).doing(doing)?;
    sides.build_tests(&input, ui).map_err(ours).doing(doing)?;
    ui.step("tests of the prepared tree");
    let mut suites = Vec::new();
    for suite in plan(&own, prepared)? {
        suites.push(suite.run(|line| ui.progress(0, 0, line))?);
    }
    Ok(Built {
        seconds: build.seconds,
        compiled: build.ours + build.upstream,
        suites,
    })
}

/// The builder calls what it builds "stock"; here it is the feature in upstream's tree.
struct Named<'a> {
    ui: &'a dyn Ui,
    name: &'a str,
}

impl Named<'_> {
    fn of(&self, text: &str) -> String {
        match text.strip_prefix("stock:") {
            Some(rest) => format!("{}:{rest}", self.name),
            None => text.into(),
        }
    }
}

impl Ui for Named<'_> {
    fn step(&self, name: &str) {
        self.ui.step(&self.of(name));
    }
    fn progress(&self, done: u64, total: u64, at: &str) {
        self.ui.progress(done, total, at);
    }
    fn note(&self, text: &str) {
        self.ui.note(&self.of(text));
    }
    fn warn(&self, text: &str) {
        self.ui.warn(&self.of(text));
    }
}

/// The builder takes the sources for stock's, which never fail by themselves; these are ours.
fn ours(error: Error) -> Error {
    match error.kind() {
        Kind::Environment => error.of_kind(Kind::Gate),
        _ => error,
    }
}

fn plan(own: &Layout, prepared: &Prepared) -> Result<Vec<Suite>> {
    let (cpp, python) = prepared.tests();
    let log = |name: &str| own.logs().join(format!("test-{name}.log"));
    let program = || {
        crate::process::Command::new(sides::test_program(own))
            .arg("--no-colors")
            .env("DEVICE", Device::default().name())
    };
    let mut suites = vec![Suite {
        name: "c++, all of MLX",
        runner: Runner::Doctest,
        // Two of MLX's cases need GGUF, which is not built.
        command: program().arg("--test-case-exclude=*gguf*"),
        log: log("cpp-all"),
    }];
    if !cpp.is_empty() {
        let files: Vec<String> = cpp.iter().map(|path| format!("*{path}")).collect();
        suites.push(Suite {
            name: "c++, the feature",
            runner: Runner::Doctest,
            command: program().arg(format!("--source-file={}", files.join(","))),
            log: log("cpp"),
        });
    }
    if !python.is_empty() {
        let mut args: Vec<OsString> = ["-m", "unittest", "-v"].map(Into::into).to_vec();
        args.extend(python.iter().map(|path| module(path).into()));
        suites.push(Suite {
            name: "python, the feature",
            runner: Runner::Unittest,
            command: run::python(own, Side::Stock, &args)?
                .current_dir(own.build_source().join("python/tests"))
                .env("DEVICE", Device::default().name()),
            log: log("python"),
        });
    }
    Ok(suites)
}

/// The module of a test: `python/tests/test_x.py` is `test_x`.
pub fn module(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".py").unwrap_or(name)
}
