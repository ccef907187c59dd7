//! The dots of the oracle: for each row of activations and each column of an expert, the exact
//! value in float64 and the set of values that "r(float32 dot)" may take (see `bound`).

use rayon::prelude::*;

use super::arithmetic::Arithmetic;
use super::bound::{DotBound, Units, of_tiles};
use super::float::{Float, unit};
use super::judge::NOT_FINITE;
use super::quant::{Weight, Weights};

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

    /// The dot of a row with an infinity: infinite or NaN, by the order of its sum.
    pub const NOT_FINITE: Dot = Dot {
        exact: f64::NAN,
        low: NOT_FINITE.0,
        high: NOT_FINITE.1,
    };
}

/// One product to make: a row of the activations with an expert's matrix. None where the
/// index was not a valid one.
pub type Pair = Option<(usize, usize)>;

/// The dots of every pair, N for each, in the order of `pairs`. `x` holds rows of length K.
/// `dyadic` says that the inputs keep every partial sum exact in float32 (`inputs` makes and
/// tests such): then only the exact value, rounded once, is admissible, but for what the
/// device's arithmetic makes of subnormal numbers and of weights.
pub fn dots(
    x: &[f64],
    weights: &Weights,
    pairs: &[Pair],
    (float, dyadic): (Float, bool),
    arithmetic: Arithmetic,
) -> Vec<Dot> {
    let (n, k) = (weights.n(), weights.k());
    let mut by_expert: Vec<Vec<(usize, usize)>> = vec![Vec::new(); weights.experts()];
    let mut result = vec![Dot::NAN; pairs.len() * n];
    for (place, pair) in pairs.iter().enumerate() {
        if let Some((row, expert)) = pair {
            by_expert[*expert].push((place, *row));
        }
    }
    let rows: Vec<Row> = x.chunks(k.max(1)).map(Row::new).collect();
    let bound = (!dyadic || arithmetic.tiles)
        .then(|| DotBound::new(weights.quant(), weights.transpose(), k));
    for (expert, uses) in by_expert.iter().enumerate().filter(|(_, u)| !u.is_empty()) {
        let columns: Vec<Vec<Dot>> = (0..n)
            .into_par_iter()
            .map_init(Vec::new, |weights_of, n| {
                weights.column(expert, n, weights_of);
                let column = Column::new(weights_of, bound, (float, arithmetic));
                uses.iter()
                    .map(|(_, row)| column.dot(&rows[*row]))
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

/// A row of activations.
struct Row<'a> {
    x: &'a [f64],
    /// Σ|x|.
    magnitude: f64,
    /// All its values are multiples of this power of two.
    unit: f64,
    /// What all its dots are, where it holds a NaN or an infinity.
    fixed: Option<Dot>,
}

impl<'a> Row<'a> {
    fn new(x: &'a [f64]) -> Self {
        let magnitude = x.iter().map(|x| x.abs()).sum();
        Row {
            x,
            magnitude,
            unit: x.iter().map(|x| unit(*x)).fold(f64::INFINITY, f64::min),
            // An infinity times a weight is infinite or, if that is 0, NaN; further ones make
            // it NaN at most. So no dot of the row is finite.
            fixed: match magnitude {
                m if m.is_nan() => Some(Dot::NAN),
                f64::INFINITY => Some(Dot::NOT_FINITE),
                _ => None,
            },
        }
    }
}

/// The weights of one column, and how far a dot with them may be off.
struct Column<'a> {
    weights: &'a [Weight],
    /// The bound as multiples of |x|; empty where the dot is exact.
    errors: Vec<f64>,
    bound: Option<DotBound>,
    /// Σ(|s| + |q|).
    factors: f64,
    /// Where subnormal numbers may be 0.
    units: Option<Units>,
    float: Float,
    arithmetic: Arithmetic,
}

impl<'a> Column<'a> {
    fn new(
        weights: &'a [Weight],
        bound: Option<DotBound>,
        (float, arithmetic): (Float, Arithmetic),
    ) -> Self {
        let tiles = |w: &Weight| match arithmetic.tiles {
            true => of_tiles(float, w),
            false => 0.0,
        };
        Column {
            weights,
            errors: bound.map_or_else(Vec::new, |bound| {
                let errors = weights.iter().map(|w| bound.of_weight(w) + tiles(w));
                errors.collect()
            }),
            bound,
            factors: weights.iter().map(|w| w.scale + w.code).sum(),
            units: arithmetic.flushes.then(|| Units::of(weights)),
            float,
            arithmetic,
        }
    }

    fn dot(&self, row: &Row) -> Dot {
        if let Some(dot) = row.fixed {
            return dot;
        }
        let mut exact = 0.0;
        for (x, w) in row.x.iter().zip(self.weights) {
            exact += x * w.value;
        }
        let mut slack = self
            .units
            .map_or(0.0, |units| units.flushed((row.x, row.unit), self.weights));
        if let Some(bound) = self.bound {
            slack += bound.underflow(row.magnitude, self.factors);
            for (x, error) in row.x.iter().zip(&self.errors) {
                slack += x.abs() * error;
            }
        }
        let dot = match slack == 0.0 {
            true => Dot::exactly(self.float, exact),
            false => Dot {
                exact,
                low: self.float.round(exact - slack),
                high: self.float.round(exact + slack),
            },
        };
        let (low, high) = self.arithmetic.kept((dot.low, dot.high));
        Dot { low, high, ..dot }
    }
}

impl Dot {
    /// A dot that float32 holds without rounding. The sign of a zero depends on how the sum
    /// begins, which nobody promises.
    fn exactly(float: Float, exact: f64) -> Self {
        let rounded = float.round(exact);
        let (low, high) = if exact == 0.0 {
            (-0.0, 0.0)
        } else {
            (rounded, rounded)
        };
        Dot { exact, low, high }
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
        let dots = dots(&x, &ones(), &pairs, (Float::F16, true), Arithmetic::CPU);
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
        let dot = dots(
            &x,
            &ones(),
            &[Some((0, 0))],
            (Float::F32, false),
            Arithmetic::CPU,
        )[0];
        assert!(dot.low < dot.exact && dot.exact < dot.high);
        // 34 roundings at most, each of 2^-24 of the sum of magnitudes 9.6.
        assert!(dot.high - dot.low < 2.1 * 34.0 * 9.6 / f64::from(1 << 24));
    }

    #[test]
    fn a_row_that_is_not_finite_has_no_finite_dot() {
        let mut x = vec![1.0; 96];
        (x[3], x[40], x[70], x[71]) = (f64::INFINITY, f64::NAN, f64::NAN, f64::INFINITY);
        let pairs = [0, 1, 2].map(|row| Some((row, 1)));
        let dots = dots(&x, &ones(), &pairs, (Float::F32, true), Arithmetic::CPU);
        assert_eq!((dots[0].low, dots[0].high), NOT_FINITE);
        assert!(dots[1].low.is_nan() && dots[2].low.is_nan());
    }

    #[test]
    fn a_zero_that_is_exact_may_have_either_sign() {
        let x = [[1.0; 16], [-1.0; 16]].concat();
        let zero = dots(
            &x,
            &ones(),
            &[Some((0, 0))],
            (Float::F16, true),
            Arithmetic::CPU,
        )[0];
        assert!(zero.low.is_sign_negative() && zero.high.is_sign_positive());
        assert_eq!((zero.low, zero.high), (0.0, 0.0));
    }
}
