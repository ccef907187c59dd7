//! How far a float32 dot may be from the exact one. Derived in docs/parity.md, not chosen.

use super::arithmetic::SMALLEST_NORMAL;
use super::float::{Float, pow2, unit};
use super::quant::{Quant, Weight};

/// The largest |float32 dot − exact dot|, for any order of summation, with or without fused
/// multiply-add, weights dequantized first or scale and bias folded out of each group:
/// `scaled` · Σ|x·s·q| + `bias` · Σ|x·b|, and what underflow may add.
#[derive(Debug, Clone, Copy)]
pub struct DotBound {
    scaled: f64,
    bias: f64,
    k: usize,
}

impl DotBound {
    /// For dots of this length. `transpose` says that the groups lie along the dot.
    pub fn new(quant: Quant, transpose: bool, k: usize) -> Self {
        let [scaled, bias] = roundings(quant, transpose, k).map(gamma);
        DotBound { scaled, bias, k }
    }

    /// What this weight adds to the bound, as a multiple of |x|.
    pub fn of_weight(&self, weight: &Weight) -> f64 {
        self.scaled * weight.scaled + self.bias * weight.bias
    }

    /// What underflow may add to the dot. A result in the subnormal range is off by
    /// half the smallest subnormal at most (sums are exact there), and is multiplied by at most
    /// one further factor x, s or q; there are three products a term. `x` is Σ|x|, `factors`
    /// Σ(|s| + |q|).
    pub fn underflow(&self, x: f64, factors: f64) -> f64 {
        2.0 * pow2(-150) * (x + factors + 3.0 * self.k as f64)
    }
}

/// What the tiles of stock's matrix products on GPUs add, as a multiple of |x|: they round the
/// dequantized weights, s·q and its sum with b, to the type in which the op computes. Some
/// multiply float32 numbers as TF32, whose 11 bits may be those that are left of 24.
pub fn of_tiles(float: Float, weight: &Weight) -> f64 {
    if float == Float::F32 {
        let u = pow2(-10);
        return (2.0 * u + u * u) * weight.value.abs();
    }
    let u = float.unit_roundoff();
    let lost = float.ulp(0.0) / 2.0;
    // Codes are taken where they lie in their byte, shifted by 6 bits at most, and the scale is
    // divided by as much.
    let smallest_normal = float.ulp(0.0) / (2.0 * u);
    let divided = match weight.scale < 64.0 * smallest_normal {
        true => 64.0 * weight.code * lost,
        false => 0.0,
    };
    let product = u * weight.scaled + lost + divided;
    product + u * (weight.scaled + product + weight.bias) + lost
}

/// The units of a column's scales, codes and biases: every value that is made of them is a
/// multiple of a product of these, so that it is subnormal only where that is.
#[derive(Debug, Clone, Copy)]
pub struct Units {
    s: f64,
    q: f64,
    b: f64,
}

impl Units {
    /// Of these weights.
    pub fn of(weights: &[Weight]) -> Self {
        let least = |of: fn(&Weight) -> f64| {
            let units = weights.iter().map(|weight| unit(of(weight)));
            units.fold(f64::INFINITY, f64::min)
        };
        Units {
            s: least(|weight| weight.scale),
            q: least(|weight| weight.code),
            b: least(|weight| weight.bias),
        }
    }

    /// What a device may change in the dot of `x`, whose unit is `x_unit`, with the weights that
    /// have these units, if it takes subnormal numbers for 0.
    pub fn flushed(self, (x, x_unit): (&[f64], f64), weights: &[Weight]) -> f64 {
        let Units { s, q, b } = self;
        let lost = |unit: f64| match unit < SMALLEST_NORMAL {
            true => SMALLEST_NORMAL,
            false => 0.0,
        };
        // Made, each once for a term, and multiplied by what is named.
        let by_s = 2.0 * lost(x_unit * q); // x·q, a sum of these
        let by_b = lost(x_unit); // a sum of x
        let by_x = lost(s * q) + lost(b.min(s * q)); // s·q, s·q + b
        let by_q = lost(x_unit * s); // x·s
        let by_one = 4.0 * lost((x_unit * s * q).min(x_unit * b));
        let given = lost(x_unit.min(s).min(b));
        if given + by_s + by_b + by_x + by_q + by_one == 0.0 {
            return 0.0;
        }
        let small = |v: f64| f64::from(u8::from(v < SMALLEST_NORMAL));
        let mut sum = 0.0;
        for (x, w) in x.iter().zip(weights) {
            let x = x.abs();
            sum += x * w.scaled * (small(x) + small(w.scale));
            sum += x * w.bias * (small(x) + small(w.bias));
            sum += by_s * w.scale + by_b * w.bias + by_x * x + by_q * w.code + by_one;
        }
        // The roundings that follow: γ of the longest dots is far below this.
        sum * (1.0 + pow2(-6))
    }
}

/// The error of n roundings in a row, relative to the exact value; the oracle's own float64
/// sum errs by as much with its own u.
fn gamma(n: usize) -> f64 {
    let (n, u) = (n as f64, Float::F32.unit_roundoff());
    n * u / (1.0 - n * u) + n * pow2(-53)
}

