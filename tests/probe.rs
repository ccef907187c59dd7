//! The probe on libraries that crash, hang, are cut off or are not what they say: each is a
//! finding of the report, and the probe itself comes back. The libraries are real ones of a
//! few lines, made by this system's compiler; the worker is the real `xtask`.

#[path = "common/crafted.rs"]
mod crafted;
#[path = "common/machine.rs"]
mod machine;

use std::path::Path;
use std::process::Command;

use machine::xtask;
use mlx_fork::probe::{self, Promise, Report, Subject};
use mlx_fork::series::manifest::KernelEntry;
use mlx_fork::side::Side;

const ID: &str = "0123456789012345678901234567890123456789";

/// What libmlx has that the probe asks for, and one op of ours.
const LIBRARY: &str = r#"
    namespace mlx { namespace core {
      struct Device { int type; int index; };
      const char* version() { return "1.2.3"; }
      bool is_available(const Device& d) { return d.type == 0; }
      int gather_op(int x) { return x; }
    } }
    extern "C" const char* mlx_fork_build_id() { BUILD_ID; }
"#;

const C_API: &str = r#"
    namespace mlx { namespace core { const char* version(); } }
    extern "C" {
      const char* uses_libmlx() { return mlx::core::version(); }
      const char* mlx_fork_id() { return "0123456789012345678901234567890123456789"; }
      int mlx_fork_op(int x) { return x; }
    }
"#;

struct Builds {
    dir: tempfile::TempDir,
    subject: Subject,
}

impl Builds {
    /// A build whose `mlx_fork_build_id` has this body.
    fn new(build_id: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (library, c_api) = (
            dir.path().join("libmlx.so"),
            dir.path().join("libmlx_fork_c.so"),
        );
        compile(&LIBRARY.replace("BUILD_ID", build_id), &library, &[]);
        let folder = dir.path().to_str().unwrap();
        let link = [
            &format!("-L{folder}"),
            "-lmlx",
            &format!("-Wl,-rpath,{folder}"),
        ];
        compile(C_API, &c_api, &link);
        let subject = Subject {
            side: Side::Fork,
            prefix: dir.path().to_path_buf(),
            library,
            c_api,
            id: Some(ID.into()),
            python: None,
        };
        Builds { dir, subject }
    }

    fn good() -> Self {
        Self::new(&format!("return \"{ID}\""))
    }

    fn probe(&self) -> Report {
        let subjects = std::slice::from_ref(&self.subject);
        probe::run(subjects, &promised(), (xtask(), "probe-worker")).unwrap()
    }
}

