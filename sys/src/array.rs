//! Arrays of MLX.

use std::ffi::c_int;
use std::fmt;
use std::str::FromStr;

use crate::bindings::{self as c, mlx_array};
use crate::library::{Library, call};
use crate::{Error, Result};

/// Types of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[allow(missing_docs)]
pub enum Dtype {
    Bool = c::MLX_FORK_BOOL,
    Uint8 = c::MLX_FORK_UINT8,
    Uint16 = c::MLX_FORK_UINT16,
    Uint32 = c::MLX_FORK_UINT32,
    Uint64 = c::MLX_FORK_UINT64,
    Int8 = c::MLX_FORK_INT8,
    Int16 = c::MLX_FORK_INT16,
    Int32 = c::MLX_FORK_INT32,
    Int64 = c::MLX_FORK_INT64,
    Float16 = c::MLX_FORK_FLOAT16,
    Float32 = c::MLX_FORK_FLOAT32,
    Float64 = c::MLX_FORK_FLOAT64,
    Bfloat16 = c::MLX_FORK_BFLOAT16,
    Complex64 = c::MLX_FORK_COMPLEX64,
}

/// Each type with its name in MLX and its size in bytes, in the order of the numbers.
const TYPES: [(Dtype, &str, usize); 14] = [
    (Dtype::Bool, "bool", 1),
    (Dtype::Uint8, "uint8", 1),
    (Dtype::Uint16, "uint16", 2),
    (Dtype::Uint32, "uint32", 4),
    (Dtype::Uint64, "uint64", 8),
    (Dtype::Int8, "int8", 1),
    (Dtype::Int16, "int16", 2),
    (Dtype::Int32, "int32", 4),
    (Dtype::Int64, "int64", 8),
    (Dtype::Float16, "float16", 2),
    (Dtype::Float32, "float32", 4),
    (Dtype::Float64, "float64", 8),
    (Dtype::Bfloat16, "bfloat16", 2),
    (Dtype::Complex64, "complex64", 8),
];

impl Dtype {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Dtype> {
        TYPES.iter().map(|(dtype, _, _)| *dtype)
    }

    /// Its name in MLX, such as `bfloat16`.
    pub fn name(self) -> &'static str {
        TYPES[self as usize].1
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        TYPES[self as usize].2
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Dtype {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match TYPES.iter().find(|(_, known, _)| *known == name) {
            Some((dtype, _, _)) => Ok(*dtype),
            None => {
                let known: Vec<&str> = TYPES.iter().map(|(_, known, _)| *known).collect();
                Err(format!(
                    "no type \"{name}\"; there are {}",
                    known.join(", ")
                ))
            }
        }
    }
}

/// An array: a value, or the operations that it will be computed with.
pub struct Array {
    pub(crate) raw: mlx_array,
    pub(crate) lib: Library,
}

pub(crate) const EMPTY: mlx_array = mlx_array {
    ctx: std::ptr::null_mut(),
};

impl Array {
    /// An array from its elements' bytes, row-major, in the machine's byte order.
    ///
    /// # Errors
    /// [`Error::Call`] when the number of bytes is not that of the shape, or a dimension is
    /// negative.
    pub fn from_bytes(lib: &Library, dtype: Dtype, shape: &[i32], bytes: &[u8]) -> Result<Array> {
        let mut raw = EMPTY;
        call!(
            lib,
            mlx_fork_array_from_bytes(
                &mut raw,
                bytes.as_ptr().cast(),
                bytes.len(),
                shape.as_ptr(),
                shape.len(),
                dtype as u32,
            )
        )?;
        Ok(Array { raw, lib: *lib })
    }

    /// Computes it, and waits for it.
    pub fn eval(&self) -> Result<()> {
        call!(self.lib, mlx_fork_array_eval(self.raw))
    }

    /// Its dimensions.
    pub fn shape(&self) -> Result<Vec<i32>> {
        let mut ndim = 0;
        call!(self.lib, mlx_fork_array_ndim(&mut ndim, self.raw))?;
        let mut shape: Vec<c_int> = vec![0; ndim];
        call!(
            self.lib,
            mlx_fork_array_shape(shape.as_mut_ptr(), ndim, self.raw)
        )?;
        Ok(shape)
    }

    /// The type of its elements.
    pub fn dtype(&self) -> Result<Dtype> {
        let mut number = 0;
        call!(self.lib, mlx_fork_array_dtype(&mut number, self.raw))?;
        Dtype::all()
            .find(|dtype| *dtype as u32 == number)
            .ok_or_else(|| Error::Call {
                function: "mlx_fork_array_dtype",
                message: format!("{number} is no type of this version of the bindings"),
            })
    }

    /// Computes it and gives its elements' bytes, row-major, in the machine's byte order.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut size = 0;
        call!(self.lib, mlx_fork_array_nbytes(&mut size, self.raw))?;
        let mut bytes = vec![0; size];
        call!(
            self.lib,
            mlx_fork_array_to_bytes(bytes.as_mut_ptr().cast(), size, self.raw)
        )?;
        Ok(bytes)
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        // Nothing to do about a failure here, and none that a live handle can have.
        let _ = call!(self.lib, mlx_fork_array_free(self.raw));
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.dtype(), self.shape()) {
            (Ok(dtype), Ok(shape)) => write!(f, "Array({dtype}, {shape:?})"),
            _ => f.write_str("Array"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_types_is_in_the_order_of_their_numbers() {
        for (at, (dtype, name, _)) in TYPES.iter().enumerate() {
            assert_eq!(*dtype as usize, at, "{name}");
            assert_eq!(name.parse::<Dtype>().unwrap(), *dtype);
        }
    }

    #[test]
    fn sizes_are_those_of_the_rust_types_with_the_same_bits() {
        assert_eq!(Dtype::Bool.size(), size_of::<bool>());
        assert_eq!(Dtype::Bfloat16.size(), size_of::<u16>());
        assert_eq!(Dtype::Float16.size(), size_of::<u16>());
        assert_eq!(Dtype::Float32.size(), size_of::<f32>());
        assert_eq!(Dtype::Int64.size(), size_of::<i64>());
        assert_eq!(Dtype::Complex64.size(), 2 * size_of::<f32>());
    }

    #[test]
    fn an_unknown_type_is_answered_with_the_known_ones() {
        let error = "float8".parse::<Dtype>().unwrap_err();
        assert!(error.contains("bfloat16"), "{error}");
    }

    #[test]
    fn a_handle_is_one_pointer_as_mlx_c_has_it() {
        assert_eq!(size_of::<mlx_array>(), size_of::<*mut ()>());
        assert_eq!(size_of::<c::mlx_stream>(), size_of::<*mut ()>());
    }
}
