//! The emulator with real Metal: every kernel of MLX's that `mlx_local` has is translated, the
//! quantized ones are compiled, and some run against references in float64 that are written
//! here. Needs clang++ and the checkout that `cargo xtask setup-mlx` made.

mod broken;
mod command;
mod constants;
mod faults;
mod launch;
mod matmul;
mod mlx;
mod quantize;
mod rows;
mod sort;

#[path = "../common/machine.rs"]
mod machine;

use std::path::PathBuf;
use std::sync::OnceLock;

use mlx_fork::emulator::{Check, CheckReport, Emulator, Kernel, Launch, Program};
use mlx_fork::layout::Layout;

/// MLX's kernels, relative to its tree.
const KERNELS: &str = "mlx/backend/metal/kernels";

fn layout() -> Layout {
    Layout::discover().unwrap()
}

fn emulator() -> &'static Emulator {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    EMULATOR.get_or_init(|| Emulator::new(&layout()).unwrap())
}

/// One of MLX's own files.
fn program(file: &str) -> Program<'static> {
    let path = PathBuf::from(KERNELS).join(file);
    emulator().read(path.as_path()).unwrap()
}

/// Checks a kernel, and panics where it has a fault or a pair of settings was not seen.
fn clean<F>(file: &str, kernel: &str, describe: F) -> CheckReport
where
    F: for<'k> Fn(&'k Kernel<'k>) -> Launch<'k> + Sync,
{
    let program = program(file);
    let report = Check::new(&program, kernel).run(describe).unwrap();
    report.clean().unwrap();
    assert_eq!(report.pairs, report.pairs_in_all);
    assert!(report.runs.len() >= 20);
    report
}

/// Numbers between -1 and 1 (SplitMix64), the same on every machine.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count)
        .map(|_| (next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
        .collect()
}

/// The largest difference of two rows over the reference's rms.
fn error(values: &[f32], reference: &[f64]) -> f64 {
    assert_eq!(values.len(), reference.len());
    let square: f64 = reference.iter().map(|v| v * v).sum();
    let rms = (square / reference.len() as f64).sqrt();
    let differences = values
        .iter()
        .zip(reference)
        .map(|(v, r)| (f64::from(*v) - r).abs());
    // A NaN must not vanish in a maximum.
    differences.fold(0.0, |a, b| {
        if b.is_nan() {
            f64::INFINITY
        } else {
            f64::max(a, b)
        }
    }) / rms
}