fn compile(source: &str, out: &Path, args: &[&str]) {
    let file = out.with_extension("cpp");
    std::fs::write(&file, source).unwrap();
    let output = Command::new("c++")
        .args(["-shared", "-fPIC", "-o"])
        .args([out, &file])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn promised() -> Vec<Promise> {
    vec![Promise {
        by: "feature op".into(),
        symbols: vec!["mlx::core::gather_op".into(), "mlx_fork_build_id".into()],
        c: vec!["mlx_fork_id".into(), "mlx_fork_op".into()],
        python: vec!["gather_op".into()],
        kernels: Vec::new(),
    }]
}

/// The gate's message; the report must fail, and as a gate.
fn failure(report: &Report) -> String {
    let error = report.verdict().unwrap_err();
    assert_eq!(error.kind(), mlx_fork::Kind::Gate);
    error.to_string()
}

#[test]
fn a_build_that_has_all_that_is_promised_passes_and_says_what_it_is() {
    let report = Builds::good().probe();
    report.verdict().unwrap();
    let fork = &report.sides[0];
    assert_eq!(fork.version.as_deref(), Some("1.2.3"));
    assert_eq!(fork.library_id.as_deref(), Some(ID));
    assert_eq!(fork.c_functions, ["mlx_fork_id", "mlx_fork_op"]);
    assert_eq!((fork.devices["cpu"], fork.devices["gpu"]), (true, false));
    assert_eq!(report.probes, 4);
}

#[test]
fn a_missing_function_is_named_with_who_promised_it() {
    let builds = Builds::good();
    let mut expected = promised();
    expected[0].symbols.push("mlx::core::not_there".into());
    expected[0].c.push("mlx_fork_not_there".into());
    let subjects = [builds.subject.clone()];
    let report = probe::run(&subjects, &expected, (xtask(), "probe-worker")).unwrap();
    let text = failure(&report);
    for part in [
        "2 of",
        "mlx::core::not_there",
        "mlx_fork_not_there",
        "feature op",
        "series.toml",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn nothing_promised_is_a_failure() {
    let builds = Builds::good();
    let subjects = [builds.subject.clone()];
    let report = probe::run(&subjects, &[], (xtask(), "probe-worker")).unwrap();
    assert!(failure(&report).contains("nothing is promised"));
    let report = probe::run(&[], &promised(), (xtask(), "probe-worker")).unwrap();
    assert!(failure(&report).contains("nothing"));
}

#[test]
fn stock_with_something_of_ours_fails() {
    let mut builds = Builds::good();
    builds.subject.side = Side::Stock;
    builds.subject.id = None;
    let text = failure(&builds.probe());
    assert!(
        text.contains("stock: symbol mlx::core::gather_op: present"),
        "{text}"
    );
    assert!(text.contains("stock says nothing"), "{text}");
}

#[test]
fn another_builds_id_fails() {
    let text = failure(&Builds::new("return \"another\"").probe());
    assert!(text.contains("says \"another\", recorded is"), "{text}");
}

#[test]
fn a_library_that_crashes_is_a_finding_and_what_was_known_before_stays() {
    let report = Builds::new("__builtin_trap(); return 0").probe();
    assert_eq!(report.sides[0].version.as_deref(), Some("1.2.3"));
    let text = failure(&report);
    assert!(text.contains("signal"), "{text}");
    assert!(text.contains("while calling mlx_fork_build_id"), "{text}");
}

#[test]
fn a_library_that_ends_the_process_or_throws_is_a_finding() {
    let text = failure(&Builds::new("__builtin_exit(0); return 0").probe());
    assert!(text.contains("exit code 0 while calling"), "{text}");
    let text = failure(&Builds::new("throw 7").probe());
    assert!(text.contains("while calling mlx_fork_build_id"), "{text}");
}

#[test]
fn a_library_cut_off_anywhere_is_a_finding() {
    let builds = Builds::good();
    let whole = std::fs::read(&builds.subject.library).unwrap();
    for part in [0, 1, 4, 40, 64, 1000, whole.len() / 2] {
        std::fs::write(&builds.subject.library, &whole[..part]).unwrap();
        let text = failure(&builds.probe());
        assert!(text.contains("library libmlx.so"), "{part}: {text}");
    }
    std::fs::remove_file(&builds.subject.library).unwrap();
    assert!(failure(&builds.probe()).contains("library libmlx.so"));
}

#[test]
fn a_c_api_that_brings_another_libmlx_is_a_finding() {
    let builds = Builds::good();
    let other = Builds::good();
    let mut subject = builds.subject.clone();
    subject.c_api.clone_from(&other.subject.c_api);
    let report = probe::run(&[subject], &promised(), (xtask(), "probe-worker")).unwrap();
    let text = failure(&report);
    assert!(text.contains("libmlx of the C API"), "{text}");
    assert!(text.contains(other.dir.path().to_str().unwrap()), "{text}");
}

/// A libmlx that computes with Metal, as far as its symbols tell, and a Metal library beside it.
fn metal_build(kernels: &[&str]) -> Builds {
    let builds = Builds::good();
    let framework = builds.dir.path().join("libmetal.so");
    let source = "extern \"C\" void* MTLCreateSystemDefaultDevice() { return 0; }";
    compile(source, &framework, &[]);
    let uses = "extern \"C\" void* MTLCreateSystemDefaultDevice();
        extern \"C\" void* device() { return MTLCreateSystemDefaultDevice(); }";
    let library = LIBRARY.replace("BUILD_ID", &format!("return \"{ID}\""));
    let framework = framework.to_str().unwrap();
    compile(
        &format!("{library}{uses}"),
        &builds.subject.library,
        &[framework],
    );
    let code = crafted::bitcode("y");
    let kernels: Vec<_> = kernels.iter().map(|name| (*name, &code[..])).collect();
    let metallib = builds.dir.path().join("mlx.metallib");
    std::fs::write(metallib, crafted::metallib(&kernels)).unwrap();
    builds
}

/// What the probe says of a build that is to have `op`, and two kernels that begin with `op_`.
fn kernels_of(subject: &Subject) -> Report {
    let mut expected = promised();
    let several = KernelEntry::Several("op_*".into(), 2);
    expected[0].kernels = vec![KernelEntry::Name("op".into()), several];
    let subjects = std::slice::from_ref(subject);
    probe::run(subjects, &expected, (xtask(), "probe-worker")).unwrap()
}

#[test]
fn promised_kernels_are_looked_for_in_a_build_that_computes_with_metal() {
    let builds = metal_build(&["op", "op_float", "op_half", "other"]);
    let report = kernels_of(&builds.subject);
    report.verdict().unwrap();
    assert_eq!((report.probes, report.sides[0].kernels), (6, Some(4)));
    let rows = report.rows();
    let row = |name: &str| rows.iter().find(|row| row[0] == name).unwrap()[1].clone();
    assert_eq!(row("Metal kernel op_*"), "present, 2 of them");
    assert_eq!(row("Metal kernels"), "4");

    let text = failure(&kernels_of(&metal_build(&["op_float"]).subject));
    for part in [
        "kernel op: absent",
        "op_*: 1 of them, not 2",
        ".metal sources",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_build_without_metal_is_not_asked_for_kernels() {
    let report = kernels_of(&Builds::good().subject);
    report.verdict().unwrap();
    assert_eq!((report.probes, report.sides[0].kernels), (4, None));
}

#[test]
fn stock_with_a_kernel_of_ours_and_a_damaged_metal_library_fail() {
    let mut builds = metal_build(&["op_float"]);
    builds.subject.side = Side::Stock;
    builds.subject.id = None;
    let text = failure(&kernels_of(&builds.subject));
    assert!(
        text.contains("stock: Metal kernel op_*: 1 of them"),
        "{text}"
    );
    assert!(!text.contains("Metal kernel op:"), "{text}");

    let builds = metal_build(&["op", "op_float", "op_half"]);
    let metallib = builds.dir.path().join("mlx.metallib");
    let whole = std::fs::read(&metallib).unwrap();
    std::fs::write(&metallib, &whole[..whole.len() - 1]).unwrap();
    let text = failure(&kernels_of(&builds.subject));
    assert!(text.contains("library kernels: "), "{text}");
    assert!(text.contains("Metal kernel op: unknown"), "{text}");
}
