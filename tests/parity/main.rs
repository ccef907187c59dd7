//! Parity end to end. What becomes of workers that misbehave is tried with a shell script in
//! their place, and in real_worker.rs with the real one; that and the last tests here need the
//! builds that `cargo xtask setup-mlx` makes.

#[path = "../common/machine.rs"]
mod machine;

mod real_worker;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use machine::xtask;
use mlx_fork::Kind;
use mlx_fork::layout::Layout;
use mlx_fork::parity::report::Verdict;
use mlx_fork::parity::{self, Plan, Report};
use mlx_fork::ui::Silent;

/// Answers every case with a refusal, except that `$misdeed` is done first.
const SCRIPT: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in --cases) cases=$2 ;; --out) out=$2 ;; esac
  shift
done
echo '{"ready":{"id":"a script","simd":null,"threads":null}}'
number=0
while read -r name; do
  if [ -n "$name" ]; then
    echo "{\"begin\":$number}"
    MISDEED
    echo "{\"refused\":[$number,\"not today\"]}"
  fi
  number=$((number + 1))
done < "$cases"
"#;

/// Prefixes with an empty library, and a worker that never looks at it.
fn scripted(folder: &Path, misdeed: &str) -> (Layout, PathBuf) {
    let layout = Layout::at(folder, folder.join("target"));
    for side in ["stock", "fork"] {
        let lib = layout.prefix(side).join("lib");
        std::fs::create_dir_all(&lib).unwrap();
        std::fs::write(lib.join(mlx_fork_sys::Library::file_name()), "").unwrap();
    }
    let worker = folder.join("worker");
    std::fs::write(&worker, SCRIPT.replace("MISDEED", misdeed)).unwrap();
    std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o755)).unwrap();
    (layout, worker)
}

fn plan() -> Plan {
    Plan {
        filter: Some("gather_qmm_swiglu/affine-b4-g64/*/untransposed".into()),
        hang: Duration::from_millis(500),
        ..Plan::default()
    }
}

fn run_with(misdeed: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let (layout, worker) = scripted(folder.path(), misdeed);
    parity::run(&layout, &plan(), &worker, &Silent).unwrap()
}

/// Only bf16's case is lost in a special way; the other two are refused; all are accounted for.
fn one_lost(report: &Report, said: &str) {
    assert_eq!((report.planned, report.run, report.reported), (3, 0, 3));
    for case in &report.cases {
        let wanted = if case.name.contains("/bf16/") {
            said
        } else {
            "not today"
        };
        assert_eq!(case.verdict, Verdict::Fail);
        for side in ["stock", "fork"] {
            let reason = case.reasons.iter().find(|r| r.starts_with(side)).unwrap();
            assert!(reason.contains(wanted), "{}: {reason}", case.name);
        }
    }
    assert_eq!(report.check().unwrap_err().kind(), Kind::Gate);
}

#[test]
fn a_crash_is_one_red_case_with_its_signal_and_last_words() {
    let report = run_with("case $name in */bf16/*) echo 'last words' >&2; kill -SEGV $$ ;; esac");
    one_lost(&report, "signal 11");
    one_lost(&report, "last words");
}

#[test]
fn a_hang_is_one_red_case() {
    let report = run_with("case $name in */bf16/*) sleep 60 ;; esac");
    one_lost(&report, "no end within its time limit");
}

#[test]
fn a_corrupt_answer_is_one_red_case() {
    let report = run_with("case $name in */bf16/*) echo '{\"done\":garbage'; exit 0 ;; esac");
    one_lost(&report, "garbage");
}

#[test]
fn a_worker_that_answers_nothing_loses_one_case_at_a_time() {
    let report = run_with("exit 0");
    assert_eq!((report.planned, report.run, report.reported), (3, 0, 3));
    let says = "the worker ended with exit code 0";
    for case in &report.cases {
        assert!(case.reasons.iter().all(|reason| reason.contains(says)));
    }
}

#[test]
fn answers_to_cases_that_are_not_open_are_not_taken() {
    // It answers for the next case, too, without having begun it.
    let report = run_with(
        "case $name in */f32/*) echo '{\"refused\":['$number',\"early\"]}'; \
         echo '{\"refused\":['$((number + 1))',\"too early\"]}'; \
         number=$((number + 1)); continue ;; esac",
    );
    assert_eq!((report.planned, report.run, report.reported), (3, 0, 3));
    for case in &report.cases {
        let wanted = match case.name.contains("/f32/") {
            true => "the worker gave the answer",
            false => "not today",
        };
        assert!(case.reasons[0].contains(wanted), "{:?}", case.reasons);
    }
}

