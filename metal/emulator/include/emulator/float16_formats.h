// Copyright © 2026 The mlx-fork authors
//
// The two 16-bit formats, half (IEEE binary16) and bfloat (the upper half of a
// binary32): rounding a float to the format and widening it, exactly, in
// constant expressions too. The types built on them are in float16.h.

#pragma once

#include "emulator/base.h"

namespace emu {

struct HalfFormat {
  // Nearest even; overflow gives infinity, a NaN stays one (quiet).
  static constexpr EMU_INLINE uint16_t round(float v) {
#if defined(__F16C__) || defined(__aarch64__)
    return __builtin_bit_cast(uint16_t, static_cast<__fp16>(v));
#else
    return round_in_integers(v);
#endif
  }

  static constexpr EMU_INLINE float widen(uint16_t h) {
#if defined(__F16C__) || defined(__aarch64__)
    return static_cast<float>(__builtin_bit_cast(__fp16, h));
#else
    return widen_in_integers(h);
#endif
  }

  static constexpr EMU_INLINE uint16_t round_in_integers(float v) {
    uint32_t bits = __builtin_bit_cast(uint32_t, v);
    const uint32_t sign = (bits >> 16) & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) {
      return static_cast<uint16_t>(sign | 0x7e00 | ((bits >> 13) & 0x3ff));
    }
    if (bits >= 0x477ff000) { // 65520, half way between 65504 and 65536
      return static_cast<uint16_t>(sign | 0x7c00);
    }
    if (bits >= 0x38800000) { // the smallest normal half
      bits += 0xfff + ((bits >> 13) & 1);
      return static_cast<uint16_t>(sign | ((bits - 0x38000000) >> 13));
    }
    if (bits < 0x33000000) { // below half of the smallest subnormal
      return static_cast<uint16_t>(sign);
    }
    const uint32_t mantissa = (bits & 0x7fffff) | 0x800000;
    const uint32_t shift = 126 - (bits >> 23);
    const uint32_t kept = mantissa >> shift;
    const uint32_t lost = mantissa & ((1u << shift) - 1);
    const uint32_t tie = 1u << (shift - 1);
    const uint32_t up = lost > tie || (lost == tie && (kept & 1));
    return static_cast<uint16_t>(sign | (kept + up));
  }

  static constexpr EMU_INLINE float widen_in_integers(uint16_t h) {
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
    const uint32_t exponent = (h >> 10) & 0x1f;
    const uint32_t mantissa = h & 0x3ff;
    if (exponent == 0x1f) {
      const uint32_t quiet = mantissa ? 0x400000 : 0;
      return __builtin_bit_cast(
          float, sign | 0x7f800000 | quiet | (mantissa << 13));
    }
    if (exponent == 0) {
      const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
      return __builtin_bit_cast(
          float, sign | __builtin_bit_cast(uint32_t, magnitude));
    }
    return __builtin_bit_cast(
        float, sign | ((exponent + 112) << 23) | (mantissa << 13));
  }

  static constexpr int digits = 11;
  static constexpr int max_exponent = 16;
  static constexpr uint16_t largest = 0x7bff;
  static constexpr uint16_t smallest_normal = 0x0400;
  static constexpr uint16_t epsilon = 0x1400;
  static constexpr uint16_t infinity = 0x7c00;
  static constexpr uint16_t nan = 0x7e00;
};

struct BfloatFormat {
  static constexpr EMU_INLINE uint16_t round(float v) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, v);
    if ((bits & 0x7fffffff) > 0x7f800000) {
      return static_cast<uint16_t>((bits >> 16) | 0x40);
    }
    return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }

  static constexpr EMU_INLINE float widen(uint16_t b) {
    return __builtin_bit_cast(float, static_cast<uint32_t>(b) << 16);
  }

  static constexpr int digits = 8;
  static constexpr int max_exponent = 128;
  static constexpr uint16_t largest = 0x7f7f;
  static constexpr uint16_t smallest_normal = 0x0080;
  static constexpr uint16_t epsilon = 0x3c00;
  static constexpr uint16_t infinity = 0x7f80;
  static constexpr uint16_t nan = 0x7fc0;
};

// The float that rounds to a 16-bit format as the integer itself would: exact
// up to 24 bits, and beyond with the bits that are lost folded into the last
// one (rounding to odd), so that the second rounding is the only one.
template <typename I>
constexpr EMU_INLINE float integer_to_float(I v) {
  if constexpr (sizeof(I) < 4) {
    return static_cast<float>(v);
  } else {
    const bool negative = v < 0;
    uint64_t magnitude =
        negative ? ~static_cast<uint64_t>(v) + 1 : static_cast<uint64_t>(v);
    float scale = 1.0f;
    if (magnitude >> 24) {
      const int shift = 40 - __builtin_clzll(magnitude);
      const uint64_t lost = magnitude & ((uint64_t(1) << shift) - 1);
      magnitude = (magnitude >> shift) | (lost != 0);
      scale = static_cast<float>(uint64_t(1) << shift);
    }
    const float f = static_cast<float>(magnitude) * scale;
    return negative ? -f : f;
  }
}

} // namespace emu
