//! The record of a setup on a Mac: which machine, which sources, what probe and parity found
//! there, and by which commands. One file of JSON that can be attached to an issue or a pull
//! request: what no other machine can tell. Written for a run that failed, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::build::files::{self, files_below};
use crate::device::Device;
use crate::error::{Doing, Error, Result, reading};
use crate::layout::Layout;
use crate::macos::Machine;
use crate::process::Command;

use super::Summary;

/// The form of the record; a reader must know it.
const FORMAT: u32 = 2;

/// The record.
#[derive(Debug, Serialize)]
pub struct Evidence<'a> {
    /// The form of this record.
    format: u32,
    /// When it was written, in seconds since 1970.
    written: u64,
    /// The project's own commit.
    tool: Tool,
    /// The Mac, and what it compiles with.
    machine: &'a Machine,
    /// What the setup came to: pin, fork id, features, builds, steps with their seconds.
    setup: &'a Summary,
    /// What ended the setup, where something did.
    failure: Option<Failure>,
    /// What probe and parity computed on.
    device: Device,
    /// What probe found, as `cargo xtask probe --json` prints it; null where it did not run.
    probe: Value,
    /// What parity found, as `cargo xtask parity --json` prints it; null where it did not run.
    parity: Value,
    /// The libraries that were built: size in bytes and SHA-256, by their paths.
    libraries: BTreeMap<String, Made>,
    /// The command line of this run.
    run: String,
    /// The command lines that built them, by the names of their logs.
    commands: BTreeMap<String, Ran>,
}

/// The project as it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// Its commit; empty outside of a clone.
    pub commit: String,
    /// Files that differ from that commit.
    pub changed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Failure {
    exit_code: u8,
    what: String,
}

#[derive(Debug, Serialize)]
struct Ran {
    command: String,
    /// When it last wrote, in seconds since 1970: before this run, where the step was up to date.
    written: u64,
}

#[derive(Debug, Serialize)]
struct Made {
    size: u64,
    sha256: String,
}

/// Writes the record of a setup that was begun at `since` and came to `summary`, and to
/// `failure` where it failed. Gives the file.
pub fn write(
    layout: &Layout,
    machine: &Machine,
    summary: &Summary,
    failure: Option<&Error>,
    since: SystemTime,
) -> Result<PathBuf> {
    let doing = || "writing the record of this setup".into();
    let written = seconds(SystemTime::now());
    let words: Vec<String> = std::env::args()
        .map(|word| crate::process::quote(&word))
        .collect();
    let evidence = Evidence {
        format: FORMAT,
        written,
        tool: Tool::of(layout),
        machine,
        setup: summary,
        failure: failure.map(|error| Failure {
            exit_code: error.kind().exit_code(),
            what: error.to_string(),
        }),
        device: Device::default(),
        probe: report(layout, "probe", summary.probes.is_some(), since),
        parity: report(layout, "parity", summary.parity.is_some(), since),
        libraries: libraries(layout, summary).doing(doing)?,
        run: words.join(" "),
        commands: commands(layout, summary).doing(doing)?,
    };
    let text = serde_json::to_string_pretty(&evidence)
        .map_err(|e| Error::bug(e.to_string()).doing(doing()))?;
    let home = std::env::var("HOME").unwrap_or_default();
    let fork = summary.fork_id.as_deref().unwrap_or("no-fork");
    let name = format!("mac-{}-{written}.json", &fork[..fork.len().min(12)]);
    let path = layout.evidence().join(name);
    files::replace(&path, &impersonal(&text, layout.root(), &home)).doing(doing)?;
    Ok(path)
}

impl Tool {
    /// The project of this layout, as git knows it.
    fn of(layout: &Layout) -> Self {
        let git = |args: &[&str]| {
            let command = Command::new("git").arg("-C").arg(layout.root()).args(args);
            command.run().map(|output| output.stdout)
        };
        let commit = git(&["rev-parse", "HEAD"]).unwrap_or_default();
        let status = git(&["status", "--porcelain", "--untracked-files=all"]);
        let status = status.unwrap_or_default();
        Tool {
            commit: commit.trim().into(),
            changed: status.lines().map(|line| line.trim().into()).collect(),
        }
    }
}

