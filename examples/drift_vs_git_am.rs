//! How long `cargo xtask drift` takes over a range of MLX's commits, beside a loop of
//! `git reset --hard` and `git am` over the same commits, in one run on one machine.
//!
//! `cargo run --example drift_vs_git_am -- CLONE OLDER..NEWER`, after `cargo build`. A program,
//! not a test: it prints what it measured and judges nothing. git works in a clone of its own
//! that borrows the objects of CLONE; it gets the patches alone, drift has the overlay too.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [clone, range] = arguments.as_slice() else {
        panic!("usage: drift_vs_git_am CLONE OLDER..NEWER");
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let exe = std::env::current_exe().expect("this program has a path");
    let xtask = exe.ancestors().nth(2).expect("target/debug").join("xtask");

    let mut times = Vec::new();
    let mut fits = 0;
    for _ in 0..5 {
        let start = Instant::now();
        let output = Command::new(&xtask)
            .args(["drift", range, "--history", clone, "--json"])
            .current_dir(root)
            .output()
            .expect("target/debug/xtask starts; `cargo build` makes it");
        times.push(start.elapsed());
        assert!(output.status.success(), "{output:?}");
        fits = fitting(&output.stdout);
    }
    times.sort();
    let drift = times[times.len() / 2];

    let (am, commits, applied) = git_am(root, Path::new(clone), range);
    let seconds = |time: Duration| time.as_secs_f64();
    println!("{commits} commits of {range}");
    println!(
        "xtask drift:           {:8.3} s (median of {}), the series fits {fits} of them",
        seconds(drift),
        times.len()
    );
    println!(
        "git reset and git am:  {:8.3} s, which applies it to {applied} of them",
        seconds(am)
    );
    println!("ratio: {:.0}", seconds(am) / seconds(drift));
}

/// On how many commits no patch is broken.
fn fitting(json: &[u8]) -> usize {
    let report: serde_json::Value = serde_json::from_slice(json).expect("drift prints JSON");
    let columns: Vec<&Vec<serde_json::Value>> = report["patches"]
        .as_array()
        .expect("patches")
        .iter()
        .map(|patch| patch["states"].as_array().expect("states"))
        .collect();
    let broken = |state: &serde_json::Value| state == "conflicts" || state == "lost";
    let commits = report["commits"].as_array().expect("commits").len();
    (0..commits)
        .filter(|at| columns.iter().all(|column| !broken(&column[*at])))
        .count()
}

/// The time of the loop, how many commits it went through, and on how many all patches applied.
fn git_am(root: &Path, clone: &Path, range: &str) -> (Duration, usize, usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tree = folder.path().join("tree");
    let shared = ["clone", "-q", "--shared", "--no-checkout"];
    let to = [clone.as_os_str(), tree.as_os_str()];
    let made = git(folder.path()).args(shared).args(to).output();
    check(&made.expect("git starts"));
    let listed = git(clone)
        .args(["rev-list", "--first-parent", "--reverse", range])
        .output()
        .expect("git starts");
    check(&listed);
    let listed = String::from_utf8(listed.stdout).expect("ids");
    let mut patches: Vec<PathBuf> = std::fs::read_dir(root.join("patches"))
        .expect("patches/")
        .map(|item| item.expect("patches/").path())
        .filter(|path| path.extension().is_some_and(|e| e == "patch"))
        .collect();
    patches.sort();

    // The first one fills the work tree, which belongs to no one's time.
    let mut ids = listed.lines();
    let first = ids.clone().next().expect("a commit in the range");
    check(&reset(&tree, first));
    let (mut commits, mut applied) = (0, 0);
    let start = Instant::now();
    for id in ids.by_ref() {
        check(&reset(&tree, id));
        let am = git(&tree)
            .args(["am", "-q"])
            .args(&patches)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("git starts");
        if am.success() {
            applied += 1;
        } else {
            check(
                &git(&tree)
                    .args(["am", "--abort"])
                    .output()
                    .expect("git starts"),
            );
        }
        commits += 1;
    }
    (start.elapsed(), commits, applied)
}

fn reset(tree: &Path, id: &str) -> Output {
    let reset = git(tree).args(["reset", "-q", "--hard", id]).output();
    reset.expect("git starts")
}

fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"]);
    git
}

fn check(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}
