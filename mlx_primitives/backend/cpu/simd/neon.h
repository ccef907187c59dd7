// Copyright © 2026 The mlx-fork authors
//
// Vectors of NEON, as every AArch64 processor has them.

#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace mlx::core::fused::cpu::simd {

/**
 * Where four integers of a run of 32 lie: in the eight bytes from `start` on,
 * each in two bytes of them. No byte beyond the run is among the eight.
 */
template <int bits, int first>
struct NeonFields {
  static constexpr int exact = first * bits / 8;
  static constexpr int last = 4 * bits - 8;
  static constexpr int start = exact < last ? exact : last;

  alignas(16) uint8_t bytes[16]; // two for each lane, and two that are zeros
  alignas(16) int32_t left[4]; // minus the bits below the value

  static constexpr NeonFields make() {
    NeonFields p{};
    for (int l = 0; l < 4; ++l) {
      int bit = (first + l) * bits - 8 * start;
      for (int b = 0; b < 4; ++b) {
        bool there = b < 2 && bit / 8 + b < 8;
        p.bytes[4 * l + b] = there ? bit / 8 + b : 255;
      }
      p.left[l] = -(bit % 8);
    }
    return p;
  }
};

template <int bits, int first>
constexpr NeonFields<bits, first> neon_fields = NeonFields<bits, first>::make();

struct Neon {
  static constexpr const char* name = "neon";
  static constexpr int lanes = 4;
  /** Whether two rows of a matrix gain by sharing what they load of x. */
  static constexpr bool in_pairs = false;
  using F = float32x4_t;
  using I = uint32x4_t;
  using Index = uint8x16_t; // of bytes

  static F zero() {
    return set(0.0f);
  }
  static F set(float v) {
    return vdupq_n_f32(v);
  }
  static F load(const float* p) {
    return vld1q_f32(p);
  }
  /** Makes one load of what is used several times. */
  static void keep(F& v) {
    asm("" : "+w"(v));
  }
  static void store(float* p, F v) {
    vst1q_f32(p, v);
  }
  static F add(F a, F b) {
    return vaddq_f32(a, b);
  }
  static F sub(F a, F b) {
    return vsubq_f32(a, b);
  }
  static F mul(F a, F b) {
    return vmulq_f32(a, b);
  }
  static F div(F a, F b) {
    return vdivq_f32(a, b);
  }
  static F fma(F a, F b, F c) {
    return vfmaq_f32(c, a, b);
  }
  /** a * b + c, rounded once or twice, whichever is faster. */
  static F sum(F a, F b, F c) {
    return fma(a, b, c);
  }
  /** a * b, never fused with a sum that follows. */
  static F product(F a, F b) {
    F v = vmulq_f32(a, b);
    asm("" : "+w"(v));
    return v;
  }
  static F abs(F a) {
    return vabsq_f32(a);
  }
  /** The smaller, or b if one is NaN. */
  static F min(F a, F b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
  }
  static F if_negative(F v, F a, F b) {
    return vbslq_f32(vcltzq_f32(v), a, b);
  }

  static I words(const uint32_t* p) {
    return vld1q_u32(p);
  }
  /** The first n words, zeros after them; n < lanes. */
  static I words(const uint32_t* p, int n) {
    uint32_t some[lanes] = {};
    for (int l = 0; l < n; ++l) {
      some[l] = p[l];
    }
    return words(some);
  }
  static I and_(I a, uint32_t mask) {
    return vandq_u32(a, bits(mask));
  }
  static I add(I a, uint32_t b) {
    return vaddq_u32(a, bits(b));
  }
  static I add(I a, I b) {
    return vaddq_u32(a, b);
  }
  static I subtract(I a, I b) {
    return vsubq_u32(a, b);
  }
  static I bits(uint32_t v) {
    return vdupq_n_u32(v);
  }
  template <int n>
  static I right(I a) {
    if constexpr (n == 0) {
      return a;
    } else {
      return vshrq_n_u32(a, n);
    }
  }
  template <int n>
  static I left(I a) {
    return vshlq_n_u32(a, n);
  }
  static F to_float(I a) {
    return vcvtq_f32_s32(vreinterpretq_s32_u32(a));
  }
  static I to_int(F a) {
    return vreinterpretq_u32_s32(vcvtnq_s32_f32(a));
  }
  static F as_float(I a) {
    return vreinterpretq_f32_u32(a);
  }
  static I as_int(F a) {
    return vreinterpretq_u32_f32(a);
  }
  static F or_(F a, F b) {
    return as_float(vorrq_u32(as_int(a), as_int(b)));
  }
  static F if_less(I v, uint32_t limit, F a, F b) {
    return vbslq_f32(vcltq_u32(v, bits(limit)), a, b);
  }
  static F if_nan(F v, F a, F b) {
    return vbslq_f32(vceqq_f32(v, v), b, a);
  }

