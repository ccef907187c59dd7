//! Mutants end to end, compiled for real against the stock that `cargo xtask setup-mlx` built:
//! what becomes of each kind, and that the project's own faults are caught.

#[path = "common/machine.rs"]
mod machine;

use std::path::Path;

use machine::{tools, xtask};
use mlx_fork::Kind;
use mlx_fork::build::Options;
use mlx_fork::layout::Layout;
use mlx_fork::mutants::run::{Bench, selected};
use mlx_fork::mutants::{self, Report, Selection, Verdict};
use mlx_fork::ui::Silent;

/// All in one small source. The pool's patience is how long a thread spins: no result shows it.
const FILE: &str = r#"
[[fault]]
name = "a-task-lost"
what = ""
file = "backend/cpu/pool.cpp"
find = "if (i >= tasks_) {"
with = "if (i + 1 >= tasks_) {"

[[fault]]
name = "patience"
what = ""
file = "backend/cpu/pool.cpp"
find = "std::chrono::microseconds(60)"
with = "std::chrono::microseconds(61)"

[[fault]]
name = "crash"
what = ""
file = "backend/cpu/pool.cpp"
find = "if (i >= tasks_) {"
with = "__builtin_trap();\nif (i >= tasks_) {"

[[fault]]
name = "hang"
what = ""
file = "backend/cpu/pool.cpp"
find = "if (i >= tasks_) {"
with = "for (volatile int never = 1; never;) {}\nif (i >= tasks_) {"

[[fault]]
name = "no-code"
what = ""
file = "backend/cpu/pool.cpp"
find = "if (i >= tasks_) {"
with = "if (i >= no_such_name) {"

[[fault]]
name = "no-change"
what = ""
file = "backend/cpu/pool.cpp"
find = "if (i >= tasks_) {"
with = "if ((tasks_ <= i)) {"

[[fault]]
name = "no-difference"
what = ""
file = "backend/cpu/pool.cpp"
find = "std::thread thread([this] { work(); });"
with = "std::thread thread([this] { this->work(); });"

[[equivalent]]
file = "backend/cpu/pool.cpp"
lines = ["std::thread thread([this] { work(); });"]
operators = ["fault"]
reason = "the same call"
"#;

fn run(layout: &Layout, filter: Option<&str>, cases: Option<&str>) -> Report {
    let options = Options {
        python: false,
        ..Options::default()
    };
    let bench = Bench {
        layout,
        options: &options,
        tools: tools(),
        worker: xtask(),
        cases,
    };
    let selection = Selection {
        filter: filter.map(String::from),
        ..Selection::default()
    };
    mutants::run(bench, &selection, &Silent).unwrap()
}

/// A project whose sources are this one's, with a mutants.toml of its own.
fn project(root: &Path, file: &str) -> Layout {
    let here = Layout::discover().unwrap();
    for sources in ["mlx_primitives", "metal"] {
        std::os::unix::fs::symlink(here.root().join(sources), root.join(sources)).unwrap();
    }
    std::fs::write(root.join("mutants.toml"), file).unwrap();
    Layout::at(root, here.target())
}

#[test]
fn each_kind_of_fault_comes_to_its_own_end() {
    let root = tempfile::tempdir().unwrap();
    let layout = project(root.path(), FILE);
    let cases = "gather_qmm_downproj_combine/affine-b4-g64/f32/*exact";
    let report = run(&layout, Some("fault"), Some(cases));
    let verdict = |name: &str| {
        let row = report.mutants.iter().find(|row| row.mutant.name == name);
        row.unwrap().verdict.clone()
    };
    for (name, said) in [
        ("a-task-lost", "outside what is admissible"),
        ("crash", "signal 4"),
        ("hang", "no end within its time limit"),
    ] {
        match verdict(name) {
            Verdict::Caught { by, how } => {
                assert!(by.starts_with("gather_qmm_downproj_combine/affine-b4-g64/f32/"));
                assert!(how.contains(said), "{name}: {how}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(verdict("patience"), Verdict::Survived);
    assert_eq!(verdict("no-change"), Verdict::SameCode);
    let reason = "the same call".to_string();
    assert_eq!(verdict("no-difference"), Verdict::Equivalent { reason });
    match verdict("no-code") {
        Verdict::Unbuildable { why } => assert!(why.contains("no_such_name"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((report.counts.caught, report.counts.survived), (3, 1));
    let error = report.check().unwrap_err();
    assert_eq!(error.kind(), Kind::Gate);
    assert!(error.hints()[0].contains("patience"), "{error}");
}

#[test]
fn the_projects_faults_fit_its_sources_and_are_thirty_or_more() {
    let selection = Selection::default();
    let (mutants, listed) = selected(&Layout::discover().unwrap(), &selection).unwrap();
    assert!(listed.fault.len() >= 30);
    assert!(mutants.len() > 1000, "{}", mutants.len());
}

#[test]
#[ignore = "ten minutes; cargo xtask test --full runs it"]
fn every_fault_that_the_project_names_is_caught() {
    let report = run(&Layout::discover().unwrap(), Some("fault"), None);
    assert!(report.counts.caught >= 30);
    report.check().unwrap();
}
