// Copyright © 2026 The mlx-fork authors
//
// What the host tells the kernels of gather_qmm_swiglu and
// gather_qmm_downproj_combine: compiled by both, so no type of either.

#pragma once

#ifdef __METAL_VERSION__
#include <metal_stdlib>
#else
#include <cstdint>
#endif

namespace mlx::fused {

/** The modes of quantization. */
enum QuantizedFormat : int {
  Affine = 0, // s * q + b
  Mxfp4 = 1, // e2m1 elements, e8m0 scales
  Mxfp8 = 2, // e4m3 elements, e8m0 scales
  Nvfp4 = 3, // e2m1 elements, e4m3 scales
};

/** The activation of gather_qmm_swiglu. */
enum Activation : int { Silu = 0, GeluApprox = 1 };

/** What a step of the weighted sum rounds. */
enum StepRounding : int {
  Fused = 0, // the fused multiply-add to float32
  Float = 1, // product and sum to float32
  Storage = 2, // weight, product and sum to the type of the products
};

/** Elements from one row, and from one column, to the next. */
struct Strides2 {
  int64_t row;
  int64_t column;
};

struct MatrixStrides {
  Strides2 w;
  Strides2 scales;
  Strides2 biases;
};

/**
 * Beside it goes `dims`, 64-bit integers one after another. With B, X and W the
 * numbers of dimensions here:
 *   B sizes of the batch, B strides of lhs, B of rhs, B of the weights of
 *   gather_qmm_downproj_combine;
 *   X sizes and X strides of the batch of x;
 *   W sizes of the batch of matrices, and then W strides each of w, scales and
 *   biases, of gate and then of up.
 * The strides of lhs and rhs lead to the index, or are the index where there
 * are none. The batch has a dimension k as the last one in
 * gather_qmm_downproj_combine.
 */
struct GatherQMMParams {
  int64_t lhs_size; // how many matrices x has, and how many w has:
  int64_t rhs_size; // other indices give NaN
  Strides2 x;
  MatrixStrides matrices[2]; // gate and up, or one
  int K;
  int N;
  int k; // experts for a row of the result
  int lhs_type; // of indices: log2 of the bytes, 4 more if they are signed
  int rhs_type;
  int batch_ndim;
  int x_ndim;
  int w_ndim;
};

} // namespace mlx::fused
