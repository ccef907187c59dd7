//! The bench end to end. What it says of times, and of workers that misbehave, is tried with a
//! shell script in their place; the last test needs the builds that `cargo xtask setup-mlx` makes.

#[path = "common/machine.rs"]
mod machine;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use machine::xtask;
use mlx_fork::Kind;
use mlx_fork::bench::judge::Verdict;
use mlx_fork::bench::report::Numbers;
use mlx_fork::bench::{self, Plan, Report, plot};
use mlx_fork::layout::Layout;
use mlx_fork::ui::Silent;

/// Answers every request with times around a middle that depends on its form, 2 % up and down;
/// `MISDEED` is done first.
const SCRIPT: &str = r#"#!/bin/sh
form=read
while [ $# -gt 0 ]; do
  case $1 in --form) form=$2 ;; esac
  shift
done
case $form in stock) unit=STOCK ;; fork) unit=FORK ;; *) unit=5 ;; esac
echo '{"ready":{"id":"a script","simd":"avx2","threads":2}}'
n=0
while read -r line; do
  n=$((n + 1)) bits=7 rms=1.5
  nanoseconds=$((unit * (9800 + 100 * (n * 7 % 5))))
  MISDEED
  check="{\"shape\":[1,8],\"bits\":$bits,\"rms\":$rms}"
  echo "{\"done\":{\"seconds\":${nanoseconds}e-9,\"bytes\":21000000,\"path\":\"fast\",\"check\":$check}}"
done
"#;

/// Prefixes with an empty library, and a worker that never looks at it. `units` are stock's and
/// the fork's times in units of 10 µs.
fn scripted(folder: &Path, units: [u32; 2], misdeed: &str) -> (Layout, PathBuf) {
    let layout = Layout::at(folder, folder.join("target"));
    for side in ["stock", "fork"] {
        let lib = layout.prefix(side).join("lib");
        std::fs::create_dir_all(&lib).unwrap();
        std::fs::write(lib.join(mlx_fork_sys::Library::file_name()), "").unwrap();
    }
    let worker = folder.join("worker");
    let script = SCRIPT
        .replace("STOCK", &units[0].to_string())
        .replace("FORK", &units[1].to_string())
        .replace("MISDEED", misdeed);
    std::fs::write(&worker, script).unwrap();
    std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o755)).unwrap();
    (layout, worker)
}

fn plan(case: &str) -> Plan {
    Plan {
        case: Some(case.into()),
        budget: 0.3,
        hang: Duration::from_secs(2),
        ..Plan::default()
    }
}

fn run_with(case: &str, units: [u32; 2], misdeed: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let (layout, worker) = scripted(folder.path(), units, misdeed);
    bench::run(&layout, &plan(case), &worker, &Silent).unwrap()
}

fn only(report: &Report) -> &Numbers {
    report.check().unwrap();
    assert_eq!((report.planned, report.cases.len()), (1, 1));
    report.cases[0].numbers.as_ref().unwrap()
}

const LAYER: &str = "qwen3/t1/bf16/layer";

#[test]
fn the_verdict_is_that_of_the_times() {
    for (units, wanted, least) in [
        ([3000, 10], Verdict::Faster, 290.0),
        ([11, 10], Verdict::Faster, 1.08),
        ([10, 10], Verdict::NoDifference, 0.97),
        ([10, 11], Verdict::Slower, 0.89),
        ([10, 500], Verdict::Slower, 0.0195),
    ] {
        let report = run_with(LAYER, units, ":");
        let judgement = only(&report).judgement;
        assert_eq!(judgement.verdict, wanted, "{units:?} {judgement:?}");
        assert!(judgement.floor < 1.06, "{judgement:?}");
        let ratio = judgement.ratio;
        assert!((least..1.05 * least).contains(&ratio.value), "{ratio:?}");
        assert!(ratio.low <= ratio.value && ratio.value <= ratio.high);
    }
}

#[test]
fn the_plain_read_gives_the_memorys_speed_and_the_forks_part_of_it() {
    let report = run_with(LAYER, [100, 10], ":");
    let numbers = only(&report);
    // 21 MB in 50 µs, and the fork in 100 µs.
    assert!((numbers.read_gb_per_s / 420.0 - 1.0).abs() < 0.03);
    assert!((numbers.gb_per_s / 210.0 - 1.0).abs() < 0.03);
    assert!((numbers.of_read.value - 2.0).abs() < 0.06);
    assert_eq!(report.read_gb_per_s, Some(numbers.read_gb_per_s));
    assert_eq!((report.threads, report.simd.as_deref()), (2, Some("avx2")));
}

