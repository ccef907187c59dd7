//! The weighted sum over a token's experts, for intervals, in every way of accumulating that
//! the ops know. Each step is monotone in what goes in, so two runs give both ends.

use super::arithmetic::{Arithmetic, SMALLEST_NORMAL};
use super::chain::{Interval, On};
use super::float::Float;
use super::judge::NOT_FINITE;

/// The values of the argument `accumulate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulate {
    /// Rounded to the result's type at each step.
    Exact,
    /// float32, fused multiply-add.
    Fma,
    /// float32, product and sum rounded apart.
    NoFma,
    /// As `Fma`, the result in float32.
    Fp32,
    /// As `NoFma`, the result in float32.
    Fp32NoFma,
    /// Stock's composition: product and sum in the promoted type, any order.
    Native,
}

impl Accumulate {
    /// All of them.
    pub const ALL: [Accumulate; 6] = [
        Accumulate::Exact,
        Accumulate::Fma,
        Accumulate::NoFma,
        Accumulate::Fp32,
        Accumulate::Fp32NoFma,
        Accumulate::Native,
    ];

    /// The name of the argument.
    pub fn name(self) -> &'static str {
        match self {
            Accumulate::Exact => "exact",
            Accumulate::Fma => "fma",
            Accumulate::NoFma => "no_fma",
            Accumulate::Fp32 => "fp32",
            Accumulate::Fp32NoFma => "fp32_no_fma",
            Accumulate::Native => "native",
        }
    }

    /// The type of the result, from that of the products and that of the weights.
    pub fn result(self, products: Float, weights: Float) -> Float {
        match self {
            Accumulate::Exact | Accumulate::Fma | Accumulate::NoFma => products,
            Accumulate::Fp32 | Accumulate::Fp32NoFma => Float::F32,
            Accumulate::Native => products.promote(weights),
        }
    }
}

/// The admissible results for the products' intervals and the weights, in their order.
/// `products` is the type of the products, `weight` that of the weights as given.
pub fn combine(
    accumulate: Accumulate,
    (products, weight): (Float, Float),
    p: &[Interval],
    w: &[f64],
    arithmetic: Arithmetic,
) -> Interval {
    if p.iter().any(|(low, high)| low.is_nan() || high.is_nan()) {
        return (f64::NAN, f64::NAN);
    }
    // Times a weight of 0 it is NaN, and no sum makes it a number again.
    if p.contains(&NOT_FINITE) {
        return NOT_FINITE;
    }
    let result = accumulate.result(products, weight);
    if accumulate == Accumulate::Native {
        return any_order(result, p, w, arithmetic);
    }
    let mut sum = (0.0, 0.0);
    for (p, w) in p.iter().zip(w) {
        let w = match accumulate {
            Accumulate::Exact => products.round(*w),
            _ => *w,
        };
        let p = arithmetic.kept(*p);
        let step = |w: f64| step(accumulate, (products, arithmetic), sum, p, w);
        // A weight that the device takes for 0 counts as both.
        let zero = arithmetic.flushes && w.abs() < SMALLEST_NORMAL;
        let (all, other) = (step(w), step(if zero { 0.0 } else { w }));
        sum = arithmetic.kept((all.0.min(other.0), all.1.max(other.1)));
    }
    arithmetic.kept((result.round(sum.0), result.round(sum.1)))
}

fn step(accumulate: Accumulate, on: On, sum: Interval, p: Interval, w: f64) -> Interval {
    let (down, up) = if w >= 0.0 { p } else { (p.1, p.0) };
    let rounded = |float: Float| {
        let product = on.1.kept((float.round(down * w), float.round(up * w)));
        (
            float.round(sum.0 + product.0),
            float.round(sum.1 + product.1),
        )
    };
    match accumulate {
        Accumulate::Exact => rounded(on.0),
        // float64 would round the sum twice; this is the machine's or libm's own fma.
        Accumulate::Fma | Accumulate::Fp32 => {
            let fused = |p: f64, sum: f64| f64::from((p as f32).mul_add(w as f32, sum as f32));
            (fused(down, sum.0), fused(up, sum.1))
        }
        Accumulate::NoFma | Accumulate::Fp32NoFma | Accumulate::Native => rounded(Float::F32),
    }
}

/// k products and k − 1 additions in `float`, in any order: the exact sum and the classic
/// bound, k + 1 roundings on the longest path (the sum may start from a zero).
fn any_order(float: Float, p: &[Interval], w: &[f64], arithmetic: Arithmetic) -> Interval {
    let (mut low, mut high, mut magnitude) = (0.0, 0.0, 0.0);
    for ((p_low, p_high), w) in p.iter().zip(w) {
        let w = float.round(*w);
        let (a, b) = (p_low * w, p_high * w);
        low += a.min(b);
        high += a.max(b);
        magnitude += a.abs().max(b.abs());
    }
    let n = p.len() as f64 + 1.0;
    let u = float.unit_roundoff();
    // Each product with its factors, and each sum.
    let lost = match arithmetic.flushes {
        true => 4.0 * SMALLEST_NORMAL,
        false => float.ulp(0.0),
    };
    let slack = n * u / (1.0 - n * u) * magnitude + n * lost;
    (float.round(low - slack), float.round(high + slack))
}

