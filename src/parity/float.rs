//! The three floating types of the ops, as sets of float64 numbers: rounding to them, steps
//! between them, their bytes. All arithmetic of the oracle runs in float64 and is rounded
//! here; nothing of MLX or of a kernel is used.

use super::tensor::Dtype;

/// A floating type, described by what rounding needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Float {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of binary32.
    Bf16,
}

impl Float {
    /// Bits of the significand, the hidden one included.
    fn precision(self) -> i32 {
        match self {
            Float::F32 => 24,
            Float::F16 => 11,
            Float::Bf16 => 8,
        }
    }

    /// Exponent of the smallest normal number.
    fn min_exponent(self) -> i32 {
        match self {
            Float::F32 | Float::Bf16 => -126,
            Float::F16 => -14,
        }
    }

    fn mantissa_bits(self) -> i32 {
        self.precision() - 1
    }

    /// Largest finite value.
    pub fn max(self) -> f64 {
        let exponent = if self == Float::F16 { 15 } else { 127 };
        (2.0 - pow2(1 - self.precision())) * pow2(exponent)
    }

    /// 2^-precision: the largest relative error of one rounding in the normal range.
    pub fn unit_roundoff(self) -> f64 {
        pow2(-self.precision())
    }

    /// The distance between the neighbours at the magnitude of `v`.
    pub fn ulp(self, v: f64) -> f64 {
        let v = v.abs().min(self.max());
        let exponent = if v == 0.0 { i32::MIN } else { exponent_of(v) };
        pow2(exponent.max(self.min_exponent()) - self.mantissa_bits())
    }

    /// `v` rounded to nearest, ties to even, to infinity beyond the largest finite value.
    pub fn round(self, v: f64) -> f64 {
        if v == 0.0 || !v.is_finite() {
            return v;
        }
        let quantum = exponent_of(v).max(self.min_exponent()) - self.mantissa_bits();
        // Both scalings are exact: by powers of two, within float64's range.
        let rounded = (v * pow2(-quantum)).round_ties_even() * pow2(quantum);
        if rounded.abs() > self.max() {
            f64::INFINITY.copysign(v)
        } else {
            rounded.copysign(v)
        }
    }

    /// The next value of this type above `v`, a value of this type.
    pub fn above(self, v: f64) -> f64 {
        self.at_order(self.order(v) + 1)
    }

    /// The place of `v`, a value of this type and not NaN, in the row of all values;
    /// -0 and +0 share place 0.
    pub fn order(self, v: f64) -> i64 {
        let magnitude = v.abs();
        let place = if magnitude.is_infinite() {
            self.order(self.max()) + 1
        } else if magnitude < pow2(self.min_exponent()) {
            (magnitude / pow2(self.min_exponent() - self.mantissa_bits())) as i64
        } else {
            let exponent = exponent_of(magnitude);
            let fraction = (magnitude * pow2(self.mantissa_bits() - exponent)) as i64;
            // The hidden bit counts one exponent.
            ((i64::from(exponent - self.min_exponent())) << self.mantissa_bits()) + fraction
        };
        if v < 0.0 { -place } else { place }
    }

    fn at_order(self, place: i64) -> f64 {
        let bits = self.mantissa_bits();
        let (magnitude, hidden) = (place.abs(), 1i64 << bits);
        let v = if magnitude > self.order(self.max()) {
            f64::INFINITY
        } else if magnitude < hidden {
            magnitude as f64 * pow2(self.min_exponent() - bits)
        } else {
            let exponent = (magnitude >> bits) as i32 - 1 + self.min_exponent();
            ((magnitude & (hidden - 1)) + hidden) as f64 * pow2(exponent - bits)
        };
        if place < 0 { -v } else { v }
    }

    /// The type's name in a tensor.
    pub fn dtype(self) -> Dtype {
        match self {
            Float::F32 => Dtype::F32,
            Float::F16 => Dtype::F16,
            Float::Bf16 => Dtype::Bf16,
        }
    }

