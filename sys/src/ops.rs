//! Operations: the fused primitives, and those of MLX that they are composed of.
//!
//! Wrong shapes, types and modes are [`crate::Error::Call`] with MLX's own words.

use crate::array::{Array, Dtype, EMPTY};
use crate::bindings::{mlx_array, mlx_stream};
use crate::library::{Library, c_text, call};
use crate::{Error, Result};

/// Quantized matrices: the packed weights, their scales, and biases where the mode has them.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// Packed weights, uint32.
    pub w: &'a Array,
    /// One scale a group.
    pub scales: &'a Array,
    /// One bias a group; mode `affine` only.
    pub biases: Option<&'a Array>,
}

/// How matrices are quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization<'a> {
    /// True for matrices (E, N, K), false for (E, K, N).
    pub transpose: bool,
    /// Weights that share a scale; the mode's default if absent.
    pub group_size: Option<i32>,
    /// Bits of a weight; the mode's default if absent.
    pub bits: Option<i32>,
    /// `affine`, `mxfp4`, `mxfp8`, `nvfp4`.
    pub mode: &'a str,
}

const DEFAULT_STREAM: mlx_stream = mlx_stream {
    ctx: std::ptr::null_mut(),
};

fn optional(array: Option<&Array>) -> mlx_array {
    array.map_or(EMPTY, |array| array.raw)
}

/// An absent number is 0 in C; a present 0 is an error there too, so say so here.
fn number(value: Option<i32>, function: &'static str, name: &str) -> Result<i32> {
    match value {
        Some(0) => Err(Error::Call {
            function,
            message: format!("{name} is 0"),
        }),
        value => Ok(value.unwrap_or(0)),
    }
}

impl Quantization<'_> {
    fn numbers(&self, function: &'static str) -> Result<(i32, i32)> {
        Ok((
            number(self.group_size, function, "group_size")?,
            number(self.bits, function, "bits")?,
        ))
    }
}

impl Library {
    /// Whether [`Self::gather_qmm_swiglu`] can be called, and so on for others, is what
    /// [`Library::has`] says of the function in C.
    ///
    /// `activation(x @ gate) * (x @ up)`: two [`Self::gather_qmm`] and a gate in one.
    /// `activation` is `silu` or `gelu_approx`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the library lacks it.
    #[allow(clippy::too_many_arguments)]
    pub fn gather_qmm_swiglu(
        &self,
        x: &Array,
        gate: Matrix<'_>,
        up: Matrix<'_>,
        lhs_indices: Option<&Array>,
        rhs_indices: Option<&Array>,
        quantization: Quantization<'_>,
        activation: &str,
        sorted_indices: bool,
    ) -> Result<Array> {
        let (mode, activation) = (c_text(quantization.mode)?, c_text(activation)?);
        let (group_size, bits) = quantization.numbers("mlx_fork_gather_qmm_swiglu")?;
        let mut raw = EMPTY;
        call!(
            self,
            mlx_fork_gather_qmm_swiglu(
                &mut raw,
                x.raw,
                gate.w.raw,
                gate.scales.raw,
                optional(gate.biases),
                up.w.raw,
                up.scales.raw,
                optional(up.biases),
                optional(lhs_indices),
                optional(rhs_indices),
                quantization.transpose,
                group_size,
                bits,
                mode.as_ptr(),
                activation.as_ptr(),
                sorted_indices,
                DEFAULT_STREAM,
            )
        )?;
        Ok(Array { raw, lib: *self })
    }

    /// The products of k chosen experts, weighted and summed: `h` (…, k, K), `rhs_indices`
    /// (…, k), `weights` (…, k) → (…, N). `accumulate` is `exact`, `fma`, `no_fma`, `fp32`,
    /// `fp32_no_fma` or `native`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the library lacks it.
    pub fn gather_qmm_downproj_combine(
        &self,
        h: &Array,
        down: Matrix<'_>,
        rhs_indices: &Array,
        weights: &Array,
        quantization: Quantization<'_>,
        accumulate: &str,
    ) -> Result<Array> {
        let (mode, accumulate) = (c_text(quantization.mode)?, c_text(accumulate)?);
        let (group_size, bits) = quantization.numbers("mlx_fork_gather_qmm_downproj_combine")?;
        let mut raw = EMPTY;
        call!(
            self,
            mlx_fork_gather_qmm_downproj_combine(
                &mut raw,
                h.raw,
                down.w.raw,
                down.scales.raw,
                optional(down.biases),
                rhs_indices.raw,
                weights.raw,
                quantization.transpose,
                group_size,
                bits,
                mode.as_ptr(),
                accumulate.as_ptr(),
                DEFAULT_STREAM,
            )
        )?;
        Ok(Array { raw, lib: *self })
    }

