// Copyright © 2026 The mlx-fork authors
//
// Rows of x times rows of a matrix: a dot product each. The scale of a group is
// taken out of its sum, and so is the bias, which meets the sum of the group's
// x. Rows are walked one after another, so that memory is read in one stream;
// four totals are reduced together.

#pragma once

#include <cmath>

#include "mlx/fused/backend/cpu/simd/formats.h"
#include "mlx/fused/backend/cpu/simd/scales.h"

namespace mlx::core::fused::cpu::simd {

/** How far ahead of their use words are asked for. */
constexpr int64_t words_ahead = 2048;

/** Where row n's words are asked for from: beyond the part, in the next one. */
static inline const uint32_t* ahead(const QMMArgs& a, int n) {
  auto left = (a.outer - n) * a.w_stride;
  if (left > words_ahead || !a.next_w) {
    return a.w + n * a.w_stride + words_ahead;
  }
  return a.next_w + words_ahead - left;
}

/** The sums of the groups of x, padded with zeros to whole vectors. */
template <typename S>
void group_sums(const float* x, int inner, int group_size, float* out) {
  int groups = inner / group_size;
  int g = 0;
  for (; g < groups; ++g) {
    // Parts, so that sums don't wait for each other.
    float parts[8] = {};
    for (int i = 0; i < group_size; i += 8) {
      for (int p = 0; p < 8; ++p) {
        parts[p] += x[g * group_size + i + p];
      }
    }
    out[g] = ((parts[0] + parts[4]) + (parts[2] + parts[6])) +
        ((parts[1] + parts[5]) + (parts[3] + parts[7]));
  }
  for (; g < round_up(groups, S::lanes); ++g) {
    out[g] = 0.0f;
  }
}

/** x in the order of `Format`, then the sum of each group, each padded. */
template <typename S, typename Format>
struct PreparedRow {
  static constexpr int block = S::lanes * Format::per_word;

  static int64_t sums(int inner) {
    return round_up(inner, block);
  }
  static int64_t size(int inner, int group_size) {
    return sums(inner) + round_up(inner / group_size, S::lanes);
  }

  static bool make(const float* x, int inner, int group_size, float* out) {
    bool scalable = in_range(x, inner);
    float factor[Format::per_word];
    for (int j = 0; j < Format::per_word; ++j) {
      factor[j] = 1.0f;
      if constexpr (Format::scaled) {
        factor[j] = Format::factor(j);
      }
    }
    for (int b = 0; b < inner; b += block) {
      int words = std::min(block, inner - b) / Format::per_word;
      for (int j = 0; j < Format::per_word; ++j) {
        float* row = out + b + j * S::lanes;
        float f = scalable ? factor[j] : 1.0f;
        for (int l = 0; l < words; ++l) {
          row[l] = x[b + l * Format::per_word + j] * f;
        }
        for (int l = words; l < S::lanes; ++l) {
          row[l] = 0.0f;
        }
      }
    }
    group_sums<S>(x, inner, group_size, out + sums(inner));
    return scalable;
  }
};

/** acc[m] += the biases of a row times the sums of x. */
template <typename S, int tile>
void add_biases(
    const float* biases,
    int groups,
    const float* const* sums,
    typename S::F* acc) {
  int g = 0;
  for (; g + S::lanes <= groups; g += S::lanes) {
    auto b = S::load(biases + g);
    for (int m = 0; m < tile; ++m) {
      acc[m] = S::sum(b, S::load(sums[m] + g), acc[m]);
    }
  }
  if (g < groups) {
    // What follows belongs to the next row.
    auto b = S::first(S::load(biases + g), groups - g);
    for (int m = 0; m < tile; ++m) {
      acc[m] = S::sum(b, S::load(sums[m] + g), acc[m]);
    }
  }
}

/** Sums of four rows for each row of x, where `rows` of them are real. */
template <typename S, int tile>
void write_sums(
    const typename S::F totals[4][tile],
    int rows,
    float* out,
    int64_t out_stride) {
  for (int m = 0; m < tile; ++m) {
    typename S::F v[4];
    for (int r = 0; r < 4; ++r) {
      v[r] = r < rows ? totals[r][m] : S::zero();
    }
    float sums[4];
    S::sums(v, sums);
    for (int r = 0; r < rows; ++r) {
      out[m * out_stride + r] = sums[r];
    }
  }
}

/**
 * Calls some(rows, scales, i, n, totals) for all rows, `together` of them at a
 * time and the last ones alone: rows is an integral_constant, n the first of
 * them, i the same among those whose scales are loaded.
 */
template <typename S, int tile, int together, typename Some>
void walk_rows(const QMMArgs& a, Some&& some) {
  static_assert(4 % together == 0);
  int groups = a.inner / a.group_size;
  int step = rows_at_once(groups);
  Scales<S> scales(a, groups);
  for (int first = 0; first < a.outer; first += step) {
    int rows = std::min(step, a.outer - first);
    scales.load(first, rows);
    scales.prefetch(first + rows, step);
    for (int i = 0; i < rows; i += 4) {
      int left = std::min(4, rows - i);
      typename S::F totals[4][tile];
      int r = 0;
      for (; r + together <= left; r += together) {
        std::integral_constant<int, together> n;
        some(n, scales, i + r, first + i + r, totals + r);
      }
      for (; together > 1 && r < left; ++r) {
        std::integral_constant<int, 1> one;
        some(one, scales, i + r, first + i + r, totals + r);
      }
      write_sums<S, tile>(totals, left, a.out + first + i, a.out_stride);
    }
  }
}

/** Sums of products in float32 over a block of words, for x in PreparedRow. */
template <typename S, typename Format>
struct FloatSums {
  using F = typename S::F;
  static constexpr int per_word = Format::per_word;
  static constexpr bool affine = Format::scaled;
  static constexpr bool folded = true;
  static constexpr bool in_pairs = S::in_pairs;
  static constexpr float unit = 1.0f; // of sums before scales and biases