/// The report that this setup kept, or one before it for the same builds; where its step was
/// not reached, what lies there is of other builds.
fn report(layout: &Layout, name: &str, holds: bool, since: SystemTime) -> Value {
    let path = layout.reports().join(format!("{name}.json"));
    let written = path.metadata().and_then(|metadata| metadata.modified());
    if !holds && written.is_ok_and(|written| written < since) {
        return Value::Null;
    }
    let text = std::fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or(Value::Null)
}

fn libraries(layout: &Layout, summary: &Summary) -> Result<BTreeMap<String, Made>> {
    let mut made = BTreeMap::new();
    for build in &summary.builds {
        let folders = ["lib", "python"].map(|folder| build.prefix.join(folder));
        let mut files = Vec::new();
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            files.extend(files_below(folder)?);
        }
        for path in files {
            let ending = path.extension().unwrap_or_default();
            if path.is_symlink() || !["dylib", "metallib", "so"].iter().any(|e| ending == *e) {
                continue;
            }
            let bytes = std::fs::read(&path).doing(reading(&path))?;
            let name = path.strip_prefix(layout.target()).unwrap_or(&path);
            let library = Made {
                size: bytes.len() as u64,
                sha256: files::hex(&Sha256::digest(&bytes)),
            };
            made.insert(name.display().to_string(), library);
        }
    }
    Ok(made)
}

/// The first line of each log is the command that it is of. Only those of this setup's builds:
/// other commands keep their logs in the same folder.
fn commands(layout: &Layout, summary: &Summary) -> Result<BTreeMap<String, Ran>> {
    let mut commands = BTreeMap::new();
    let sides = summary.builds.iter().map(|build| build.side.name());
    for name in sides.flat_map(|side| [side.to_string(), format!("{side}-c")]) {
        for step in ["configure", "build", "install"] {
            let name = format!("{name}-{step}");
            let path = layout.logs().join(format!("{name}.log"));
            if !path.is_file() {
                continue;
            }
            let text = std::fs::read(&path).doing(reading(&path))?;
            let written = path.metadata().and_then(|metadata| metadata.modified());
            let written = seconds(written.doing(reading(&path))?);
            let text = String::from_utf8_lossy(&text);
            let command = text.lines().next().and_then(|line| line.strip_prefix("$ "));
            if let Some(command) = command.map(String::from) {
                commands.insert(name, Ran { command, written });
            }
        }
    }
    Ok(commands)
}

