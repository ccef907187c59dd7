//! The probe on libraries that crash, hang, are cut off or are not what they say: each is a
//! finding of the report, and the probe itself comes back. The libraries are real ones of a
//! few lines, made by this system's compiler; the worker is the real `xtask`.

#[path = "common/machine.rs"]
mod machine;

use std::path::Path;
use std::process::Command;

use machine::xtask;
use mlx_fork::probe::{self, Promise, Report, Subject};
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

/// `xtask probe` with these arguments: standard output, or what it said otherwise.
fn probe_files(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(xtask()).arg("probe").args(arguments).output();
    let output = output.unwrap();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        _ => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn files_are_read_alone_in_wheels_and_against_each_other() {
    let old = Builds::new("return \"old\";");
    let new = Builds::new("return \"new\";");
    let library = new.subject.library.to_str().unwrap();
    let other = LIBRARY
        .replace("BUILD_ID", "return \"\";")
        .replace("int gather_op(int x)", "int gather_op(long x)")
        .replace(
            "const char* version()",
            "int added() { return 1; } const char* version()",
        );
    compile(&other, &new.subject.library, &[]);

    let said = probe_files(&["--artifact", library, "--name", "gather"]).unwrap();
    assert!(said.contains("  mlx::core::gather_op(long)\n"), "{said}");
    assert!(said.contains("mlx_fork_build_id: present"), "{said}");
    assert!(
        said.contains("mlx::core::gather_qmm_swiglu: absent"),
        "{said}"
    );

    // A wheel is an archive with libraries in it.
    let wheel = new.dir.path().join("mlx.whl");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&wheel).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("mlx/lib/libmlx.so", options).unwrap();
    let bytes = std::fs::read(library).unwrap();
    std::io::Write::write_all(&mut archive, &bytes).unwrap();
    archive.start_file("mlx/readme.txt", options).unwrap();
    archive.finish().unwrap();
    let wheel = wheel.to_str().unwrap();
    let said = probe_files(&["--artifact", wheel]).unwrap();
    assert!(said.contains("mlx.whl!mlx/lib/libmlx.so\n"), "{said}");

    let old = old.subject.library.to_str().unwrap();
    let said = probe_files(&["--compare", old, wheel]).unwrap();
    assert_eq!(
        said,
        "functions: 1 added, 0 removed, 1 changed\n  + mlx::core::added\n  ~ mlx::core::gather_op\n      \
         - mlx::core::gather_op(int)\n      + mlx::core::gather_op(long)\nkernels: 0 added, 0 removed, 0 changed\n"
    );
}

#[test]
fn what_is_no_build_is_refused_with_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_string()
    };
    let cases = [
        (file("empty", b""), "the file is empty"),
        (file("text", b"not a library"), "no ELF or Mach-O"),
        (file("a.metallib", b"MTLB\x01\x00"), "it ends too early"),
        (
            file("a.whl", b"PK\x03\x04 and no more"),
            "the wheel is damaged",
        ),
        (dir.path().to_str().unwrap().into(), "not a regular file"),
        ("/nowhere/mlx.whl".into(), "/nowhere/mlx.whl"),
    ];
    for (path, what) in cases {
        let said = probe_files(&["--artifact", &path]).unwrap_err();
        assert!(said.contains(what), "{path}: {said}");
    }
}
