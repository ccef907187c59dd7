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
    return in_range(x, inner);
  }
};

template <typename S, int bits, int tile, bool folded>
void qmm_runs_tile(const QMMArgs& a) {
  using F = typename S::F;
  int groups = a.inner / a.group_size;
  const float* sums[tile];
  for (int m = 0; m < tile; ++m) {
    sums[m] = a.x[m] + a.inner;
  }
  auto row = [&](auto, const Scales<S>& scales, int i, int n, auto to) {
    const uint32_t* w = a.w + n * a.w_stride;
    const float* scale = scales.scales(i);
    const float* bias = scales.biases(i);
    F acc[tile];
    for (int m = 0; m < tile; ++m) {
      acc[m] = S::zero();
    }
    for (int g = 0; g < groups; ++g) {
      F s = S::set(scale[g]);
      F b = S::set(bias[g]);
      F sum[tile];
      for (int m = 0; m < tile; ++m) {
        sum[m] = S::zero();
      }
      int end = (g + 1) * a.group_size;
      for (int k = g * a.group_size; k < end; k += run_length) {
        unrolled<run_length / S::lanes>([&](auto t) {
          constexpr int first = t * S::lanes;
          F q = S::template fields<bits, first>(w);
          if constexpr (!folded) {
            q = S::add(S::mul(q, s), b);
          }
          for (int m = 0; m < tile; ++m) {
            sum[m] = S::sum(q, S::load(a.x[m] + k + first), sum[m]);
          }
        });
        w += bits;
      }
      for (int m = 0; m < tile; ++m) {
        acc[m] = folded ? S::sum(sum[m], s, acc[m]) : S::add(sum[m], acc[m]);
      }
    }
    if constexpr (folded) {
      add_biases<S, tile>(bias, groups, sums, acc);
    }
    for (int m = 0; m < tile; ++m) {
      to[0][m] = acc[m];
    }
  };
  walk_rows<S, tile, 1>(a, row);
}

template <typename S, int bits>
void qmm_runs(const QMMArgs& a) {
  if (a.out_of_range) {
    one_by_one(
        a, qmm_runs_tile<S, bits, 1, true>, qmm_runs_tile<S, bits, 1, false>);
    return;
  }
  switch (a.tile) {
    case 1:
      return qmm_runs_tile<S, bits, 1, true>(a);
    case 2:
      return qmm_runs_tile<S, bits, 2, true>(a);
    case 3:
      return qmm_runs_tile<S, bits, 3, true>(a);
    default:
      return qmm_runs_tile<S, bits, 4, true>(a);
  }
}

} // namespace mlx::core::fused::cpu::simd
