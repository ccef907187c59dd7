// Copyright © 2026 The mlx-fork authors

#include <numeric>
#include <sstream>

#include "mlx/fused/indexing.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core::fused {

Shape batch_shape(const array& a) {
  if (a.ndim() <= 2) {
    return {};
  }
  return Shape(a.shape().begin(), a.shape().end() - 2);
}

Strides row_major_strides(const Shape& shape) {
  Strides strides(shape.size(), 1);
  for (int i = static_cast<int>(shape.size()) - 1; i > 0; --i) {
    strides[i - 1] = strides[i] * shape[i];
  }
  return strides;
}

Strides
broadcast_strides(const Shape& from, const Strides& strides, const Shape& to) {
  Strides out(to.size(), 0);
  auto offset = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    out[offset + i] = from[i] == 1 ? 0 : strides[i];
  }
  return out;
}

void check_index_type(
    const std::string& tag,
    const array& indices,
    const std::string& name) {
  if (!issubdtype(indices.dtype(), integer)) {
    std::ostringstream msg;
    msg << "[" << tag << "] " << name << " must have an integer type but got "
        << indices.dtype() << ".";
    throw std::invalid_argument(msg.str());
  }
}

array flat_indices(const Shape& shape, Stream s) {
  auto size = std::accumulate(
      shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
  return reshape(arange(0.0, static_cast<double>(size), int64, s), shape, s);
}

CheckedIndices check_indices(const array& indices, int64_t size, Stream s) {
  // In int64 what doesn't fit (uint64 only) is negative, so out of range too.
  auto wide = astype(indices, int64, s);
  auto zero = array(int64_t{0}, int64);
  auto last = array(size - 1, int64);
  auto valid =
      logical_and(greater_equal(wide, zero, s), less_equal(wide, last, s), s);
  auto nearest = minimum(maximum(wide, zero, s), last, s);
  return {astype(nearest, uint32, s), valid};
}

array offset_indices(const array& indices, int64_t size, Stream s) {
  auto wide = astype(indices, int64, s);
  auto valid = logical_and(
      greater_equal(wide, array(int64_t{0}, int64), s),
      less(wide, array(size, int64), s),
      s);
  Shape shape(indices.ndim(), 1);
  shape[0] = indices.shape(0);
  auto offsets = multiply(
      reshape(flat_indices({indices.shape(0)}, s), shape, s),
      array(size, int64),
      s);
  return where(valid, add(wide, offsets, s), array(int64_t{-1}, int64), s);
}

array batch_first(const array& a, int axis, int ndim, Stream s) {
  auto out = moveaxis(a, axis, 0, s);
  auto shape = out.shape();
  shape.insert(shape.begin() + 1, ndim + 1 - out.ndim(), 1);
  return reshape(out, shape, s);
}

} // namespace mlx::core::fused
