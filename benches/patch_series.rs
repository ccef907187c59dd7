//! A series of 300 patches over a tree of 20,000 files: what a status has to do, and applying
//! it, beside `git am`, StGit and quilt, all in one run on the same patches.
//!
//! `cargo bench --bench patch_series`. A program, not a test: it prints what it measured and
//! judges nothing. What isn't installed is said and left out.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use mlx_fork::git::draft::File;
use mlx_fork::git::survey::{self, Survey};
use mlx_fork::git::{Oid, checkout, diff, stack};
use mlx_fork::layout::Layout;
use mlx_fork::series::header::Header;
use mlx_fork::series::{self, export};

const FILES: usize = 20_000;
const PATCHES: usize = 300;
/// Files that many patches share, as they share a list of sources or an enumeration.
const SHARED: usize = 10;
const RUNS: usize = 5;
const RUNS_OF_OTHERS: usize = 3;

fn main() {
    let dir = tempfile::tempdir().expect("a folder for scratch");
    let root = dir.path().join("project");
    let layout = Layout::at(&root, root.join("target/mlx"));
    let pin = make(&layout);
    println!("{PATCHES} patches, 2 files each, over {FILES} files; medians\n");
    ours(&layout, pin);
    let copy = dir.path().join("copy");
    git(
        dir.path(),
        &[
            "clone",
            "--quiet",
            &layout.mlx_local().display().to_string(),
            "copy",
        ],
    );
    git(
        &copy,
        &["checkout", "--quiet", "-B", "work", &pin.to_string()],
    );
    others(&layout, &copy, &pin.to_string());
}

fn path_of(file: usize) -> String {
    format!(
        "d{:02}/s{:02}/f{:02}.cpp",
        file / 500,
        file / 20 % 25,
        file % 20
    )
}

fn content_of(file: usize) -> String {
    let lines = if file < SHARED { 200 } else { 40 };
    (0..lines)
        .map(|line| format!("line {line} of file {file}, long enough for code\n"))
        .collect()
}

/// The project: its tree as one pack, as a clone has it, and its patches.
fn make(layout: &Layout) -> Oid {
    fs::create_dir_all(layout.patches()).unwrap();
    let local = layout.mlx_local();
    fs::create_dir_all(&local).unwrap();
    git(&local, &["init", "--quiet", "--initial-branch=fork"]);
    let mut import = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(&local)
        .stdin(Stdio::piped())
        .spawn()
        .expect("git starts");
    let mut out = std::io::BufWriter::new(import.stdin.take().unwrap());
    writeln!(out, "commit refs/mlx-fork/pins/base").unwrap();
    writeln!(
        out,
        "committer Up <up@stream> 1700000000 +0000\ndata 9\nupstream\n"
    )
    .unwrap();
    for file in 0..FILES {
        let text = content_of(file);
        writeln!(
            out,
            "M 100644 inline {}\ndata {}\n{text}",
            path_of(file),
            text.len()
        )
        .unwrap();
    }
    drop(out);
    assert!(import.wait().unwrap().success());
    patches(layout, 0);
    let repo = survey::open(layout).unwrap();
    repo.refname_to_id("refs/mlx-fork/pins/base").unwrap()
}

