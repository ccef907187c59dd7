//! MLX's kernels, broken in small ways: each change shows.

use std::path::Path;

use mlx_fork::emulator::{Emulator, Launch, Outcome};

use super::matmul::Product;
use super::{layout, numbers, quantize, rows};

#[path = "../common/broken_kernels.rs"]
mod broken_kernels;

use broken_kernels::{Book, Scenario};

/// Changes of each kernel.
const COUNT: usize = 6;
const SEED: u64 = 1;

/// The first value that is further than `bound` from its reference.
fn first_wrong(values: &[f32], reference: &[f64], bound: f64) -> Option<String> {
    let wrong = |(v, r): (&f32, &f64)| {
        let close = (f64::from(*v) - r).abs() <= bound;
        !close
    };
    let element = values.iter().zip(reference).position(wrong)?;
    let (value, wanted) = (values[element], reference[element]);
    Some(format!("element {element}: {value} for {wanted}"))
}

fn prove(scenario: &Scenario) {
    let layout = layout();
    let tree = layout.mlx_local();
    let emulator = |folder: &Path| Emulator::new(&layout).unwrap().include(folder);
    let book = Book::page(include_str!("broken.toml"), scenario.name);
    let table = broken_kernels::prove(scenario, (&tree, &emulator), (COUNT, SEED), &book);
    println!("{table}");
}

#[test]
fn a_broken_rms_norm_shows() {
    // As many SIMD groups as a threadgroup has, and a tail.
    let (count, size) = (3, 4095);
    let (x, w) = (numbers(1, count * size), numbers(2, size));
    let reference = rows::rms_norm(&x, &w, 1e-5);
    prove(&Scenario {
        name: "rms_norm",
        file: "mlx/backend/metal/kernels/rms_norm.metal",
        kernel: "rmsfloat32".into(),
        changed: &[(
            "mlx/backend/metal/kernels/rms_norm.metal",
            &["rms_single_row"],
        )],
        launch: Box::new(|kernel| {
            Launch::new(kernel)
                .buffer(0, "x", &x)
                .buffer(1, "w", &w)
                .output(2, "out", (count * size * 4) as u64)
                .value(3, "eps", 1e-5f32)
                .value(4, "axis_size", size as u32)
                .value(5, "w_stride", 1u32)
                .constant_named("has_w", [true])
                .threadgroups([count as u32, 1, 1])
                .group([1024, 1, 1])
        }),
        judge: Box::new(|outcome| first_wrong(&outcome.values(2), &reference, 1e-5)),
    });
}

#[test]
fn a_broken_softmax_shows() {
    let (count, size) = (3, 4095);
    let x = numbers(6, count * size);
    let reference = rows::softmax(&x, size);
    prove(&Scenario {
        name: "softmax",
        file: "mlx/backend/metal/kernels/softmax.metal",
        kernel: "block_softmax_float32".into(),
        changed: &[(
            "mlx/backend/metal/kernels/softmax.h",
            &["softmax_single_row"],
        )],
        launch: Box::new(|kernel| rows::softmax_launch(kernel, &x, size)),
        judge: Box::new(|outcome| first_wrong(&outcome.values(1), &reference, 1e-7)),
    });
}

#[test]
fn a_broken_sort_shows() {
    let x = numbers(7, super::sort::ROWS * super::sort::SIZE);
    let mut reference = x.clone();
    for row in reference.chunks_mut(super::sort::SIZE) {
        row.sort_by(f32::total_cmp);
    }
    let reference: Vec<f64> = reference.iter().map(|v| f64::from(*v)).collect();
    prove(&Scenario {
        name: "sort",
        file: "mlx/backend/metal/kernels/sort.metal",
        kernel: "c_block_sort_float32_float32_bn32_tn4".into(),
        changed: &[(
            "mlx/backend/metal/kernels/sort.h",
            &[
                "ThreadSort::sort",
                "BlockMergeSort::merge_partition",
                "BlockMergeSort::merge_step",
                "BlockMergeSort::sort",
                "KernelMergeSort::block_sort",
            ],
        )],
        launch: Box::new(|kernel| super::sort::launch(kernel, &x)),
        judge: Box::new(|outcome| first_wrong(&outcome.values(1), &reference, 0.0)),
    });
}

const QUANTIZED: &str = "mlx/backend/metal/kernels/quantized.metal";

#[test]
fn a_broken_gather_qmv_fast_shows() {
    let product = Product::new(1, 16, 1024);
    let reference = product.reference();
    prove(&Scenario {
        name: "gather_qmv_fast",
        file: QUANTIZED,
        kernel: "affine_gather_qmv_fast_float_gs_64_b_4".into(),
        changed: &[(
            "mlx/backend/metal/kernels/quantized.h",
            &["qmv_fast_impl", "affine_gather_qmv_fast"],
        )],
        launch: Box::new(|kernel| {
            let launch = product.launch(kernel, false);
            launch.threadgroups([1, 2, 4]).group([32, 2, 1])
        }),
        judge: Box::new(|outcome| first_wrong(&outcome.values(6), &reference, 1e-3)),
    });
}

#[test]
fn a_broken_gather_qmm_t_shows() {
    // A whole tile of rows, and one with rows left over.
    let product = Product::new(37, 64, 128);
    let reference = product.reference();
    prove(&Scenario {
        name: "gather_qmm_t",
        file: QUANTIZED,
        kernel: "affine_gather_qmm_t_float_gs_64_b_4_alN_true".into(),
        changed: &[(
            "mlx/backend/metal/kernels/quantized.h",
            &["qmm_t_impl", "affine_gather_qmm_t"],
        )],
        launch: Box::new(|kernel| {
            let launch = product.launch(kernel, true);
            launch.threadgroups([2, 2, 4]).group([32, 2, 2])
        }),
        judge: Box::new(|outcome| first_wrong(&outcome.values(6), &reference, 1e-3)),
    });
}

#[test]
fn a_broken_affine_quantize_shows() {
    // The last group is zero throughout.
    let mut w = numbers(5, 12 * quantize::GROUP);
    w[11 * quantize::GROUP..].fill(0.0);
    let judge = |outcome: &Outcome| {
        quantize::first_wrong(outcome, &w).map(|(element, why)| format!("element {element}: {why}"))
    };
    prove(&Scenario {
        name: "affine_quantize",
        file: QUANTIZED,
        kernel: "affine_quantize_float_gs_64_b_4".into(),
        changed: &[(
            "mlx/backend/metal/kernels/quantized.h",
            &["affine_quantize"],
        )],
        launch: Box::new(|kernel| quantize::launch(kernel, &w)),
        judge: Box::new(judge),
    });
}
