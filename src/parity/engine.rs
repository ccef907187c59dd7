//! One build of MLX, as the cases use it: tensors go in, results come out, through the C API.

use std::path::Path;

use mlx_fork_sys as sys;

use super::float::Float;
use super::ops::Storage;
use super::quant::Quant;
use super::tensor::{Dtype, Tensor, Tensors};
use crate::error::{Error, Result};

/// A loaded build.
pub struct Engine {
    /// Its C API.
    pub lib: sys::Library,
}

/// Weights, scales and biases as arrays.
pub struct Uploaded {
    w: sys::Array,
    scales: sys::Array,
    biases: Option<sys::Array>,
}

impl Uploaded {
    /// As the functions of the C API take them.
    pub fn matrix(&self) -> sys::Matrix<'_> {
        sys::Matrix {
            w: &self.w,
            scales: &self.scales,
            biases: self.biases.as_ref(),
        }
    }
}

impl Engine {
    /// Loads the C API of a build.
    pub fn open(library: &Path) -> Result<Self> {
        let lib = sys::Library::open(library).map_err(|e| {
            Error::environment(e.to_string()).hint("`cargo xtask setup-mlx` builds it again")
        })?;
        Ok(Engine { lib })
    }

    /// A tensor as an array, laid out in memory as told.
    pub fn upload(&self, tensor: &Tensor, storage: Storage) -> Result<sys::Array> {
        let rank = tensor.shape.len();
        let mut axes: Vec<usize> = (0..rank).collect();
        match storage {
            Storage::Swapped if rank > 1 => axes.swap(rank - 2, rank - 1),
            Storage::Reversed => axes.reverse(),
            Storage::Repeated if rank > 0 => {
                let first = self.upload(&tensor.take(&[0]), Storage::Rows)?;
                return done(first.broadcast_to(&extents(&tensor.shape)?));
            }
            _ => {}
        }
        // Both orders of the axes are their own inverse.
        let stored = transposed(tensor, &axes);
        let array = done(sys::Array::from_bytes(
            &self.lib,
            sys_dtype(tensor.dtype),
            &extents(&stored.shape)?,
            &stored.bytes,
        ))?;
        if axes.is_sorted() {
            return Ok(array);
        }
        done(array.transpose(&extents(&axes)?))
    }

    /// The three tensors of quantized weights, named `{prefix}_w`, `{prefix}_scales` and
    /// `{prefix}_biases`.
    pub fn matrix(
        &self,
        inputs: &Tensors,
        [w, scales, biases]: [&str; 3],
        storage: Storage,
    ) -> Result<Uploaded> {
        let get = |name: &str| {
            inputs
                .get(name)
                .map(|t| self.upload(t, storage))
                .transpose()
        };
        let missing = |name: &str| Error::bug(format!("the case has no input \"{name}\""));
        Ok(Uploaded {
            w: get(w)?.ok_or_else(|| missing(w))?,
            scales: get(scales)?.ok_or_else(|| missing(scales))?,
            biases: get(biases)?,
        })
    }

    /// A number of this type, as Python's numbers become arrays beside others.
    pub fn scalar(&self, float: Float, v: f64) -> Result<sys::Array> {
        self.upload(
            &Tensor::of_floats(float, &[], &[float.round(v)]),
            Storage::Rows,
        )
    }

    /// Computes an array and takes its elements.
    pub fn download(&self, array: &sys::Array) -> Result<Tensor> {
        let bytes = done(array.to_bytes())?;
        let dtype = done(array.dtype())?;
        let shape = done(array.shape())?;
        Ok(Tensor {
            dtype: own_dtype(dtype)
                .ok_or_else(|| Error::gate(format!("the result is of type {dtype}")))?,
            shape: shape.iter().map(|extent| *extent as usize).collect(),
            bytes,
        })
    }
}

/// A quantization as the C API takes it.
pub fn quantization(quant: Quant, transpose: bool) -> sys::Quantization<'static> {
    sys::Quantization {
        transpose,
        group_size: Some(quant.group() as i32),
        bits: Some(quant.bits() as i32),
        mode: quant.mode(),
    }
}

/// An error of MLX as one of a gate: inputs of cases are right by construction.
pub fn done<T>(result: sys::Result<T>) -> Result<T> {
    result.map_err(|e| Error::gate(e.to_string()))
}

fn extents(shape: &[usize]) -> Result<Vec<i32>> {
    shape
        .iter()
        .map(|extent| i32::try_from(*extent).map_err(|_| Error::bug("an extent is too large")))
        .collect()
}

/// The elements with their axes in another order, row-major again.
fn transposed(tensor: &Tensor, axes: &[usize]) -> Tensor {
    if axes.is_sorted() {
        return tensor.clone();
    }
    let size = tensor.dtype.size();
    let mut strides = vec![size; axes.len()];
    for axis in (1..axes.len()).rev() {
        strides[axis - 1] = strides[axis] * tensor.shape[axis];
    }
    let shape: Vec<usize> = axes.iter().map(|axis| tensor.shape[*axis]).collect();
    let mut bytes = Vec::with_capacity(tensor.bytes.len());
    for flat in 0..tensor.len() {
        let (mut rest, mut at) = (flat, 0);
        for (axis, extent) in axes.iter().zip(&shape).rev() {
            at += rest % extent * strides[*axis];
            rest /= extent;
        }
        bytes.extend_from_slice(&tensor.bytes[at..at + size]);
    }
    Tensor {
        dtype: tensor.dtype,
        shape,
        bytes,
    }
}

const TYPES: [(Dtype, sys::Dtype); 11] = [
    (Dtype::F32, sys::Dtype::Float32),
    (Dtype::F16, sys::Dtype::Float16),
    (Dtype::Bf16, sys::Dtype::Bfloat16),
    (Dtype::U8, sys::Dtype::Uint8),
    (Dtype::U16, sys::Dtype::Uint16),
    (Dtype::U32, sys::Dtype::Uint32),
    (Dtype::U64, sys::Dtype::Uint64),
    (Dtype::I8, sys::Dtype::Int8),
    (Dtype::I16, sys::Dtype::Int16),
    (Dtype::I32, sys::Dtype::Int32),
    (Dtype::I64, sys::Dtype::Int64),
];

fn sys_dtype(dtype: Dtype) -> sys::Dtype {
    // The table has every one of ours, in the order of the enum.
    TYPES[dtype as usize].1
}

fn own_dtype(dtype: sys::Dtype) -> Option<Dtype> {
    TYPES
        .iter()
        .find(|(_, theirs)| *theirs == dtype)
        .map(|(ours, _)| *ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_types_is_in_the_order_of_ours() {
        for (at, (ours, theirs)) in TYPES.iter().enumerate() {
            assert_eq!(*ours as usize, at);
            assert_eq!(ours.size(), theirs.size());
        }
    }

    #[test]
    fn transposing_moves_every_element() {
        let t = Tensor {
            dtype: Dtype::U8,
            shape: vec![2, 2, 3],
            bytes: (0..12).collect(),
        };
        let swapped = transposed(&t, &[0, 2, 1]);
        assert_eq!(swapped.shape, [2, 3, 2]);
        assert_eq!(swapped.bytes, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
        let reversed = transposed(&t, &[2, 1, 0]);
        assert_eq!(reversed.shape, [3, 2, 2]);
        assert_eq!(reversed.bytes[..5], [0, 6, 3, 9, 1]);
    }
}
