//! Upstream's formatters, run in place over files of a tree that stands on disk. They come
//! from PyPI into the tool's own environment, in the versions that upstream names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::build::python;
use crate::build::system::System;
use crate::build::venv::{self, Venv};
use crate::error::{Doing, Error, Result, reading};
use crate::layout::Layout;
use crate::process::Command;
use crate::ui::Ui;

use super::rules::Hook;

/// The formatters, and where they run.
#[derive(Debug)]
pub struct Formatters {
    /// Upstream's hooks.
    pub hooks: Vec<Hook>,
    venv: Option<Venv>,
    folder: PathBuf,
}

impl Formatters {
    /// For a tree of upstream's that stands in `folder`.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`] where there is no Python, or PyPI doesn't bring them.
    pub fn prepare(layout: &Layout, hooks: Vec<Hook>, folder: &Path, ui: &dyn Ui) -> Result<Self> {
        let requirements: Vec<String> = hooks.iter().filter_map(Hook::requirement).collect();
        let venv = match requirements.is_empty() {
            true => None,
            false => Some(environment(layout, &requirements, ui)?),
        };
        Ok(Formatters {
            hooks,
            venv,
            folder: folder.to_path_buf(),
        })
    }

    /// Formats those of `files` that the hook takes. Where lines are given, clang-format
    /// changes only those: upstream's own text stays as it is.
    pub fn run(&self, hook: &Hook, files: &BTreeMap<String, Option<Vec<usize>>>) -> Result<()> {
        let taken = || files.iter().filter(|(path, _)| hook.takes(path));
        let whole: Vec<&String> = taken()
            .filter(|(_, l)| l.is_none())
            .map(|(p, _)| p)
            .collect();
        if !whole.is_empty() {
            self.command(hook)?.args(&whole).run()?;
        }
        for (path, lines) in taken() {
            match (lines, hook.id.as_str()) {
                (Some(lines), "clang-format") if !lines.is_empty() => {
                    let ranges = ranges(lines);
                    let ranges = ranges.iter().map(|(a, b)| format!("--lines={a}:{b}"));
                    self.command(hook)?.args(ranges).arg(path).run()?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The folder that they run in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn command(&self, hook: &Hook) -> Result<Command> {
        let venv = self.venv.as_ref();
        let program = venv
            .map(|venv| venv.program(&hook.id))
            .ok_or_else(|| Error::bug(format!("{} was not brought", hook.id)))?;
        let command = Command::new(program).current_dir(&self.folder);
        let command = match hook.id.as_str() {
            "clang-format" | "cmake-format" => command.arg("-i"),
            _ => command.arg("--quiet"),
        };
        // A person's own settings must have no say.
        Ok(command
            .args(&hook.args)
            .env_remove("BLACK_CACHE_DIR")
            .env_remove("PYTHONPATH"))
    }

    /// Formats a copy of each file with the hook; the lines, from 1, where the first one of
    /// each file differs.
    pub fn misformatted(&self, hook: &Hook, files: &[String]) -> Result<BTreeMap<String, usize>> {
        let taken: Vec<&String> = files.iter().filter(|path| hook.takes(path)).collect();
        let read = |path: &String| {
            let path = self.folder.join(path);
            std::fs::read_to_string(&path).doing(reading(&path))
        };
        let mut before = Vec::new();
        for path in &taken {
            before.push(read(path)?);
        }
        let all = taken.iter().map(|path| (path.to_string(), None)).collect();
        self.run(hook, &all)?;
        let mut found = BTreeMap::new();
        for (path, before) in taken.iter().zip(before) {
            let after = read(path)?;
            if after != before {
                found.insert(path.to_string(), first_difference(&before, &after));
                let place = self.folder.join(path);
                std::fs::write(&place, before).doing(crate::error::writing(&place))?;
            }
        }
        Ok(found)
    }
}

fn environment(layout: &Layout, requirements: &[String], ui: &dyn Ui) -> Result<Venv> {
    let system = System::detect();
    let python = python::find(&system, false).map_err(|unfit| {
        let error = Error::environment(unfit.why).doing("getting upstream's formatters");
        match system.mend_line(&unfit.needs) {
            Some(line) => error.hint(line),
            None => error,
        }
    })?;
    venv::ensure(layout, &python, requirements, ui)
}

fn first_difference(a: &str, b: &str) -> usize {
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b);
    same.count() + 1
}

/// `1, 2, 3, 7` as `(1, 3), (7, 7)`.
fn ranges(lines: &[usize]) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == *line => *end = *line,
            _ => ranges.push((*line, *line)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_follow_one_another_are_one_range() {
        assert_eq!(ranges(&[1, 2, 3, 7]), [(1, 3), (7, 7)]);
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(first_difference("a\nb\nc\n", "a\nx\nc\n"), 2);
        assert_eq!(first_difference("a\n", "a\nb\n"), 2);
    }
}