/// Writes the series; no two rounds have a blob or a tree of the fork in common.
fn patches(layout: &Layout, round: usize) {
    let mut files: BTreeMap<usize, String> = BTreeMap::new();
    let mut manifest = String::from("base = \"base\"\n");
    for number in 0..PATCHES {
        let shared = number % SHARED;
        let changes = [
            (shared, 6 * (number / SHARED) + 3),
            (SHARED + number * 61 % 19_000, 20),
        ];
        let mut diffs = BTreeMap::new();
        for (file, line) in changes {
            let before = files
                .get(&file)
                .cloned()
                .unwrap_or_else(|| content_of(file));
            let old = format!("line {line} of file {file}, long enough for code\n");
            let after = before.replacen(&old, &format!("{old}hook {number} {round}\n"), 1);
            assert_ne!(before, after);
            let sides = [&before, &after].map(|text| File {
                content: text.clone().into_bytes(),
                executable: false,
            });
            let path = path_of(file);
            let text = diff::unified(&path, Some(&sides[0]), Some(&sides[1])).unwrap();
            diffs.insert(path, text);
            files.insert(file, after);
        }
        let name = format!("{number:04}-hook.patch");
        let diffs: Vec<Vec<u8>> = diffs.into_values().collect();
        let patch = export::patch(&name, &header(number), &diffs).unwrap();
        fs::write(layout.patches().join(&name), patch.bytes).unwrap();
        manifest.push_str(&format!(
            "[[feature]]\nname = \"f{number}\"\npatch = \"{name}\"\n"
        ));
    }
    fs::write(layout.patches().join("series.toml"), manifest).unwrap();
}

fn header(number: usize) -> Header {
    let text = format!(
        "From {} Mon Sep 17 00:00:00 2001\nFrom: A Person <a@person>\n\
         Date: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH] Hook {number}\n\n\
         What it is for.\n\nUpstream-Status: not-sent\nFeature: f{number}\n",
        "0".repeat(40)
    );
    Header::parse(&text).unwrap()
}

fn ours(layout: &Layout, pin: Oid) {
    let repo = survey::open(layout).unwrap();
    let show = |fork| checkout::fork(layout, &fork).map(drop).unwrap();
    let nothing = || {
        let series = series::load(layout).unwrap().select(&[]).unwrap();
        series::compose(layout, &series, &pin.to_string()).unwrap()
    };
    show(nothing());
    let mut apply = Times::default();
    for round in 0..RUNS {
        patches(layout, round);
        let begun = start();
        let series = apply.part("reading the series", || series::load(layout).unwrap());
        let fork = apply.part("applying it, writing its commits", || {
            series::compose(layout, &series, &pin.to_string()).unwrap()
        });
        apply.part("showing it in mlx_local", || show(fork));
        apply.add("apply", begun);
        let begun = start();
        show(nothing());
        apply.add("(taking it all off again)", begun);
    }
    show(series::compose(layout, &series::load(layout).unwrap(), &pin.to_string()).unwrap());
    apply.print();
    let mut status = Times::default();
    for _ in 0..RUNS {
        let begun = start();
        let series = status.part("reading the series", || series::load(layout).unwrap());
        let (_, misfits) = status.part("applying it in memory", || {
            stack::exactly(&repo, &series, pin).unwrap()
        });
        assert!(misfits.is_empty());
        let seen = status.part("looking at mlx_local", || {
            Survey::take(layout, &repo, None).unwrap()
        });
        assert!(seen.edits.is_empty());
        status.add("status", begun);
        let begun = start();
        git(&layout.mlx_local(), &["status", "--porcelain"]);
        status.add("(git status)", begun);
    }
    status.print();
}

