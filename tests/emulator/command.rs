//! `cargo xtask emulate` as people run it: what it prints, as text and as JSON, the files that it
//! writes, and its exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::machine::xtask;

const SOURCE: &str = "#include <metal_stdlib>
using namespace metal;
constant bool doubled [[function_constant(2)]];
kernel void scales(const device float* x [[buffer(0)]], device float* out [[buffer(1)]],
                   constant float& by [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  out[i] = x[i] * by * (doubled ? 2 : 1);
}
kernel void sums(device float* out [[buffer(0)]], device int* count [[buffer(1)]],
                 uint i [[thread_position_in_grid]]) {
  out[i] = simd_sum(1.0f / (3 + i * i));
  count[i] = 7;
}
kernel void overruns(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  out[i + 1] = 1;
}
kernel void traps(device float* out [[buffer(0)]]) {
  out[0] = 1;
  __builtin_trap();
}
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("k.metal"), SOURCE).unwrap();
        Folder(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn emulate(&self, words: &[&str]) -> Output {
        let mut command = Command::new(xtask());
        command.arg("emulate").arg(self.path().join("k.metal"));
        command.args(words).output().unwrap()
    }

    /// Runs `scales` on 1, 2, 3, 4, times 3 and doubled.
    fn scales(&self, more: &[&str]) -> Output {
        let mut words = vec!["scales", "--buffer", "0=x:f32:list:1,2,3,4"];
        words.extend(["--buffer", "1=out:f32:empty:4", "--bytes", "2=f32:3"]);
        words.extend([
            "--constant",
            "doubled=bool:true",
            "--grid",
            "4",
            "--group",
            "4",
        ]);
        words.extend(more);
        self.emulate(&words)
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", err(output)))
}

#[test]
fn kernels_and_their_parameters_are_listed() {
    let folder = Folder::new();
    let list = folder.emulate(&["--list"]);
    assert_eq!(out(&list), "scales\nsums\noverruns\ntraps\n");
    let part = folder.emulate(&["s", "--list", "--json"]);
    assert_eq!(
        json(&part),
        serde_json::json!(["scales", "sums", "overruns", "traps"])
    );
    let shown = json(&folder.emulate(&["scales", "--show", "--json"]));
    assert_eq!(shown["parameters"][1]["bound"], "buffer 1");
    assert_eq!(shown["parameters"][1]["access"], "read, write");
    let constant = serde_json::json!({"index": 2, "name": "doubled", "type": "bool"});
    assert_eq!(shown["constants"], serde_json::json!([constant]));
    let text = out(&folder.emulate(&["scales", "--show"]));
    assert!(text.contains("function constant 2: bool doubled"), "{text}");
    let none = folder.emulate(&["scale", "--show"]);
    assert_eq!(code(&none), 2);
    assert!(
        err(&none).contains("the nearest are scales"),
        "{}",
        err(&none)
    );
}

#[test]
fn a_run_prints_and_writes_what_it_computed() {
    let folder = Folder::new();
    let file = folder.path().join("out.bin");
    let to = format!("1={}", file.display());
    let run = folder.scales(&["--out", &to, "--print", "1"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let text = out(&run);
    assert!(
        text.contains("scales: 4 threads in 1 threadgroups"),
        "{text}"
    );
    assert!(text.ends_with("\n6 12 18 24\n"), "{text}");
    let bytes: Vec<u8> = [6f32, 12.0, 18.0, 24.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    let report = json(&folder.scales(&["--json"]));
    assert_eq!(report["kernel"], "scales");
    assert_eq!(report["faults"], serde_json::json!([]));
    assert_eq!(report["counts"]["device_written"], 16);
}

#[test]
fn a_fault_is_exit_code_4_in_a_run_and_in_a_check() {
    let folder = Folder::new();
    let overruns = |more: &[&str]| {
        let words = ["overruns", "--buffer", "0=out:f32:empty:4", "--grid", "4"];
        folder.emulate(&[&words, more].concat())
    };
    let run = overruns(&[]);
    assert_eq!(code(&run), 4);
    assert!(
        out(&run).contains("k.metal:14: out_of_bounds: "),
        "{}",
        out(&run)
    );
    let report = json(&overruns(&["--json"]));
    assert_eq!(report["faults"][0]["kind"], "out_of_bounds");
    let check = overruns(&["--check", "--json"]);
    assert_eq!(code(&check), 4);
    assert_eq!(json(&check)["faults"][0]["runs"], 20);
}

#[test]
fn a_check_says_whether_its_runs_agree() {
    let folder = Folder::new();
    let sums = |more: &[&str]| {
        let mut words = vec!["sums", "--buffer", "0=out:f32:empty:32", "--grid", "32"];
        words.extend([
            "--buffer",
            "1=count:i32:empty:32",
            "--group",
            "32",
            "--check",
        ]);
        words.extend(more);
        let check = folder.emulate(&words);
        assert_eq!(code(&check), 0, "{}{}", out(&check), err(&check));
        check
    };
    let text = out(&sums(&[]));
    assert!(
        text.contains("buffer 1 (count): the same bits in 20 runs\n"),
        "{text}"
    );
    let differs = "buffer 0 (out): 32 of 32 float elements differ in 20 runs, by ";
    assert!(text.contains(differs), "{text}");
    assert!(
        text.ends_with("20 runs, 66 of 66 pairs of settings seen, 0 faults\n"),
        "{text}"
    );
    let report = json(&sums(&["--json"]));
    assert_eq!(report["pairs"], report["pairs_in_all"]);
    assert_eq!(report["runs"].as_array().unwrap().len(), 20);
    let [sum, count] = &report["buffers"].as_array().unwrap()[..] else {
        panic!("{report}");
    };
    let largest = sum["largest"].as_f64().unwrap();
    assert!(largest > 0.0 && largest < 1e-5, "{largest}");
    assert_eq!(count["different"], 0);
}

#[test]
fn a_crash_is_named_where_a_buffer_is_asked_for() {
    let folder = Folder::new();
    let file = folder.path().join("out.bin");
    let to = format!("0={}", file.display());
    let words = ["traps", "--buffer", "0=out:f32:empty:4", "--grid", "1"];
    let run = folder.emulate(&[&words[..], &["--print", "0", "--out", &to]].concat());
    assert_eq!(code(&run), 4, "{}", err(&run));
    assert!(out(&run).contains("k.metal:18: crash: "), "{}", out(&run));
    let warning = "warning: the run gave no buffer 0 back";
    assert_eq!(err(&run).matches(warning).count(), 2, "{}", err(&run));
    assert!(!file.exists());
}

#[test]
fn what_can_not_be_run_is_exit_code_2_before_anything_runs() {
    let folder = Folder::new();
    for (more, words) in [
        (&["--out", "1"][..], "'1' is no INDEX=FILE"),
        (
            &["--out", "0=x"],
            "there is no buffer 0 that the kernel may write",
        ),
        (
            &["--print", "7"],
            "there is no buffer 7 that the kernel may write",
        ),
        (
            &["--constant", "9=bool:true"],
            "there is no function constant 9",
        ),
        (
            &["--constant", "triple=bool:true"],
            "there is no function constant 'triple'",
        ),
        (
            &["--check", "--seeds", "99999999999"],
            "99999999999 runs are too many",
        ),
    ] {
        let run = folder.scales(more);
        assert_eq!(code(&run), 2, "{more:?}: {}", err(&run));
        assert!(err(&run).contains(words), "{more:?}: {}", err(&run));
        assert_eq!(out(&run), "", "{more:?}");
    }
}

#[test]
fn a_run_and_a_check_need_the_size_of_the_grid() {
    let folder = Folder::new();
    for more in [&[][..], &["--check"], &["--plain"]] {
        let words = ["overruns", "--buffer", "0=out:f32:empty:4"];
        let run = folder.emulate(&[&words, more].concat());
        assert_eq!(code(&run), 2, "{more:?}: {}", out(&run));
        assert!(
            err(&run).contains("nothing says how large the grid is"),
            "{}",
            err(&run)
        );
    }
}
