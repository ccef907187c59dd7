// The types of elements, from the C enumeration to MLX's. Not installed.

#pragma once

#include "internal.h"
#include "mlx/dtype.h"

namespace mlx_fork {

inline constexpr mx::Dtype dtypes[] = {
    mx::bool_,
    mx::uint8,
    mx::uint16,
    mx::uint32,
    mx::uint64,
    mx::int8,
    mx::int16,
    mx::int32,
    mx::int64,
    mx::float16,
    mx::float32,
    mx::float64,
    mx::bfloat16,
    mx::complex64};

// The numbers of the C enumeration are promised to be MLX's.
#define SAME(C, CXX) static_assert(static_cast<int>(mx::Dtype::Val::CXX) == C)
SAME(MLX_FORK_BOOL, bool_);
SAME(MLX_FORK_UINT8, uint8);
SAME(MLX_FORK_UINT16, uint16);
SAME(MLX_FORK_UINT32, uint32);
SAME(MLX_FORK_UINT64, uint64);
SAME(MLX_FORK_INT8, int8);
SAME(MLX_FORK_INT16, int16);
SAME(MLX_FORK_INT32, int32);
SAME(MLX_FORK_INT64, int64);
SAME(MLX_FORK_FLOAT16, float16);
SAME(MLX_FORK_FLOAT32, float32);
SAME(MLX_FORK_FLOAT64, float64);
SAME(MLX_FORK_BFLOAT16, bfloat16);
SAME(MLX_FORK_COMPLEX64, complex64);
#undef SAME

inline mx::Dtype dtype_in(mlx_fork_dtype dtype) {
  for (const auto& known : dtypes) {
    if (known.val() == static_cast<mx::Dtype::Val>(dtype)) {
      return known;
    }
  }
  throw std::invalid_argument(
      "argument 'dtype' is " + std::to_string(static_cast<int>(dtype)) +
      ", which is no mlx_fork_dtype");
}

} // namespace mlx_fork
