// Copyright © 2026 The mlx-fork authors
//
// Vectors in plain C++, for any processor: what the other classes of this
// folder do, lane by lane.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "mlx/fused/backend/cpu/simd/e2m1.h"
#include "mlx/fused/backend/cpu/simd/fields.h"
#include "mlx/types/half_types.h"

namespace mlx::core::fused::cpu::simd {

struct Portable {
  static constexpr const char* name = "portable";
  static constexpr int lanes = 8;
  /** Whether two rows of a matrix gain by sharing what they load of x. */
  static constexpr bool in_pairs = false;

  struct F {
    float v[lanes];
  };
  struct I {
    uint32_t v[lanes];
  };
  using Index = int;

  template <typename V, typename Op>
  static V each(Op&& op) {
    V out;
    for (int l = 0; l < lanes; ++l) {
      out.v[l] = op(l);
    }
    return out;
  }

  static F zero() {
    return set(0.0f);
  }
  static F set(float v) {
    return each<F>([=](int) { return v; });
  }
  static F load(const float* p) {
    F out;
    std::memcpy(&out, p, sizeof(out));
    return out;
  }
  static void keep(F&) {}
  static void store(float* p, F v) {
    std::memcpy(p, &v, sizeof(v));
  }
  static F add(F a, F b) {
    return each<F>([&](int l) { return a.v[l] + b.v[l]; });
  }
  static F sub(F a, F b) {
    return each<F>([&](int l) { return a.v[l] - b.v[l]; });
  }
  static F mul(F a, F b) {
    return each<F>([&](int l) { return a.v[l] * b.v[l]; });
  }
  static F div(F a, F b) {
    return each<F>([&](int l) { return a.v[l] / b.v[l]; });
  }
  /** Rounded once. */
  static F fma(F a, F b, F c) {
    return each<F>([&](int l) { return std::fma(a.v[l], b.v[l], c.v[l]); });
  }
  /** a * b + c, rounded once or twice, whichever is faster. */
  static F sum(F a, F b, F c) {
#ifdef FP_FAST_FMAF
    return fma(a, b, c);
#else
    return each<F>([&](int l) { return a.v[l] * b.v[l] + c.v[l]; });
#endif
  }
  /** a * b, never fused with a sum that follows. */
  static F product(F a, F b) {
    return each<F>([&](int l) {
      float p = a.v[l] * b.v[l];
#if defined(__GNUC__) && defined(__x86_64__)
      asm("" : "+x"(p));
#elif defined(__GNUC__) && defined(__aarch64__)
      asm("" : "+w"(p));
#else
      volatile float kept = p;
      p = kept;
#endif
      return p;
    });
  }
  static F abs(F a) {
    return each<F>([&](int l) { return std::abs(a.v[l]); });
  }
  /** The smaller, or b if one is NaN. */
  static F min(F a, F b) {
    return each<F>([&](int l) { return a.v[l] < b.v[l] ? a.v[l] : b.v[l]; });
  }
  static F if_negative(F v, F a, F b) {
    return each<F>([&](int l) { return v.v[l] < 0.0f ? a.v[l] : b.v[l]; });
  }

