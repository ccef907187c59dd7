//! MLX's rms_norm and softmax against float64.

use half::bf16;
use mlx_fork::emulator::{Kernel, Launch};

use super::{clean, error, numbers};

const ROWS: usize = 3;

pub fn rms_norm(x: &[f32], w: &[f32], eps: f64) -> Vec<f64> {
    let mut all = Vec::new();
    for row in x.chunks(w.len()) {
        let square: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum();
        let scale = (square / row.len() as f64 + eps).sqrt().recip();
        let scaled = row
            .iter()
            .zip(w)
            .map(|(x, w)| f64::from(*x) * scale * f64::from(*w));
        all.extend(scaled);
    }
    all
}

#[test]
fn rms_norm_is_right_for_a_row_with_a_tail() {
    let size = 999;
    let (x, w) = (numbers(1, ROWS * size), numbers(2, size));
    let report = clean("rms_norm.metal", "rmsfloat32", |kernel| {
        Launch::new(kernel)
            .buffer(0, "x", &x)
            .buffer(1, "w", &w)
            .output(2, "out", (ROWS * size * 4) as u64)
            .value(3, "eps", 1e-5f32)
            .value(4, "axis_size", size as u32)
            .value(5, "w_stride", 1u32)
            .constant_named("has_w", [true])
            .threadgroups([ROWS as u32, 1, 1])
            .group([256, 1, 1])
    });
    let reference = rms_norm(&x, &w, 1e-5);
    for run in &report.runs {
        let error = error(&run.outcome.values::<f32>(2), &reference);
        assert!(error < 1e-6, "{error:e} with {}", run.choice.show());
    }
}

#[test]
fn rms_norm_of_bfloat16_is_right_with_both_habits() {
    let size = 512;
    let round =
        |values: Vec<f32>| -> Vec<bf16> { values.into_iter().map(bf16::from_f32).collect() };
    let (x, w) = (round(numbers(3, ROWS * size)), round(numbers(4, size)));
    let report = clean("rms_norm.metal", "rmsbfloat16", |kernel| {
        Launch::new(kernel)
            .buffer(0, "x", &x)
            .buffer(1, "w", &w)
            .output(2, "out", (ROWS * size * 2) as u64)
            .value(3, "eps", 1e-5f32)
            .value(4, "axis_size", size as u32)
            .value(5, "w_stride", 1u32)
            .constant_named("has_w", [true])
            .threadgroups([ROWS as u32, 1, 1])
            .group([128, 1, 1])
    });
    let exact = |values: &[bf16]| -> Vec<f32> { values.iter().map(|v| v.to_f32()).collect() };
    let reference = rms_norm(&exact(&x), &exact(&w), 1e-5);
    for run in &report.runs {
        // Two roundings to 8 bits, of values up to 3 times the rms.
        let error = error(&exact(&run.outcome.values::<bf16>(2)), &reference);
        assert!(
            error < 3.0 * 2f64.powi(-7),
            "{error:e} with {}",
            run.choice.show()
        );
    }
}

pub fn softmax(x: &[f32], size: usize) -> Vec<f64> {
    let mut all = Vec::new();
    for row in x.chunks(size) {
        let most = row.iter().map(|v| f64::from(*v)).fold(f64::MIN, f64::max);
        let powers: Vec<f64> = row.iter().map(|v| (f64::from(*v) - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        all.extend(powers.iter().map(|power| power / sum));
    }
    all
}

/// Rows of at most 4096.
pub fn softmax_launch<'k>(kernel: &'k Kernel<'k>, x: &[f32], size: usize) -> Launch<'k> {
    let threads = size.div_ceil(4).next_multiple_of(32) as u32;
    Launch::new(kernel)
        .buffer(0, "in", x)
        .output(1, "out", (x.len() * 4) as u64)
        .value(2, "axis_size", size as i32)
        .threadgroups([(x.len() / size) as u32, 1, 1])
        .group([threads, 1, 1])
}

#[test]
fn softmax_is_right_for_a_row_with_a_tail() {
    let size = 999;
    let x: Vec<f32> = numbers(6, ROWS * size).iter().map(|v| 8.0 * v).collect();
    let report = clean("softmax.metal", "block_softmax_float32", |kernel| {
        softmax_launch(kernel, &x, size)
    });
    let reference = softmax(&x, size);
    for run in &report.runs {
        let error = error(&run.outcome.values::<f32>(1), &reference);
        assert!(error < 2e-5, "{error:e} with {}", run.choice.show());
    }
}
