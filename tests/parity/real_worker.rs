//! The real worker with the real build, in which a few functions of the C API are replaced by
//! ones that misbehave (misbehaving.c). Needs the builds that `cargo xtask setup-mlx` makes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use mlx_fork::layout::Layout;
use mlx_fork::parity::report::{CaseReport, Verdict};
use mlx_fork::parity::{self, Plan, Report};
use mlx_fork::simd;
use mlx_fork::ui::Silent;
use mlx_fork::{Error, Kind};

use crate::machine::{tools, xtask};

/// The library that misbehaves, compiled once.
fn misbehaving() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let layout = Layout::discover().unwrap();
        let root = layout.root().to_path_buf();
        let lib = layout.prefix("fork").join("lib");
        let real = lib.join(mlx_fork_sys::Library::file_name());
        assert!(real.is_file(), "no build: run `cargo xtask setup-mlx`");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("misbehaving");
        std::fs::create_dir_all(&folder).unwrap();
        let made = folder.join(format!("{}.so", std::process::id()));
        // Linkers on Linux drop a library of which they see no use.
        let keep = cfg!(target_os = "linux").then_some("-Wl,--no-as-needed");
        let output = Command::new(&tools().cc.path)
            .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared"])
            .args(["-fPIC", "-O1"])
            .arg(format!("-DREAL=\"{}\"", real.display()))
            .arg("-I")
            .arg(root.join("mlx_primitives/c"))
            .arg(root.join("tests/parity/misbehaving.c"))
            .args(keep)
            .arg(&real)
            .arg(format!("-Wl,-rpath,{}", lib.display()))
            .arg("-o")
            .arg(&made)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        made
    })
}

/// Three cases, in the order f32, f16, bf16; the second is where it happens.
fn plan(misdeed: &str) -> Plan {
    Plan {
        filter: Some("gather_qmm_swiglu/affine-b4-g64/*/exact/m3".into()),
        library: Some(misbehaving().to_path_buf()),
        stock: false,
        threads: Vec::new(),
        env: vec![("MISDEED".into(), misdeed.into())],
        hang: Duration::from_secs(10),
        memory_mib: 3000,
        seed: 3,
        ..Plan::default()
    }
}

fn run(plan: &Plan) -> Result<Report, Error> {
    parity::run(&Layout::discover().unwrap(), plan, xtask(), &Silent)
}

/// The one case that failed; the others passed, and all are accounted for.
fn the_red_one(report: &Report, run: usize) -> &CaseReport {
    assert_eq!(
        (report.planned, report.run),
        (3, run),
        "{}",
        report.summary()
    );
    assert_eq!(report.planned, report.run + report.reported);
    assert_eq!(
        (report.passed, report.failed),
        (2, 1),
        "{}",
        report.summary()
    );
    assert_eq!(report.check().unwrap_err().kind(), Kind::Gate);
    let red = |case: &&CaseReport| case.verdict == Verdict::Fail;
    let case = report.cases.iter().find(red).unwrap();
    let rerun = format!("--seed 3 --filter '{}'", case.name);
    assert!(case.rerun.ends_with(&rerun), "{}", case.rerun);
    case
}

/// The second case has no result, and its reason says all of this.
fn lost(misdeed: &str, says: &[&str]) {
    let report = run(&plan(misdeed)).unwrap();
    let case = the_red_one(&report, 2);
    assert!(case.name.contains("/f16/"), "{}", case.name);
    for text in says {
        assert!(case.reasons[0].contains(text), "{:?}", case.reasons);
    }
}

/// A case's result is judged, and it fails for this reason.
fn refused(plan: &Plan, part: &str, says: &str) {
    let report = run(plan).unwrap();
    let case = the_red_one(&report, 3);
    assert!(case.name.contains(part), "{}", case.name);
    assert!(
        case.reasons.iter().any(|reason| reason.contains(says)),
        "{:?}",
        case.reasons
    );
}

