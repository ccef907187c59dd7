// MLX's own operations, as far as the fused primitives are composed of them.

#include "mlx/ops.h"
#include "dtype.h"
#include "internal.h"

using namespace mlx_fork;

#define UNARY(NAME)                                             \
  int mlx_fork_##NAME(mlx_array* result, mlx_array a) {         \
    return guarded([&] { out(result, mx::NAME(in(a, "a"))); }); \
  }

UNARY(abs)
UNARY(exp)
UNARY(negative)
UNARY(sigmoid)
UNARY(tanh)

#define BINARY(NAME)                                                        \
  int mlx_fork_##NAME(mlx_array* result, mlx_array a, mlx_array b) {        \
    return guarded([&] { out(result, mx::NAME(in(a, "a"), in(b, "b"))); }); \
  }

BINARY(add)
BINARY(subtract)
BINARY(multiply)
BINARY(divide)
BINARY(power)

int mlx_fork_astype(mlx_array* result, mlx_array a, mlx_fork_dtype dtype) {
  return guarded([&] { out(result, mx::astype(in(a, "a"), dtype_in(dtype))); });
}

int mlx_fork_sum(mlx_array* result, mlx_array a, int axis, bool keepdims) {
  return guarded([&] { out(result, mx::sum(in(a, "a"), axis, keepdims)); });
}

int mlx_fork_expand_dims(mlx_array* result, mlx_array a, int axis) {
  return guarded([&] { out(result, mx::expand_dims(in(a, "a"), axis)); });
}

int mlx_fork_squeeze(mlx_array* result, mlx_array a, int axis) {
  return guarded([&] { out(result, mx::squeeze(in(a, "a"), axis)); });
}

int mlx_fork_reshape(
    mlx_array* result,
    mlx_array a,
    const int* shape,
    size_t ndim) {
  return guarded(
      [&] { out(result, mx::reshape(in(a, "a"), shape_in(shape, ndim))); });
}

int mlx_fork_transpose(
    mlx_array* result,
    mlx_array a,
    const int* axes,
    size_t count) {
  return guarded([&] {
    if (count > 0) {
      pointed(axes, "axes");
    }
    out(result,
        mx::transpose(in(a, "a"), std::vector<int>(axes, axes + count)));
  });
}

int mlx_fork_broadcast_to(
    mlx_array* result,
    mlx_array a,
    const int* shape,
    size_t ndim) {
  return guarded([&] {
    out(result, mx::broadcast_to(in(a, "a"), shape_in(shape, ndim)));
  });
}

int mlx_fork_take(mlx_array* result, mlx_array a, mlx_array indices, int axis) {
  return guarded(
      [&] { out(result, mx::take(in(a, "a"), in(indices, "indices"), axis)); });
}

int mlx_fork_quantized_matmul(
    mlx_array* result,
    mlx_array x,
    mlx_array w,
    mlx_array scales,
    mlx_array biases,
    bool transpose,
    int group_size,
    int bits,
    const char* mode) {
  return guarded([&] {
    out(result,
        mx::quantized_matmul(
            in(x, "x"),
            in(w, "w"),
            in(scales, "scales"),
            optional_in(biases),
            transpose,
            optional_number(group_size),
            optional_number(bits),
            text(mode, "mode")));
  });
}

int mlx_fork_gather_qmm(
    mlx_array* result,
    mlx_array x,
    mlx_array w,
    mlx_array scales,
    mlx_array biases,
    mlx_array lhs_indices,
    mlx_array rhs_indices,
    bool transpose,
    int group_size,
    int bits,
    const char* mode,
    bool sorted_indices) {
  return guarded([&] {
    out(result,
        mx::gather_qmm(
            in(x, "x"),
            in(w, "w"),
            in(scales, "scales"),
            optional_in(biases),
            optional_in(lhs_indices),
            optional_in(rhs_indices),
            transpose,
            optional_number(group_size),
            optional_number(bits),
            text(mode, "mode"),
            sorted_indices));
  });
}
