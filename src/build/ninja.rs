//! Running ninja: its progress for a person, the objects that it compiled, and what a
//! killed run may have left. Not what is built, and not its configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::error::{Doing, Kind, Result, reading};
use crate::process::Command;
use crate::ui::Ui;

use super::diagnosis;
use super::environment::{Variables, with_variables};

/// A status line as `NINJA_STATUS` below makes it: finished, all, what is at hand.
pub fn status(line: &str) -> Option<(u64, u64, &str)> {
    let (counts, what) = line.strip_prefix('[')?.split_once("] ")?;
    let (done, total) = counts.split_once('/')?;
    Some((done.parse().ok()?, total.parse().ok()?, what))
}

/// One run.
#[derive(Debug)]
pub struct Run<'a> {
    /// The program.
    pub ninja: &'a Path,
    /// Where build.ninja is.
    pub folder: &'a Path,
    /// What to build.
    pub targets: &'a [&'a str],
    /// How many commands at once.
    pub jobs: usize,
    /// Everything that it prints.
    pub log: PathBuf,
    /// What a failure means that is not the machine's fault.
    pub failure: Kind,
    /// Variables that it and what it runs get, beside those of this process.
    pub environment: &'a Variables,
}

impl Run<'_> {
    /// Builds; gives the sources of the objects that were compiled, by their paths in the
    /// source tree.
    pub fn build(self, ui: &dyn Ui) -> Result<BTreeSet<String>> {
        let mut compiled = BTreeSet::new();
        let command = with_variables(Command::new(self.ninja), self.environment)
            .arg("-C")
            .arg(self.folder)
            .args(["-j", &self.jobs.to_string()])
            .args(self.targets)
            .env("NINJA_STATUS", "[%f/%t] ")
            .env("TERM", "xterm")
            .terminal()
            .log(&self.log);
        let shown = command.display();
        let output = command.lines(|_, line| {
            let Some((done, total, what)) = status(line) else {
                return;
            };
            let source = compiled_source(what);
            ui.progress(done, total, source.as_deref().unwrap_or(what));
            compiled.extend(source);
        })?;
        if output.success() {
            return Ok(compiled);
        }
        let printed = format!("{}{}", output.stdout, output.stderr);
        Err(
            diagnosis::failure(&printed, &output.ending(), self.failure, self.folder)
                .doing(format!("running `{shown}`"))
                .hint(format!("the full log is {}", self.log.display())),
        )
    }
}

/// `Building CXX object python/src/CMakeFiles/core.dir/__/x.cpp.o` is `python/x.cpp`: cmake
/// names an object after its source, below the folder of the target that it belongs to.
fn compiled_source(what: &str) -> Option<String> {
    let (_, object) = what.strip_prefix("Building ")?.split_once(" object ")?;
    let (folder, rest) = match object.split_once("CMakeFiles/") {
        Some((folder, rest)) => (folder, rest.split_once('/')?.1),
        None => ("", object),
    };
    let source = rest
        .strip_suffix(".o")
        .unwrap_or(rest)
        .replace("__/", "../");
    let mut path = PathBuf::new();
    for part in Path::new(folder).join(source).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    Some(path.to_string_lossy().into_owned())
}

/// Removes outputs that a run begun at `since` wrote and did not finish.
///
/// Ninja takes an output for whole when its log has the same command and no input is newer
/// than that entry. An output that was deleted, was being made again and was cut short by a
/// kill looks just so; only that its own entry is older than the run gives it away.
pub fn remove_unfinished(folder: &Path, since: std::time::SystemTime) -> Result<usize> {
    let log = folder.join(".ninja_log");
    let text = match std::fs::read_to_string(&log) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(e).doing(reading(&log)),
    };
    let mut last = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if let [_, _, written, output, _] = fields[..]
            && let Ok(written) = written.parse::<u64>()
        {
            last.insert(output, UNIX_EPOCH + Duration::from_nanos(written));
        }
    }
    let mut removed = 0;
    for (output, logged) in last {
        let path = folder.join(output);
        let written = path.symlink_metadata().and_then(|m| m.modified());
        if logged < since && written.is_ok_and(|written| written >= since) {
            std::fs::remove_file(&path).doing(|| format!("removing {}", path.display()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_status_line_is_told_from_other_lines() {
        assert_eq!(status("[3/83] Linking x"), Some((3, 83, "Linking x")));
        for line in ["", "[x] y", "[1/2]", "FAILED: a", "[[maybe_unused]] int x"] {
            assert_eq!(status(line), None, "{line}");
        }
    }

    #[test]
    fn an_object_names_its_source() {
        for (what, source) in [
            (
                "Building CXX object CMakeFiles/mlx.dir/mlx/fused/path.cpp.o",
                Some("mlx/fused/path.cpp"),
            ),
            (
                "Building CXX object mlx/CMakeFiles/mlx_version.dir/version.cpp.o",
                Some("mlx/version.cpp"),
            ),
            (
                "Building C object python/src/CMakeFiles/core.dir/__/__/mlx/x.c.o",
                Some("mlx/x.c"),
            ),
            ("Linking CXX shared library libmlx.so", None),
        ] {
            assert_eq!(compiled_source(what).as_deref(), source, "{what}");
        }
    }

    #[test]
    fn only_outputs_that_the_killed_run_did_not_log_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["logged.o", "cut.o", "old.o", "unknown.o"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let now = SystemTime::now();
        let since = now - Duration::from_secs(10);
        let nanos = |t: SystemTime| t.duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let (new, old) = (nanos(now), nanos(now - Duration::from_secs(100)));
        let log = format!(
            "# ninja log v7\n1\t2\t{old}\tlogged.o\tff\n1\t2\t{new}\tlogged.o\tff\n1\t2\t{old}\tcut.o\tff\n1\t2\t{old}\told.o\tff\n"
        );
        std::fs::write(dir.path().join(".ninja_log"), log).unwrap();
        let file = std::fs::File::open(dir.path().join("old.o")).unwrap();
        file.set_modified(now - Duration::from_secs(90)).unwrap();
        assert_eq!(remove_unfinished(dir.path(), since).unwrap(), 1);
        assert!(!dir.path().join("cut.o").exists());
        assert!(dir.path().join("logged.o").exists() && dir.path().join("old.o").exists());
    }
}
