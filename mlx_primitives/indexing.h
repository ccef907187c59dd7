// Copyright © 2026 The mlx-fork authors

#pragma once

#include <string>

#include "mlx/array.h"
#include "mlx/stream.h"

namespace mlx::core::fused {

/** All dimensions of `a` but its last two. */
Shape batch_shape(const array& a);

/** The strides of a row-major array of this shape. */
Strides row_major_strides(const Shape& shape);

/** The strides that walk an array of shape `from` as if broadcast to `to`. */
Strides
broadcast_strides(const Shape& from, const Strides& strides, const Shape& to);

/** Throws std::invalid_argument unless the type of `indices` is an integer. */
void check_index_type(
    const std::string& tag,
    const array& indices,
    const std::string& name);

/** 0, 1, ... in row-major order, of type int64. */
array flat_indices(const Shape& shape, Stream s);

/** Indices for the use of other operations, which don't check theirs. */
struct CheckedIndices {
  array indices; // uint32, those out of range moved to the nearest one in range
  array valid; // which of them were in range
};

/** Checks indices into a batch of `size` > 0 matrices. */
CheckedIndices check_indices(const array& indices, int64_t size, Stream s);

/**
 * Indices for a batch of batches: axis 0 of `indices` counts batches of `size`
 * matrices each. Indices that were out of range stay out of range.
 */
array offset_indices(const array& indices, int64_t size, Stream s);

/**
 * Moves `axis` of `a` to the front and inserts axes of size 1 behind it until
 * there are `ndim` behind it, so that it broadcasts with arrays of that many.
 */
array batch_first(const array& a, int axis, int ndim, Stream s);

} // namespace mlx::core::fused
