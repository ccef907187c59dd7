//! The inputs of a case, made from its name and a seed: the same bits in every process and on
//! every machine. Realistic magnitudes, or *dyadic* ones: small integers times powers of two,
//! so that every partial sum of a dot is exact in float32 and its bits are known beforehand.

use super::float::{Float, pow2};
use super::quant::Quant;
use super::random::Stream;
use super::tensor::{Dtype, Tensor};

/// How large the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// As in a model: the dots have a deviation of about 2.
    Real,
    /// Exact partial sums; dots with a deviation of about 2.
    Dyadic,
    /// Exact partial sums; dots with a deviation of about 30, where activations saturate.
    Large,
}

impl Values {
    /// True where every partial sum is exact in float32.
    pub fn dyadic(self) -> bool {
        self != Values::Real
    }

    fn deviation(self) -> f64 {
        if self == Values::Large { 30.0 } else { 2.0 }
    }
}

/// The weights' type and layout.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// How they are quantized.
    pub quant: Quant,
    /// Type of scales and biases of the affine mode.
    pub scales: Float,
    /// Weights as (N, K) rather than (K, N).
    pub transpose: bool,
    /// The outer dimensions: experts.
    pub batch: &'a [usize],
    /// Columns of the product.
    pub n: usize,
    /// Length of the dot.
    pub k: usize,
}

/// Weights, scales and, in the affine mode, biases.
pub struct Quantized {
    /// The packed elements, uint32.
    pub w: Tensor,
    /// A scale for each group.
    pub scales: Tensor,
    /// A bias for each group.
    pub biases: Option<Tensor>,
}

/// Quantized weights.
pub fn quantized(stream: [Stream; 3], matrix: Matrix, values: Values) -> Quantized {
    let Matrix { quant, n, k, .. } = matrix;
    let (rows, wide) = if matrix.transpose { (n, k) } else { (k, n) };
    let shape = |last: usize| [matrix.batch, &[rows, last]].concat();
    let (words, groups) = (wide * quant.bits() / 32, wide / quant.group());
    let experts: usize = matrix.batch.iter().product();
    let count = (experts * rows * groups) as u64;
    let [elements, scales, biases] = stream;
    let w = Tensor {
        dtype: Dtype::U32,
        shape: shape(words),
        bytes: elements_of(elements, quant, values, (experts * rows * words) as u64),
    };
    if let Quant::Affine { bits, .. } = quant {
        let ranges = Ranges::new(bits, matrix, values);
        let (mut s, mut b) = (Vec::new(), Vec::new());
        for i in 0..count {
            let (scale, bias) = ranges.group([scales, biases], i);
            s.push(matrix.scales.round(scale));
            b.push(matrix.scales.round(bias));
        }
        let floats = |values: &[f64]| Tensor::of_floats(matrix.scales, &shape(groups), values);
        return Quantized {
            w,
            scales: floats(&s),
            biases: Some(floats(&b)),
        };
    }
    Quantized {
        w,
        scales: Tensor {
            dtype: Dtype::U8,
            shape: shape(groups),
            bytes: (0..count)
                .map(|i| scale_code(quant, values, scales.bits(i)))
                .collect(),
        },
        biases: None,
    }
}

/// Words of packed elements. For mxfp8 the NaN code is never made, and dyadic values stay
/// between 1/8 and 30, so that 2^-6 divides them all. Hundreds of millions of elements are
/// made in a run: a plain loop, which is quick unoptimised too.
fn elements_of(stream: Stream, quant: Quant, values: Values, count: u64) -> Vec<u8> {
    let mut bytes = vec![0; count as usize * 4];
    let (words, _) = bytes.as_chunks_mut::<4>();
    for (i, word) in words.iter_mut().enumerate() {
        *word = ((stream.bits(i as u64) >> 16) as u32).to_le_bytes();
        if quant == Quant::Mxfp8 {
            *word = word.map(|byte| e4m3_code(byte, values));
        }
    }
    bytes
}

fn e4m3_code(byte: u8, values: Values) -> u8 {
    if values.dyadic() {
        (byte & 0x87) | ((4 + ((byte >> 3) & 7)) << 3)
    } else if byte & 0x7f == 0x7f {
        byte ^ 1
    } else {
        byte
    }
}

