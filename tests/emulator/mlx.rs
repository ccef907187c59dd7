//! All of MLX's kernels, as the files are.

use std::path::{Path, PathBuf};

use mlx_fork::emulator::{Build, Habit, Numerics, Role};

use super::{KERNELS, emulator, layout, program};

/// Every .metal file below a folder; not those for the neural accelerators, whose headers only
/// Apple has.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path));
        } else if name.ends_with(".metal") && !name.ends_with("_nax.metal") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn every_file_translates_without_an_error() {
    let folder = layout().mlx_local().join(KERNELS);
    let all = files(&folder);
    assert!(all.len() >= 30, "{} files", all.len());
    let mut kernels = 0;
    for path in &all {
        let program = emulator()
            .read(path.as_path())
            .unwrap_or_else(|e| panic!("{e}"));
        assert!(!program.kernels().is_empty(), "{}", path.display());
        kernels += program.kernels().len();
    }
    assert!(kernels > 14_000, "{kernels} kernels");
}

#[test]
fn every_kernel_of_quantized_metal_compiles() {
    let program = program("quantized.metal");
    let names: Vec<&str> = program.kernels().iter().map(|k| k.name.as_str()).collect();
    assert!(names.len() >= 1620, "{} kernels", names.len());
    let numerics = Numerics {
        contract: true,
        habit: Habit::Each,
    };
    program.accepts(&names, numerics).unwrap();
}

#[test]
fn a_kernel_of_mlx_has_the_parameters_that_its_source_says() {
    let program = program("rope.metal");
    let parameters = program.parameters("rope_freqs_float32").unwrap();
    let indices: Vec<u64> = parameters
        .iter()
        .filter_map(|parameter| match parameter.role {
            Role::Buffer { index, .. } => Some(index),
            _ => None,
        })
        .collect();
    // As in the metallib of mlx-metal 0.31.2; the source gives a number to four of them.
    assert_eq!(indices, [0, 1, 2, 3, 4, 5, 6, 7, 10, 11]);
}

#[test]
fn an_error_of_the_compiler_cites_the_metal_file_and_line() {
    let text = "#include <metal_stdlib>\nusing namespace metal;\n\
                kernel void k(constant float* x [[buffer(0)]]) {\n  x[0] = 1;\n}\n";
    let source = mlx_fork::emulator::Text::Inline {
        name: "written.metal".into(),
        text: text.into(),
    };
    let program = emulator().read(source).unwrap();
    let error = program
        .kernel("k", Build::Plain, Numerics::default())
        .unwrap_err();
    assert!(error.what().contains("written.metal:4"), "{error}");
    assert!(
        error.hints()[0].contains("constant address space"),
        "{error:?}"
    );
    assert_eq!(error.kind(), mlx_fork::Kind::Gate);
}
