//! How far a float32 dot may be from the exact one. Derived in docs/parity.md, not chosen;
//! the only number here that is not arithmetic is what a device's exp, pow and tanh may err.

use super::float::{Float, pow2};
use super::quant::Quant;

/// Ulps (of float32) by which the device's exp, tanh and pow may differ from the true value:
/// glibc and the vector versions in use stay within 2 on CPUs.
pub const FUNCTION_ULPS: f64 = 2.0;

/// Largest |float32 dot − exact dot| for any order of summation, with or without fused
/// multiply-add, weights dequantized first or scale and bias folded out of each group.
/// `magnitude` is Σ|x|·(|s·q| + |b|).
pub fn dot_error(quant: Quant, k: usize, magnitude: f64) -> f64 {
    let n = roundings(quant, k) as f64;
    let u = Float::F32.unit_roundoff();
    // The float64 sum of the oracle has an error of its own, the same bound with its own u.
    let oracle = n * pow2(-53);
    // Underflow adds at most half the smallest subnormal an operation.
    let underflow = 2.0 * n * pow2(-150);
    (n * u / (1.0 - n * u) + oracle) * magnitude + underflow
}

/// The most roundings through which one term x·s·q or x·b passes: at most three
/// multiplications or additions that make it (s·q, + b, times x), and as many additions as
/// there are terms in all: K products, and for each group its folded scale and bias.
/// Splitting the sum between lanes or threads only shortens paths.
fn roundings(quant: Quant, k: usize) -> usize {
    3 + k + 2 * k.div_ceil(quant.group())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parity::random::Stream;

    const Q: Quant = Quant::Affine { bits: 4, group: 64 };

    #[test]
    fn the_bound_holds_for_float32_dots_in_any_order_and_is_not_idle() {
        let mut worst = 0.0f64;
        for seed in 0..50 {
            let stream = Stream::new(seed, &["bound"]);
            let k = 2048;
            let x: Vec<f32> = (0..k).map(|i| stream.bell(i) as f32).collect();
            let w: Vec<f32> = (k..2 * k).map(|i| stream.bell(i) as f32).collect();
            let exact: f64 = x
                .iter()
                .zip(&w)
                .map(|(x, w)| f64::from(*x) * f64::from(*w))
                .sum();
            let magnitude: f64 = x
                .iter()
                .zip(&w)
                .map(|(x, w)| f64::from((x * w).abs()))
                .sum();
            let forward = x.iter().zip(&w).fold(0f32, |sum, (x, w)| sum + x * w);
            let fused = x
                .iter()
                .zip(&w)
                .rev()
                .fold(0f32, |sum, (x, w)| x.mul_add(*w, sum));
            for sum in [forward, fused] {
                let part = (f64::from(sum) - exact).abs() / dot_error(Q, 2048, magnitude);
                assert!(part <= 1.0);
                worst = worst.max(part);
            }
        }
        assert!(worst > 1e-4, "the bound is {worst} idle");
    }

    #[test]
    fn a_half_precision_accumulator_is_outside_the_bound() {
        let stream = Stream::new(3, &["f16"]);
        let x: Vec<f64> = (0..512).map(|i| Float::F16.round(stream.bell(i))).collect();
        let exact: f64 = x.iter().sum();
        let magnitude: f64 = x.iter().map(|x| x.abs()).sum();
        let half = x.iter().fold(0.0, |sum, x| Float::F16.round(sum + x));
        assert!((half - exact).abs() > dot_error(Q, 512, magnitude));
    }
}
