//! What `cargo xtask probe --artifact` and `--compare` say of files: libraries made here, wheels of
//! MLX from PyPI, and files that are no build at all.

#[path = "common/crafted.rs"]
mod crafted;
#[path = "common/machine.rs"]
mod machine;
#[path = "common/wheels.rs"]
mod wheels;

use std::path::Path;
use std::process::Command;

use machine::xtask;
use mlx_fork::probe::artifact::{self, Artifact};
use mlx_fork::probe::binary;

/// One library of MLX, and what another release makes of it.
const OLD: &str = r#"
    namespace mlx { namespace core {
      const char* version() { return "1.2.3"; }
      int gather_op(int x) { return x; }
    } }
    extern "C" const char* mlx_fork_build_id() { return ""; }
"#;

fn compile(source: &str, out: &Path) {
    let file = out.with_extension("cpp");
    std::fs::write(&file, source).unwrap();
    let output = Command::new("c++")
        .args(["-std=c++17", "-shared", "-fPIC", "-o"])
        .args([out, &file])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
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
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old.so"), dir.path().join("new.so"));
    compile(OLD, &old);
    let other = OLD
        .replace("gather_op(int x)", "gather_op(long x)")
        .replace(
            "const char* version()",
            "int added() { return 1; } const char* version()",
        );
    compile(&other, &new);
    let (old, library) = (old.to_str().unwrap(), new.to_str().unwrap());

    let said = probe_files(&["--artifact", library, "--name", "gather"]).unwrap();
    assert!(said.contains("  mlx::core::gather_op(long)\n"), "{said}");
    assert!(said.contains("mlx_fork_build_id: present"), "{said}");
    assert!(
        said.contains("mlx::core::gather_qmm_swiglu: absent"),
        "{said}"
    );

    // A wheel is an archive with libraries in it.
    let wheel = dir.path().join("mlx.whl");
    let bytes = std::fs::read(library).unwrap();
    let members = [("mlx/lib/libmlx.so", &bytes[..]), ("mlx/readme.txt", b"")];
    std::fs::write(&wheel, crafted::wheel(&members)).unwrap();
    let wheel = wheel.to_str().unwrap();
    let said = probe_files(&["--artifact", wheel]).unwrap();
    assert!(said.contains("mlx.whl!mlx/lib/libmlx.so\n"), "{said}");

    let said = probe_files(&["--compare", old, wheel]).unwrap();
    assert_eq!(
        said,
        "functions: 1 added, 0 removed, 1 changed\n  + mlx::core::added\n  ~ mlx::core::gather_op\n      \
         - mlx::core::gather_op(int)\n      + mlx::core::gather_op(long)\nkernels: 0 added, 0 removed, 0 changed\nkernels as source: 0 added, 0 removed, 0 changed\n"
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

/// A checkout whose series promises these kernels.
fn promising(kernels: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = ["fork.toml", "patches", "mlx_primitives", "metal"].map(|name| root.join(name));
    let copied = Command::new("cp")
        .arg("-R")
        .args(copy)
        .arg(dir.path())
        .status();
    assert!(copied.unwrap().success());
    let series = dir.path().join("patches/series.toml");
    let text = std::fs::read_to_string(&series).unwrap();
    let probes = format!("probes = {{ kernels = {kernels}, symbols");
    assert!(text.contains("probes = { symbols"));
    std::fs::write(series, text.replacen("probes = { symbols", &probes, 1)).unwrap();
    dir
}

#[test]
fn promised_kernels_are_found_in_metal_libraries_and_in_sources() {
    let checkout = promising(r#"["scale", ["scale_*", 2], "norm_*", "absent"]"#);
    let code = crafted::bitcode("y");
    let kernels = ["scale", "scale_a", "scale_b"].map(|name| (name, &code[..]));
    let source = "extern \"C\" const char* text() { return \"[[kernel]] void norm(\"; }
        extern \"C\" void* MTLCreateSystemDefaultDevice();
        extern \"C\" void* device() { return MTLCreateSystemDefaultDevice(); }";
    let library = checkout.path().join("libmlx.so");
    compile(source, &library);
    let library = std::fs::read(&library).unwrap();
    let wheel = checkout.path().join("mlx.whl");
    let metallib = crafted::metallib(&kernels);
    let members = [
        ("mlx/libmlx.so", &library[..]),
        ("mlx/mlx.metallib", &metallib),
    ];
    std::fs::write(&wheel, crafted::wheel(&members)).unwrap();
    let probe = |arguments: &[&str]| {
        let output = Command::new(xtask())
            .arg("probe")
            .args(arguments)
            .env("MLX_FORK_ROOT", checkout.path())
            .env_remove("MLX_FORK_TARGET")
            .current_dir(checkout.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = probe(&["--artifact", "mlx.whl", "--name", "norm"]);
    for line in [
        "ELF x86_64, 2 functions exported, 1 kernel as source",
        "norm (kernel as source)",
        "kernel scale: present",
        "kernel scale_*: present, 2 of them",
        "kernel norm_*: present as source, compiled at run time",
        "kernel absent: absent",
        "whether our extension would load is not known: looking for the extension build",
    ] {
        let line = line.replace("x86_64", std::env::consts::ARCH);
        assert!(said.contains(&format!("  {line}")), "{line}: {said}");
    }
    let said = probe(&["--artifact", "mlx.whl", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    let ok: Vec<bool> = (0..4)
        .map(|i| json[0]["promised_kernels"][i]["ok"].as_bool().unwrap())
        .collect();
    assert_eq!(ok, [true, true, true, false]);

    // A build that has nothing to do with Metal isn't asked.
    compile(OLD, &checkout.path().join("plain.so"));
    assert!(!probe(&["--artifact", "plain.so"]).contains("kernel"));
}

#[test]
fn names_in_a_file_can_not_command_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let code = crafted::bitcode("\x1b[31m");
    let escape = "\x1b]0;owned\x07";
    let metallib = crafted::metallib(&[(escape, &code)]);
    let mut symbols = crafted::SYMBOLS.to_vec();
    symbols[0].name = b"\x1b[2J";
    let library = crafted::macho(6, &symbols);
    let broken = crafted::metallib(&[(escape, b"BC\xc0\xde\xff\xff\xff\xff")]);
    let inside = format!("{escape}/a.so");
    let cases = [
        ("a.metallib", metallib),
        ("a.dylib", library),
        ("broken.metallib", broken),
        ("a.whl", crafted::wheel(&[(&inside, b"no library")])),
    ];
    for (name, bytes) in cases {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let output = Command::new(xtask())
            .args(["probe", "--name", "", "--artifact"])
            .arg(&path)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("\\u{1b}"), "{name}: {said}");
        let hidden = |c: char| c.is_control() && c != '\n';
        assert!(!said.contains(hidden), "{name}: {said:?}");
    }
}

/// What MLX's wheels for macOS are known to have: two releases that a person has looked at.
#[test]
fn the_wheels_of_mlx_for_macos_are_read_whole() {
    let [old, new] = ["0.31.1", "0.31.2"].map(|version| {
        let path = wheels::mlx_metal(version);
        artifact::read(&path).unwrap()
    });
    let part = |wheel: &'_ [Artifact], end: &str| -> Artifact {
        let found = wheel.iter().find(|part| part.file.ends_with(end));
        found.unwrap().clone()
    };
    let metallib = part(&new, "!mlx/lib/mlx.metallib");
    assert_eq!(metallib.kernels.len(), 15_147);
    let gather = metallib
        .kernels
        .keys()
        .filter(|k| k.starts_with("affine_gather_"));
    assert_eq!(gather.count(), 432);
    let lines = metallib.kernels["affine_gather_qmv_fast_float_gs_64_b_4"].lines();
    assert_eq!(lines.len(), 24);
    assert_eq!(lines[0], "buffer 0: read uint w");
    assert_eq!(lines[3], "buffer 3: read float x");
    assert_eq!(lines[6], "buffer 6: read_write float y");
    assert_eq!(lines[20], "buffer 20: read long rhs_strides");
    assert_eq!(lines[23], "thread_index_in_simdgroup: uint simd_lid");
    // Each argument is understood, in all of them.
    for (name, kernel) in &metallib.kernels {
        for argument in &kernel.arguments {
            let bound = argument.role == "buffer";
            let whole = argument.index.is_some() && argument.access.is_some();
            assert!(!bound || whole, "{name}: {argument:?}");
        }
    }

    let library = part(&new, "!mlx/lib/libmlx.dylib");
    assert_eq!(library.format, "Mach-O aarch64");
    assert!(library.metal && library.functions.contains_key("mlx::core::gather_qmm"));
    assert!(
        library.sources.contains("hadamard_n"),
        "{:?}",
        library.sources
    );
    let jaccl = part(&new, "!mlx/lib/libjaccl.dylib");
    assert!(!jaccl.metal && jaccl.sources.is_empty());

    let artifact::Comparison {
        functions,
        kernels,
        sources,
    } = artifact::compare(&old, &new);
    let count = |d: &artifact::Difference| [d.added.len(), d.removed.len(), d.changed.len()];
    assert_eq!(count(&functions), [78, 14, 238]);
    assert_eq!(count(&kernels), [145, 0, 2]);
    assert_eq!(sources.added, ["slice_update_op_impl"]);
    let changed = &kernels.changed[0];
    assert_eq!(changed.0, "rbits");
    assert_eq!(changed.1[3], "buffer 3: read uint bytes_per_key");
    assert_eq!(changed.2[3], "buffer 3: read ulong bytes_per_key");

    // Between them a type was added to what names a stream: an extension for one does not load
    // in the other.
    let dir = tempfile::tempdir().unwrap();
    let extension = dir.path().join("extension.so");
    compile(EXTENSION, &extension);
    let needed = binary::imports(&extension).unwrap();
    let made = "typeinfo for mlx::core::Primitive".to_string();
    assert!(needed.contains(&made) && needed.len() > 3, "{needed:?}");
    assert_eq!(artifact::lacking(&new, &needed), [""; 0]);
    let lacking = artifact::lacking(&old, &needed);
    assert_eq!(lacking.len(), 1, "{lacking:?}");
    assert!(lacking[0].starts_with("mlx::core::abs("), "{lacking:?}");
}

/// Uses two functions of MLX by the declarations of 0.31.2.
const EXTENSION: &str = r#"
    #include <variant>
    namespace mlx::core {
      struct array { ~array(); void* p; };
      struct Primitive { virtual void eval_cpu(); virtual ~Primitive() {} };
      struct Stream { int x; };
      struct ThreadLocalStream { int x; };
      struct Device { int x; };
      using Where = std::variant<std::monostate, Stream, ThreadLocalStream, Device>;
      array abs(const array& a, Where s);
    }
    mlx::core::array use(const mlx::core::array& a) { return mlx::core::abs(a, {}); }
    struct Ours : mlx::core::Primitive { void eval_cpu() override {} };
    mlx::core::Primitive* ours() { return new Ours; }
    void drop(mlx::core::array* a) { a->~array(); }
"#;