fn others(layout: &Layout, copy: &Path, pin: &str) {
    let names = (0..PATCHES).map(|number| format!("{number:04}-hook.patch"));
    let patches: Vec<String> = names
        .map(|name| layout.patches().join(name).display().to_string())
        .collect();
    let with = |args: &[&str]| -> Vec<String> {
        args.iter()
            .map(ToString::to_string)
            .chain(patches.iter().cloned())
            .collect()
    };
    let mut times = Times::default();
    for _ in 0..RUNS_OF_OTHERS {
        let am = with(&["am", "--quiet"]);
        times.part("git am", || run(copy, "git", &am));
        run(
            copy,
            "git",
            &["reset", "--quiet", "--hard", pin].map(String::from),
        );
    }
    if is_there("stg") {
        let series = copy.join("series.mbox");
        let mails: Vec<u8> = patches.iter().flat_map(|p| fs::read(p).unwrap()).collect();
        fs::write(&series, mails).unwrap();
        let import = ["import", "--mbox", "series.mbox"].map(String::from);
        for round in 0..RUNS_OF_OTHERS {
            git(
                copy,
                &["checkout", "--quiet", "-B", &format!("stack{round}"), pin],
            );
            run(copy, "stg", &["init".to_string()]);
            times.part("stg import", || run(copy, "stg", &import));
            run(copy, "stg", &["pop", "--all"].map(String::from));
            times.part("stg push --all", || {
                run(copy, "stg", &["push", "--all"].map(String::from))
            });
        }
        fs::remove_file(series).unwrap();
        git(copy, &["checkout", "--quiet", "-B", "work", pin]);
    }
    if is_there("quilt") {
        let folder = copy.join("patches");
        fs::create_dir(&folder).unwrap();
        let mut series = String::new();
        for patch in &patches {
            let name = Path::new(patch).file_name().unwrap();
            fs::copy(patch, folder.join(name)).unwrap();
            series.push_str(&format!("{}\n", name.to_string_lossy()));
        }
        fs::write(folder.join("series"), series).unwrap();
        for _ in 0..RUNS_OF_OTHERS {
            times.part("quilt push -a", || {
                run(copy, "quilt", &["push", "-a", "-q"].map(String::from))
            });
            run(copy, "quilt", &["pop", "-a", "-q"].map(String::from));
        }
    }
    times.print();
}

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        println!("{program} isn't installed: left out");
    }
    there
}

fn git(folder: &Path, args: &[&str]) {
    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
    run(folder, "git", &args);
}

fn run(folder: &Path, program: &str, args: &[String]) {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .env("GIT_AUTHOR_NAME", "A Person")
        .env("GIT_AUTHOR_EMAIL", "a@person")
        .env("GIT_COMMITTER_NAME", "A Person")
        .env("GIT_COMMITTER_EMAIL", "a@person")
        .env("GIT_CONFIG_GLOBAL", PathBuf::from("/dev/null"))
        .output()
        .expect("the program starts");
    assert!(
        output.status.success(),
        "{program} {:?}: {}",
        args.first(),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// When something began, by the clock and by the processor's time of this process and its
/// children: on a machine that others use too, only the second can be compared.
#[derive(Clone, Copy)]
struct Start(Instant, f64);

fn start() -> Start {
    Start(Instant::now(), processor_time())
}

fn processor_time() -> f64 {
    let seconds = |who| {
        // SAFETY: plain data; all zeros is a value of it.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: `usage` lives for the call.
        unsafe { libc::getrusage(who, &raw mut usage) };
        let time = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
        time(usage.ru_utime) + time(usage.ru_stime)
    };
    seconds(libc::RUSAGE_SELF) + seconds(libc::RUSAGE_CHILDREN)
}

/// Seconds by name, in the order in which they came.
#[derive(Default)]
struct Times(Vec<(&'static str, Vec<f64>, Vec<f64>)>);

impl Times {
    fn part<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let begun = start();
        let made = work();
        self.add(name, begun);
        made
    }

    fn add(&mut self, name: &'static str, begun: Start) {
        let seconds = begun.0.elapsed().as_secs_f64();
        let processor = processor_time() - begun.1;
        if !self.0.iter().any(|(known, ..)| *known == name) {
            self.0.push((name, Vec::new(), Vec::new()));
        }
        for (known, times, processors) in &mut self.0 {
            if *known == name {
                times.push(seconds);
                processors.push(processor);
            }
        }
    }

    fn print(&mut self) {
        println!("  seconds  (least to most)   processor");
        for (name, times, processors) in &mut self.0 {
            times.sort_by(f64::total_cmp);
            processors.sort_by(f64::total_cmp);
            let middle = times.len() / 2;
            println!(
                "{:9.3}  {:7.3} to {:7.3} {:9.3}    {name}, {} runs",
                times[middle],
                times[0],
                times[times.len() - 1],
                processors[middle],
                times.len()
            );
        }
        println!();
    }
}