  static int64_t sums_at(int inner) {
    return PreparedRow<S, Format>::sums(inner);
  }

  /** acc[r][m] += scale[r] * (values of the words w[r] times x[m] from word
   * `at` on). */
  template <int rows, int tile>
  __attribute__((always_inline)) static void add(
      const typename S::I (&w)[rows],
      const F (&scale)[rows],
      const float* const (&x)[tile],
      int at,
      F (&acc)[rows][tile]) {
    F sum[rows][tile];
    unrolled<per_word>([&](auto j) {
      F q[rows];
      for (int r = 0; r < rows; ++r) {
        q[r] = Format::template value<S, j, true>(w[r]);
      }
      for (int m = 0; m < tile; ++m) {
        F xm = S::load(x[m] + at * per_word + j * S::lanes);
        if (rows > 1) {
          S::keep(xm);
        }
        for (int r = 0; r < rows; ++r) {
          sum[r][m] = j == 0 ? S::mul(q[r], xm) : S::sum(q[r], xm, sum[r][m]);
        }
      }
    });
    for (int r = 0; r < rows; ++r) {
      for (int m = 0; m < tile; ++m) {
        acc[r][m] = S::sum(sum[r][m], scale[r], acc[r][m]);
      }
    }
  }
};

/** The same of dequantized values, for x that is not in_range. */
template <typename S, typename Format>
struct DequantizedSums {
  using F = typename S::F;
  static constexpr int per_word = Format::per_word;
  static constexpr bool affine = Format::scaled;
  static constexpr bool folded = false;
  static constexpr bool in_pairs = false;
  static constexpr float unit = 1.0f;

  static int64_t sums_at(int inner) {
    return PreparedRow<S, Format>::sums(inner);
  }

