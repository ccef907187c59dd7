//! Tables that the ops' catalogues share: formats, types, models; and the broadcasting of
//! indices as `gather_qmm` does it.

use crate::parity::float::Float;
use crate::parity::inputs::{Indices, valid};
use crate::parity::quant::Quant;
use crate::parity::tensor::{Dtype, Tensor};

/// The types of results.
pub const FLOATS: [Float; 3] = [Float::F32, Float::F16, Float::Bf16];

/// The format that most tables vary something else on.
pub const B4G64: Quant = Quant::Affine { bits: 4, group: 64 };

/// Every format of KERNELS: affine widths and groups, and the float formats.
pub fn quants() -> Vec<Quant> {
    let widths = [2, 3, 4, 5, 6, 8];
    let affine = widths
        .iter()
        .flat_map(|bits| [32, 64, 128].map(|group| Quant::Affine { bits: *bits, group }));
    affine
        .chain([Quant::Mxfp4, Quant::Mxfp8, Quant::Nvfp4])
        .collect()
}

/// The integer types that indices may have.
pub const INDEX_TYPES: [Dtype; 8] = [
    Dtype::U8,
    Dtype::U16,
    Dtype::U32,
    Dtype::U64,
    Dtype::I8,
    Dtype::I16,
    Dtype::I32,
    Dtype::I64,
];

/// A model's layer. The number of experts is cut: what is not read changes no result; the
/// active ones are those of the model.
pub struct Model {
    /// Its name in case names.
    pub name: &'static str,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of an expert.
    pub expert: usize,
    /// Experts present.
    pub experts: usize,
    /// Experts of a token.
    pub active: usize,
    /// The format.
    pub quant: Quant,
    /// The types in which it is run: stock's float16 is slow.
    pub floats: &'static [Float],
}

/// The models of KERNELS, and what of them fits into a run of minutes.
pub const MODELS: &[Model] = &[
    Model {
        name: "qwen3",
        hidden: 2048,
        expert: 768,
        experts: 16,
        active: 8,
        quant: B4G64,
        floats: &FLOATS,
    },
    Model {
        name: "glm4-lite",
        hidden: 2048,
        expert: 1536,
        experts: 8,
        active: 4,
        quant: B4G64,
        floats: &[Float::F32, Float::Bf16],
    },
    Model {
        name: "glm4-lite-mxfp4",
        hidden: 2048,
        expert: 1536,
        experts: 8,
        active: 4,
        quant: Quant::Mxfp4,
        floats: &[Float::F32, Float::Bf16],
    },
    Model {
        name: "lfm2",
        hidden: 2048,
        expert: 1792,
        experts: 8,
        active: 4,
        quant: Quant::Affine { bits: 8, group: 64 },
        floats: &[Float::F32, Float::Bf16],
    },
    Model {
        name: "gpt-oss",
        hidden: 2880,
        expert: 2880,
        experts: 6,
        active: 4,
        quant: Quant::Mxfp4,
        floats: &[Float::F32, Float::Bf16],
    },
    Model {
        name: "deepseek-v3",
        hidden: 7168,
        expert: 2048,
        experts: 3,
        active: 2,
        quant: B4G64,
        floats: &[Float::F32],
    },
    Model {
        name: "mixtral",
        hidden: 4096,
        expert: 14336,
        experts: 2,
        active: 1,
        quant: B4G64,
        floats: &[Float::F32],
    },
];

/// How an input lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Row-major.
    Rows,
    /// The last two axes swapped in memory.
    Swapped,
}

/// An index tensor to make.
#[derive(Debug, Clone)]
pub struct IndexSpec {
    /// Its type.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it holds.
    pub kind: Indices,
}

impl IndexSpec {
    /// Valid indices of this type and shape.
    pub fn valid(dtype: Dtype, shape: &[usize]) -> Self {
        IndexSpec {
            dtype,
            shape: shape.to_vec(),
            kind: Indices::Valid,
        }
    }

    /// The same with other contents.
    pub fn with(self, kind: Indices) -> Self {
        IndexSpec { kind, ..self }
    }
}

/// Indices with a shape; none where an index is not valid.
pub struct Places {
    /// The shape.
    pub shape: Vec<usize>,
    /// The places, row-major.
    pub places: Vec<Option<usize>>,
}

impl Places {
    /// From an input below `limit`, or, absent, all places of `batch` in order.
    pub fn of(indices: Option<&Tensor>, batch: &[usize]) -> Self {
        let limit = batch.iter().product();
        match indices {
            Some(tensor) => Places {
                shape: tensor.shape.clone(),
                places: tensor
                    .integers()
                    .into_iter()
                    .map(|i| valid(i, limit))
                    .collect(),
            },
            None => Places {
                shape: batch.to_vec(),
                places: (0..limit).map(Some).collect(),
            },
        }
    }

    /// Repeated up to a shape with which it is compatible.
    pub fn broadcast(&self, shape: &[usize]) -> Vec<Option<usize>> {
        let missing = shape.len() - self.shape.len();
        let count: usize = shape.iter().product();
        (0..count)
            .map(|flat| {
                let (mut rest, mut at, mut stride) = (flat, 0, 1);
                for (axis, extent) in shape.iter().enumerate().rev() {
                    let place = rest % extent;
                    rest /= extent;
                    if axis >= missing {
                        let own = self.shape[axis - missing];
                        at += if own == 1 { 0 } else { place * stride };
                        stride *= own;
                    }
                }
                self.places[at]
            })
            .collect()
    }
}

/// The shape to which both broadcast.
pub fn common_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .map_or(1, |axis| shape[axis])
    };
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (1, other) | (other, 1) => other,
            (a, _) => a,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_broadcast_from_the_right() {
        let shape = common_shape(&[3, 1], &[2]);
        assert_eq!(shape, [3, 2]);
        let column = Places::of(None, &[3, 1]).broadcast(&shape);
        assert_eq!(column, [0, 0, 1, 1, 2, 2].map(Some));
        let row = Places::of(None, &[2]).broadcast(&shape);
        assert_eq!(row, [0, 1, 0, 1, 0, 1].map(Some));
        assert_eq!(common_shape(&[0], &[1]), [0]);
    }
}
