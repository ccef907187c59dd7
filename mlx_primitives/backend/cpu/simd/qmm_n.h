// Copyright © 2026 The mlx-fork authors
//
// Rows of x times columns of a matrix: each row of the matrix, times its value
// of x, is added to all results. These stay in scratch, in the order in which
// values come out of words, and are put in their places at the end.

#pragma once

#include "mlx/fused/backend/cpu/simd/qmm_runs.h"

namespace mlx::core::fused::cpu::simd {

template <typename S>
struct UnorderedRow {
  static int64_t size(int inner, int) {
    return inner;
  }

  static bool make(const float* x, int inner, int, float* out) {
    std::memcpy(out, x, inner * sizeof(float));
    return true;
  }
};

/** A block of columns: the values of `lanes` words. */
template <typename S, typename Format>
struct WordColumns {
  static constexpr int vectors = Format::per_word;
  static constexpr int words = S::lanes;
  static constexpr bool affine = Format::scaled;

  explicit WordColumns(int group_size)
      : shift(__builtin_ctz(group_size / Format::per_word)),
        index(S::spread(shift)) {}

  /** Of the words from `at` on. */
  typename S::F scales(const float* p, int at) const {
    return S::spread(p + (at >> shift), index);
  }

  template <int j>
  static typename S::F value(const uint32_t* w) {
    return Format::template value<S, j, false>(S::words(w));
  }

  /** Where value l of vector j stands in the block. */
  static constexpr int column(int j, int l) {
    return l * Format::per_word + j;
  }

  int shift;
  typename S::Index index;
};

/** A block of columns: a run of values that cross words. */
template <typename S, int bits>
struct RunColumns {
  static constexpr int vectors = run_length / S::lanes;
  static constexpr int words = bits;
  static constexpr bool affine = true;

  explicit RunColumns(int group_size) : runs(group_size / run_length) {}

  typename S::F scales(const float* p, int at) const {
    return S::set(p[at / bits / runs]);
  }

  template <int j>
  static typename S::F value(const uint32_t* w) {
    return S::template fields<bits, j * S::lanes>(w);
  }

  static constexpr int column(int j, int l) {
    return j * S::lanes + l;
  }

  int runs;
};

template <typename S, typename Columns>
struct Untransposed {
  using F = typename S::F;
  static constexpr int vectors = Columns::vectors;
  static constexpr int block = vectors * S::lanes;
  // Rows of the matrix for which results are loaded and stored once.
  static constexpr int at_once = 4;

  static int64_t padded(int outer) {
    return round_up(outer, block);
  }

  static int64_t scratch(int, int outer, int group_size) {
    return Scales<S>::size(outer / group_size) + max_tile * padded(outer);
  }

  /** Adds `rows` rows of the matrix, from row k on. */
  template <int rows>
  static void add(
      const QMMArgs& a,
      const Columns& columns,
      const Scales<S>& scales,
      int first,
      int k,
      int words,
      float* sums) {
    for (int b = 0, at = 0; at < words; ++b, at += Columns::words) {
      const uint32_t* w[rows];
      uint32_t rest[rows][Columns::words];
      F s[rows], bias[rows];
      for (int r = 0; r < rows; ++r) {
        w[r] = a.w + (k + r) * a.w_stride + at;
        if (at + Columns::words > words) {
          for (int i = 0; i < Columns::words; ++i) {
            rest[r][i] = at + i < words ? w[r][i] : 0;
          }
          w[r] = rest[r];
        }
        s[r] = columns.scales(scales.scales(first + r), at);
        if constexpr (Columns::affine) {
          bias[r] = columns.scales(scales.biases(first + r), at);
        }
      }
      for (int m = 0; m < a.tile; ++m) {
        float* sum = sums + m * padded(a.outer) + b * block;
        unrolled<vectors>([&](auto j) {
          F acc = S::load(sum + j * S::lanes);
          for (int r = 0; r < rows; ++r) {
            F q = Columns::template value<j>(w[r]);
            F v;
            if constexpr (Columns::affine) {
              v = S::sum(q, s[r], bias[r]);
            } else {
              v = S::mul(q, s[r]);
            }
            acc = S::sum(v, S::set(a.x[m][k + r]), acc);
          }
          S::store(sum + j * S::lanes, acc);
        });
      }
    }
  }

  static void write(const QMMArgs& a, const float* sums) {
    for (int m = 0; m < a.tile; ++m) {
      float* out = a.out + m * a.out_stride;
      for (int n = 0; n < a.outer; n += block, sums += block) {
        for (int j = 0; j < vectors; ++j) {
          for (int l = 0; l < S::lanes; ++l) {
            int c = n + Columns::column(j, l);
            if (c < a.outer) {
              out[c] = sums[j * S::lanes + l];
            }
          }
        }
      }
    }
  }

  static void run(const QMMArgs& a) {
    int groups = a.outer / a.group_size;
    int words = a.outer / block * Columns::words +
        a.outer % block * Columns::words / block;
    int step = rows_at_once(groups);
    Columns columns(a.group_size);
    Scales<S> scales(a, groups);
    float* sums = a.scratch + Scales<S>::size(groups);
    std::fill(sums, sums + a.tile * padded(a.outer), 0.0f);
    for (int first = 0; first < a.inner; first += step) {
      int rows = std::min(step, a.inner - first);
      scales.load(first, rows);
      int i = 0;
      for (; i + at_once <= rows; i += at_once) {
        add<at_once>(a, columns, scales, i, first + i, words, sums);
      }
      for (; i < rows; ++i) {
        add<1>(a, columns, scales, i, first + i, words, sums);
      }
    }
    write(a, sums);
  }
};

} // namespace mlx::core::fused::cpu::simd