/// From where scales and biases are taken: a range of about ±0.08 around 0 at K = 2048, as a
/// model's weights have; or integers, the scale odd and with as many bits as exact sums leave
/// room for, so that the weights have more bits than 16-bit types hold.
struct Ranges {
    levels: f64,
    range: f64,
    /// The largest scale, where they are integers.
    most: Option<u64>,
}

impl Ranges {
    fn new(bits: usize, matrix: Matrix, values: Values) -> Self {
        Ranges {
            levels: levels(bits),
            range: 7.0 / (matrix.k as f64).sqrt(),
            most: values
                .dyadic()
                .then(|| dyadic_scale(bits, matrix.scales, matrix.k)),
        }
    }

    /// Scale and bias of group `i`.
    fn group(&self, [s, b]: [Stream; 2], i: u64) -> (f64, f64) {
        if let Some(most) = self.most {
            let scale = (2 * s.below(i, most.div_ceil(2)) + 1) as f64;
            let bias = -(scale * self.levels / 2.0).round() + b.below(i, 7) as f64 - 3.0;
            return (scale, bias);
        }
        let scale = self.range / self.levels * (0.5 + s.unit(i));
        (scale, -scale * self.levels / 2.0 * (0.9 + 0.2 * b.unit(i)))
    }
}

fn levels(bits: usize) -> f64 {
    f64::from((1u32 << bits) - 1)
}

/// The largest dyadic scale: its type holds it, and K weights times activations of 1.3 on
/// average stay four times below the 2^24 units that float32 holds.
fn dyadic_scale(bits: usize, float: Float, k: usize) -> u64 {
    let room = pow2(24) / (2.6 * k as f64 * levels(bits));
    let held = 1.0 / float.unit_roundoff() - 1.0;
    // The biases, half of scale times levels, must stay in float16's range.
    room.min(held)
        .min(pow2(16) / levels(bits))
        .clamp(1.0, pow2(12)) as u64
}

fn scale_code(quant: Quant, values: Values, bits: u64) -> u8 {
    let spread = if values.dyadic() { 3 } else { 6 };
    let some = ((bits >> 20) % spread) as u8;
    match quant {
        // 2^-6 … 2^-1, or 1/2, 1, 2.
        Quant::Mxfp4 | Quant::Mxfp8 if values.dyadic() => 126 + some,
        Quant::Mxfp4 | Quant::Mxfp8 => 121 + some,
        // Fractions of three bits; exponents around 1 or, with subnormals, from 0 up.
        _ if values.dyadic() => ((6 + some) << 3) | ((bits & 3) as u8) << 1,
        _ => (some << 3) | (bits & 7) as u8,
    }
}

/// Root mean square of a weight, for choosing the activations' magnitude.
fn weight_deviation(quant: Quant, scales: Float, k: usize, values: Values) -> f64 {
    match (quant, values.dyadic()) {
        (Quant::Affine { bits, .. }, true) => {
            // An even distribution up to the largest scale, times one over the levels.
            0.58 * dyadic_scale(bits, scales, k) as f64 * (levels(bits) + 1.0) / 3.46
        }
        (Quant::Affine { .. }, false) => 2.1 / (k as f64).sqrt(),
        (Quant::Mxfp4, true) => 3.0 * 1.3,
        (Quant::Mxfp4, false) => 3.0 * 0.24,
        (Quant::Mxfp8, true) => 10.0 * 1.3,
        (Quant::Mxfp8, false) => 120.0 * 0.24,
        (Quant::Nvfp4, true) => 3.0 * 1.8,
        (Quant::Nvfp4, false) => 3.0 * 0.18,
    }
}

/// The power of two by which [`activations`] multiplies numbers up to 4: exactly a power, so
/// that integers keep their exactness.
pub fn activation_exponent(k: usize, (quant, scales, values): (Quant, Float, Values)) -> i32 {
    let spread = (k as f64).sqrt() * weight_deviation(quant, scales, k, values);
    let unit = if values.dyadic() { 1.6 } else { 1.0 };
    (values.deviation() / (spread * unit)).log2().round() as i32
}

