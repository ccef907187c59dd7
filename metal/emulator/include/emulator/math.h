// Copyright © 2026 The mlx-fork authors
//
// Metal's mathematics for float, half and vectors of them: <metal_math>.
//
// metal::, metal::fast:: and metal::precise:: are one implementation. Fast
// mathematics on a GPU gives other last bits; which ones, only the GPU knows.

#pragma once

#include "emulator/map.h"
#include "emulator/math_scalar.h"

namespace metal {

#define EMU_MATH_1(name, function)                                         \
  template <                                                               \
      typename T,                                                          \
      typename V = emu::common_t<T>,                                       \
      emu::unless_bfloat_expression<T> = 0>                                \
  EMU_INLINE auto name(const T& x) {                                       \
    return emu::as_expression<T>(emu::float_map<emu::fn::function, V>(x)); \
  }                                                                        \
  EMU_BFLOAT_EXPRESSION_1(name)

#define EMU_MATH_2(name, function)                   \
  template <                                         \
      typename T,                                    \
      typename U,                                    \
      typename V = emu::common_t<T, U>,              \
      emu::unless_bfloat_expression<T, U> = 0>       \
  EMU_INLINE auto name(const T& x, const U& y) {     \
    return emu::as_expression<T, U>(                 \
        emu::float_map<emu::fn::function, V>(x, y)); \
  }                                                  \
  EMU_BFLOAT_EXPRESSION_2(name)

EMU_MATH_1(acos, acos)
EMU_MATH_1(acosh, acosh)
EMU_MATH_1(asin, asin)
EMU_MATH_1(asinh, asinh)
EMU_MATH_1(atan, atan)
EMU_MATH_1(atanh, atanh)
EMU_MATH_1(ceil, ceil)
EMU_MATH_1(cos, cos)
EMU_MATH_1(cosh, cosh)
EMU_MATH_1(cospi, cospi)
EMU_MATH_1(exp, exp)
EMU_MATH_1(exp10, exp10)
EMU_MATH_1(exp2, exp2)
EMU_MATH_1(fabs, fabs)
EMU_MATH_1(floor, floor)
EMU_MATH_1(fract, fract)
EMU_MATH_1(log, log)
EMU_MATH_1(log10, log10)
EMU_MATH_1(log2, log2)
EMU_MATH_1(rint, rint)
EMU_MATH_1(round, round)
EMU_MATH_1(rsqrt, rsqrt)
EMU_MATH_1(saturate, saturate)
EMU_MATH_1(sign, sign)
EMU_MATH_1(sin, sin)
EMU_MATH_1(sinh, sinh)
EMU_MATH_1(sinpi, sinpi)
EMU_MATH_1(sqrt, sqrt)
EMU_MATH_1(tan, tan)
EMU_MATH_1(tanh, tanh)
EMU_MATH_1(tanpi, tanpi)
EMU_MATH_1(trunc, trunc)

EMU_MATH_2(atan2, atan2)
EMU_MATH_2(copysign, copysign)
EMU_MATH_2(divide, divide)
EMU_MATH_2(fdim, fdim)
EMU_MATH_2(fmax, fmax)
EMU_MATH_2(fmin, fmin)
EMU_MATH_2(fmod, fmod)
EMU_MATH_2(nextafter, nextafter)
EMU_MATH_2(pow, pow)
EMU_MATH_2(powr, powr)
EMU_MATH_2(step, step)

#undef EMU_MATH_1
#undef EMU_MATH_2

template <
    typename T,
    typename U,
    typename W,
    typename V = emu::common_t<T, U, W>,
    emu::unless_bfloat_expression<T, U, W> = 0>
EMU_INLINE auto fma(const T& x, const U& y, const W& z) {
  return emu::as_expression<T, U, W>(emu::float_map<emu::fn::fma, V>(x, y, z));
}
EMU_BFLOAT_EXPRESSION_3(fma)

// x * 2^k
template <typename T, typename K, typename V = emu::common_t<T>>
EMU_INLINE emu::float_of_t<V> ldexp(const T& x, const K& k) {
  typedef emu::float_of_t<V> R;
  const V v(x);
  if constexpr (emu::is_vector<V>) {
    const vec<int, emu::vector_size<V>> exponents(k);
    R result;
    for (int i = 0; i < emu::vector_size<V>; ++i) {
      result.e[i] = static_cast<emu::scalar_t<R>>(
          emu::fn::ldexp::call(emu::to_float(v.e[i]), exponents.e[i]));
    }
    return result;
  } else {
    return static_cast<R>(
        emu::fn::ldexp::call(emu::to_float(v), static_cast<int>(k)));
  }
}

// The mantissa, in [0.5, 1), and the exponent.
template <typename T, typename V = emu::common_t<T>>
EMU_INLINE emu::float_of_t<V> frexp(
    const T& x,
    emu::with_scalar_t<V, int>& exponent) {
  typedef emu::float_of_t<V> R;
  const V v(x);
  if constexpr (emu::is_vector<V>) {
    R result;
    for (int i = 0; i < emu::vector_size<V>; ++i) {
      result.e[i] = frexp(v.e[i], exponent.e[i]);
    }
    return result;
  } else {
    return static_cast<R>(__builtin_frexpf(emu::to_float(v), &exponent));
  }
}

// The exponent of x as an integer.
template <typename T, typename V = emu::common_t<T>>
EMU_INLINE emu::with_scalar_t<V, int> ilogb(const T& x) {
  const V v(x);
  if constexpr (emu::is_vector<V>) {
    vec<int, emu::vector_size<V>> result;
    for (int i = 0; i < emu::vector_size<V>; ++i) {
      result.e[i] = __builtin_ilogbf(emu::to_float(v.e[i]));
    }
    return result;
  } else {
    return __builtin_ilogbf(emu::to_float(v));
  }
}

// The fraction; the integral part goes into `whole`. Both have x's sign.
template <typename T, typename V = emu::common_t<T>>
EMU_INLINE emu::float_of_t<V> modf(const T& x, emu::float_of_t<V>& whole) {
  typedef emu::float_of_t<V> R;
  const R v = R(V(x));
  whole = trunc(v);
  if constexpr (emu::is_vector<V>) {
    R result;
    for (int i = 0; i < emu::vector_size<V>; ++i) {
      result.e[i] = modf(v.e[i], whole.e[i]);
    }
    return result;
  } else {
    const float f = emu::to_float(v);
    const float fraction = __builtin_isinf(f) ? 0.0f : f - __builtin_truncf(f);
    return static_cast<R>(__builtin_copysignf(fraction, f));
  }
}

// The sine; the cosine goes into `cosine`.
template <typename T, typename V = emu::common_t<T>>
EMU_INLINE emu::float_of_t<V> sincos(const T& x, emu::float_of_t<V>& cosine) {
  const V v(x);
  cosine = cos(v);
  return sin(v);
}

#define EMU_BOTH(name) \
  namespace fast {     \
  using metal::name;   \
  }                    \
  namespace precise {  \
  using metal::name;   \
  }

EMU_BOTH(acos)
EMU_BOTH(acosh)
EMU_BOTH(asin)
EMU_BOTH(asinh)
EMU_BOTH(atan)
EMU_BOTH(atan2)
EMU_BOTH(atanh)
EMU_BOTH(ceil)
EMU_BOTH(copysign)
EMU_BOTH(cos)
EMU_BOTH(cosh)
EMU_BOTH(cospi)
EMU_BOTH(divide)
EMU_BOTH(exp)
EMU_BOTH(exp10)
EMU_BOTH(exp2)
EMU_BOTH(fabs)
EMU_BOTH(fdim)
EMU_BOTH(floor)
EMU_BOTH(fma)
EMU_BOTH(fmax)
EMU_BOTH(fmin)
EMU_BOTH(fmod)
EMU_BOTH(fract)
EMU_BOTH(frexp)
EMU_BOTH(ilogb)
EMU_BOTH(ldexp)
EMU_BOTH(log)
EMU_BOTH(log10)
EMU_BOTH(log2)
EMU_BOTH(modf)
EMU_BOTH(nextafter)
EMU_BOTH(pow)
EMU_BOTH(powr)
EMU_BOTH(rint)
EMU_BOTH(round)
EMU_BOTH(rsqrt)
EMU_BOTH(saturate)
EMU_BOTH(sign)
EMU_BOTH(sin)
EMU_BOTH(sincos)
EMU_BOTH(sinh)
EMU_BOTH(sinpi)
EMU_BOTH(sqrt)
EMU_BOTH(step)
EMU_BOTH(tan)
EMU_BOTH(tanh)
EMU_BOTH(tanpi)
EMU_BOTH(trunc)
#undef EMU_BOTH

} // namespace metal
