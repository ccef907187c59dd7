// Copyright © 2026 The mlx-fork authors
//
// The names that Metal's own headers build on and that MLX calls directly for
// bfloat (bf16_math.h): __metal_exp(x, fast) and the like, on floats. Which
// mathematics is asked for makes no difference here (math.h).

#pragma once

#include "emulator/geometric.h"
#include "emulator/simdgroup.h"

constexpr bool __METAL_FAST_MATH__ = true;
constexpr bool __METAL_PRECISE_MATH__ = false;
constexpr bool __METAL_MAYBE_FAST_MATH__ = true;

#define EMU_BUILTIN_1(name)                               \
  EMU_INLINE float __metal_##name(float x, bool = true) { \
    return emu::fn::name::call(x);                        \
  }
#define EMU_BUILTIN_2(name)                                        \
  EMU_INLINE float __metal_##name(float x, float y, bool = true) { \
    return emu::fn::name::call(x, y);                              \
  }
#define EMU_BUILTIN_3(name)                                                 \
  EMU_INLINE float __metal_##name(float x, float y, float z, bool = true) { \
    return metal::name(x, y, z);                                            \
  }

EMU_BUILTIN_1(acos)
EMU_BUILTIN_1(acosh)
EMU_BUILTIN_1(asin)
EMU_BUILTIN_1(asinh)
EMU_BUILTIN_1(atan)
EMU_BUILTIN_1(atanh)
EMU_BUILTIN_1(ceil)
EMU_BUILTIN_1(cos)
EMU_BUILTIN_1(cosh)
EMU_BUILTIN_1(cospi)
EMU_BUILTIN_1(exp)
EMU_BUILTIN_1(exp10)
EMU_BUILTIN_1(exp2)
EMU_BUILTIN_1(fabs)
EMU_BUILTIN_1(floor)
EMU_BUILTIN_1(fract)
EMU_BUILTIN_1(log)
EMU_BUILTIN_1(log10)
EMU_BUILTIN_1(log2)
EMU_BUILTIN_1(rint)
EMU_BUILTIN_1(round)
EMU_BUILTIN_1(rsqrt)
EMU_BUILTIN_1(sin)
EMU_BUILTIN_1(sinh)
EMU_BUILTIN_1(sinpi)
EMU_BUILTIN_1(sqrt)
EMU_BUILTIN_1(tan)
EMU_BUILTIN_1(tanh)
EMU_BUILTIN_1(tanpi)
EMU_BUILTIN_1(trunc)
EMU_BUILTIN_2(atan2)
EMU_BUILTIN_2(divide)
EMU_BUILTIN_2(fdim)
EMU_BUILTIN_2(fmax)
EMU_BUILTIN_2(fmin)
EMU_BUILTIN_2(fmod)
EMU_BUILTIN_2(nextafter)
EMU_BUILTIN_2(pow)
EMU_BUILTIN_2(powr)
EMU_BUILTIN_3(fma)
EMU_BUILTIN_3(fmax3)
EMU_BUILTIN_3(fmedian3)
EMU_BUILTIN_3(fmin3)
#undef EMU_BUILTIN_1
#undef EMU_BUILTIN_2
#undef EMU_BUILTIN_3

EMU_INLINE float __metal_frexp(float x, int* exponent) {
  return metal::frexp(x, *exponent);
}

EMU_INLINE float __metal_ldexp(float x, int k, bool = true) {
  return metal::ldexp(x, k);
}

template <typename T>
EMU_INLINE T __metal_get_simdgroup_size(T) {
  return static_cast<T>(emu::simd_width);
}

#define EMU_BUILTIN_SIMD(name)                                                \
  template <typename T>                                                       \
  EMU_INLINE T __metal_simd_##name(T v, emu::Site site = emu::Site::here()) { \
    return metal::simd_##name(v, site);                                       \
  }
#define EMU_BUILTIN_SHUFFLE(name)                           \
  template <typename T>                                     \
  EMU_INLINE T __metal_simd_##name(                         \
      T v, ushort by, emu::Site site = emu::Site::here()) { \
    return metal::simd_##name(v, by, site);                 \
  }
#define EMU_BUILTIN_FILL(name)                               \
  template <typename T>                                      \
  EMU_INLINE T __metal_simd_##name(                          \
      T v,                                                   \
      T fill,                                                \
      ushort delta,                                          \
      ushort modulo,                                         \
      emu::Site site = emu::Site::here()) {                  \
    return metal::simd_##name(v, fill, delta, modulo, site); \
  }

EMU_BUILTIN_SIMD(and)
EMU_BUILTIN_SIMD(max)
EMU_BUILTIN_SIMD(min)
EMU_BUILTIN_SIMD(or)
EMU_BUILTIN_SIMD(prefix_exclusive_product)
EMU_BUILTIN_SIMD(prefix_exclusive_sum)
EMU_BUILTIN_SIMD(prefix_inclusive_product)
EMU_BUILTIN_SIMD(prefix_inclusive_sum)
EMU_BUILTIN_SIMD(product)
EMU_BUILTIN_SIMD(sum)
EMU_BUILTIN_SIMD(xor)
EMU_BUILTIN_SHUFFLE(broadcast)
EMU_BUILTIN_SHUFFLE(shuffle)
EMU_BUILTIN_SHUFFLE(shuffle_down)
EMU_BUILTIN_SHUFFLE(shuffle_rotate_down)
EMU_BUILTIN_SHUFFLE(shuffle_rotate_up)
EMU_BUILTIN_SHUFFLE(shuffle_up)
EMU_BUILTIN_SHUFFLE(shuffle_xor)
EMU_BUILTIN_FILL(shuffle_and_fill_down)
EMU_BUILTIN_FILL(shuffle_and_fill_up)
#undef EMU_BUILTIN_SIMD
#undef EMU_BUILTIN_SHUFFLE
#undef EMU_BUILTIN_FILL