/// Activations of this type: (…, rows, K), such that dots get the deviation that `values` says.
pub fn activations(
    stream: Stream,
    float: Float,
    shape: &[usize],
    (quant, scales, values): (Quant, Float, Values),
) -> Tensor {
    let k = shape.last().copied().unwrap_or(1);
    let count: usize = shape.iter().product();
    let factor = pow2(activation_exponent(k, (quant, scales, values)));
    let of = |i: u64| {
        if values.dyadic() {
            // -4 … 4, mostly small; deviation 1.6.
            (stream.bell(i) * 1.6).round().clamp(-4.0, 4.0) * factor
        } else {
            stream.bell(i) * factor
        }
    };
    let values: Vec<f64> = (0..count as u64).map(|i| float.round(of(i))).collect();
    Tensor::of_floats(float, shape, &values)
}

/// Weights of a token's experts: positive, their sum 1 before rounding; (…, k).
pub fn combine_weights(stream: Stream, float: Float, shape: &[usize]) -> Tensor {
    let k = shape.last().copied().unwrap_or(1).max(1);
    let count: usize = shape.iter().product();
    let raw: Vec<f64> = (0..count as u64).map(|i| 0.05 + stream.unit(i)).collect();
    let values: Vec<f64> = raw
        .chunks(k)
        .flat_map(|token| {
            let sum: f64 = token.iter().sum();
            token
                .iter()
                .map(move |w| float.round(w / sum))
                .collect::<Vec<_>>()
        })
        .collect();
    Tensor::of_floats(float, shape, &values)
}

#[cfg(test)]
mod tests {
    use super::super::arithmetic::Arithmetic;
    use super::super::dot::dots;
    use super::super::float::unit;
    use super::super::quant::Weights;
    use super::super::twist::Twist;
    use super::*;

    fn streams() -> [Stream; 3] {
        ["w", "s", "b"].map(|word| Stream::new(5, &[word]))
    }

    fn all_quants() -> Vec<Quant> {
        let mut all = vec![Quant::Mxfp4, Quant::Mxfp8, Quant::Nvfp4];
        for bits in [2, 3, 4, 5, 6, 8] {
            for group in [32, 64, 128] {
                all.push(Quant::Affine { bits, group });
            }
        }
        all
    }

    fn setup(quant: Quant, values: Values, float: Float, k: usize) -> (Tensor, Weights) {
        let matrix = Matrix {
            quant,
            scales: float,
            transpose: true,
            batch: &[1],
            n: 24,
            k,
        };
        let made = quantized(streams(), matrix, values);
        let tensors = (&made.w, &made.scales, made.biases.as_ref());
        let weights = Weights::read(quant, true, float, tensors);
        let x = activations(
            Stream::new(5, &["x"]),
            float,
            &[4, k],
            (quant, float, values),
        );
        (x, weights)
    }

    #[test]
    fn dots_have_the_deviation_that_was_asked_for() {
        for quant in all_quants() {
            for (values, wanted) in [
                (Values::Real, 2.0),
                (Values::Dyadic, 2.0),
                (Values::Large, 30.0),
            ] {
                let (x, weights) = setup(quant, values, Float::Bf16, 256);
                let pairs: Vec<_> = (0..4).map(|row| Some((row, 0))).collect();
                let dots = dots(
                    &x.floats(),
                    &weights,
                    &pairs,
                    (Float::F32, true),
                    Arithmetic::CPU,
                );
                let square: f64 = dots.iter().map(|d| d.exact * d.exact).sum();
                let deviation = (square / dots.len() as f64).sqrt() / wanted;
                assert!(
                    (0.4..2.5).contains(&deviation),
                    "{quant:?} {values:?}: {deviation}"
                );
            }
        }
    }

    fn least_unit(values: impl Iterator<Item = f64>) -> f64 {
        values.map(unit).fold(f64::INFINITY, f64::min)
    }

    /// The sum of all products' magnitudes in units of a power of two that divides them all:
    /// below 2^24 no order of summation rounds.
    fn units(x: &[f64], weights: &Weights) -> f64 {
        let (mut column, mut most) = (Vec::new(), 0.0f64);
        let x_unit = least_unit(x.iter().copied());
        for n in 0..weights.n() {
            weights.column(0, n, &mut column);
            // Scales and biases of the affine mode are integers, so both parts are.
            let w_unit = match weights.quant() {
                Quant::Affine { .. } => least_unit(column.iter().map(|w| w.value)).min(1.0),
                _ => least_unit(column.iter().map(|w| w.value)),
            };
            let sum: f64 = x
                .iter()
                .zip(&column)
                .map(|(x, w)| x.abs() * (w.scaled + w.bias))
                .sum();
            most = most.max(sum / (x_unit * w_unit));
        }
        most
    }