/// Since 1970.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The text without the folders that name a person: the project's is `.`, the home is `~`.
fn impersonal(text: &str, root: &Path, home: &str) -> String {
    let mut text = text.replace(&root.display().to_string(), ".");
    if home.len() > 1 {
        text = text.replace(home, "~");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::macos::machine::recorded;
    use crate::setup::{BuildReport, StepReport};
    use crate::side::Side;
    use std::time::Duration;

    /// A project after a setup on a Mac, as far as the record reads it.
    fn project() -> (tempfile::TempDir, Layout, Summary) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), dir.path().join("target/mlx"));
        let put = |path: &str, text: &str| {
            files::replace(&layout.target().join(path), text).unwrap();
        };
        put("fork/lib/libmlx.dylib", "code");
        put("fork/lib/mlx.metallib", "kernels");
        put("fork/lib/cmake/x.cmake", "");
        let root = dir.path().display();
        let configure = format!(
            "$ cmake -G Ninja -S {root}/target/mlx/src -B {root}/target/mlx/build \
             -DCMAKE_BUILD_TYPE=Release\n-- Building with macOS SDK version 26.0\n"
        );
        put("logs/fork-configure.log", &configure);
        put("logs/fork-build.log", "no command\n");
        put("logs/macos-quick-configure.log", "$ cmake -S elsewhere\n");
        put("fork/python/mlx/core.cpython-312-darwin.so", "module");
        put("reports/probe.json", r#"{"probes":7,"failed":0}"#);
        put("reports/parity.json", r#"{"passed":648,"failed":1}"#);
        let summary = Summary {
            pin: Some("v0.31.2".into()),
            commit: "68cf2fd".into(),
            mirror: "git".into(),
            passed_over: Vec::new(),
            unpinned: None,
            fork_id: Some("5285ddca9f2bec6b".into()),
            ported: false,
            features: vec![("fused".into(), "5285ddc".into())],
            third_party: Vec::new(),
            builds: vec![BuildReport {
                side: Side::Fork,
                prefix: layout.prefix("fork"),
                id: "5285ddca9f2bec6b".into(),
                ours: 24,
                upstream: 1,
            }],
            steps: vec![StepReport {
                name: "fork",
                seconds: 61.5,
                up_to_date: false,
            }],
            probes: Some((7, 7)),
            parity: None,
            evidence: None,
        };
        (dir, layout, summary)
    }

    fn read(path: &Path) -> Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn the_record_says_which_machine_built_what_by_which_commands_and_what_was_found() {
        let (_dir, layout, summary) = project();
        let machine = Machine::told(recorded::answer);
        let error = Error::gate("1 of 649 cases failed");
        let path = write(&layout, &machine, &summary, Some(&error), UNIX_EPOCH).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with("mac-5285ddca9f2b-"), "{name}");
        let record = read(&path);
        let at = |pointer: &str| {
            record
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{pointer}"))
        };
        assert_eq!(at("/format"), 2);
        assert_eq!(at("/machine/chip"), "Apple M4 Pro");
        assert_eq!(at("/machine/xcode_build"), "17A400");
        assert_eq!(at("/setup/pin"), "v0.31.2");
        assert_eq!(at("/setup/steps/0/seconds"), 61.5);
        assert_eq!(at("/failure/exit_code"), 4);
        assert_eq!(at("/probe/probes"), 7);
        assert_eq!(at("/parity/failed"), 1);
        assert_eq!(at("/libraries/fork~1lib~1mlx.metallib/size"), 7);
        let libraries = record["libraries"].as_object().unwrap();
        assert_eq!(libraries.len(), 3);
        let module = "fork/python/mlx/core.cpython-312-darwin.so";
        assert_eq!(libraries[module]["size"], 6);
        assert_eq!(
            at("/commands/fork-configure/command"),
            "cmake -G Ninja -S ./target/mlx/src -B ./target/mlx/build -DCMAKE_BUILD_TYPE=Release"
        );
        assert!(at("/commands/fork-configure/written").as_u64().unwrap() > 1_600_000_000);
        // What had no command, and what no build of this setup was made by.
        assert_eq!(record["commands"].as_object().unwrap().len(), 1);
        assert!(!at("/run").as_str().unwrap().is_empty());
    }

    #[test]
    fn a_report_of_earlier_builds_is_not_taken_for_one_of_these() {
        let (_dir, layout, summary) = project();
        let later = SystemTime::now() + Duration::from_secs(60);
        let path = write(&layout, &Machine::default(), &summary, None, later).unwrap();
        let record = read(&path);
        // Probe held for these builds, by this run or by one before; parity was not reached.
        assert_eq!(record["probe"]["probes"], 7);
        assert_eq!(record["parity"], Value::Null);
        assert_eq!(record["failure"], Value::Null);
    }

    #[test]
    fn a_persons_folders_are_not_in_it() {
        let text = impersonal(
            "/Users/jo/mlx-fork/x /Users/jo/y",
            Path::new("/Users/jo/mlx-fork"),
            "/Users/jo",
        );
        assert_eq!(text, "./x ~/y");
        assert_eq!(impersonal("/a/b", Path::new("/c"), ""), "/a/b");
    }
}
