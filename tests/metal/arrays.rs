//! Arrays as MLX would hold them: a tensor's elements in some order in memory, with the strides
//! that lead through them.

use mlx_fork::parity::float::Float;
use mlx_fork::parity::ops::Storage;
use mlx_fork::parity::tensor::{Dtype, Tensor};

/// An array: bytes, and how they are walked.
#[derive(Debug, Clone)]
pub struct Array {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// In elements.
    pub strides: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Array {
    /// A tensor, laid out as told.
    pub fn of(tensor: &Tensor, storage: Storage) -> Self {
        let rank = tensor.shape.len();
        let mut axes: Vec<usize> = (0..rank).collect();
        match storage {
            Storage::Swapped if rank > 1 => axes.swap(rank - 2, rank - 1),
            Storage::Reversed => axes.reverse(),
            Storage::Repeated if rank > 0 => {
                let mut one = Array::of(&tensor.take(&[0]), Storage::Rows);
                one.shape[0] = tensor.shape[0];
                one.strides[0] = 0;
                return one;
            }
            _ => {}
        }
        // Memory has the axes in the order `axes`, the last one fastest.
        let mut strides = vec![0; rank];
        let mut step = 1;
        for axis in axes.iter().rev() {
            strides[*axis] = step;
            step *= tensor.shape[*axis];
        }
        let size = tensor.dtype.size();
        let mut bytes = vec![0; tensor.bytes.len()];
        for (flat, element) in tensor.bytes.chunks_exact(size).enumerate() {
            let (mut rest, mut at) = (flat, 0);
            for axis in (0..rank).rev() {
                at += rest % tensor.shape[axis] * strides[axis];
                rest /= tensor.shape[axis];
            }
            bytes[at * size..][..size].copy_from_slice(element);
        }
        Array {
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            strides,
            bytes,
        }
    }

    /// As requests to the launch program have it.
    pub fn words(&self) -> String {
        format!("{}:{}", list(&self.shape), list(&self.strides))
    }

    /// As [`Self::words`], for indices.
    pub fn index_words(&self) -> String {
        let code = match self.dtype {
            Dtype::U8 => 0,
            Dtype::U16 => 1,
            Dtype::U32 => 2,
            Dtype::U64 => 3,
            Dtype::I8 => 4,
            Dtype::I16 => 5,
            Dtype::I32 => 6,
            Dtype::I64 => 7,
            other => panic!("indices of type {other:?}"),
        };
        format!("{code}:{}", self.words())
    }
}

/// `1,2,3`.
pub fn list(values: &[usize]) -> String {
    let words: Vec<String> = values.iter().map(usize::to_string).collect();
    words.join(",")
}

/// A floating tensor in another type, as MLX's astype rounds it; others as they are.
pub fn cast(tensor: &Tensor, float: Float) -> Tensor {
    if tensor.dtype.float().is_none_or(|own| own == float) {
        return tensor.clone();
    }
    let values: Vec<f64> = tensor
        .floats()
        .into_iter()
        .map(|v| float.round(v))
        .collect();
    Tensor::of_floats(float, &tensor.shape, &values)
}
