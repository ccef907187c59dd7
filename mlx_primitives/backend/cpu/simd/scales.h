// Copyright © 2026 The mlx-fork authors
//
// The scales and biases of some rows, as float32 in one piece.

#pragma once

#include "mlx/fused/backend/cpu/simd/convert.h"
#include "mlx/fused/backend/cpu/simd/formats.h"

namespace mlx::core::fused::cpu::simd {

/**
 * Rows are taken a few at a time: enough to convert long runs, few enough for
 * the nearest cache.
 */
static constexpr int rows_at_once(int groups) {
  return groups <= 32 ? 16 : groups <= 64 ? 8 : 4;
}

template <typename S>
class Scales {
 public:
  static int64_t size(int groups) {
    return 2 * padded(groups);
  }

  Scales(const QMMArgs& args, int groups)
      : args_(args),
        groups_(groups),
        scales_(args.scratch),
        biases_(args.scratch + padded(groups)) {}

  /** Converts `groups` of each of the rows [first, first + rows). */
  void load(int first, int rows) {
    convert(args_.scales, args_.scales_stride, first, rows, scales_);
    if (args_.biases) {
      convert(args_.biases, args_.biases_stride, first, rows, biases_);
    }
  }

  /** Asks for `rows` rows from `first` on, or the first of the next part. */
  void prefetch(int first, int rows) const {
    bool last = first >= args_.outer;
    if (last && !args_.next_w) {
      return;
    }
    ask(last ? args_.next_scales : args_.scales + first * args_.scales_stride,
        args_.scales_stride,
        rows);
    if (args_.biases) {
      ask(last ? args_.next_biases : args_.biases + first * args_.biases_stride,
          args_.biases_stride,
          rows);
    }
  }

  /** Those of row i of the ones loaded; may be read beyond by a vector. */
  const float* scales(int i) const {
    return scales_ + i * groups_;
  }
  const float* biases(int i) const {
    return biases_ + i * groups_;
  }

 private:
  int64_t row_bytes() const {
    return static_cast<int64_t>(groups_) * size_of(args_.type);
  }

  void ask(const char* p, int64_t stride, int rows) const {
    constexpr int64_t line = 64;
    if (stride != row_bytes()) {
      return; // Far apart, they are not worth a line each.
    }
    for (int64_t i = 0; i < rows * stride; i += line) {
      __builtin_prefetch(p + i);
    }
  }

  static int64_t padded(int groups) {
    return static_cast<int64_t>(rows_at_once(groups)) * groups + S::lanes;
  }

  void
  convert(const char* in, int64_t stride, int first, int rows, float* out) {
    in += first * stride;
    if (stride == row_bytes()) {
      simd::load<S>(args_.type, in, static_cast<int64_t>(rows) * groups_, out);
      return;
    }
    for (int i = 0; i < rows; ++i) {
      simd::load<S>(args_.type, in + i * stride, groups_, out + i * groups_);
    }
  }

  const QMMArgs& args_;
  int groups_;
  float* scales_;
  float* biases_;
};

} // namespace mlx::core::fused::cpu::simd