    /// MLX's `quantized_matmul`: `x` times one quantized matrix.
    pub fn quantized_matmul(
        &self,
        x: &Array,
        matrix: Matrix<'_>,
        quantization: Quantization<'_>,
    ) -> Result<Array> {
        let mode = c_text(quantization.mode)?;
        let (group_size, bits) = quantization.numbers("mlx_fork_quantized_matmul")?;
        let mut raw = EMPTY;
        call!(
            self,
            mlx_fork_quantized_matmul(
                &mut raw,
                x.raw,
                matrix.w.raw,
                matrix.scales.raw,
                optional(matrix.biases),
                quantization.transpose,
                group_size,
                bits,
                mode.as_ptr(),
            )
        )?;
        Ok(Array { raw, lib: *self })
    }

    /// MLX's `gather_qmm`: `x` times quantized matrices chosen by indices.
    pub fn gather_qmm(
        &self,
        x: &Array,
        matrix: Matrix<'_>,
        lhs_indices: Option<&Array>,
        rhs_indices: Option<&Array>,
        quantization: Quantization<'_>,
        sorted_indices: bool,
    ) -> Result<Array> {
        let mode = c_text(quantization.mode)?;
        let (group_size, bits) = quantization.numbers("mlx_fork_gather_qmm")?;
        let mut raw = EMPTY;
        call!(
            self,
            mlx_fork_gather_qmm(
                &mut raw,
                x.raw,
                matrix.w.raw,
                matrix.scales.raw,
                optional(matrix.biases),
                optional(lhs_indices),
                optional(rhs_indices),
                quantization.transpose,
                group_size,
                bits,
                mode.as_ptr(),
                sorted_indices,
            )
        )?;
        Ok(Array { raw, lib: *self })
    }
}

/// A method a function of the C API; `name => c_name(argument: type = what C gets)`.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident => $c:ident($($argument:ident: $type:ty = [$($given:expr),*]),*);)*) => {
        impl Array {
            $(
                $(#[$doc])*
                pub fn $name(&self $(, $argument: $type)*) -> Result<Array> {
                    let mut raw = EMPTY;
                    call!(self.lib, $c(&mut raw, self.raw $($(, $given)*)*))?;
                    Ok(Array { raw, lib: self.lib })
                }
            )*
        }
    };
}

methods! {
    /// |a|.
    abs => mlx_fork_abs();
    /// e to the power of a.
    exp => mlx_fork_exp();
    /// −a.
    negative => mlx_fork_negative();
    /// 1/(1 + exp(−a)), as MLX computes it.
    sigmoid => mlx_fork_sigmoid();
    /// The hyperbolic tangent.
    tanh => mlx_fork_tanh();
    /// a + b; shapes are broadcast and types promoted, here and below.
    add => mlx_fork_add(b: &Array = [b.raw]);
    /// a − b.
    subtract => mlx_fork_subtract(b: &Array = [b.raw]);
    /// a·b.
    multiply => mlx_fork_multiply(b: &Array = [b.raw]);
    /// a/b.
    divide => mlx_fork_divide(b: &Array = [b.raw]);
    /// a to the power of b.
    power => mlx_fork_power(b: &Array = [b.raw]);
    /// Conversion to another type.
    astype => mlx_fork_astype(dtype: Dtype = [dtype as u32]);
    /// The sum over one axis; negative axes count from the end.
    sum => mlx_fork_sum(axis: i32 = [axis], keepdims: bool = [keepdims]);
    /// Inserts an axis of length 1.
    expand_dims => mlx_fork_expand_dims(axis: i32 = [axis]);
    /// Removes an axis of length 1.
    squeeze => mlx_fork_squeeze(axis: i32 = [axis]);
    /// The same elements in another shape; one dimension may be −1.
    reshape => mlx_fork_reshape(shape: &[i32] = [shape.as_ptr(), shape.len()]);
    /// The axes in another order, not copied.
    transpose => mlx_fork_transpose(axes: &[i32] = [axes.as_ptr(), axes.len()]);
    /// Repeated up to a shape, not copied.
    broadcast_to => mlx_fork_broadcast_to(shape: &[i32] = [shape.as_ptr(), shape.len()]);
    /// The slices at `indices` along an axis.
    take => mlx_fork_take(indices: &Array = [indices.raw], axis: i32 = [axis]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_zero_is_refused_because_c_takes_it_for_absent() {
        assert_eq!(number(None, "f", "bits"), Ok(0));
        assert_eq!(number(Some(4), "f", "bits"), Ok(4));
        let error = number(Some(0), "f", "bits").unwrap_err();
        assert_eq!(error.to_string(), "f: bits is 0");
    }
}
