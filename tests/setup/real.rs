//! `setup-mlx` on MLX itself, in a copy of this project: minutes each, so `cargo xtask test
//! --full` runs them. They need what a first setup needs: the tools, the sources on the system,
//! and cargo's registry for the crate that carries the pins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::git_upstream::git;
use crate::machine::xtask;
use crate::project::{Contents, NONE, Ran, contents, differing, done, fork_id};

/// A copy of this project's sources, with nothing that was made of them.
struct Copy {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Copy {
    fn new() -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Under target/, where there is room for builds: the system's folder may be in memory.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let root = dir.path().canonicalize().unwrap().join("project");
        let args = [
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ];
        for name in git(project, &args)
            .split('\0')
            .filter(|name| !name.is_empty())
        {
            let (from, to) = (project.join(name), root.join(name));
            // Deleted, and not yet committed.
            if from.is_file() {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(from, to).unwrap();
            }
        }
        assert!(root.join("fork.toml").is_file());
        Copy { _dir: dir, root }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(xtask());
        for variable in ["MLX_REF", "MLX_REPO_URL", "MLX_FORK_TARGET"] {
            command.env_remove(variable);
        }
        command
            .env("MLX_FORK_ROOT", &self.root)
            .stdin(Stdio::null());
        command
            .args(["setup-mlx", "--json", "--source", "crate"])
            .args(args);
        command
    }

    /// Runs `setup-mlx` to its end; its summary.
    fn setup(&self, args: &[&str]) -> Value {
        let begun = Instant::now();
        let summary = Ran::of(&mut self.command(args)).succeeded();
        println!(
            "setup-mlx {}: {:.1} s",
            args.join(" "),
            begun.elapsed().as_secs_f64()
        );
        for step in summary["steps"].as_array().unwrap() {
            println!(
                "  {}: {:.1} s",
                step["name"],
                step["seconds"].as_f64().unwrap()
            );
        }
        summary
    }

    fn target(&self, path: &str) -> PathBuf {
        self.root.join("target/mlx").join(path)
    }

    fn prefixes(&self) -> Contents {
        contents(&[self.target("stock"), self.target("fork")])
    }

    /// The names of our primitives that this build's Python has.
    fn python_has(&self, side: &[&str]) -> String {
        let script = "import mlx.core as mx; print(sorted(n for n in dir(mx) if 'qmm_' in n))";
        let mut command = Command::new(xtask());
        command.env("MLX_FORK_ROOT", &self.root).arg("python");
        let ran = Ran::of(command.args(side).args(["-c", script]));
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.out
    }
}

/// Probes and parity cases: all hold, and there were some.
fn all_hold(summary: &Value) {
    for (what, least) in [("probes", 5), ("parity", 5)] {
        let count = |at: usize| summary[what][at].as_u64().unwrap();
        println!("  {what}: {} of {}", count(0), count(1));
        assert_eq!(count(0), count(1), "{what}");
        assert!(count(1) >= least, "only {} {what}", count(1));
    }
}

fn features(summary: &Value) -> Vec<&str> {
    let features = summary["features"].as_array().unwrap();
    features
        .iter()
        .map(|feature| feature[0].as_str().unwrap())
        .collect()
}

#[test]
#[ignore = "builds MLX twice"]
fn the_other_pin_builds_and_passes() {
    let copy = Copy::new();
    let summary = copy.setup(&["--pin", "main-2026-06-20"]);
    assert_eq!(summary["pin"], "main-2026-06-20");
    assert_eq!(
        summary["commit"],
        "5abdd04bccdf2b2d78f8923397f57e6c3ab69d15"
    );
    assert_eq!(summary["ported"], true);
    assert!(summary["mirror"].as_str().unwrap().starts_with("crate "));
    all_hold(&summary);
    let stock = copy.python_has(&["--stock"]);
    let fork = copy.python_has(&[]);
    for name in ["gather_qmm_swiglu", "gather_qmm_downproj_combine"] {
        assert!(
            fork.contains(name) && !stock.contains(name),
            "{fork} {stock}"
        );
    }
    assert_eq!(done(&copy.setup(&["--pin", "main-2026-06-20"])), NONE);
}

/// Its seconds are printed, not judged: the name's minute is of a machine that does nothing else.
#[test]
#[ignore = "needs PyPI's wheel of MLX"]
fn the_extension_is_built_on_the_wheel_in_under_a_minute_of_two_cores() {
    let copy = Copy::new();
    let args = ["--mode", "extension", "--jobs", "2"];
    let summary = copy.setup(&args);
    let builds = summary["builds"].as_array().unwrap();
    assert_eq!(builds.len(), 1);
    assert_eq!(builds[0]["side"], "extension");
    assert!(builds[0]["ours"].as_u64().unwrap() > 0);
    // nanobind's own; of MLX nothing.
    println!("  others' sources: {}", builds[0]["upstream"]);
    assert!(!copy.target("build").exists(), "MLX was built");
    all_hold(&summary);
    assert_eq!(done(&copy.setup(&args)), NONE);
}

#[test]
#[ignore = "builds MLX"]
fn the_first_feature_alone_builds_and_passes() {
    let copy = Copy::new();
    let args = ["--features", "gather_qmm_swiglu"];
    let summary = copy.setup(&args);
    assert_eq!(features(&summary), ["fused", "gather_qmm_swiglu"]);
    all_hold(&summary);
    let fork = copy.python_has(&[]);
    assert!(fork.contains("gather_qmm_swiglu"), "{fork}");
    assert!(!fork.contains("gather_qmm_downproj_combine"), "{fork}");
    assert_eq!(done(&copy.setup(&args)), NONE);
}

#[test]
#[ignore = "builds MLX twice"]
fn a_kill_during_the_real_build_converges() {
    let copy = Copy::new();
    let args = ["--no-python", "--until", "build"];
    let log = copy.target("build/.ninja_log");
    // Entries after the log's first line, of any of the runs.
    let built = || fs::read_to_string(&log).map_or(0, |text| text.lines().count());
    for more in [5, 20] {
        let before = built();
        let mut command = copy.command(&args);
        let mut run = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while built() < before + more {
            assert!(
                run.try_wait().unwrap().is_none(),
                "the run ended before its kill"
            );
            assert!(begun.elapsed() < Duration::from_secs(1800));
            std::thread::sleep(Duration::from_millis(20));
        }
        run.kill().unwrap();
        run.wait().unwrap();
        println!("killed with {} outputs built", built());
    }
    let summary = copy.setup(&args);
    let (id, made) = (fork_id(&summary), copy.prefixes());
    let local = copy.root.join("mlx_local");
    assert_eq!(git(&local, &["status", "--porcelain"]), "");
    assert_eq!(git(&local, &["rev-parse", "HEAD"]), id);
    git(&local, &["fsck", "--full", "--strict"]);
    assert_eq!(done(&copy.setup(&args)), NONE);
    // As an undisturbed run makes it, in the same place.
    for made in ["build", "stock", "fork", "src", "stamps"] {
        fs::remove_dir_all(copy.target(made)).unwrap();
    }
    assert_eq!(fork_id(&copy.setup(&args)), id);
    assert_eq!(differing(&copy.prefixes(), &made), NONE);
}
