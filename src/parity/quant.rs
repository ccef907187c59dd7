//! Quantized weights, read from their bits up: written from the formats' definitions, sharing
//! nothing with MLX or with a kernel. Reading only; `inputs` makes them.

use super::float::{Float, pow2};
use super::tensor::Tensor;

/// A quantization of MLX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quant {
    /// s·q + b with scale and bias a group, q unsigned.
    Affine {
        /// Bits of q: 2, 3, 4, 5, 6, 8.
        bits: usize,
        /// Elements that share a scale: 32, 64, 128.
        group: usize,
    },
    /// e2m1 elements, an e8m0 scale for 32.
    Mxfp4,
    /// e4m3 elements, an e8m0 scale for 32.
    Mxfp8,
    /// e2m1 elements, an e4m3 scale for 16.
    Nvfp4,
}

impl Quant {
    /// The name of MLX's argument `mode`.
    pub fn mode(self) -> &'static str {
        match self {
            Quant::Affine { .. } => "affine",
            Quant::Mxfp4 => "mxfp4",
            Quant::Mxfp8 => "mxfp8",
            Quant::Nvfp4 => "nvfp4",
        }
    }

    /// The name in case names: `affine-b4-g64`, `mxfp4`.
    pub fn name(self) -> String {
        match self {
            Quant::Affine { bits, group } => format!("affine-b{bits}-g{group}"),
            _ => self.mode().to_string(),
        }
    }

    /// Bits of an element.
    pub fn bits(self) -> usize {
        match self {
            Quant::Affine { bits, .. } => bits,
            Quant::Mxfp4 | Quant::Nvfp4 => 4,
            Quant::Mxfp8 => 8,
        }
    }

    /// Elements that share a scale.
    pub fn group(self) -> usize {
        match self {
            Quant::Affine { group, .. } => group,
            Quant::Mxfp4 | Quant::Mxfp8 => 32,
            Quant::Nvfp4 => 16,
        }
    }

    /// True for the mode with biases and floating scales.
    pub fn is_affine(self) -> bool {
        matches!(self, Quant::Affine { .. })
    }
}

/// One element of `bits` bits at place `index` of a row: rows are little-endian bit streams,
/// an element's low bit first, so that 3, 5 and 6 bits cross bytes and words.
pub fn element(row: &[u8], bits: usize, index: usize) -> u32 {
    let first = index * bits;
    let byte = first / 8;
    let low = u32::from(row[byte]);
    let high = if byte + 1 < row.len() {
        u32::from(row[byte + 1])
    } else {
        0
    };
    ((low | (high << 8)) >> (first % 8)) & ((1 << bits) - 1)
}

/// The value of a 4-bit float: 1 sign, 2 exponent (bias 1), 1 fraction bit.
pub fn e2m1(code: u32) -> f64 {
    let exponent = (code >> 1) & 3;
    let fraction = f64::from(code & 1) / 2.0;
    let magnitude = if exponent == 0 {
        fraction
    } else {
        (1.0 + fraction) * pow2(exponent as i32 - 1)
    };
    if code & 8 == 0 { magnitude } else { -magnitude }
}

