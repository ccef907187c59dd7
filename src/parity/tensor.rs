//! A tensor as bytes: what inputs are made of and what workers hand back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::float::Float;

/// Element types, named as in the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Dtype {
    F32,
    F16,
    Bf16,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
}

impl Dtype {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Dtype::U8 | Dtype::I8 => 1,
            Dtype::F16 | Dtype::Bf16 | Dtype::U16 | Dtype::I16 => 2,
            Dtype::F32 | Dtype::U32 | Dtype::I32 => 4,
            Dtype::U64 | Dtype::I64 => 8,
        }
    }

    /// The floating type, where it is one.
    pub fn float(self) -> Option<Float> {
        match self {
            Dtype::F32 => Some(Float::F32),
            Dtype::F16 => Some(Float::F16),
            Dtype::Bf16 => Some(Float::Bf16),
            _ => None,
        }
    }

    /// The name in case names and reports.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
            Dtype::Bf16 => "bf16",
            Dtype::U8 => "u8",
            Dtype::U16 => "u16",
            Dtype::U32 => "u32",
            Dtype::U64 => "u64",
            Dtype::I8 => "i8",
            Dtype::I16 => "i16",
            Dtype::I32 => "i32",
            Dtype::I64 => "i64",
        }
    }

    /// The smallest and largest integer it holds.
    pub fn integer_range(self) -> (i128, i128) {
        match self {
            Dtype::U8 => (0, u8::MAX.into()),
            Dtype::U16 => (0, u16::MAX.into()),
            Dtype::U32 => (0, u32::MAX.into()),
            Dtype::U64 => (0, u64::MAX.into()),
            Dtype::I8 => (i8::MIN.into(), i8::MAX.into()),
            Dtype::I16 => (i16::MIN.into(), i16::MAX.into()),
            Dtype::I32 => (i32::MIN.into(), i32::MAX.into()),
            Dtype::I64 => (i64::MIN.into(), i64::MAX.into()),
            Dtype::F32 | Dtype::F16 | Dtype::Bf16 => (0, -1),
        }
    }
}

/// Elements in row-major order, little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Element type.
    pub dtype: Dtype,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements.
    pub bytes: Vec<u8>,
}

impl Tensor {
    /// A floating tensor; the values must be values of `float`.
    pub fn of_floats(float: Float, shape: &[usize], values: &[f64]) -> Self {
        let mut bytes = Vec::with_capacity(values.len() * float.dtype().size());
        for v in values {
            float.put(*v, &mut bytes);
        }
        Tensor {
            dtype: float.dtype(),
            shape: shape.to_vec(),
            bytes,
        }
    }

    /// An integer tensor; values outside the type's range keep their low bits.
    pub fn of_integers(dtype: Dtype, shape: &[usize], values: &[i128]) -> Self {
        let bytes = values
            .iter()
            .flat_map(|v| v.to_le_bytes()[..dtype.size()].to_vec())
            .collect();
        Tensor {
            dtype,
            shape: shape.to_vec(),
            bytes,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True where it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These entries of the outermost axis, in this order.
    pub fn take(&self, places: &[usize]) -> Self {
        let size = self.bytes.len() / self.shape[0].max(1);
        let bytes = places
            .iter()
            .flat_map(|place| &self.bytes[place * size..(place + 1) * size])
            .copied()
            .collect();
        Tensor {
            dtype: self.dtype,
            shape: [&[places.len()], &self.shape[1..]].concat(),
            bytes,
        }
    }

    /// The entries of the outermost axis from back to front.
    pub fn reversed(&self) -> Self {
        self.take(&(0..self.shape[0]).rev().collect::<Vec<_>>())
    }

    /// The first entry of the outermost axis in the place of all of them.
    pub fn repeat_first(&mut self) {
        *self = self.take(&vec![0; self.shape[0]]);
    }

    /// The elements of a floating tensor; none for integers.
    pub fn floats(&self) -> Vec<f64> {
        self.dtype
            .float()
            .map_or_else(Vec::new, |float| float.values(&self.bytes))
    }

    /// The elements of an integer tensor.
    pub fn integers(&self) -> Vec<i128> {
        let signed = self.dtype.integer_range().0 < 0;
        self.bytes
            .chunks_exact(self.dtype.size())
            .map(|chunk| {
                let negative = signed && chunk.last().is_some_and(|byte| byte & 0x80 != 0);
                let mut wide = [if negative { 0xff } else { 0 }; 16];
                wide[..chunk.len()].copy_from_slice(chunk);
                i128::from_le_bytes(wide)
            })
            .collect()
    }
}

/// The inputs of one case, by name.
pub type Tensors = BTreeMap<&'static str, Tensor>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_outermost_axis_are_taken_in_order() {
        let mut t = Tensor::of_integers(Dtype::I16, &[3, 2], &[1, 2, 3, 4, 5, 6]);
        let taken = t.take(&[2, 0]);
        assert_eq!(
            (taken.shape.clone(), taken.integers()),
            (vec![2, 2], vec![5, 6, 1, 2])
        );
        t.repeat_first();
        assert_eq!(t.integers(), [1, 2, 1, 2, 1, 2]);
    }

    #[test]
    fn integers_of_every_type_survive_their_bytes() {
        for dtype in [
            Dtype::U8,
            Dtype::I8,
            Dtype::U16,
            Dtype::I16,
            Dtype::U32,
            Dtype::I32,
            Dtype::U64,
            Dtype::I64,
        ] {
            let (low, high) = dtype.integer_range();
            let values = [low, 0, 1, high];
            let tensor = Tensor::of_integers(dtype, &[4], &values);
            assert_eq!(tensor.integers(), values, "{dtype:?}");
        }
    }
}