#[cfg(test)]
mod tests {
    use super::super::float::pow2;
    use super::*;

    fn points(v: &[f64]) -> Vec<Interval> {
        v.iter().map(|v| (*v, *v)).collect()
    }

    fn one(accumulate: Accumulate, types: (Float, Float), p: &[f64], w: &[f64]) -> f64 {
        let (low, high) = combine(accumulate, types, &points(p), w, Arithmetic::CPU);
        assert_eq!(low, high);
        low
    }

    #[test]
    fn exact_rounds_at_every_step() {
        // bfloat16 has 8 bits: 256 + 1 is 256 (tie to even), again and again.
        let p = [256.0, 1.0, 1.0, 1.0];
        let w = [1.0; 4];
        let types = (Float::Bf16, Float::Bf16);
        assert_eq!(one(Accumulate::Exact, types, &p, &w), 256.0);
        // In float32 the sum is 259, which bfloat16 rounds to 260.
        assert_eq!(one(Accumulate::Fma, types, &p, &w), 260.0);
        assert_eq!(one(Accumulate::Fp32, types, &p, &w), 259.0);
    }

    #[test]
    fn contraction_is_told_from_two_roundings() {
        // (1 + 2^-12)² = 1 + 2^-11 + 2^-24: the last bit is lost unless fused with − 1.
        let v = 1.0 + f64::from(2f32.powi(-12));
        let p = [-1.0, v];
        let w = [1.0, v];
        let types = (Float::F32, Float::F32);
        let fused = one(Accumulate::Fma, types, &p, &w);
        let apart = one(Accumulate::NoFma, types, &p, &w);
        assert_eq!(apart, f64::from(2f32.powi(-11)));
        assert_eq!(fused, f64::from(2f32.powi(-11)) + f64::from(2f32.powi(-24)));
    }

    #[test]
    fn exact_rounds_the_weights_first() {
        let w = [1.0 + f64::from(2f32.powi(-10))];
        let types = (Float::Bf16, Float::F32);
        assert_eq!(one(Accumulate::Exact, types, &[3.0], &w), 3.0);
        assert!(one(Accumulate::Fp32, types, &[3.0], &w) > 3.0);
    }

    #[test]
    fn negative_weights_turn_intervals_around() {
        let all = combine(
            Accumulate::NoFma,
            (Float::F32, Float::F32),
            &[(1.0, 2.0), (1.0, 2.0)],
            &[-1.0, 1.0],
            Arithmetic::CPU,
        );
        assert_eq!(all, (-1.0, 1.0));
    }

    #[test]
    fn the_order_of_experts_matters_where_it_is_promised() {
        let types = (Float::F16, Float::F16);
        let forward = one(Accumulate::Exact, types, &[2048.0, 1.0, 1.0], &[1.0; 3]);
        let backward = one(Accumulate::Exact, types, &[1.0, 1.0, 2048.0], &[1.0; 3]);
        assert_ne!(forward, backward);
    }

    #[test]
    fn a_product_that_is_not_finite_makes_the_sum_so_whatever_its_weight() {
        let types = (Float::Bf16, Float::F32);
        for accumulate in Accumulate::ALL {
            let products = [(1.0, 1.0), NOT_FINITE];
            let all = combine(accumulate, types, &products, &[0.5, 0.0], Arithmetic::GPU);
            assert_eq!(all, NOT_FINITE);
        }
    }

    #[test]
    fn native_takes_any_order_in_the_promoted_type() {
        let types = (Float::Bf16, Float::F32);
        assert_eq!(Accumulate::Native.result(types.0, types.1), Float::F32);
        let products = points(&[1.0, 2.0]);
        let (low, high) = combine(
            Accumulate::Native,
            types,
            &products,
            &[0.5, 0.5],
            Arithmetic::CPU,
        );
        assert!(low <= 1.5 && 1.5 <= high && high - low < 1e-5);
    }

    #[test]
    fn what_a_gpu_takes_for_zero_may_be_so_in_every_step() {
        let (types, small) = ((Float::F32, Float::F32), pow2(-130));
        for accumulate in Accumulate::ALL {
            for (p, w) in [(small, 1.0), (1.0, small), (small * 64.0, 1.0 / 64.0)] {
                let all = |arithmetic| combine(accumulate, types, &points(&[p]), &[w], arithmetic);
                let (low, high) = all(Arithmetic::GPU);
                assert!(
                    low <= 0.0 && high >= small,
                    "{accumulate:?}: {low:e} {high:e}"
                );
                assert!(accumulate == Accumulate::Native || all(Arithmetic::CPU).0 == small);
            }
        }
        let usual = combine(
            Accumulate::Exact,
            types,
            &points(&[2.0]),
            &[3.0],
            Arithmetic::GPU,
        );
        assert_eq!(usual, (6.0, 6.0));
    }
}
