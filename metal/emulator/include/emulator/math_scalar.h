// Copyright © 2026 The mlx-fork authors
//
// The scalar mathematics that Metal's functions are made of (math.h), in float:
// the host's libm by way of compiler builtins, and what it lacks. Results are
// within one unit in the last place, most of them correctly rounded; Apple's
// may differ in the last bits.

#pragma once

#include "emulator/float16.h"

namespace emu {
namespace fn {

// The float that rounds to a 16-bit format as the double itself would: bits
// that are lost are folded into the last one.
EMU_INLINE float rounded_to_odd(double v) {
  const float f = static_cast<float>(v);
  const double back = f;
  uint32_t bits = __builtin_bit_cast(uint32_t, f);
  if (back == v || v != v || __builtin_isinf(f)) {
    return f;
  }
  bits -= __builtin_fabs(back) > __builtin_fabs(v);
  return __builtin_bit_cast(float, bits | 1);
}

#define EMU_FUNCTION_1(name, expression)    \
  struct name {                             \
    static EMU_INLINE float call(float x) { \
      return expression;                    \
    }                                       \
  };
#define EMU_FUNCTION_2(name, expression)             \
  struct name {                                      \
    static EMU_INLINE float call(float x, float y) { \
      return expression;                             \
    }                                                \
  };

// The functions of multiples of pi: exact at the multiples of 1/2, where the
// remainder is.
EMU_INLINE float half_turns(float x, int shift) {
  constexpr double pi = static_cast<double>(3.14159265358979323846L);
  const float r = __builtin_fmodf(x, 2.0f);
  const float q = __builtin_rintf(r * 2.0f);
  const double t = (static_cast<double>(r) - static_cast<double>(q) / 2) * pi;
  switch ((static_cast<int>(q) + shift) & 3) {
    case 0:
      return static_cast<float>(__builtin_sin(t));
    case 1:
      return static_cast<float>(__builtin_cos(t));
    case 2:
      return static_cast<float>(-__builtin_sin(t));
    default:
      return static_cast<float>(-__builtin_cos(t));
  }
}

EMU_FUNCTION_1(acos, __builtin_acosf(x))
EMU_FUNCTION_1(acosh, __builtin_acoshf(x))
EMU_FUNCTION_1(asin, __builtin_asinf(x))
EMU_FUNCTION_1(asinh, __builtin_asinhf(x))
EMU_FUNCTION_1(atan, __builtin_atanf(x))
EMU_FUNCTION_1(atanh, __builtin_atanhf(x))
EMU_FUNCTION_1(ceil, __builtin_ceilf(x))
EMU_FUNCTION_1(cos, __builtin_cosf(x))
EMU_FUNCTION_1(cosh, __builtin_coshf(x))
EMU_FUNCTION_1(exp, __builtin_expf(x))
EMU_FUNCTION_1(exp2, __builtin_exp2f(x))
EMU_FUNCTION_1(fabs, __builtin_fabsf(x))
EMU_FUNCTION_1(floor, __builtin_floorf(x))
EMU_FUNCTION_1(log, __builtin_logf(x))
EMU_FUNCTION_1(log10, __builtin_log10f(x))
EMU_FUNCTION_1(log2, __builtin_log2f(x))
EMU_FUNCTION_1(rint, __builtin_rintf(x))
EMU_FUNCTION_1(round, __builtin_roundf(x))
EMU_FUNCTION_1(rsqrt, 1.0f / __builtin_sqrtf(x))
EMU_FUNCTION_1(sin, __builtin_sinf(x))
EMU_FUNCTION_1(sinh, __builtin_sinhf(x))
EMU_FUNCTION_1(sqrt, __builtin_sqrtf(x))
EMU_FUNCTION_1(tan, __builtin_tanf(x))
EMU_FUNCTION_1(tanh, __builtin_tanhf(x))
EMU_FUNCTION_1(trunc, __builtin_truncf(x))

EMU_FUNCTION_1(cospi, half_turns(x, 1))
EMU_FUNCTION_1(
    exp10,
    static_cast<float>(
        __builtin_exp2(x* static_cast<double>(3.32192809488736234787L))))
EMU_FUNCTION_1(
    sinpi,
    __builtin_truncf(x) == x ? __builtin_copysignf(0.0f, x) : half_turns(x, 0))
EMU_FUNCTION_1(tanpi, sinpi::call(x) / cospi::call(x))
EMU_FUNCTION_1(saturate, x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f)
EMU_FUNCTION_1(sign, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x == x ? x : 0.0f)

EMU_FUNCTION_2(atan2, __builtin_atan2f(x, y))
EMU_FUNCTION_2(copysign, __builtin_copysignf(x, y))
EMU_FUNCTION_2(divide, x / y)
EMU_FUNCTION_2(fdim, __builtin_fdimf(x, y))
EMU_FUNCTION_2(fmod, __builtin_fmodf(x, y))
EMU_FUNCTION_2(pow, __builtin_powf(x, y))
EMU_FUNCTION_2(powr, x < 0.0f ? __builtin_nanf("") : __builtin_powf(x, y))
EMU_FUNCTION_2(step, y < x ? 0.0f : 1.0f)

// A NaN gives way to a number.
EMU_FUNCTION_2(fmax, __builtin_fmaxf(x, y))
EMU_FUNCTION_2(fmin, __builtin_fminf(x, y))

#undef EMU_FUNCTION_1
#undef EMU_FUNCTION_2

// Below 1, whatever x - floor(x) rounds to.
struct fract {
  static EMU_INLINE float call(float x) {
    if (x != x || __builtin_isinf(x)) {
      return x != x ? x : 0.0f;
    }
    const float rest = x - __builtin_floorf(x);
    return rest < 1.0f ? rest : 0x1.fffffep-1f;
  }

  static EMU_INLINE half call_half(half x) {
    const half rest(call(static_cast<float>(x)));
    return static_cast<float>(rest) == 1.0f ? half(0x1.ffcp-1f) : rest;
  }
};

struct nextafter {
  static EMU_INLINE float call(float x, float y) {
    return __builtin_nextafterf(x, y);
  }

  static EMU_INLINE half call_half(half x, half y) {
    const float from = static_cast<float>(x);
    const float to = static_cast<float>(y);
    if (from != from || to != to || from == to) {
      return from != from ? x : y;
    }
    if (from == 0.0f) {
      return half::emu_from_bits(to < 0.0f ? 0x8001 : 1);
    }
    const bool away = from < to == from > 0.0f;
    return half::emu_from_bits(
        static_cast<uint16_t>(away ? x.emu_bits + 1 : x.emu_bits - 1));
  }
};

struct fma {
  static EMU_INLINE float call(float x, float y, float z) {
    return __builtin_fmaf(x, y, z);
  }

  // Products of halves are exact in double. Where the sum is not, the product
  // is too small to change what a half rounds to.
  static EMU_INLINE half call_half(half x, half y, half z) {
    const double sum =
        static_cast<double>(static_cast<float>(x)) * static_cast<float>(y) +
        static_cast<float>(z);
    return half(rounded_to_odd(sum));
  }
};

struct ldexp {
  static EMU_INLINE float call(float x, int k) {
    return __builtin_ldexpf(x, k);
  }
};

} // namespace fn
} // namespace emu
