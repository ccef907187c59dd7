// Copyright © 2026 The mlx-fork authors
//
// As qmm_t.h, for x of float16 and integers of 4 bits. Every float16 is a
// multiple of 2^-24; those less than 64 fit four bytes as such, and their
// products with the integers are summed up byte by byte, without any rounding.
// To be included where the compiler's target has AVX512_VNNI.

#pragma once

#include "mlx/fused/backend/cpu/simd/avx512.h"
#include "mlx/fused/backend/cpu/simd/qmm_t.h"

namespace mlx::core::fused::cpu::simd {

struct IntegerSums {
  using S = Avx512;
  using F = __m512;
  using Format = Integers<4>;
  using Floats = FloatSums<S, Format>;
  using Plain = DequantizedSums<S, Format>;
  using FloatRow = PreparedRow<S, Format>;
  static constexpr int per_word = Format::per_word;
  static constexpr bool affine = true;
  static constexpr bool folded = true;
  static constexpr bool in_pairs = true;
  static constexpr float unit = 0x1p-24f;
  static constexpr int limbs = 4; // bytes of x, the highest first
  static constexpr int vector = 64; // bytes: every other x of a block
  static constexpr int block = limbs * vector / 2;

  static int64_t sums_at(int inner) {
    return FloatRow::sums(inner);
  }
  /** What `make` knows of a row that it said false of. */
  static int64_t in_range_at(int inner, int group_size) {
    return FloatRow::size(inner, group_size);
  }
  static int64_t size(int inner, int group_size) {
    return in_range_at(inner, group_size) + 1;
  }

  static bool fits(const float* x, int inner) {
    bool all = true;
    for (int i = 0; i < inner; ++i) {
      all &= std::abs(x[i]) < 64.0f;
    }
    return all;
  }

  /**
   * Byte by byte of x, those of even positions and those of odd ones apart, as
   * nibbles come out. Rows that don't fit are PreparedRows.
   */
  static bool make(const float* x, int inner, int group_size, float* out) {
    if (!fits(x, inner)) {
      out[in_range_at(inner, group_size)] =
          FloatRow::make(x, inner, group_size, out);
      return false;
    }
    auto to = reinterpret_cast<char*>(out);
    for (int b = 0; b < inner; b += block, to += limbs * 2 * vector) {
      int some = std::min(block, inner - b);
      if (some < block) {
        std::memset(to, 0, limbs * 2 * vector);
      }
      for (int i = 0; i < some; ++i) {
        // Each byte stands for -128 to 127.
        constexpr uint32_t half = 0x00808080;
        auto v = static_cast<int32_t>(x[b + i] * 0x1p+24f);
        uint32_t bytes = (static_cast<uint32_t>(v) + half) ^ half;
        auto first = to + (i & 1) * vector + i / 2;
        for (int p = 0; p < limbs; ++p) {
          first[p * 2 * vector] = static_cast<char>(bytes >> (24 - 8 * p));
        }
      }
    }
    group_sums<S>(x, inner, group_size, out + sums_at(inner));
    return true;
  }

  template <int rows, int tile>
  __attribute__((always_inline)) static void add(
      const __m512i (&w)[rows],
      const F (&scale)[rows],
      const float* const (&x)[tile],
      int at,
      F (&acc)[rows][tile]) {
    __m512i nibbles[rows][2];
    for (int r = 0; r < rows; ++r) {
      auto words = w[r];
      // One load, across lines of the cache perhaps, not one for each use.
      asm("" : "+v"(words));
      auto low = _mm512_set1_epi8(15);
      nibbles[r][0] = _mm512_and_si512(words, low);
      nibbles[r][1] = _mm512_and_si512(_mm512_srli_epi16(words, 4), low);
    }
    for (int m = 0; m < tile; ++m) {
      auto bytes = reinterpret_cast<const char*>(x[m] + at * per_word);
      // Two bytes of x after another: 256 times the first sum, and the second.
      auto pair = [&](int p, __m512i(&sum)[rows]) {
        for (int i = 0; i < 2; ++i) {
          for (int odd = 0; odd < 2; ++odd) {
            auto some =
                _mm512_loadu_si512(bytes + (2 * (p + i) + odd) * vector);
            asm("" : "+v"(some));
            for (int r = 0; r < rows; ++r) {
              auto before = i || odd ? sum[r] : _mm512_setzero_si512();
              if (i && !odd) {
                before = _mm512_slli_epi32(before, 8);
              }
              sum[r] = _mm512_dpbusd_epi32(before, nibbles[r][odd], some);
            }
          }
        }
      };
      __m512i high[rows], low[rows];
      pair(0, high);
      pair(2, low);
      for (int r = 0; r < rows; ++r) {
        F sum =
            S::fma(S::to_float(high[r]), S::set(0x1p+16f), S::to_float(low[r]));
        acc[r][m] = S::fma(sum, scale[r], acc[r][m]);
      }
    }
  }

  /** For one row of which `make` said false. */
  static void plain(const QMMArgs& a) {
    bool in_range = a.x[0][in_range_at(a.inner, a.group_size)] != 0.0f;
    in_range ? qmm_t_tile<S, Floats, 1>(a) : qmm_t_tile<S, Plain, 1>(a);
  }
};

} // namespace mlx::core::fused::cpu::simd