    /// The short name used in case names.
    pub fn name(self) -> &'static str {
        match self {
            Float::F32 => "f32",
            Float::F16 => "f16",
            Float::Bf16 => "bf16",
        }
    }

    /// The type that MLX gives to arithmetic between the two.
    pub fn promote(self, other: Float) -> Float {
        if self == other { self } else { Float::F32 }
    }

    /// Appends the little-endian bytes of `v`, a value of this type.
    pub fn put(self, v: f64, bytes: &mut Vec<u8>) {
        match self {
            Float::F32 => bytes.extend((v as f32).to_le_bytes()),
            Float::Bf16 => bytes.extend(((v as f32).to_bits() >> 16).to_le_bytes()[..2].iter()),
            // Exact: v is a binary16 value, which float32 holds.
            Float::F16 => bytes.extend(half::f16::from_f32(v as f32).to_le_bytes()),
        }
    }

    /// The values of little-endian bytes.
    pub fn values(self, bytes: &[u8]) -> Vec<f64> {
        match self {
            Float::F32 => each::<4>(bytes, |b| f64::from(f32::from_le_bytes(b))),
            Float::F16 => each::<2>(bytes, |b| half::f16::from_le_bytes(b).to_f64()),
            Float::Bf16 => each::<2>(bytes, |b| {
                f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))
            }),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| value(*chunk)).collect()
}

/// 2^exponent, exactly, for float64's normal range.
pub const fn pow2(exponent: i32) -> f64 {
    debug_assert!(exponent >= -1022 && exponent <= 1023);
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// floor(log2 |v|) of a finite value other than 0; float64 subnormals count as the smallest
/// normal exponent, which is below every type here.
pub fn exponent_of(v: f64) -> i32 {
    ((v.to_bits() >> 52) & 0x7ff) as i32 - 1023
}

/// The largest power of two that divides `v`, infinite for 0 and what is not finite: sums and
/// roundings of multiples of a unit are multiples of it.
pub fn unit(v: f64) -> f64 {
    if v == 0.0 || !v.is_finite() {
        return f64::INFINITY;
    }
    let fraction = (v.to_bits() & ((1 << 52) - 1)) | (1 << 52);
    pow2(exponent_of(v) - 52 + fraction.trailing_zeros() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Float; 3] = [Float::F32, Float::F16, Float::Bf16];

    #[test]
    fn rounding_takes_the_nearest_value_and_ties_to_even() {
        // Around 1 the neighbours of binary16 are 2^-10 apart, of bfloat16 2^-7.
        assert_eq!(Float::F16.round(1.0 + pow2(-11)), 1.0);
        assert_eq!(Float::F16.round(1.0 + 3.0 * pow2(-11)), 1.0 + pow2(-9));
        assert_eq!(
            Float::F16.round(1.0 + pow2(-11) + pow2(-40)),
            1.0 + pow2(-10)
        );
        assert_eq!(Float::Bf16.round(1.0 + pow2(-8)), 1.0);
        assert_eq!(
            Float::Bf16.round(-1.0 - pow2(-8) - pow2(-50)),
            -1.0 - pow2(-7)
        );
    }

    #[test]
    fn rounding_handles_the_ends_of_the_range() {
        assert_eq!(Float::F16.max(), 65504.0);
        assert_eq!(Float::F16.round(65519.9), 65504.0);
        assert_eq!(Float::F16.round(65520.0), f64::INFINITY);
        assert_eq!(Float::F16.round(pow2(-25)), 0.0);
        assert_eq!(Float::F16.round(1.5 * pow2(-25)), pow2(-24));
        assert!(Float::Bf16.round(-1e-60).is_sign_negative());
        assert_eq!(Float::F32.max(), f64::from(f32::MAX));
    }

    #[test]
    fn rounding_agrees_with_the_machine_where_it_has_the_type() {
        let mut v = 1e-46f64;
        while v < 1e39 {
            assert_eq!(Float::F32.round(v), f64::from(v as f32), "{v:e}");
            let narrow = half::bf16::from_f32(v as f32).to_f64();
            assert_eq!(Float::Bf16.round(f64::from(v as f32)), narrow, "{v:e}");
            v *= -1.000_37;
            v = v.abs();
        }
    }

    #[test]
    fn every_value_of_the_16_bit_types_survives_its_bytes_and_its_order() {
        for float in [Float::F16, Float::Bf16] {
            for bits in 0..=u16::MAX {
                let v = float.values(&bits.to_le_bytes())[0];
                if v.is_nan() {
                    continue;
                }
                let mut bytes = Vec::new();
                float.put(v, &mut bytes);
                assert_eq!(bytes, bits.to_le_bytes());
                assert_eq!(float.at_order(float.order(v)), v);
                assert_eq!(float.round(v), v);
            }
        }
    }

    #[test]
    fn above_is_one_step_and_no_more() {
        for float in ALL {
            assert_eq!(float.above(1.0), 1.0 + 2.0 * float.unit_roundoff());
            assert_eq!(float.above(float.max()), f64::INFINITY);
            assert!(float.above(-float.ulp(0.0)) == 0.0);
            assert_eq!(float.order(float.above(0.0)), 1);
        }
    }
}