#[test]
fn noise_between_two_processes_of_the_fork_hides_a_difference() {
    // Each process of the fork has its own speed, the later one half as fast.
    let drift = "case $form in fork) [ -e \"$0.$$\" ] || { [ -e \"$0.first\" ] && slow=2 || slow=1; \
                 : > \"$0.first\"; : > \"$0.$$\"; }; nanoseconds=$((nanoseconds * slow)) ;; esac";
    let report = run_with(LAYER, [15, 10], drift);
    let judgement = only(&report).judgement;
    assert!(judgement.floor > 1.9, "{judgement:?}");
    assert_eq!(judgement.verdict, Verdict::NoDifference);
    assert!(report.warnings.iter().any(|w| w.contains("two processes")));
}

#[test]
fn a_stock_that_takes_longer_than_the_time_there_is_has_one_sample() {
    let slow = "case $form in stock) sleep 0.2 ;; esac";
    let report = run_with(LAYER, [30_000, 10], slow);
    let numbers = only(&report);
    assert_eq!(numbers.stock.samples, 1);
    assert_eq!(numbers.stock.interval, None);
    assert!(numbers.fork.samples >= 12);
    assert_eq!(numbers.judgement.verdict, Verdict::Faster);
}

/// The case with 8 tokens is lost in a special way; the others are measured.
fn one_lost(misdeed: &str, said: &[&str]) {
    let misdeed = format!("case $form$line in fork*'\"tokens\":8,'*) {misdeed} ;; esac");
    let report = run_with("qwen3/*/bf16/layer", [100, 10], &misdeed);
    assert_eq!((report.planned, report.measured, report.failed), (3, 2, 1));
    for case in &report.cases {
        assert_eq!(case.error.is_some(), case.tokens == 8, "{case:?}");
    }
    let error = report.check().unwrap_err();
    assert_eq!(error.kind(), Kind::Gate);
    for part in said.iter().chain(&["qwen3/t8/bf16/layer"]) {
        assert!(error.to_string().contains(part), "{error}");
    }
    let hint = "cargo xtask bench --case qwen3/t8/bf16/layer --seed 1 --budget 0.3";
    assert!(error.hints()[0].contains(hint), "{:?}", error.hints());
}

#[test]
fn a_crash_is_one_red_case_with_its_signal_and_last_words() {
    one_lost(
        "echo 'last words' >&2; kill -SEGV $$",
        &["signal 11", "last words"],
    );
}

#[test]
fn a_hang_is_one_red_case() {
    one_lost("sleep 10", &["no end within its time limit"]);
}

#[test]
fn a_corrupt_answer_is_one_red_case() {
    one_lost("echo '{\"done\":garbage'; continue", &["garbage"]);
    one_lost("nanoseconds=-4", &["answered"]);
}

#[test]
fn a_refusal_is_one_red_case_in_the_ops_words() {
    one_lost(
        "echo '{\"refused\":\"[gather_qmm] not today\"}'; continue",
        &["fork", "[gather_qmm] not today"],
    );
}

#[test]
fn results_that_nobody_can_believe_are_no_measurement() {
    one_lost("bits=$$", &["different bits"]);
    one_lost("rms=null", &["different things", "not finite"]);
    one_lost("rms=90", &["different things"]);
}

#[test]
fn workers_that_can_not_start_cost_the_cases_of_their_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, worker) = scripted(folder.path(), [1, 1], ":");
    std::fs::write(&worker, "#!/bin/sh\necho 'no such library' >&2\nexit 5\n").unwrap();
    let report = bench::run(&layout, &plan("qwen3/t1"), &worker, &Silent).unwrap();
    assert_eq!((report.planned, report.measured, report.failed), (9, 0, 9));
    let error = report.check().unwrap_err().to_string();
    assert!(error.contains("exit code 5") && error.contains("no such library"));
}

#[test]
fn a_build_that_is_replaced_during_a_run_is_not_mixed_with_the_first() {
    let other =
        "case $line in *'\"tokens\":8,'*) sed -i \"s/a script/another/\" \"$0\"; kill $$ ;; esac";
    let report = run_with("qwen3/*/bf16/layer", [100, 10], other);
    assert_eq!((report.measured, report.failed), (1, 2));
    let error = report.cases[2].error.as_deref().unwrap();
    assert!(
        error.contains("was a script when the run began and is another now"),
        "{error}"
    );
}

#[test]
fn a_missing_build_is_an_error_that_says_what_makes_it() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::at(folder.path(), folder.path().join("target"));
    let error = bench::run(&layout, &plan(LAYER), Path::new("worker"), &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Environment);
    assert!(error.hints()[0].contains("setup-mlx"));
}