#[test]
fn a_result_that_is_too_short_is_one_red_case() {
    let report = run_with(
        "case $name in */bf16/*) printf 123 > \"$out/$number.bin\"; \
         echo \"{\\\"done\\\":{\\\"case\\\":$number,\\\"dtype\\\":\\\"bf16\\\",\\\"shape\\\":[9],\\\"path\\\":null,\\\"seconds\\\":1,\\\"differing\\\":[]}}\"; \
         number=$((number + 1)); continue ;; esac",
    );
    let case = report
        .cases
        .iter()
        .find(|c| c.name.contains("/bf16/"))
        .unwrap();
    assert!(
        case.reasons
            .iter()
            .any(|r| r.contains("3 bytes, not those of the shape [9]")),
        "{case:?}"
    );
    assert_eq!((report.planned, report.failed), (3, 3));
}

#[test]
fn a_worker_that_can_not_start_is_an_error_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, worker) = scripted(folder.path(), "");
    std::fs::write(&worker, "#!/bin/sh\necho 'no such library' >&2\nexit 5\n").unwrap();
    let error = parity::run(&layout, &plan(), &worker, &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Environment);
    assert!(error.to_string().contains("no such library"), "{error}");
}

#[test]
fn a_library_is_judged_alone_in_its_own_environment() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, worker) = scripted(
        folder.path(),
        "echo '{\"refused\":['$number',\"'$SAID'\"]}'; number=$((number + 1)); continue",
    );
    std::fs::remove_dir_all(layout.prefix("stock")).unwrap();
    let library = folder.path().join("given.so");
    std::fs::write(&library, "").unwrap();
    let plan = Plan {
        library: Some(library),
        stock: false,
        env: vec![("SAID".into(), "heard".into())],
        ..plan()
    };
    let report = parity::run(&layout, &plan, &worker, &Silent).unwrap();
    assert_eq!((report.planned, report.failed), (3, 3));
    for case in &report.cases {
        assert_eq!(case.stock.outcome, "not run");
        assert_eq!(case.reasons, ["fork: heard"]);
    }
}

#[test]
fn a_run_that_ends_early_accounts_for_the_cases_that_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, worker) = scripted(folder.path(), "kill -SEGV $$");
    let plan = Plan {
        stock: false,
        fail_fast: true,
        ..plan()
    };
    let report = parity::run(&layout, &plan, &worker, &Silent).unwrap();
    assert_eq!((report.planned, report.reported, report.failed), (1, 1, 1));
}

#[test]
fn a_missing_build_is_an_error_that_says_what_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::at(folder.path(), folder.path().join("target"));
    let error = parity::run(&layout, &plan(), Path::new("worker"), &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Environment);
    assert!(error.hints()[0].contains("setup-mlx"));
}

fn run_for_real(filter: &str) -> Report {
    let plan = Plan {
        filter: Some(filter.into()),
        ..Plan::default()
    };
    parity::run(&Layout::discover().unwrap(), &plan, xtask(), &Silent).unwrap()
}

#[test]
fn the_fork_that_was_built_is_right_where_its_bits_are_promised() {
    let report = run_for_real("gather_qmm_*/affine-b4-g64/f??/n*/exact");
    assert_eq!(report.planned, report.run);
    report.check().unwrap();
    for case in &report.cases {
        let judgement = case.fork.judgement.as_ref().unwrap();
        assert!(
            judgement.elements > 0 && judgement.wrong == 0,
            "{}",
            case.name
        );
        assert!(matches!(
            case.fork.path.as_deref(),
            Some("fast" | "general")
        ));
    }
}

#[test]
fn stock_is_measured_in_the_same_run_and_float32_finds_it_within_the_bound() {
    let report = run_for_real("gather_qmm_downproj_combine/affine-b4-g64/f32");
    let judged = |case: &&mlx_fork::parity::report::CaseReport| {
        case.name.ends_with("/f32") || case.name.ends_with("/untransposed")
    };
    for case in report.cases.iter().filter(judged) {
        let stock = case.stock.judgement.as_ref().unwrap();
        assert_eq!(stock.wrong, 0, "{}", case.name);
    }
}

#[test]
fn a_worker_over_its_memory_is_one_red_case() {
    let plan = Plan {
        filter: Some("gather_qmm_downproj_combine/*/f32/mixtral/t1".into()),
        memory_mib: 300,
        ..Plan::default()
    };
    let layout = Layout::discover().unwrap();
    let report = parity::run(&layout, &plan, xtask(), &Silent).unwrap();
    assert_eq!((report.planned, report.reported, report.failed), (1, 1, 1));
    assert!(
        report.cases[0]
            .reasons
            .iter()
            .any(|r| r.starts_with("fork: the worker ended"))
    );
}
