//! The emulator's Metal types and functions, in C++: a test program of their arithmetic for
//! both habits of 16-bit rounding, and a kernel that judges the functions of SIMD groups, run
//! by the emulator's driver.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mlx_fork::build::clang;
use mlx_fork::build::system::System;
use mlx_fork::emulator::{Build, DRIVER, LINK, Numerics, flags};

fn emulator() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("metal/emulator")
}

/// clang, as the emulator finds it; without it there is nothing to test.
fn clang() -> Command {
    let clang = clang::needed(&System::detect()).unwrap();
    let mut command = Command::new(clang.path);
    command.arg("-I").arg(emulator().join("include"));
    command
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "cpp"))
        .collect();
    files.sort();
    files
}

/// What a command prints; it must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}{errors}");
    text
}

fn types_are_right(flags: &[&str]) {
    let mut clang = clang();
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("types");
    output(
        clang
            .args(["-std=c++17", "-fno-strict-aliasing", "-w", "-O1", "-I"])
            .arg(emulator().join("preprocess"))
            .args(flags)
            .args(sources(&emulator().join("tests")))
            .arg("-o")
            .arg(&program),
    );
    let text = output(&mut Command::new(&program));
    assert!(
        text.starts_with("types: ") && text.contains(" passed, 0 failed"),
        "{text}"
    );
    let passed: u64 = text["types: ".len()..]
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(passed > 10_000_000, "{text}");
}

#[test]
fn every_16_bit_operation_rounds_once() {
    types_are_right(&["-DEMU_HALF_EXCESS=0"]);
}

#[test]
fn a_16_bit_expression_keeps_float_until_it_is_a_variable() {
    types_are_right(&["-DEMU_HALF_EXCESS=1"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_processors_conversions_of_half_round_as_the_integer_ones() {
    if !std::arch::is_x86_feature_detected!("f16c") {
        eprintln!("skipped: this processor has no F16C");
        return;
    }
    types_are_right(&["-DEMU_HALF_EXCESS=0", "-mf16c"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_kernels_pragma_forbids_contraction_of_vectors_and_expressions() {
    if !std::arch::is_x86_feature_detected!("fma") {
        eprintln!("skipped: this processor has no FMA");
        return;
    }
    let contract = ["-mfma", "-Xclang", "-ffp-contract=fast-honor-pragmas"];
    types_are_right(&[&["-DEMU_HALF_EXCESS=1"], &contract[..]].concat());
}

fn driver(folder: &Path) -> PathBuf {
    let program = folder.join("driver");
    output(
        clang()
            .args(DRIVER)
            .args(sources(&emulator().join("runtime")))
            .arg("-o")
            .arg(&program)
            .args(["-pthread", "-ldl"]),
    );
    program
}

/// The kernel, compiled and linked as the emulator does it.
fn library(folder: &Path, name: &str, build: Build) -> PathBuf {
    let object = folder.join(format!("{name}.o"));
    let library = folder.join(format!("{name}.so"));
    output(
        clang()
            .args(flags(build, Numerics::default()))
            .arg("-c")
            .arg(emulator().join("tests/simd/simd.cpp"))
            .arg("-o")
            .arg(&object),
    );
    output(clang().args(LINK).arg(&object).arg("-o").arg(&library));
    library
}

/// Small integers as 32-bit floats, and as the upper 16 bits of them; and as halves.
fn inputs(folder: &Path) {
    let numbers = |count: i32, factor: i32, modulus: i32| {
        (0..count).map(move |i| (i * factor % modulus - modulus / 2) as f32)
    };
    let floats: Vec<u8> = numbers(90, 7, 11).flat_map(f32::to_le_bytes).collect();
    let bfloats: Vec<u8> = numbers(64, 3, 7)
        .flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes())
        .collect();
    let halves: Vec<u8> = numbers(90, 5, 9)
        .flat_map(|v| half::f16::from_f32(v).to_le_bytes())
        .collect();
    std::fs::write(folder.join("a"), floats).unwrap();
    std::fs::write(folder.join("b"), halves).unwrap();
    std::fs::write(folder.join("c"), bfloats).unwrap();
}

/// Runs the kernel; the checks that passed.
fn judge(folder: &Path, driver: &Path, library: &Path, lanes: u32, reduction: u32) -> u32 {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut job = format!("library {}\nkernel simd\n", library.display());
    for line in [
        format!("buffer 0 read_write {} - results", 16 * lanes),
        format!("buffer 1 read 360 {} a", at("a")),
        format!("buffer 2 read 180 {} b", at("b")),
        format!("buffer 3 read 128 {} c", at("c")),
        "buffer 4 read_write 256 - product".into(),
        "buffer 5 read_write 128 - half_product".into(),
        "groups 1 1 1".into(),
        format!("group {lanes} 1 1"),
        format!("seed {lanes}\nschedule random\nreduction {reduction}"),
        format!("output 0 {}\nreport {}", at("results"), at("report")),
    ] {
        writeln!(job, "{line}").unwrap();
    }
    let file = folder.join("job");
    std::fs::write(&file, job).unwrap();
    output(Command::new(driver).arg(&file));

    let report = std::fs::read_to_string(folder.join("report")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let what = format!("{lanes} lanes, reduction {reduction}");
    assert_eq!(report["faults"], serde_json::json!([]), "{what}");
    let results = std::fs::read(folder.join("results")).unwrap();
    let words: Vec<u32> = results
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect();
    assert_eq!(words.len(), 4 * lanes as usize);
    for (lane, result) in words.chunks_exact(4).enumerate() {
        let line = result[2];
        assert_eq!(result[1], 0, "simd.cpp:{line} fails on lane {lane}; {what}");
        assert_eq!(result[0], words[0], "lane {lane} made other checks; {what}");
    }
    words[0]
}

#[test]
fn simd_functions_give_each_lane_what_metal_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    inputs(folder);
    let driver = driver(folder);
    for (name, build) in [("plain", Build::Plain), ("checked", Build::Checked)] {
        let library = library(folder, name, build);
        for reduction in 0..4 {
            assert!(judge(folder, &driver, &library, 32, reduction) > 600);
            assert!(judge(folder, &driver, &library, 20, reduction) > 200);
        }
        assert!(judge(folder, &driver, &library, 2, 0) > 200);
    }
}
