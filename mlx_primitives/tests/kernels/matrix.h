// Copyright © 2026 The mlx-fork authors
//
// Quantized matrices, what they stand for in float64, and a kernel's products
// with them in guarded buffers.

#pragma once

#include <deque>
#include <string>
#include <vector>

#include "checks.h"
#include "guarded.h"
#include "numbers.h"

namespace kernel_tests {

using mlx::core::fused::cpu::QMMKernel;

struct Format {
  const char* name;
  int bits;
  bool fp;
  int group;
};

/** All that MLX has. */
extern const std::vector<Format> formats;

/** What numbers are drawn. */
enum class Draw {
  // So that float32 sums of hundreds of terms are exact: small integers, scales
  // that are powers of two.
  Exact,
  // Scales that are powers of two and all codes: a single product is exact.
  Powers,
  // Whatever a model may have.
  Real
};

struct Matrix {
  Matrix(
      const Format& format,
      bool transpose,
      int rows,
      int groups,
      Draw draw,
      Random& random);

  Format format;
  bool transpose;
  int rows;
  int groups; // of a row
  Stored type; // of scales and biases
  Stored x_type; // of what it is multiplied with
  int64_t w_stride; // longer than a row, as the next too
  int64_t scales_stride;
  std::vector<uint32_t> w;
  std::vector<uint8_t> scales;
  std::vector<uint8_t> biases; // empty where the format has none

  int columns() const {
    return groups * format.group;
  }
  int inner() const {
    return transpose ? columns() : rows;
  }
  int outer() const {
    return transpose ? rows : columns();
  }
  int words() const {
    return columns() * format.bits / 32;
  }

  /** What its values stand for, row by row. */
  std::vector<double> values() const {
    return decode(false);
  }
  /** |scale * integer| + |bias| of each. */
  std::vector<double> magnitudes() const {
    return decode(true);
  }

  /** v as x can have it. */
  float x_value(double v) const;

  std::string text() const;

 private:
  void draw_scales(Draw draw, Random& random);
  uint32_t code(int row, int column) const;
  std::vector<double> decode(bool magnitudes) const;
};

/** Rows of x, each of the matrix's `inner` values. */
using Rows = std::vector<std::vector<float>>;

/** A part of a matrix: of its rows if transposed, else of its columns. */
struct Part {
  int begin;
  int count;
};

/** One processor's kernels, with buffers for their products. */
class Multiplier {
 public:
  explicit Multiplier(const Kernels& kernels) : kernels_(kernels) {}

  /**
   * Rows of x (4 at the most) times a part of a matrix. Every byte of what the
   * kernel has to write before it reads is `fill`.
   */
  std::vector<float>
  run(const Matrix& m, const Rows& x, const Part& part, uint8_t fill = 255);

  /** What was wrong with the last run besides its results, or nothing. */
  const std::string& trespass() const {
    return trespass_;
  }

  /** Parts of an untransposed matrix begin and end at multiples of this. */
  int step(const Matrix& m) const;

  const Kernels& kernels() const {
    return kernels_;
  }

 private:
  static constexpr size_t large = 4 << 20;

  const Kernels& kernels_;
  std::string trespass_;
  Guarded x_{large},
      rows_[4]{Guarded{large}, Guarded{large}, Guarded{large}, Guarded{large}};
  Guarded w_{large}, scales_{large}, biases_{large};
  Guarded scratch_{large}, out_{large};
};

/** One for each of the tables. */
inline std::deque<Multiplier> multipliers(const Tables& tables) {
  std::deque<Multiplier> all;
  for (auto table : tables) {
    all.emplace_back(*table);
  }
  return all;
}

} // namespace kernel_tests
