//! What is unusual about the inputs of some cases: magnitudes at the ends of the range, scales
//! that are zero or negative, rows that are not finite. Changes what `inputs` has made, and
//! leaves exact sums exact.

use super::float::{Float, exponent_of, pow2};
use super::inputs::Quantized;
use super::quant::Quant;
use super::tensor::Tensor;

/// A change of a case's inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// No change.
    None,
    /// Activations around 2^-120, or down to the smallest subnormals where sums are exact; in
    /// float16 at the lower end of its range. Scales are larger by as much as they can be.
    Tiny,
    /// As `Tiny` in every third row of activations, the scales as they are: a kernel that treats
    /// such rows apart has both kinds at once.
    Mixed,
    /// Activations around 2^100, in float16 around 2^14; scales are smaller.
    Huge,
    /// Some groups have scale 0, some bias 0, some both.
    ZeroScales,
    /// Every second group has a negative scale.
    NegativeScales,
    /// Some rows of activations hold a NaN, an infinity, or both; most hold none.
    NotFinite,
}

impl Twist {
    /// All changes.
    pub const ALL: [Twist; 6] = [
        Twist::Tiny,
        Twist::Mixed,
        Twist::Huge,
        Twist::ZeroScales,
        Twist::NegativeScales,
        Twist::NotFinite,
    ];

    /// The name in case names.
    pub fn name(self) -> &'static str {
        match self {
            Twist::None => "plain",
            Twist::Tiny => "tiny",
            Twist::Mixed => "mixed",
            Twist::Huge => "huge",
            Twist::ZeroScales => "zero-scales",
            Twist::NegativeScales => "negative-scales",
            Twist::NotFinite => "not-finite",
        }
    }

    /// Whether a format has what the change needs.
    pub fn suits(self, quant: Quant) -> bool {
        match self {
            // e8m0 has neither zero nor sign.
            Twist::ZeroScales | Twist::NegativeScales => {
                !matches!(quant, Quant::Mxfp4 | Quant::Mxfp8)
            }
            _ => true,
        }
    }

    /// By how many powers of two activations change that are about 2^`exponent`.
    fn shift(self, float: Float, exponent: i32, exact: bool) -> i32 {
        let wanted = match (self, float, exact) {
            // Exact ones are multiples, up to 4, of the smallest subnormal of the type.
            (Twist::Tiny | Twist::Mixed, Float::F16, true) => -22,
            (Twist::Tiny | Twist::Mixed, Float::F16, false) => -16,
            (Twist::Tiny | Twist::Mixed, _, true) => -131,
            (Twist::Tiny | Twist::Mixed, _, false) => -119,
            (Twist::Huge, Float::F16, _) => 14,
            (Twist::Huge, _, _) => 100,
            _ => return 0,
        };
        wanted - exponent
    }

    /// Changes activations (…, K) whose largest are about 2^`exponent`.
    pub fn activations(self, x: Tensor, exponent: i32, exact: bool) -> Tensor {
        let Some(float) = x.dtype.float() else {
            return x;
        };
        let shift = self.shift(float, exponent, exact);
        if shift == 0 && self != Twist::NotFinite {
            return x;
        }
        let k = x.shape.last().copied().unwrap_or(1).max(1);
        let mut values = x.floats();
        for (number, row) in values.chunks_mut(k).enumerate() {
            if self != Twist::Mixed || number % 3 == 1 {
                row.iter_mut()
                    .for_each(|v| *v = float.round(*v * pow2(shift)));
            }
        }
        if self == Twist::NotFinite {
            for (number, row) in values.chunks_mut(k).enumerate() {
                let (first, last) = (number * 7 % k, k - 1);
                match number % 11 {
                    1 => row[first] = f64::NAN,
                    2 => row[first] = f64::INFINITY,
                    3 => row[last] = f64::NEG_INFINITY,
                    4 => (row[first], row[last]) = (f64::INFINITY, f64::NAN),
                    _ => {}
                }
            }
        }
        Tensor::of_floats(float, &x.shape, &values)
    }

    /// Changes the scales, and the biases with them. `exponent` is that of the activations,
    /// which are of type `x`.
    pub fn scales(self, quant: Quant, made: &mut Quantized, x: Float, exponent: i32, exact: bool) {
        let against = match self {
            Twist::Mixed => 0,
            _ => -self.shift(x, exponent, exact),
        };
        match quant {
            Quant::Affine { .. } => self.affine(made, against, exact),
            Quant::Mxfp4 | Quant::Mxfp8 => {
                let by = against.clamp(-110, 110);
                for code in &mut made.scales.bytes {
                    *code = (i32::from(*code) + by) as u8;
                }
            }
            // Its scales have no room for other magnitudes.
            Quant::Nvfp4 => {
                for (group, code) in made.scales.bytes.iter_mut().enumerate() {
                    match self {
                        Twist::ZeroScales if group % 3 == 0 => *code = 0,
                        Twist::NegativeScales if group % 2 == 1 => *code |= 0x80,
                        _ => {}
                    }
                }
            }
        }
    }

    fn affine(self, made: &mut Quantized, against: i32, exact: bool) {
        let (Some(float), Some(biases)) = (made.scales.dtype.float(), &mut made.biases) else {
            return;
        };
        let (mut s, mut b) = (made.scales.floats(), biases.floats());
        let most = s
            .iter()
            .chain(&b)
            .fold(0.0, |most: f64, v| v.abs().max(most));
        let room = match float {
            // Down to multiples of the smallest subnormal, or as far as bits are not lost.
            Float::F16 if exact => (-24, 0),
            Float::F16 => (-8, 0),
            _ => (-114, 118 - exponent_of(most)),
        };
        let by = pow2(against.clamp(room.0, room.1.max(room.0)));
        for (group, (s, b)) in s.iter_mut().zip(&mut b).enumerate() {
            (*s, *b) = (float.round(*s * by), float.round(*b * by));
            if self == Twist::NegativeScales && group % 2 == 1 {
                *s = -*s;
            }
            if self == Twist::ZeroScales {
                *s = if group % 3 == 0 { 0.0 } else { *s };
                *b = if group % 5 == 0 { 0.0 } else { *b };
            }
        }
        let shape = &made.scales.shape;
        *biases = Tensor::of_floats(float, shape, &b);
        made.scales = Tensor::of_floats(float, shape, &s);
    }
}