    #[test]
    fn dyadic_inputs_keep_every_partial_sum_exact_in_float32() {
        for quant in all_quants() {
            for float in [Float::F32, Float::F16, Float::Bf16] {
                for k in [quant.group(), 2048, 7168] {
                    let (x, weights) = setup(quant, Values::Dyadic, float, k);
                    let units = units(&x.floats()[..k], &weights);
                    let limit = f64::from(1 << 24);
                    assert!(units < limit, "{quant:?} {float:?} {k}: {units:e}");
                }
            }
        }
    }

    #[test]
    fn twisted_dyadic_inputs_stay_exact_and_in_range() {
        for quant in all_quants() {
            for float in [Float::F32, Float::F16, Float::Bf16] {
                for twist in Twist::ALL.into_iter().filter(|twist| twist.suits(quant)) {
                    exact_in_range(quant, float, twist);
                }
            }
        }
    }

    fn exact_in_range(quant: Quant, float: Float, twist: Twist) {
        let k = 9 * quant.group();
        let how = (quant, float, Values::Dyadic);
        let exponent = activation_exponent(k, how) + 2;
        let x = activations(Stream::new(5, &["x"]), float, &[2, k], how);
        // The second row: one that `Mixed` changes.
        let x = &twist.activations(x, exponent, true).floats()[k..];
        if twist == Twist::NotFinite {
            assert!(x.iter().any(|x| x.is_nan()));
            return;
        }
        let mut made = quantized(
            streams(),
            Matrix {
                quant,
                scales: float,
                transpose: true,
                batch: &[1],
                n: 4,
                k,
            },
            Values::Dyadic,
        );
        twist.scales(quant, &mut made, float, exponent, true);
        let tensors = (&made.w, &made.scales, made.biases.as_ref());
        let weights = Weights::read(quant, true, float, tensors);
        let what = format!("{quant:?} {float:?} {twist:?}");
        let (largest, ends) = (
            x.iter().fold(0.0f64, |a, b| a.max(b.abs())),
            float == Float::F16,
        );
        match twist {
            Twist::Tiny | Twist::Mixed => {
                assert!(largest > 0.0 && largest <= pow2(if ends { -22 } else { -131 }))
            }
            Twist::Huge => assert!(largest >= pow2(if ends { 13 } else { 99 })),
            _ => {}
        }
        let x_unit = least_unit(x.iter().copied());
        let mut column = Vec::new();
        for n in 0..4 {
            weights.column(0, n, &mut column);
            let values = column
                .iter()
                .map(|w| w.value)
                .chain(column.iter().map(|w| w.scaled));
            let w_unit = least_unit(values);
            let sum: f64 = x
                .iter()
                .zip(&column)
                .map(|(x, w)| x.abs() * (w.scaled + w.bias))
                .sum();
            // In float32: below 2^24 units, no unit below the smallest number, none too large.
            assert!(sum / (x_unit * w_unit) < pow2(24), "{what}");
            assert!(x_unit * w_unit >= pow2(-149) && sum < pow2(127), "{what}");
            // The same for x·q, which is summed before the scale meets it.
            assert!(x_unit * pow2(-6) >= pow2(-149) && largest * 480.0 * k as f64 <= pow2(127));
        }
    }

    #[test]
    fn dyadic_weights_have_more_bits_than_16_bit_types() {
        for float in [Float::F16, Float::Bf16] {
            let quant = Quant::Affine { bits: 4, group: 64 };
            let (_, weights) = setup(quant, Values::Dyadic, float, 192);
            let mut column = Vec::new();
            weights.column(0, 0, &mut column);
            let rounded = column
                .iter()
                .filter(|w| float.round(w.value) != w.value)
                .count();
            assert!(rounded > 40, "{float:?}: {rounded} of 192");
        }
    }

    #[test]
    fn combine_weights_sum_to_one() {
        let w = combine_weights(Stream::new(2, &["c"]), Float::F32, &[3, 4]).floats();
        for token in w.chunks(4) {
            assert!((token.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        }
    }
}
