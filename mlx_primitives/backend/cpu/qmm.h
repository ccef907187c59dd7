// Copyright © 2026 The mlx-fork authors
//
// Products of rows with quantized matrices on the CPU: between the primitives,
// which know arrays and indices, and the kernels (kernels.h), which know one
// matrix in plain memory.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "mlx/array.h"
#include "mlx/fused/backend/cpu/kernels.h"
#include "mlx/fused/quantization.h"

namespace mlx::core::fused::cpu {

Stored stored_as(Dtype type);

/** The offset of the i-th element in row-major order of a strided array. */
inline int64_t locate(int64_t i, const Shape& shape, const Strides& strides) {
  int64_t loc = 0;
  for (int d = static_cast<int>(shape.size()) - 1; d >= 0; --d) {
    loc += (i % shape[d]) * strides[d];
    i /= shape[d];
  }
  return loc;
}

/** One stored matrix; the strides are in elements. */
template <typename T>
struct Matrix {
  const T* data;
  int64_t row_stride;
  int64_t stride;
};

/** One quantized matrix as it is stored. */
struct QuantizedMatrix {
  Matrix<uint32_t> w;
  Matrix<char> scales;
  Matrix<char> biases; // data is null where the mode has none
};

/** A batch of them, by flat index. */
class QuantizedBatch {
 public:
  QuantizedBatch(
      const array& w,
      const array& scales,
      const std::optional<array>& biases);

  QuantizedMatrix operator[](int64_t i) const;

 private:
  array w_;
  array scales_;
  std::optional<array> biases_;
  Shape batch_;
};

/** The rows of all matrices of an array, by flat index. */
class RowBatch {
 public:
  explicit RowBatch(const array& x);

  /** Row i as float32. */
  void load(int64_t i, float* out) const;

 private:
  array x_;
  Shape rows_;
  Strides strides_;
};

/** Indices of any integer type, read as if broadcast to a shape. */
class IndexReader {
 public:
  /** Without indices: 0, 1, ... of the shape `batch`. */
  IndexReader(
      const std::optional<array>& indices,
      const Shape& batch,
      const Shape& shape);

  /** The index at position i, or -1 if there is no such matrix. */
  int64_t operator[](int64_t i) const;

 private:
  std::optional<array> indices_;
  Shape shape_;
  Strides strides_;
  int64_t size_;
};

/** Floats that begin where a line of the cache does. */
class AlignedFloats {
 public:
  float* resize(int64_t n) {
    lines_.resize((n + 15) / 16);
    return data();
  }
  float* data() {
    return reinterpret_cast<float*>(lines_.data());
  }
  const float* data() const {
    return reinterpret_cast<const float*>(lines_.data());
  }

 private:
  struct alignas(64) Line {
    float v[16];
  };
  std::vector<Line> lines_;
};

/** One row of x times one matrix. */
struct Product {
  int64_t matrix;
  int64_t row;
  int64_t to; // for the caller
};

/** Products that go through a kernel together. */
struct Tile {
  int64_t matrix;
  int64_t first;
  int size;
};

/** How to multiply: the format, the sizes, and the kernel for them. */
class QMM {
 public:
  QMM(const Quantization& q, bool transpose, int inner, int outer, Stored type);

  /** Whether the kernel is made for this format and processor. */
  bool fast() const {
    return kernel_.fast;
  }
  int inner() const {
    return inner_;
  }
  int outer() const {
    return outer_;
  }

  /**
   * How many columns of the result make a task, where there are `others` tasks
   * for each: such that all threads have some, each of them worth its while.
   */
  int columns(int64_t others) const;

 private:
  friend class PreparedRows;

  /** Makes a part with strides readable for a kernel; keeps it in `copy`. */
  void gather(
      const QuantizedMatrix& m,
      int begin,
      int end,
      QMMArgs& args,
      std::vector<char>& copy) const;

  QMMKernel kernel_;
  Quantization q_;
  bool transpose_;
  int inner_;
  int outer_;
  Stored type_; // of scales and biases
};

/** The rows of x that some products need, in the form that the kernel wants. */
class PreparedRows {
 public:
  /** Sorts the products by matrix, those with the same one as they were. */
  PreparedRows(
      const QMM& qmm,
      const RowBatch& x,
      std::vector<Product> products);

  const std::vector<Product>& products() const {
    return products_;
  }

  /** The products in tiles, a matrix's tiles one after another. */
  const std::vector<Tile>& tiles() const {
    return tiles_;
  }

  /**
   * Columns [begin, end) of the products of a tile, as float32 rows
   * `out_stride` apart. To be called by several threads at once. `next` is the
   * matrix of which the same columns will be wanted after these.
   */
  void multiply(
      const Tile& tile,
      const QuantizedMatrix& w,
      const QuantizedMatrix* next,
      int begin,
      int end,
      float* out,
      int64_t out_stride) const;

 private:
  const QMM& qmm_;
  std::vector<Product> products_;
  std::vector<Tile> tiles_;
  std::vector<int64_t> slots_; // of each product, its prepared row
  std::vector<char> in_range_; // what `prepare` said of each
  AlignedFloats rows_;
  int64_t row_size_;
};

/** Products whose prepared rows are kept at once: a bound for memory. */
int64_t products_at_once(const QMM& qmm);

} // namespace mlx::core::fused::cpu
