//! affine_quantize against its formula in float64.

use super::{clean, numbers};

const BITS: u32 = 4;
const GROUP: usize = 64;

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

#[test]
fn affine_quantize_gives_the_scales_biases_and_codes_of_its_formula() {
    let groups = 12;
    let count = groups * GROUP;
    let w = numbers(5, count);
    let report = clean(
        "quantized.metal",
        "affine_quantize_float_gs_64_b_4",
        |kernel| {
            mlx_fork::emulator::Launch::new(kernel)
                .buffer(0, "w", &w)
                .output(1, "out", (count / 2) as u64)
                .output(2, "scales", (groups * 4) as u64)
                .output(3, "biases", (groups * 4) as u64)
                .threads([(count / 2) as u32, 1, 1])
                .group([128, 1, 1])
        },
    );
    for run in &report.runs {
        let packed = run.outcome.values::<u8>(1);
        let scales = run.outcome.values::<f32>(2);
        let biases = run.outcome.values::<f32>(3);
        for (g, group) in w.chunks(GROUP).enumerate() {
            let (scale, bias, codes) = reference(group);
            assert!((f64::from(scales[g]) - scale).abs() <= 1e-6 * scale.abs());
            assert!((f64::from(biases[g]) - bias).abs() <= 1e-6 * bias.abs().max(1e-3));
            for (i, exact) in codes.iter().enumerate() {
                let byte = packed[(g * GROUP + i) / 2];
                let code = f64::from((byte >> (4 * (i % 2))) & 15);
                // Where a value lies between two codes, float32 may choose either.
                assert!((code - exact).abs() <= 0.5 + 1e-4, "{code} for {exact}");
            }
        }
    }
}
