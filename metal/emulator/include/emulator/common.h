// Copyright © 2026 The mlx-fork authors
//
// <metal_common> and the functions that integers and floats share: min, max,
// clamp, abs, mix, smoothstep and their kin. The result has the arguments'
// type, an integer one too.

#pragma once

#include "emulator/map.h"
#include "emulator/math_scalar.h"

namespace emu {

// What min, max and the like give: bfloat computes as float (map.h).
template <typename T>
struct ResultOf {
  typedef T type;
};
template <>
struct ResultOf<bfloat> {
  typedef float type;
};
template <typename V>
using result_of_t = with_scalar_t<V, typename ResultOf<scalar_t<V>>::type>;

template <typename T>
constexpr bool is_float_like = std::is_floating_point_v<T> || is_small<T>;

namespace fn {

struct max {
  template <typename T>
  static EMU_INLINE typename ResultOf<T>::type call(const T& x, const T& y) {
    if constexpr (is_float_like<T>) {
      return static_cast<typename ResultOf<T>::type>(
          fmax::call(to_float(x), to_float(y)));
    } else {
      return x < y ? y : x;
    }
  }
};

struct min {
  template <typename T>
  static EMU_INLINE typename ResultOf<T>::type call(const T& x, const T& y) {
    if constexpr (is_float_like<T>) {
      return static_cast<typename ResultOf<T>::type>(
          fmin::call(to_float(x), to_float(y)));
    } else {
      return y < x ? y : x;
    }
  }
};

struct abs {
  template <typename T>
  static EMU_INLINE typename ResultOf<T>::type call(const T& x) {
    if constexpr (is_float_like<T>) {
      return static_cast<typename ResultOf<T>::type>(fabs::call(to_float(x)));
    } else if constexpr (std::is_unsigned_v<T>) {
      return x;
    } else {
      typedef std::make_unsigned_t<T> U;
      return static_cast<T>(x < 0 ? U(0) - static_cast<U>(x) : x);
    }
  }
};

} // namespace fn
} // namespace emu

namespace metal {

#define EMU_COMMON_2(name)                                                 \
  template <                                                               \
      typename T,                                                          \
      typename U,                                                          \
      typename V = emu::common_t<T, U>,                                    \
      emu::unless_bfloat_expression<T, U> = 0>                             \
  EMU_INLINE auto name(const T& x, const U& y) {                           \
    return emu::as_expression<T, U>(                                       \
        emu::elementwise<emu::fn::name, emu::result_of_t<V>>(V(x), V(y))); \
  }                                                                        \
  EMU_BFLOAT_EXPRESSION_2(name)

EMU_COMMON_2(max)
EMU_COMMON_2(min)
#undef EMU_COMMON_2

template <
    typename T,
    typename V = emu::common_t<T>,
    emu::unless_bfloat_expression<T> = 0>
EMU_INLINE auto abs(const T& x) {
  return emu::as_expression<T>(
      emu::elementwise<emu::fn::abs, emu::result_of_t<V>>(V(x)));
}
EMU_BFLOAT_EXPRESSION_1(abs)

#define EMU_COMMON_3(name, expression)                          \
  template <                                                    \
      typename T,                                               \
      typename U,                                               \
      typename W,                                               \
      typename V = emu::common_t<T, U, W>,                      \
      emu::unless_bfloat_expression<T, U, W> = 0>               \
  EMU_INLINE auto name(const T& x_, const U& y_, const W& z_) { \
    typedef emu::result_of_t<V> R;                              \
    const R x = R(V(x_));                                       \
    const R y = R(V(y_));                                       \
    const R z = R(V(z_));                                       \
    return emu::as_expression<T, U, W>(R(expression));          \
  }                                                             \
  EMU_BFLOAT_EXPRESSION_3(name)

EMU_COMMON_3(max3, max(x, max(y, z)))
EMU_COMMON_3(min3, min(x, min(y, z)))
EMU_COMMON_3(median3, max(min(x, y), min(max(x, y), z)))
EMU_COMMON_3(fmax3, max(x, max(y, z)))
EMU_COMMON_3(fmin3, min(x, min(y, z)))
EMU_COMMON_3(fmedian3, max(min(x, y), min(max(x, y), z)))
EMU_COMMON_3(clamp, min(max(x, y), z))
EMU_COMMON_3(mix, R(x + (y - x) * z))
#undef EMU_COMMON_3

// 0 at or below low, 1 at or above high, a cubic between.
template <
    typename T,
    typename U,
    typename W,
    typename V = emu::common_t<T, U, W>>
EMU_INLINE emu::float_of_t<V>
smoothstep(const T& low, const U& high, const W& x) {
  typedef emu::float_of_t<V> R;
  const R from = R(V(low));
  const R t = clamp(R((R(V(x)) - from) / (R(V(high)) - from)), R(0), R(1));
  return R(t * t * (R(3) - R(2) * t));
}

#define EMU_BOTH(name) \
  namespace fast {     \
  using metal::name;   \
  }                    \
  namespace precise {  \
  using metal::name;   \
  }
EMU_BOTH(abs)
EMU_BOTH(clamp)
EMU_BOTH(fmax3)
EMU_BOTH(fmedian3)
EMU_BOTH(fmin3)
EMU_BOTH(max)
EMU_BOTH(max3)
EMU_BOTH(median3)
EMU_BOTH(min)
EMU_BOTH(min3)
EMU_BOTH(mix)
EMU_BOTH(smoothstep)
#undef EMU_BOTH

} // namespace metal