#[test]
fn the_library_is_right_where_it_does_not_misbehave() {
    let report = run(&plan("none")).unwrap();
    assert_eq!(
        (report.planned, report.passed),
        (3, 3),
        "{}",
        report.summary()
    );
}

#[test]
fn a_crash_inside_the_library_is_one_red_case() {
    lost("crash", &["signal 11", "about to crash"]);
}

#[test]
fn a_crash_as_the_worker_ends_is_one_red_case() {
    let report = run(&plan("crash at the end")).unwrap();
    let case = the_red_one(&report, 2);
    // After its last case.
    assert!(case.name.contains("/bf16/"), "{}", case.name);
    let reason = &case.reasons[0];
    assert!(reason.contains("signal 6 after this case"), "{reason}");
}

#[test]
fn a_hang_inside_the_library_is_one_red_case() {
    let plan = Plan {
        hang: Duration::from_secs(4),
        ..plan("hang")
    };
    let report = run(&plan).unwrap();
    let case = the_red_one(&report, 2);
    assert!(case.reasons[0].contains("no end within its time limit"));
}

#[test]
#[cfg(target_os = "linux")]
fn memory_without_end_is_one_red_case() {
    lost("devour", &["signal 6", "memory allocation of"]);
}

#[test]
fn a_worker_that_leaves_early_is_one_red_case() {
    lost("leave", &["the worker ended with exit code 0"]);
}

#[test]
fn an_answer_for_another_case_is_one_red_case() {
    lost(
        "babble",
        &["the worker gave the answer", "{\"done\":{\"case\":7}}"],
    );
}

#[test]
fn a_composition_in_place_of_a_kernel_is_one_red_case() {
    let says = "meant for the fast path, it took the path composition";
    refused(&plan("composition"), "/f16/", says);
}

#[test]
fn the_general_path_is_one_red_case_where_a_fast_one_was_meant() {
    let plan = plan("general");
    let report = run(&plan).unwrap();
    if report.arms[0].simd.as_deref() == Some("portable") {
        assert_eq!(report.passed, 3);
        return;
    }
    let says = "meant for the fast path, it took the path general";
    refused(&plan, "/f16/", says);
}

#[test]
fn other_bits_with_another_thread_count_are_one_red_case_that_names_both() {
    let plan = Plan {
        threads: vec![1, 3],
        ..plan("threads")
    };
    let own = run(&plan).unwrap().arms[0].threads.unwrap();
    if own == 3 {
        // Every result is wrong then, and the same.
        return;
    }
    let says = format!("with MLX_FUSED_CPU_THREADS=3 other bits than with {own}");
    refused(&plan, "/f16/", &says);
}

#[test]
fn other_bits_on_a_further_run_are_one_red_case() {
    refused(&plan("unsteady"), "/f16/", "other bits on a further run");
}

#[test]
fn simd_that_the_processor_lacks_is_an_error_that_names_it() {
    let have = simd::available();
    let lacked = simd::NAMES.iter().find(|name| !have.contains(name));
    let plan = Plan {
        simds: vec![lacked.unwrap().to_string()],
        ..plan("none")
    };
    let error = run(&plan).unwrap_err();
    assert_eq!(error.kind(), Kind::Environment);
    assert!(error.to_string().contains(lacked.unwrap()), "{error}");
}

#[test]
fn each_simd_computes_every_case() {
    let have: Vec<String> = simd::available().into_iter().map(String::from).collect();
    let plan = Plan {
        simds: have.clone(),
        ..plan("none")
    };
    let report = run(&plan).unwrap();
    assert_eq!(
        (report.planned, report.passed),
        (3 * have.len(), 3 * have.len())
    );
    for (arm, simd) in report.arms.iter().zip(&have) {
        assert_eq!(arm.simd.as_ref(), Some(simd));
        let of = |case: &&CaseReport| case.simd.as_ref() == Some(simd);
        assert_eq!(report.cases.iter().filter(of).count(), 3);
    }
    let rerun = &report.cases[0].rerun;
    assert!(rerun.contains("--simd "), "{rerun}");
}
