// Arrays: from bytes, to bytes, and what they are.

#include <cstring>
#include <limits>

#include "dtype.h"
#include "internal.h"
#include "mlx/allocator.h"
#include "mlx/ops.h"

using namespace mlx_fork;

namespace {

// Bytes of a row-major array; throws where a dimension is negative or the
// product too large.
size_t bytes_of(const mx::Shape& shape, mx::Dtype dtype) {
  size_t bytes = dtype.size();
  for (int dimension : shape) {
    if (dimension < 0) {
      throw std::invalid_argument(
          "argument 'shape' has the dimension " + std::to_string(dimension));
    }
    if (dimension > 0 &&
        bytes > std::numeric_limits<size_t>::max() / dimension) {
      throw std::invalid_argument("argument 'shape' has too many elements");
    }
    bytes *= dimension;
  }
  return bytes;
}

void check_size(size_t given, size_t wanted) {
  if (given != wanted) {
    throw std::invalid_argument(
        "argument 'size' is " + std::to_string(given) +
        " bytes, the array has " + std::to_string(wanted));
  }
}

} // namespace

size_t mlx_fork_dtype_size(mlx_fork_dtype dtype) {
  for (const auto& known : dtypes) {
    if (known.val() == static_cast<mx::Dtype::Val>(dtype)) {
      return known.size();
    }
  }
  return 0;
}

int mlx_fork_array_from_bytes(
    mlx_array* result,
    const void* bytes,
    size_t size,
    const int* shape,
    size_t ndim,
    mlx_fork_dtype dtype) {
  return guarded([&] {
    const auto type = dtype_in(dtype);
    auto dimensions = shape_in(shape, ndim);
    check_size(size, bytes_of(dimensions, type));
    if (size > 0) {
      pointed(static_cast<const char*>(bytes), "bytes");
    }
    auto buffer = mx::allocator::malloc(size);
    mx::array array(buffer, std::move(dimensions), type);
    if (size > 0) {
      std::memcpy(buffer.raw_ptr(), bytes, size);
    }
    out(result, std::move(array));
  });
}

int mlx_fork_array_free(mlx_array array) {
  return guarded([&] { delete static_cast<mx::array*>(array.ctx); });
}

int mlx_fork_array_eval(mlx_array array) {
  // Copies share the array's data: evaluating the copy evaluates the array.
  return guarded([&] { mx::array(in(array, "array")).eval(); });
}

int mlx_fork_array_ndim(size_t* result, mlx_array array) {
  return guarded(
      [&] { pointed(result, "result") = in(array, "array").ndim(); });
}

int mlx_fork_array_shape(int* result, size_t ndim, mlx_array array) {
  return guarded([&] {
    const auto& shape = in(array, "array").shape();
    if (ndim != shape.size()) {
      throw std::invalid_argument(
          "argument 'ndim' is " + std::to_string(ndim) + ", the array has " +
          std::to_string(shape.size()) + " dimensions");
    }
    for (size_t i = 0; i < ndim; i++) {
      (&pointed(result, "result"))[i] = shape[i];
    }
  });
}

int mlx_fork_array_dtype(mlx_fork_dtype* result, mlx_array array) {
  return guarded([&] {
    pointed(result, "result") =
        static_cast<mlx_fork_dtype>(in(array, "array").dtype().val());
  });
}

int mlx_fork_array_nbytes(size_t* result, mlx_array array) {
  return guarded(
      [&] { pointed(result, "result") = in(array, "array").nbytes(); });
}

int mlx_fork_array_to_bytes(void* result, size_t size, mlx_array array) {
  return guarded([&] {
    check_size(size, in(array, "array").nbytes());
    if (size == 0) {
      return;
    }
    auto& bytes = pointed(static_cast<char*>(result), "result");
    auto rows = mx::contiguous(in(array, "array"));
    rows.eval();
    std::memcpy(&bytes, rows.data<char>(), size);
  });
}