/// The value of an 8-bit float: 1 sign, 4 exponent (bias 7), 3 fraction bits, no infinities.
/// The NaN code (all ones below the sign) is never made by `inputs`: MLX reads it as 480.
pub fn e4m3(code: u32) -> f64 {
    let exponent = (code >> 3) & 15;
    let fraction = f64::from(code & 7) / 8.0;
    let magnitude = if exponent == 0 {
        fraction * pow2(-6)
    } else {
        (1.0 + fraction) * pow2(exponent as i32 - 7)
    };
    if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The value of an e8m0 scale: 2^(code - 127).
pub fn e8m0(code: u8) -> f64 {
    pow2(i32::from(code) - 127)
}

/// Quantized matrices of one input: `experts` of them, each K × N as the product sees it.
#[derive(Debug, Clone)]
pub struct Weights {
    quant: Quant,
    transpose: bool,
    experts: usize,
    n: usize,
    k: usize,
    packed: Vec<u8>,
    /// What each code of an element stands for.
    values: Vec<f64>,
    scales: Vec<f64>,
    biases: Vec<f64>,
}

impl Weights {
    /// Reads the tensors as an op takes them; scales and biases of the affine mode are rounded
    /// to `float`, the type in which the op computes.
    pub fn read(
        quant: Quant,
        transpose: bool,
        float: Float,
        (w, scales, biases): (&Tensor, &Tensor, Option<&Tensor>),
    ) -> Self {
        let rounded = |tensor: &Tensor| {
            tensor
                .floats()
                .into_iter()
                .map(|v| float.round(v))
                .collect()
        };
        let (rows, columns) = (w.shape[w.shape.len() - 2], w.shape[w.shape.len() - 1]);
        let wide = columns * 32 / quant.bits();
        let (n, k) = if transpose {
            (rows, wide)
        } else {
            (wide, rows)
        };
        Weights {
            quant,
            transpose,
            experts: w.shape[..w.shape.len() - 2].iter().product(),
            n,
            k,
            packed: w.bytes.clone(),
            values: (0..1u32 << quant.bits())
                .map(|code| match quant {
                    Quant::Affine { .. } => f64::from(code),
                    Quant::Mxfp8 => e4m3(code),
                    Quant::Mxfp4 | Quant::Nvfp4 => e2m1(code),
                })
                .collect(),
            scales: match quant {
                Quant::Affine { .. } => rounded(scales),
                Quant::Mxfp4 | Quant::Mxfp8 => scales.bytes.iter().map(|c| e8m0(*c)).collect(),
                Quant::Nvfp4 => scales.bytes.iter().map(|c| e4m3(u32::from(*c))).collect(),
            },
            biases: biases.map_or_else(Vec::new, rounded),
        }
    }

    /// The number of matrices.
    pub fn experts(&self) -> usize {
        self.experts
    }
    /// Columns of the product.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Length of the dot.
    pub fn k(&self) -> usize {
        self.k
    }
    /// True for matrices (N, K).
    pub fn transpose(&self) -> bool {
        self.transpose
    }
    /// How they are quantized.
    pub fn quant(&self) -> Quant {
        self.quant
    }

    /// The weights with which column `n` of the product is made.
    pub fn column(&self, expert: usize, n: usize, into: &mut Vec<Weight>) {
        into.clear();
        let (rows, wide) = if self.transpose {
            (self.n, self.k)
        } else {
            (self.k, self.n)
        };
        let (bits, group) = (self.quant.bits(), self.quant.group());
        let row_bytes = wide * bits / 8;
        // The oracle's innermost loop: a row is read group by group, a column across rows.
        let mut run = |row: usize, first: usize, count: usize| {
            let packed = &self.packed[row * row_bytes..(row + 1) * row_bytes];
            let place = row * (wide / group) + first / group;
            let (s, b) = (
                self.scales[place],
                self.biases.get(place).copied().unwrap_or(0.0),
            );
            for i in first..first + count {
                into.push(Weight::new(
                    s,
                    self.values[element(packed, bits, i) as usize],
                    b,
                ));
            }
        };
        if self.transpose {
            for first in (0..wide).step_by(group) {
                run(expert * rows + n, first, group);
            }
        } else {
            for k in 0..rows {
                run(expert * rows + k, n, 1);
            }
        }
    }
}

/// One weight s·q + b, exact in float64, and what bounds the rounding errors of its product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// s·q + b.
    pub value: f64,
    /// |s·q|.
    pub scaled: f64,
    /// |b|.
    pub bias: f64,
    /// |s|.
    pub scale: f64,
    /// |q|.
    pub code: f64,
}

