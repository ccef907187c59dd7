//! The dots of the oracle: for each row of activations and each column of an expert, the exact
//! value in float64 and the set of values that "r(float32 dot)" may take (see `bound`).

use rayon::prelude::*;

use super::bound;
use super::float::Float;
use super::quant::Weights;

/// What is known of one rounded dot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// The dot without any rounding, to float64's precision.
    pub exact: f64,
    /// Smallest and largest admissible value, both of the result's type.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Dot {
    /// The dot of a row that may not be read: NaN.
    pub const NAN: Dot = Dot {
        exact: f64::NAN,
        low: f64::NAN,
        high: f64::NAN,
    };
}

/// One product to make: a row of the activations with an expert's matrix. None where the
/// index was not a valid one.
pub type Pair = Option<(usize, usize)>;

/// The dots of every pair, N for each, in the order of `pairs`. `x` holds rows of length K.
/// `dyadic` says that the inputs keep every partial sum exact in float32 (`inputs` makes and
/// tests such): then only the exact value, rounded once, is admissible.
pub fn dots(x: &[f64], weights: &Weights, pairs: &[Pair], float: Float, dyadic: bool) -> Vec<Dot> {
    let (n, k) = (weights.n(), weights.k());
    let mut by_expert: Vec<Vec<(usize, usize)>> = vec![Vec::new(); weights.experts()];
    let mut result = vec![Dot::NAN; pairs.len() * n];
    for (place, pair) in pairs.iter().enumerate() {
        if let Some((row, expert)) = pair {
            by_expert[*expert].push((place, *row));
        }
    }
    for (expert, uses) in by_expert.iter().enumerate().filter(|(_, u)| !u.is_empty()) {
        let columns: Vec<Vec<Dot>> = (0..n)
            .into_par_iter()
            .map_init(Vec::new, |column, n| {
                weights.column(expert, n, column);
                uses.iter()
                    .map(|(_, row)| dot(&x[row * k..(row + 1) * k], column, weights, float, dyadic))
                    .collect()
            })
            .collect();
        for (column, dots) in columns.iter().enumerate() {
            for ((place, _), dot) in uses.iter().zip(dots) {
                result[place * n + column] = *dot;
            }
        }
    }
    result
}

fn dot(x: &[f64], w: &[(f64, f64)], weights: &Weights, float: Float, dyadic: bool) -> Dot {
    let (mut exact, mut magnitude) = (0.0, 0.0);
    for (x, (w, m)) in x.iter().zip(w) {
        exact += x * w;
        magnitude += x.abs() * m;
    }
    let slack = if dyadic {
        0.0
    } else {
        bound::dot_error(weights.quant(), weights.k(), magnitude)
    };
    Dot {
        exact,
        low: float.round(exact - slack),
        high: float.round(exact + slack),
    }
}

#[cfg(test)]
mod tests {
    use super::super::quant::Quant;
    use super::super::tensor::{Dtype, Tensor};
    use super::*;

    fn ones() -> Weights {
        // Two experts, one column each, 32 elements of 4 bits: expert 0 all 1, expert 1 all 2.
        let mut bytes = vec![0x11; 16];
        bytes.extend(vec![0x22; 16]);
        let w = Tensor {
            dtype: Dtype::U32,
            shape: vec![2, 1, 4],
            bytes,
        };
        let scales = Tensor::of_floats(Float::F32, &[2, 1, 1], &[1.0, 0.25]);
        let biases = Tensor::of_floats(Float::F32, &[2, 1, 1], &[0.0, 1.0]);
        let quant = Quant::Affine { bits: 4, group: 32 };
        Weights::read(quant, true, Float::F32, (&w, &scales, Some(&biases)))
    }

    #[test]
    fn each_pair_takes_its_row_and_its_expert() {
        let mut x = vec![1.0; 32];
        x.extend(vec![2.0; 32]);
        let pairs = [Some((1, 0)), None, Some((0, 1)), Some((0, 0))];
        let dots = dots(&x, &ones(), &pairs, Float::F16, true);
        assert_eq!(
            (dots[0].exact, dots[0].low, dots[0].high),
            (64.0, 64.0, 64.0)
        );
        assert!(dots[1].exact.is_nan());
        assert_eq!((dots[2].exact, dots[3].exact), (48.0, 32.0));
    }

    #[test]
    fn inexact_inputs_get_an_interval_around_the_exact_value() {
        let x = vec![0.3; 32];
        let dot = dots(&x, &ones(), &[Some((0, 0))], Float::F32, false)[0];
        assert!(dot.low < dot.exact && dot.exact < dot.high);
        // 36 roundings at most, each of 2^-24 of the sum of magnitudes 9.6.
        assert!(dot.high - dot.low < 2.1 * 37.0 * 9.6 / f64::from(1 << 24));
    }
}