  static I words(const uint32_t* p) {
    I out;
    std::memcpy(&out, p, sizeof(out));
    return out;
  }
  /** The first n words, zeros after them; n < lanes. */
  static I words(const uint32_t* p, int n) {
    return each<I>([&](int l) { return l < n ? p[l] : 0; });
  }
  static I and_(I a, uint32_t mask) {
    return each<I>([&](int l) { return a.v[l] & mask; });
  }
  static I add(I a, uint32_t b) {
    return each<I>([&](int l) { return a.v[l] + b; });
  }
  static I add(I a, I b) {
    return each<I>([&](int l) { return a.v[l] + b.v[l]; });
  }
  static I subtract(I a, I b) {
    return each<I>([&](int l) { return a.v[l] - b.v[l]; });
  }
  static I bits(uint32_t v) {
    return each<I>([=](int) { return v; });
  }
  template <int n>
  static I right(I a) {
    return each<I>([&](int l) { return a.v[l] >> n; });
  }
  template <int n>
  static I left(I a) {
    return each<I>([&](int l) { return a.v[l] << n; });
  }
  static F to_float(I a) {
    return each<F>([&](int l) {
      return static_cast<float>(static_cast<int32_t>(a.v[l]));
    });
  }
  /** To nearest even; any value for what no int32 can hold. */
  static I to_int(F a) {
    // Adding 1.5 * 2^23 leaves the integer in the lower bits.
    F moved = add(a, set(12582912.0f));
    return subtract(as_int(moved), bits(0x4b400000));
  }
  static F as_float(I a) {
    F out;
    std::memcpy(&out, &a, sizeof(out));
    return out;
  }
  static I as_int(F a) {
    I out;
    std::memcpy(&out, &a, sizeof(out));
    return out;
  }
  static F or_(F a, F b) {
    I x = as_int(a), y = as_int(b);
    return as_float(each<I>([&](int l) { return x.v[l] | y.v[l]; }));
  }
  static F if_less(I v, uint32_t limit, F a, F b) {
    return each<F>([&](int l) { return v.v[l] < limit ? a.v[l] : b.v[l]; });
  }
  static F if_nan(F v, F a, F b) {
    return each<F>([&](int l) { return std::isnan(v.v[l]) ? a.v[l] : b.v[l]; });
  }

  /** Lane l takes value l >> shift of those at p; reads `lanes` of them. */
  static Index spread(int shift) {
    return shift;
  }
  static F spread(const float* p, Index shift) {
    return each<F>([&](int l) { return p[l >> shift]; });
  }

  /** The first n lanes, zeros after them; n < lanes. */
  static F first(F v, int n) {
    return each<F>([&](int l) { return l < n ? v.v[l] : 0.0f; });
  }

  /** The value that nibble j of each word stands for in e2m1. */
  template <int j>
  static F e2m1(I w) {
    return each<F>(
        [&](int l) { return e2m1_values[(w.v[l] >> (4 * j)) & 15]; });
  }

  /** Values first, first + 1, ... of a run of 32 integers of some bits. */
  template <int bits, int first>
  static F fields(const uint32_t* run) {
    using P = FieldPlan<bits, first, lanes>;
    return each<F>([&](int l) {
      uint64_t two = run[P::plan.next[l]];
      two = two << 32 | run[P::plan.word[l]];
      auto v = static_cast<uint32_t>(two >> P::plan.shift[l]);
      return static_cast<float>(v & ((1u << bits) - 1));
    });
  }

  /** The sums of the lanes of four vectors, each by the same tree. */
  static void sums(const F v[4], float out[4]) {
    for (int i = 0; i < 4; ++i) {
      const float* p = v[i].v;
      out[i] =
          ((p[0] + p[4]) + (p[1] + p[5])) + ((p[2] + p[6]) + (p[3] + p[7]));
    }
  }

  static F from_half(const uint16_t* p) {
    return each<F>([&](int l) {
      float16_t h;
      std::memcpy(&h, p + l, sizeof(h));
      return static_cast<float>(h);
    });
  }
  static void to_half(F v, uint16_t* p) {
    for (int l = 0; l < lanes; ++l) {
      float16_t h(v.v[l]);
      std::memcpy(p + l, &h, sizeof(h));
    }
  }
  static F round_half(F v) {
    return each<F>(
        [&](int l) { return static_cast<float>(float16_t(v.v[l])); });
  }
  static F from_bfloat(const uint16_t* p) {
    return as_float(each<I>([&](int l) { return uint32_t{p[l]} << 16; }));
  }
  /** The upper half of each word. */
  static void store_high(I v, uint16_t* p) {
    for (int l = 0; l < lanes; ++l) {
      p[l] = v.v[l] >> 16;
    }
  }
  static I widen(const uint8_t* p) {
    return each<I>([&](int l) { return uint32_t{p[l]}; });
  }
};

} // namespace mlx::core::fused::cpu::simd