  /** Lane l takes value l >> shift of those at p; reads `lanes` of them. */
  static Index spread(int shift) {
    I value = vshlq_u32(lane_numbers(), vdupq_n_s32(-shift));
    // Value v is bytes 4v to 4v + 3.
    return vreinterpretq_u8_u32(
        vmlaq_u32(bits(0x03020100), value, bits(0x04040404)));
  }
  static F spread(const float* p, Index index) {
    return vreinterpretq_f32_u8(
        vqtbl1q_u8(vreinterpretq_u8_f32(load(p)), index));
  }

  /** The first n lanes, zeros after them; n < lanes. */
  static F first(F v, int n) {
    I wanted = vcltq_u32(lane_numbers(), bits(n));
    return as_float(vandq_u32(as_int(v), wanted));
  }

  /** The value that nibble j of each word stands for in e2m1. */
  template <int j>
  static F e2m1(I w) {
    // Twice the values: integers. The lookup is the same for every other j, and
    // compilers do it once. Minus zero becomes zero, which no sum can tell.
    const int8_t doubled[16] = {
        0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    constexpr int byte = j / 2;
    uint8x16_t nibbles = vreinterpretq_u8_u32(w);
    nibbles =
        j % 2 == 0 ? vandq_u8(nibbles, vdupq_n_u8(15)) : vshrq_n_u8(nibbles, 4);
    I v = vreinterpretq_u32_s8(vqtbl1q_s8(vld1q_s8(doubled), nibbles));
    v = left<24 - 8 * byte>(v);
    if constexpr (byte > 0) {
      v = and_(v, 0xff000000);
    }
    // Divided by 2^24, for the place in the word, and by 2.
    return vcvtq_n_f32_s32(vreinterpretq_s32_u32(v), 25);
  }

  /** Values first, first + 1, ... of a run of 32 integers of some bits. */
  template <int bits, int first>
  static F fields(const uint32_t* run) {
    constexpr auto& plan = neon_fields<bits, first>;
    auto bytes = reinterpret_cast<const uint8_t*>(run) + plan.start;
    uint8x8_t eight = vld1_u8(bytes);
    I v = vreinterpretq_u32_u8(
        vqtbl1q_u8(vcombine_u8(eight, eight), vld1q_u8(plan.bytes)));
    v = vshlq_u32(v, vld1q_s32(plan.left));
    return to_float(and_(v, (1u << bits) - 1));
  }

  /** The sums of the lanes of four vectors, each by the same tree. */
  static void sums(const F v[4], float out[4]) {
    store(out, vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3])));
  }

  static F from_half(const uint16_t* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
  }
  static void to_half(F v, uint16_t* p) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
  }
  static F round_half(F v) {
    return vcvt_f32_f16(vcvt_f16_f32(v));
  }
  static F from_bfloat(const uint16_t* p) {
    return as_float(vshll_n_u16(vld1_u16(p), 16));
  }
  /** The upper half of each word. */
  static void store_high(I v, uint16_t* p) {
    vst1_u16(p, vshrn_n_u32(v, 16));
  }
  static I widen(const uint8_t* p) {
    uint32_t four;
    std::memcpy(&four, p, sizeof(four));
    return vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
  }

 private:
  static I lane_numbers() {
    const uint32_t numbers[4] = {0, 1, 2, 3};
    return vld1q_u32(numbers);
  }
};

} // namespace mlx::core::fused::cpu::simd
