// Copyright © 2026 The mlx-fork authors
//
// How the quantized values come out of words, and the order in which they do. A
// kernel takes `lanes` words at a time (a block); value j of word l meets row x
// at block * lanes * per_word + l * per_word + j.

#pragma once

#include <cmath>

#include "mlx/fused/backend/cpu/simd/convert.h"

namespace mlx::core::fused::cpu::simd {

/** Unsigned integers whose width divides 32. */
template <int bits_>
struct Integers {
  static constexpr int bits = bits_;
  static constexpr int per_word = 32 / bits;
  static constexpr bool scaled = true;

  /** Value j, times 2^(bits * j) if `scaled`: that saves the shift. */
  template <typename S, int j, bool scaled>
  static typename S::F value(typename S::I w) {
    constexpr uint32_t mask = (1u << bits) - 1;
    if constexpr (j == per_word - 1) {
      return S::to_float(S::template right<bits * j>(w));
    } else if constexpr (scaled) {
      return S::to_float(S::and_(w, mask << (bits * j)));
    } else {
      return S::to_float(S::and_(S::template right<bits * j>(w), mask));
    }
  }

  /** What undoes the factor of value j. */
  static float factor(int j) {
    return j == per_word - 1 ? 1.0f : std::ldexp(1.0f, -bits * j);
  }
};

/**
 * What x may be for scales and biases to be taken out of sums, and for values
 * to be scaled: nothing on the way becomes subnormal or infinite that would not
 * without.
 */
static inline bool in_range(const float* x, int n) {
  constexpr float smallest = 0x1p-96f, largest = 0x1p+96f;
  bool all = true;
  for (int i = 0; i < n; ++i) {
    float v = std::abs(x[i]);
    all &= (v >= smallest && v <= largest) || v == 0.0f;
  }
  return all;
}

struct E2M1 {
  static constexpr int bits = 4;
  static constexpr int per_word = 8;
  static constexpr bool scaled = false;

  template <typename S, int j, bool>
  static typename S::F value(typename S::I w) {
    return S::template e2m1<j>(w);
  }
};

struct E4M3 {
  static constexpr int bits = 8;
  static constexpr int per_word = 4;
  static constexpr bool scaled = false;

  template <typename S, int j, bool>
  static typename S::F value(typename S::I w) {
    return e4m3<S, j>(w);
  }
};

/** Calls f(std::integral_constant<int, 0>), ..., n - 1. */
template <int n, typename F>
inline void unrolled(F&& f) {
  [&]<int... i>(std::integer_sequence<int, i...>) {
    (f(std::integral_constant<int, i>{}), ...);
  }(std::make_integer_sequence<int, n>{});
}

/** The least multiple of m that is not less than n. */
static constexpr int64_t round_up(int64_t n, int64_t m) {
  return (n + m - 1) / m * m;
}

} // namespace mlx::core::fused::cpu::simd
