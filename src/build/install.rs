//! Installs what the system lacks with its own package manager: the commands that doctor
//! names, shown before they are run, and nothing else.

use std::collections::BTreeSet;

use super::doctor::{self, Report};
use super::options::Options;
use super::system::{Mend, System};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::process::{self, Command};
use crate::ui::Ui;

/// The commands that mend everything that a report lacks, in order.
pub fn plan(system: &System, report: &Report) -> Vec<Mend> {
    system.mend(&report.needs())
}

/// Examines, installs what is lacking, and examines again.
///
/// # Errors
/// [`crate::Kind::Environment`]: a command failed, or something needed is still lacking after
/// all of them.
pub fn run(layout: &Layout, options: &Options, ui: &dyn Ui) -> Result<Report> {
    let mut system = System::detect();
    let mut report = doctor::examine_on(&system, layout, options, ui)?;
    // What hides behind a lack shows when that is mended: no compiler, no compiled checks.
    let mut tried = BTreeSet::new();
    loop {
        let needs = report.needs();
        if needs.iter().all(|need| tried.contains(need)) {
            break;
        }
        for mend in plan(&system, &report) {
            carry_out(&system, layout, &mend, ui)?;
        }
        tried.extend(needs);
        system = System::detect();
        report = doctor::examine_on(&system, layout, options, ui)?;
    }
    match report.fit {
        true => Ok(report),
        false => Err(still_lacking(&report)),
    }
}

fn carry_out(system: &System, layout: &Layout, mend: &Mend, ui: &dyn Ui) -> Result<()> {
    match start(layout, mend, ui) {
        // Old package lists name files that the archive no longer has.
        Err(error) => match system.refresh() {
            Some(refresh) if mend.argv.iter().any(|word| word == "install") => {
                ui.note(&format!("failed; with fresh package lists: {refresh}"));
                start(layout, &refresh, ui)?;
                start(layout, mend, ui)
            }
            _ => Err(error),
        },
        done => done,
    }
}

fn start(layout: &Layout, mend: &Mend, ui: &dyn Ui) -> Result<()> {
    ui.step("installing");
    ui.note(&format!("$ {mend}"));
    let (program, args) = mend
        .argv
        .split_first()
        .ok_or_else(|| Error::bug("an empty command to mend something"))?;
    let log = layout.logs().join("install.log");
    let command = Command::new(program).args(args).log(&log);
    let shown = command.display();
    let mut lines = 0;
    let output = command.lines(|_, line| {
        lines += 1;
        ui.progress(lines, 0, line);
    })?;
    process::check(&shown, &output, Some(&log)).map_err(|e| e.doing("installing what is lacking"))
}

fn still_lacking(report: &Report) -> Error {
    let lines: Vec<String> = report
        .rows
        .iter()
        .filter(|row| row.fitness == doctor::Fitness::Lacking)
        .map(|row| format!("\n    {}: {}", row.what, row.note))
        .collect();
    Error::environment(format!("still lacking:{}", lines.concat()))
        .doing("installing what is lacking")
        .hint("`cargo xtask doctor` shows each of them")
}