#[test]
fn a_seed_orders_the_same_requests_again() {
    let log = "echo \"$line\" >> \"$0.$form.log\"";
    let requests = |form: &str| {
        let folder = tempfile::tempdir().unwrap();
        let (layout, worker) = scripted(folder.path(), [100, 10], log);
        let plan = Plan {
            budget: 1.0,
            ..plan(LAYER)
        };
        bench::run(&layout, &plan, &worker, &Silent).unwrap();
        let log = folder.path().join(format!("worker.{form}.log"));
        std::fs::read_to_string(log).unwrap()
    };
    // Stock and the read go through the same positions of the rotation, one after another.
    let position = |line: &str| {
        let request: serde_json::Value = serde_json::from_str(line).unwrap();
        request["position"]
            .as_u64()
            .filter(|place| *place < 1 << 40)
    };
    let positions = |form| -> Vec<u64> { requests(form).lines().filter_map(position).collect() };
    let (stock, read) = (positions("stock"), positions("read"));
    let few = stock.len().min(read.len());
    assert!(few > 5);
    assert_eq!(stock[..few], read[..few]);
    assert!(stock.windows(2).all(|pair| pair[1] == pair[0] + 2));
}

fn elements(svg: &str, name: &str) -> usize {
    let document = roxmltree::Document::parse(svg).unwrap();
    let nodes = document.descendants();
    nodes
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", name)))
        .count()
}

#[test]
fn the_plot_is_xml_with_a_dot_for_every_case_that_was_measured() {
    let crash =
        "case $form$line in fork*'\"tokens\":8,'*) echo 'a <tag> & \"more\"' >&2; exit 1 ;; esac";
    let report = run_with("qwen3/*/f16/*", [100, 10], crash);
    assert_eq!((report.measured, report.failed), (6, 3));
    let svg = plot::svg(&report);
    // Two halves with a titled group each, and the legend's three dots.
    assert_eq!(elements(&svg, "title"), 2 * 6);
    assert_eq!(elements(&svg, "circle"), 2 * 6 + 3);
    assert_eq!(svg.matches("f16 not measured").count(), 2 * 3);
}

/// The command itself, in a project without builds.
fn xtask_bench(args: &[&str]) -> std::process::Output {
    let mut command = Command::new(xtask());
    command.arg("bench").args(args);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap()
}

#[test]
fn a_case_that_does_not_exist_is_exit_code_4_and_wrong_numbers_are_2() {
    let output = xtask_bench(&["--case", "qwen3/t2/bf16"]);
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("qwen3/t2/bf16") && said.contains("--list"),
        "{said}"
    );
    for wrong in [["--tokens", "0"], ["--budget", "nan"], ["--budget", "-1"]] {
        assert_eq!(xtask_bench(&wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn the_list_has_the_cases_that_would_be_measured() {
    let output = xtask_bench(&["--case", "lfm2/*/layer", "--tokens", "1,256", "--list"]);
    let names = String::from_utf8(output.stdout).unwrap();
    assert_eq!(names.lines().count(), 6);
    assert!(names.lines().any(|name| name == "lfm2/t256/f16/layer"));
}

#[test]
fn a_plot_that_cannot_be_written_is_refused_before_anything_is_measured() {
    let output = xtask_bench(&["--case", "qwen3/t1", "--svg", "/nowhere/plot.svg"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(0));
    assert!(said.contains("writing /nowhere/plot.svg"), "{said}");
    assert!(!said.contains("1/9"), "{said}");
}

#[test]
fn the_builds_are_measured_and_their_report_is_json_and_a_plot() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("plot.svg");
    let case = "qwen3/t1/f32/combine";
    let output = xtask_bench(&[
        "--case",
        case,
        "--budget",
        "1",
        "--json",
        "--svg",
        plot.to_str().unwrap(),
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["measured"], 1);
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let numbers = &report["cases"][0]["numbers"];
    for arm in ["stock", "fork", "again", "read"] {
        let times = &numbers[arm];
        assert!(number(&times["samples"]) >= 1.0, "{arm}: {times}");
        assert!(number(&times["median"]) > 0.0, "{arm}: {times}");
    }
    // A/A: two processes of one build differ by noise, and the verdict allows for it.
    let (again, floor) = (
        number(&numbers["again"]["median"]),
        number(&numbers["floor"]),
    );
    let drift = again / number(&numbers["fork"]["median"]);
    assert!(
        (1.0 / floor..=floor).contains(&drift),
        "{drift} beyond {floor}"
    );
    assert!((0.05..20.0).contains(&drift), "{drift}");
    assert!(matches!(numbers["path"].as_str(), Some("fast" | "general")));
    // Eight experts' matrices of 2048 × 768 in 5 bits.
    assert_eq!(number(&numbers["bytes"]), 8.0 * 2048.0 * 768.0 * 5.0 / 8.0);
    assert!(number(&report["cases"][0]["rotating_bytes"]) > 200e6);
    let svg = std::fs::read_to_string(&plot).unwrap();
    assert_eq!(elements(&svg, "title"), 2);
}
