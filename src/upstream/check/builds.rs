//! Builds of the tree that upstream would get: minutes each, so only where they are asked for.

use crate::build::Options;
use crate::build::project::Project;
use crate::build::stamp::Inputs;
use crate::build::{third_party, tools};
use crate::config::Config;
use crate::error::{Kind, Result};
use crate::git::checkout;
use crate::layout::Layout;
use crate::macos::Setting;
use crate::ui::Ui;

use super::super::prepare::{Prepared, build, lock};
use super::{Finding, Outcome, Report};

const NOT_ASKED: &str = "not asked for: --builds";

/// A row for each kind of build.
pub fn rows(
    layout: &Layout,
    config: &Config,
    prepared: &Prepared,
    asked: bool,
    report: &mut Report,
    ui: &dyn Ui,
) -> Result<()> {
    let unless_asked = |build: &dyn Fn() -> Result<Outcome>| match asked {
        true => build(),
        false => Ok(Outcome::not_checked(NOT_ASKED)),
    };
    report.check(
        "builds without GPU, all C++ tests and its own pass",
        ui,
        || unless_asked(&|| cpu(layout, config, prepared, ui)),
    )?;
    report.check("builds without CPU backend and GPU", ui, || {
        unless_asked(&|| no_cpu(layout, config, prepared, ui))
    })?;
    report.check("compiles for macOS with Metal", ui, || {
        unless_asked(&|| macos(layout, config, ui))
    })
}

fn cpu(layout: &Layout, config: &Config, prepared: &Prepared, ui: &dyn Ui) -> Result<Outcome> {
    let built = build::build(layout, config, prepared, ui)?;
    let note: Vec<String> = built
        .suites
        .iter()
        .map(|suite| format!("{}: {} passed", suite.name, suite.passed))
        .collect();
    let logs = build::own(layout, &prepared.feature).logs();
    let failed = built.suites.iter().filter(|suite| suite.failed > 0);
    let findings = failed.map(|suite| {
        let what = format!("{}: {} failed", suite.name, suite.failed);
        Finding::of_file(&logs.display().to_string(), what)
    });
    Ok(Outcome::of(
        findings.collect(),
        note.join("; "),
        "the logs say which",
    ))
}

/// `libmlx` alone, with neither backend: all that is left are upstream's stand-ins.
fn no_cpu(layout: &Layout, config: &Config, prepared: &Prepared, ui: &dyn Ui) -> Result<Outcome> {
    let own = build::own(layout, &prepared.feature);
    {
        let _lock = lock(layout, ui)?;
        checkout::materialize(&own, &prepared.tree)?;
    }
    let options = Options {
        python: false,
        source: Some(own.build_source()),
        ..Options::default()
    };
    let tools = tools::find(layout, &options, ui)?;
    let third = third_party::resolve(layout, config, &options, &tools, &own.build_source())?;
    let switches = [
        "-DMLX_BUILD_CPU=OFF",
        "-DMLX_BUILD_METAL=OFF",
        "-DMLX_BUILD_GGUF=OFF",
        "-DMLX_BUILD_TESTS=OFF",
        "-DMLX_BUILD_EXAMPLES=OFF",
        "-DBUILD_SHARED_LIBS=ON",
    ];
    let project = Project {
        layout: &own,
        tools: &tools,
        options: &options,
        name: "no-cpu".into(),
        source: own.build_source(),
        folder: own.target().join("build-no-cpu"),
        listed: own.build_source(),
        args: switches
            .map(String::from)
            .into_iter()
            .chain(third.cmake_args.iter().cloned())
            .collect(),
        id: String::new(),
        against: Inputs::default().with("third-party sources", &*third.key),
        read: Inputs::default(),
        environment: Vec::new(),
        failure: Kind::Gate,
    };
    let held = project.hold(ui)?;
    held.configure(ui)?;
    let compiled = held.build(&["mlx"], ui)?;
    Ok(Outcome::ok(format!(
        "libmlx, {} sources compiled",
        compiled.len()
    )))
}

/// The same sources as the fork has them: as an extension of the macOS wheel, without a Mac.
fn macos(layout: &Layout, config: &Config, ui: &dyn Ui) -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::not_checked(
            "on a Mac, `cargo xtask setup-mlx` builds it",
        ));
    }
    let setting = Setting::prepare(layout, config, Options::default(), ui)?;
    let report = setting.quick(ui)?;
    let failed = report.checks.iter().filter(|check| !check.passed);
    let findings = failed.map(|check| Finding {
        place: check.name.clone(),
        what: check.note.clone(),
    });
    Ok(Outcome::of(
        findings.collect(),
        format!(
            "{} checks of `check-macos --quick`, of the sources as the fork has them",
            report.checks.len()
        ),
        "`cargo xtask check-macos --quick` shows it",
    ))
}
