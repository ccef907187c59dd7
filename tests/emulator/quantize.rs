//! affine_quantize against its formula in float64.

use mlx_fork::emulator::{Kernel, Launch, Outcome};

use super::{clean, numbers};

const BITS: u32 = 4;
pub const GROUP: usize = 64;

/// Scale, bias and codes of one group.
fn reference(group: &[f32]) -> (f64, f64, Vec<f64>) {
    let values = || group.iter().map(|v| f64::from(*v));
    let bins = f64::from((1 << BITS) - 1);
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(0.0, f64::max);
    let step = ((most - least) / bins).max(1e-7);
    let (step, edge) = match least.abs() > most.abs() {
        true => (step, least),
        false => (-step, most),
    };
    let steps = (edge / step).round();
    let (scale, bias) = match steps == 0.0 {
        true => (step, 0.0),
        false => (edge / steps, edge),
    };
    let codes = values().map(|v| ((v - bias) / scale).min(bins)).collect();
    (scale, bias, codes)
}

pub fn launch<'k>(kernel: &'k Kernel<'k>, w: &[f32]) -> Launch<'k> {
    let (count, groups) = (w.len(), w.len() / GROUP);
    Launch::new(kernel)
        .buffer(0, "w", w)
        .output(1, "out", (count / 2) as u64)
        .output(2, "scales", (groups * 4) as u64)
        .output(3, "biases", (groups * 4) as u64)
        .threads([(count / 2) as u32, 1, 1])
        .group([128, 1, 1])
}

/// The first element, or the group's first one, that is not as the formula has it, and why.
pub fn first_wrong(outcome: &Outcome, w: &[f32]) -> Option<(usize, String)> {
    let packed = outcome.values::<u8>(1);
    let scales = outcome.values::<f32>(2);
    let biases = outcome.values::<f32>(3);
    for (g, group) in w.chunks(GROUP).enumerate() {
        let (scale, bias, codes) = reference(group);
        let close = |a: f32, b: f64, bound: f64| (f64::from(a) - b).abs() <= bound;
        if !close(scales[g], scale, 1e-6 * scale.abs()) {
            return Some((g * GROUP, format!("scale {} for {scale}", scales[g])));
        }
        if !close(biases[g], bias, 1e-6 * bias.abs().max(1e-3)) {
            return Some((g * GROUP, format!("bias {} for {bias}", biases[g])));
        }
        for (i, exact) in codes.iter().enumerate() {
            let byte = packed[(g * GROUP + i) / 2];
            let code = (byte >> (4 * (i % 2))) & 15;
            // Where a value lies between two codes, float32 may choose either.
            if (f64::from(code) - exact).abs() > 0.5 + 1e-4 {
                return Some((g * GROUP + i, format!("code {code} for {exact}")));
            }
        }
    }
    None
}

#[test]
fn affine_quantize_gives_the_scales_biases_and_codes_of_its_formula() {
    let w = numbers(5, 12 * GROUP);
    let kernel = "affine_quantize_float_gs_64_b_4";
    let report = clean("quantized.metal", kernel, |kernel| launch(kernel, &w));
    for run in &report.runs {
        assert_eq!(first_wrong(&run.outcome, &w), None);
    }
}
