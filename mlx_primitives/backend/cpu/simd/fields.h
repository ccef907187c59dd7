// Copyright © 2026 The mlx-fork authors
//
// Where integers of 3, 5 or 6 bits lie in the words of a run of 32: their bits
// may cross from one word into the next.

#pragma once

#include <cstdint>

namespace mlx::core::fused::cpu::simd {

template <int lanes>
struct Fields {
  uint32_t word[lanes]; // where the value begins
  uint32_t next[lanes]; // the word after
  uint32_t shift[lanes];
};

template <int bits, int first, int lanes>
struct FieldPlan {
  static constexpr Fields<lanes> make() {
    Fields<lanes> p{};
    for (int l = 0; l < lanes; ++l) {
      int bit = (first + l) * bits;
      p.word[l] = bit / 32;
      p.next[l] = bit / 32 + 1 < bits ? bit / 32 + 1 : bit / 32;
      p.shift[l] = bit % 32;
    }
    return p;
  }

  static constexpr Fields<lanes> plan = make();
};

} // namespace mlx::core::fused::cpu::simd