impl Weight {
    fn new(s: f64, q: f64, b: f64) -> Self {
        let scaled = s * q;
        Weight {
            value: scaled + b,
            scaled: scaled.abs(),
            bias: b.abs(),
            scale: s.abs(),
            code: q.abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tensor::Dtype;
    use super::*;

    #[test]
    fn the_4_bit_float_has_its_sixteen_values() {
        let positive = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
        for (code, v) in positive.into_iter().enumerate() {
            assert_eq!(e2m1(code as u32), v);
            assert_eq!(e2m1(code as u32 + 8), -v);
        }
    }

    #[test]
    fn the_8_bit_float_has_its_known_values() {
        for (code, v) in [
            (0x00, 0.0),
            (0x01, 0.001_953_125),
            (0x07, 0.013_671_875),
            (0x08, 0.015_625),
            (0x38, 1.0),
            (0x3c, 1.5),
            (0x7e, 448.0),
            (0xb8, -1.0),
            (0xfe, -448.0),
        ] {
            assert_eq!(e4m3(code), v, "{code:#x}");
        }
        assert_eq!((e8m0(127), e8m0(120), e8m0(130)), (1.0, pow2(-7), 8.0));
    }

    #[test]
    fn elements_of_odd_widths_cross_bytes() {
        // 3 bits, 0..7 in order: 0b111_110_101_100_011_010_001_000, low byte first.
        let three = [0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(
            (0..8).map(|i| element(&three, 3, i)).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6, 7]
        );
        // 5 bits: 31, 0, 21, 10, 1: bit 5i upwards.
        let five = [0b0001_1111, 0b0101_0100, 0b0001_0101, 0, 0];
        assert_eq!(
            (0..5).map(|i| element(&five, 5, i)).collect::<Vec<_>>(),
            [31, 0, 21, 10, 1]
        );
        // 6 bits: 63, 1, 42, 7.
        let six = [0b0111_1111, 0b1010_0000, 0b0001_1110];
        assert_eq!(
            (0..4).map(|i| element(&six, 6, i)).collect::<Vec<_>>(),
            [63, 1, 42, 7]
        );
        assert_eq!((element(&[0xa5], 4, 0), element(&[0xa5], 4, 1)), (5, 10));
        assert_eq!(
            (0..4)
                .map(|i| element(&[0b11_10_01_00], 2, i))
                .collect::<Vec<_>>(),
            [0, 1, 2, 3]
        );
    }

    fn affine(transpose: bool) -> Weights {
        // One matrix of 2 rows of 32 elements of 8 bits: element i of row r is 32r + i.
        let w = Tensor {
            dtype: Dtype::U32,
            shape: vec![2, 8],
            bytes: (0..64).collect(),
        };
        let scales = Tensor::of_floats(Float::F32, &[2, 1], &[0.5, 2.0]);
        let biases = Tensor::of_floats(Float::F32, &[2, 1], &[-1.0, 3.0]);
        let quant = Quant::Affine { bits: 8, group: 32 };
        Weights::read(quant, transpose, Float::F32, (&w, &scales, Some(&biases)))
    }

    #[test]
    fn transposed_weights_are_read_along_their_rows() {
        let mut column = Vec::new();
        let w = affine(true);
        assert_eq!((w.experts(), w.n(), w.k()), (1, 2, 32));
        w.column(0, 1, &mut column);
        // Element 5 of row 1 is 37: 2·37 + 3.
        assert_eq!(column[5], Weight::new(2.0, 37.0, 3.0));
        assert_eq!(column[5].value, 77.0);
        w.column(0, 0, &mut column);
        let second = column[1];
        assert_eq!((second.value, second.scaled, second.bias), (-0.5, 0.5, 1.0));
    }

    #[test]
    fn untransposed_weights_are_read_across_their_rows() {
        let mut column = Vec::new();
        let w = affine(false);
        assert_eq!((w.n(), w.k()), (32, 2));
        w.column(0, 5, &mut column);
        assert_eq!(
            column.iter().map(|w| w.value).collect::<Vec<_>>(),
            [1.5, 77.0]
        );
    }
}
