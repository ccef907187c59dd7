// Copyright © 2026 The mlx-fork authors
//
// Finding the rows and matrices that belong together: indices, batches and
// strides.

#pragma once

#include "mlx/backend/metal/kernels/fused/params.h"
#include "mlx/backend/metal/kernels/utils.h"

namespace mlx::fused {

// The indices of these are as in mlx/fused/backend/metal/launch.cpp.
constant bool has_biases [[function_constant(400)]];
constant bool has_lhs_indices [[function_constant(401)]];
constant bool has_rhs_indices [[function_constant(402)]];

/** Where element i, in row-major order, of a strided array is. */
METAL_FUNC int64_t locate(
    uint i,
    const constant int64_t* shape,
    const constant int64_t* strides,
    int ndim) {
  int64_t at = 0;
  for (int d = ndim - 1; d > 0; d--) {
    uint n = shape[d];
    at += (i % n) * strides[d];
    i /= n;
  }
  // Most batches have one dimension: no division.
  return ndim > 0 ? at + i * strides[0] : at;
}

/** The parts of `dims`; see GatherQMMParams. */
struct Dims {
  const constant int64_t* dims;
  int batch;
  int x;
  int w;

  Dims(const constant int64_t* dims, const constant GatherQMMParams& params)
      : dims(dims),
        batch(params.batch_ndim),
        x(params.x_ndim),
        w(params.w_ndim) {}

  int64_t lhs(uint i) const {
    return locate(i, dims, dims + batch, batch);
  }
  int64_t rhs(uint i) const {
    return locate(i, dims, dims + 2 * batch, batch);
  }
  int64_t weight(uint i) const {
    return locate(i, dims, dims + 3 * batch, batch);
  }
  int64_t x_matrix(uint i) const {
    auto d = dims + 4 * batch;
    return locate(i, d, d + x, x);
  }
  /** `which`: 0 to 2 for w, scales and biases of gate, 3 to 5 for those of up.
   */
  int64_t matrix(uint i, int which) const {
    auto d = dims + 4 * batch + 2 * x;
    return locate(i, d, d + (1 + which) * w, w);
  }
};

/** The index at a place of an array of indices; -1 if it is out of range. */
METAL_FUNC int64_t
read_index(const device uint8_t* indices, int type, int64_t at, int64_t size) {
  int64_t i;
  switch (type) {
    case 0:
      i = indices[at];
      break;
    case 1:
      i = reinterpret_cast<const device uint16_t*>(indices)[at];
      break;
    case 2:
      i = reinterpret_cast<const device uint32_t*>(indices)[at];
      break;
    case 4:
      i = reinterpret_cast<const device int8_t*>(indices)[at];
      break;
    case 5:
      i = reinterpret_cast<const device int16_t*>(indices)[at];
      break;
    case 6:
      i = reinterpret_cast<const device int32_t*>(indices)[at];
      break;
    default:
      // What is too large for int64_t becomes negative.
      i = reinterpret_cast<const device int64_t*>(indices)[at];
  }
  return i >= 0 && i < size ? i : -1;
}

/** One quantized matrix. */
template <typename T>
struct Matrix {
  const device uint32_t* w;
  const device uint8_t* scales;
  const device T* biases;

  /** Matrix i of a batch; `which` is 0 for gate and 1 for up. */
  template <typename Format>
  void select(int64_t i, thread const Dims& dims, int which) {
    w += dims.matrix(i, 3 * which);
    scales += dims.matrix(i, 3 * which + 1) *
        (Format::mode() == Affine ? int(sizeof(T)) : 1);
    if (Format::mode() == Affine) {
      biases += dims.matrix(i, 3 * which + 2);
    }
  }
};

} // namespace mlx::fused