  template <int rows, int tile>
  __attribute__((always_inline)) static void add(
      const typename S::I (&w)[rows],
      const F (&scale)[rows],
      const F (&bias)[rows],
      const float* const (&x)[tile],
      int at,
      F (&acc)[rows][tile]) {
    unrolled<per_word>([&](auto j) {
      for (int r = 0; r < rows; ++r) {
        F v = S::mul(Format::template value<S, j, false>(w[r]), scale[r]);
        if constexpr (affine) {
          v = S::add(v, bias[r]);
        }
        for (int m = 0; m < tile; ++m) {
          F xm = S::load(x[m] + at * per_word + j * S::lanes);
          acc[r][m] = S::sum(v, xm, acc[r][m]);
        }
      }
    });
  }
};

template <typename S, typename Sums, int tile>
void qmm_t_tile(const QMMArgs& a) {
  using F = typename S::F;
  using I = typename S::I;
  constexpr int together = tile == 1 && Sums::in_pairs ? 2 : 1;
  int words = a.inner / Sums::per_word;
  int groups = a.inner / a.group_size;
  auto sums_at = Sums::sums_at(a.inner);
  auto some = [&](auto rows, const Scales<S>& scales, int i, int n, auto to) {
    // Copies, which the compiler can keep in registers.
    int shift = __builtin_ctz(a.group_size / Sums::per_word);
    auto index = S::spread(shift);
    const uint32_t* w[rows];
    const uint32_t* soon[rows];
    const float* scale[rows];
    const float* x[tile];
    const float* sums[tile];
    F acc[rows][tile];
    for (int r = 0; r < rows; ++r) {
      w[r] = a.w + (n + r) * a.w_stride;
      soon[r] = ahead(a, n + r);
      scale[r] = scales.scales(i + r);
    }
    for (int m = 0; m < tile; ++m) {
      x[m] = a.x[m];
      sums[m] = x[m] + sums_at;
      for (int r = 0; r < rows; ++r) {
        acc[r][m] = S::zero();
      }
    }
    auto add = [&](const I(&block)[rows], int at, int n)
                   __attribute__((always_inline)) {
                     // Beyond the row are the scales of another.
                     auto spread = [&](const float* p) {
                       F v = S::spread(p + (at >> shift), index);
                       return n == S::lanes ? v : S::first(v, n);
                     };
                     F s[rows];
                     F bias[rows];
                     for (int r = 0; r < rows; ++r) {
                       s[r] = spread(scale[r]);
                       if constexpr (Sums::affine && !Sums::folded) {
                         bias[r] = spread(scales.biases(i + r));
                       }
                     }
                     if constexpr (Sums::folded) {
                       Sums::add(block, s, x, at, acc);
                     } else {
                       Sums::add(block, s, bias, x, at, acc);
                     }
                   };
    int at = 0;
    for (; at + S::lanes <= words; at += S::lanes) {
      I block[rows];
      for (int r = 0; r < rows; ++r) {
        __builtin_prefetch(soon[r] + at, 0, 2);
        block[r] = S::words(w[r] + at);
      }
      add(block, at, S::lanes);
    }
    if (at < words) {
      I block[rows];
      for (int r = 0; r < rows; ++r) {
        block[r] = S::words(w[r] + at, words - at);
      }
      add(block, at, words - at);
    }
    for (int r = 0; r < rows; ++r) {
      if constexpr (Sums::unit != 1.0f) {
        for (int m = 0; m < tile; ++m) {
          acc[r][m] = S::mul(acc[r][m], S::set(Sums::unit));
        }
      }
      if constexpr (Sums::affine && Sums::folded) {
        add_biases<S, tile>(scales.biases(i + r), groups, sums, acc[r]);
      }
      for (int m = 0; m < tile; ++m) {
        to[r][m] = acc[r][m];
      }
    }
  };
  walk_rows<S, tile, together>(a, some);
}

/** Takes the rows of x apart, for those that are not in_range are rare. */
template <typename Run>
void one_by_one(const QMMArgs& a, Run* usual, Run* plain) {
  for (int m = 0; m < a.tile; ++m) {
    auto one = a;
    one.x = a.x + m;
    one.tile = 1;
    one.out = a.out + m * a.out_stride;
    (a.out_of_range >> m & 1 ? plain : usual)(one);
  }
}

/** `plain` takes the rows of x, one at a time, that `Sums` can't. */
template <typename S, typename Sums, void (*plain)(const QMMArgs&)>
void qmm_t(const QMMArgs& a) {
  if (a.out_of_range) {
    one_by_one(a, qmm_t_tile<S, Sums, 1>, plain);
    return;
  }
  switch (a.tile) {
    case 1:
      return qmm_t_tile<S, Sums, 1>(a);
    case 2:
      return qmm_t_tile<S, Sums, 2>(a);
    case 3:
      return qmm_t_tile<S, Sums, 3>(a);
    default:
      return qmm_t_tile<S, Sums, 4>(a);
  }
}

} // namespace mlx::core::fused::cpu::simd
