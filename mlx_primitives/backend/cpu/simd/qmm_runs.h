// Copyright © 2026 The mlx-fork authors
//
// As qmm_t.h, for integers that cross from one word into the next: 3, 5 and 6
// bits. They come out in runs of 32, in the order of x.

#pragma once

#include "mlx/fused/backend/cpu/simd/qmm_t.h"

namespace mlx::core::fused::cpu::simd {

constexpr int run_length = 32;

template <typename S>
struct PlainRow {
  static int64_t size(int inner, int group_size) {
    return inner + round_up(inner / group_size, S::lanes);
  }

  static bool make(const float* x, int inner, int group_size, float* out) {
    std::memcpy(out, x, inner * sizeof(float));
    group_sums<S>(x, inner, group_size, out + inner);
    return true;
  }
};

template <typename S, int bits, int tile>
void qmm_runs_tile(const QMMArgs& a) {
  using F = typename S::F;
  int groups = a.inner / a.group_size;
  const float* sums[tile];
  for (int m = 0; m < tile; ++m) {
    sums[m] = a.x[m] + a.inner;
  }
  walk_rows<S, tile>(a, [&](const Scales<S>& scales, int i, int n, F* totals) {
    const uint32_t* w = a.w + n * a.w_stride;
    const float* scale = scales.scales(i);
    F acc[tile];
    for (int m = 0; m < tile; ++m) {
      acc[m] = S::zero();
    }
    for (int g = 0; g < groups; ++g) {
      F sum[tile];
      for (int m = 0; m < tile; ++m) {
        sum[m] = S::zero();
      }
      int end = (g + 1) * a.group_size;
      for (int k = g * a.group_size; k < end; k += run_length) {
        unrolled<run_length / S::lanes>([&](auto t) {
          constexpr int first = t * S::lanes;
          F q = S::template fields<bits, first>(w);
          for (int m = 0; m < tile; ++m) {
            sum[m] = S::sum(q, S::load(a.x[m] + k + first), sum[m]);
          }
        });
        w += bits;
      }
      F s = S::set(scale[g]);
      for (int m = 0; m < tile; ++m) {
        acc[m] = S::sum(sum[m], s, acc[m]);
      }
    }
    add_biases<S, tile>(scales.biases(i), groups, sums, acc);
    for (int m = 0; m < tile; ++m) {
      totals[m] = acc[m];
    }
  });
}

template <typename S, int bits>
void qmm_runs(const QMMArgs& a) {
  switch (a.tile) {
    case 1:
      return qmm_runs_tile<S, bits, 1>(a);
    case 2:
      return qmm_runs_tile<S, bits, 2>(a);
    case 3:
      return qmm_runs_tile<S, bits, 3>(a);
    default:
      return qmm_runs_tile<S, bits, 4>(a);
  }
}

} // namespace mlx::core::fused::cpu::simd
