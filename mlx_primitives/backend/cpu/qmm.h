// Copyright © 2026 The mlx-fork authors
//
// Products of float32 rows with quantized matrices on the CPU: the seam between
// the primitives, which know shapes and indices, and the kernels, which know
// bits. A kernel for a certain processor is another function that
// select_qmm_kernel can give.

#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "mlx/array.h"
#include "mlx/fused/quantization.h"

namespace mlx::core::fused::cpu {

/** v rounded to T, to nearest even. */
template <typename T>
inline float round_to(float v) {
  return static_cast<float>(static_cast<T>(v));
}

/** v, in a way that keeps the compiler from fusing v's product into a sum. */
inline float uncontracted(float v) {
#if defined(__GNUC__) && defined(__x86_64__)
  asm("" : "+x"(v));
  return v;
#elif defined(__GNUC__) && defined(__aarch64__)
  asm("" : "+w"(v));
  return v;
#else
  volatile float stored = v;
  return stored;
#endif
}

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
  Matrix<char> scales; // of type `type`
  Matrix<char> biases; // data is null where the mode has none
  Dtype type;
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

/** Rows of a batch of matrices as float32, by flat index. */
class RowBatch {
 public:
  explicit RowBatch(const array& x);

  /** Rows [row, row + rows) of matrix i. */
  void load(int64_t i, int row, int rows, float* out) const;

 private:
  array x_;
  Shape batch_;
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

/** The sizes of a product, and room for what a kernel unpacks. */
struct QMMScratch {
  QMMScratch(int inner, int outer, const Quantization& q, bool transpose);

  int inner;
  int outer;
  int group_size;
  std::vector<uint32_t> words;
  std::vector<float> scales;
  std::vector<float> biases;
};

/**
 * out (rows, outer) = x (rows, inner) times the dequantized matrix; products
 * and sums in float32. The order of the sums depends on neither `rows` nor
 * strides.
 */
using QMMKernel = void (*)(
    const float* x,
    int rows,
    const QuantizedMatrix& w,
    QMMScratch& scratch,
    float* out);

QMMKernel select_qmm_kernel(const Quantization& q, bool transpose);

/** The rows that are best given to a kernel at once. */
constexpr int qmm_rows = 16;

} // namespace mlx::core::fused::cpu
