// Copyright © 2026 The mlx-fork authors
//
// As qmm_t.h, for x of bfloat16 and values of 4 bits, which bfloat16 holds
// exactly: pairs of products are added to a float32 sum by one instruction. It
// takes subnormal numbers for zero; rows of x that could lead to them go the
// usual way. To be included where the compiler's target has AVX512_BF16.

#pragma once

#include <bit>

#include "mlx/fused/backend/cpu/simd/avx512.h"
#include "mlx/fused/backend/cpu/simd/qmm_t.h"

namespace mlx::core::fused::cpu::simd {

/** The bfloat16 that codes stand for; twice, as indices have five bits. */
struct alignas(64) BfloatTable {
  constexpr explicit BfloatTable(const float (&values)[16]) : bits{} {
    for (int i = 0; i < 32; ++i) {
      bits[i] = std::bit_cast<uint32_t>(values[i & 15]) >> 16;
    }
  }

  uint16_t bits[32];
};

struct IntegerCodes {
  using Format = Integers<4>;
  static constexpr BfloatTable table{
      {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
};

struct E2M1Codes {
  using Format = E2M1;
  static constexpr BfloatTable table{e2m1_values};
};

template <typename Codes>
struct BfloatSums {
  using S = Avx512;
  using F = __m512;
  using Format = typename Codes::Format;
  using Plain = DequantizedSums<S, Format>;
  static constexpr int per_word = Format::per_word;
  static constexpr bool affine = Format::scaled;
  static constexpr bool folded = true;
  static constexpr bool in_pairs = false;
  static constexpr float unit = 1.0f;
  static constexpr int halves = 32; // of a block of words
  static constexpr int per_half = 4;
  static constexpr int block = halves * per_half;

  static int64_t sums_at(int inner) {
    return Plain::sums_at(inner);
  }

  /**
   * x as bfloat16, what meets value j of each half of a word together. Where
   * that can't be done, in the order of PreparedRow.
   */
  static bool make(const float* x, int inner, int group_size, float* out) {
    if (!in_range(x, inner)) {
      PreparedRow<S, Format>::make(x, inner, group_size, out);
      return false;
    }
    auto to = reinterpret_cast<uint16_t*>(out);
    for (int b = 0; b < inner; b += block) {
      int some = std::min(block, inner - b) / per_half;
      for (int j = 0; j < per_half; ++j, to += halves) {
        for (int h = 0; h < halves; ++h) {
          uint32_t bits = 0;
          if (h < some) {
            std::memcpy(&bits, x + b + h * per_half + j, sizeof(bits));
          }
          to[h] = bits >> 16;
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
    const __m512i values = _mm512_load_si512(Codes::table.bits);
    __m512i words[rows];
    for (int r = 0; r < rows; ++r) {
      words[r] = w[r];
      // One load, across lines of the cache perhaps, not one for each use.
      asm("" : "+v"(words[r]));
    }
    F sum[rows][tile];
    unrolled<per_half>([&](auto j) {
      __m512bh q[rows];
      for (int r = 0; r < rows; ++r) {
        q[r] = reinterpret_cast<__m512bh>(_mm512_permutexvar_epi16(
            j == 0 ? words[r] : _mm512_srli_epi16(words[r], 4 * j), values));
      }
      for (int m = 0; m < tile; ++m) {
        auto xm = reinterpret_cast<__m512bh>(
            _mm512_loadu_si512(x[m] + at * per_half + j * (halves / 2)));
        for (int r = 0; r < rows; ++r) {
          sum[r][m] =
              _mm512_dpbf16_ps(j == 0 ? S::zero() : sum[r][m], q[r], xm);
        }
      }
    });
    for (int r = 0; r < rows; ++r) {
      for (int m = 0; m < tile; ++m) {
        acc[r][m] = S::fma(sum[r][m], scale[r], acc[r][m]);
      }
    }
  }
};

} // namespace mlx::core::fused::cpu::simd