/// The most roundings through which a term x·s·q, and a term x·b, passes on its way into the
/// dot: the multiplications that make it, and as many additions as the sum has further parts.
/// Splitting a sum between lanes or threads only shortens the way.
fn roundings(quant: Quant, transpose: bool, k: usize) -> [usize; 2] {
    let group = quant.group();
    match (quant.is_affine(), transpose) {
        // K parts: s·q and x·(s·q), or x·q and ·s; K − 1 additions.
        (false, _) => [k + 1, 0],
        // K products, and a bias times the sum of x for each group: K + K/group parts. That
        // sum is one of `group` parts by itself.
        (true, true) => [k + k / group + 1, k + k / group + group - 1],
        // Groups lie along N, so nothing of a sum over K can be folded: s·q, + b, ·x.
        (true, false) => [k + 2, k + 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parity::random::Stream;

    const Q: Quant = Quant::Affine { bits: 4, group: 64 };

    /// A dot of K = 2048 in affine 4 bit, its numbers in float32.
    struct Sample {
        x: Vec<f32>,
        q: Vec<f32>,
        /// Scale and bias of each group.
        groups: Vec<(f32, f32)>,
    }

    impl Sample {
        fn new(seed: u64) -> Self {
            let [x, q, s] = ["x", "q", "s"].map(|word| Stream::new(seed, &[word]));
            Sample {
                // Of one sign in every second sample, so that rounding errors add up.
                x: (0..2048)
                    .map(|i| if seed.is_multiple_of(2) { x.bell(i) } else { x.unit(i) } as f32)
                    .collect(),
                q: (0..2048).map(|i| q.below(i, 16) as f32).collect(),
                groups: (0..32)
                    .map(|i| (s.unit(i) as f32, -7.5 * s.unit(100 + i) as f32))
                    .collect(),
            }
        }

        fn weight(&self, k: usize) -> Weight {
            let (s, b) = self.groups[k / 64];
            let (s, q, b) = (f64::from(s), f64::from(self.q[k]), f64::from(b));
            Weight {
                value: s * q + b,
                scaled: s * q,
                bias: b.abs(),
                scale: s,
                code: q,
            }
        }

        /// The part of the bound that a computed dot uses.
        fn part(&self, dot: f32) -> f64 {
            let bound = DotBound::new(Q, true, 2048);
            let (mut exact, mut slack) = (0.0, 0.0);
            for (k, x) in self.x.iter().enumerate() {
                let (x, w) = (f64::from(*x), self.weight(k));
                exact += x * w.value;
                slack += x.abs() * bound.of_weight(&w);
            }
            (f64::from(dot) - exact).abs() / slack
        }

        /// Weights dequantized first, one sum from front to back.
        fn dequantized(&self) -> f32 {
            (0..2048).fold(0f32, |sum, k| {
                let (s, b) = self.groups[k / 64];
                sum + self.x[k] * (s * self.q[k] + b)
            })
        }

        /// As a vector kernel does it: 64 totals, products of a group summed in their lane,
        /// one fused multiply-add with the scale, biases times the sums of x once.
        fn folded(&self) -> f32 {
            let mut totals = [0f32; 64];
            let mut biases = 0f32;
            for (group, (s, b)) in self.groups.iter().enumerate() {
                let mut lanes = [0f32; 16];
                let mut x_sum = 0f32;
                for i in 0..64 {
                    let k = group * 64 + i;
                    lanes[i % 16] = self.x[k].mul_add(self.q[k], lanes[i % 16]);
                    x_sum += self.x[k];
                }
                for (i, lane) in lanes.into_iter().enumerate() {
                    let total = &mut totals[group % 4 * 16 + i];
                    *total = lane.mul_add(*s, *total);
                }
                biases = b.mul_add(x_sum, biases);
            }
            let mut width = 64;
            while width > 1 {
                width /= 2;
                for i in 0..width {
                    totals[i] += totals[i + width];
                }
            }
            totals[0] + biases
        }

        /// The longest way that a bias can take: it comes first, and all products, unscaled
        /// sums of nothing, are added to it one by one.
        fn biases_first(&self) -> f32 {
            let mut sum = 0f32;
            for (group, (_, b)) in self.groups.iter().enumerate() {
                let x_sum: f32 = self.x[group * 64..(group + 1) * 64].iter().sum();
                sum += b * x_sum;
            }
            for k in 0..2048 {
                sum += self.x[k] * self.q[k] * self.groups[k / 64].0;
            }
            sum
        }
    }

    #[test]
    fn the_bound_holds_for_every_admitted_way_to_sum_and_is_not_idle() {
        let mut worst = 0.0f64;
        for seed in 0..60 {
            let sample = Sample::new(seed);
            for dot in [sample.dequantized(), sample.folded(), sample.biases_first()] {
                let part = sample.part(dot);
                assert!(part <= 1.0, "{part}");
                worst = worst.max(part);
            }
        }
        assert!(worst > 1e-3, "the bound is {worst} idle");
    }

    #[test]
    fn a_half_precision_accumulator_is_outside_the_bound() {
        let stream = Stream::new(3, &["f16"]);
        let x: Vec<f64> = (0..512).map(|i| Float::F16.round(stream.bell(i))).collect();
        let exact: f64 = x.iter().sum();
        let magnitude: f64 = x.iter().map(|x| x.abs()).sum();
        let half = x.iter().fold(0.0, |sum, x| Float::F16.round(sum + x));
        let bound = DotBound::new(Q, true, 512).scaled * magnitude;
        assert!((half - exact).abs() > bound);
    }

    #[test]
    fn underflow_counts_with_the_factors_that_follow() {
        let bound = DotBound::new(Q, true, 64);
        let scale = 1e30;
        let lost = scale * pow2(-150) * 64.0;
        assert!(bound.underflow(0.0, 64.0 * scale) >= lost);
        assert!(bound.underflow(0.0, 64.0) < 1e-40);
    }
}
