// Copyright © 2026 The mlx-fork authors
//
// <metal_relational>: classification of floats, any, all, select.

#pragma once

#include "emulator/map.h"

namespace emu {
namespace fn {

#define EMU_CLASSIFICATION(name, expression)  \
  struct name {                               \
    template <typename T>                     \
    static EMU_INLINE bool call(const T& v) { \
      const float x = to_float(v);            \
      return expression;                      \
    }                                         \
  };

// By their bits, so that no flag for fast mathematics changes them.
EMU_INLINE uint32_t magnitude_bits(float x) {
  return __builtin_bit_cast(uint32_t, x) & 0x7fffffff;
}

EMU_CLASSIFICATION(isnan, magnitude_bits(x) > 0x7f800000)
EMU_CLASSIFICATION(isinf, magnitude_bits(x) == 0x7f800000)
EMU_CLASSIFICATION(isfinite, magnitude_bits(x) < 0x7f800000)
EMU_CLASSIFICATION(signbit, __builtin_bit_cast(uint32_t, x) >> 31)
#undef EMU_CLASSIFICATION

// Normal in the argument's own format.
struct isnormal {
  template <typename T>
  static EMU_INLINE bool call(const T& v) {
    const uint32_t bits = magnitude_bits(to_float(v));
    const uint32_t smallest =
        std::is_same_v<value_t<T>, half> ? 0x38800000 : 0x00800000;
    return bits >= smallest && bits < 0x7f800000;
  }
};

struct isunordered {
  template <typename T>
  static EMU_INLINE bool call(const T& x, const T& y) {
    return isnan::call(x) || isnan::call(y);
  }
};

} // namespace fn
} // namespace emu

namespace metal {

#define EMU_RELATION(name)                                                     \
  template <typename T, typename V = emu::common_t<T>>                         \
  EMU_INLINE emu::with_scalar_t<V, bool> name(const T& x) {                    \
    return emu::elementwise<emu::fn::name, emu::with_scalar_t<V, bool>>(V(x)); \
  }

EMU_RELATION(isfinite)
EMU_RELATION(isinf)
EMU_RELATION(isnan)
EMU_RELATION(isnormal)
EMU_RELATION(signbit)
#undef EMU_RELATION

template <typename T, typename U, typename V = emu::common_t<T, U>>
EMU_INLINE emu::with_scalar_t<V, bool> isunordered(const T& x, const U& y) {
  return emu::elementwise<emu::fn::isunordered, emu::with_scalar_t<V, bool>>(
      V(x), V(y));
}

template <typename T, typename U, typename V = emu::common_t<T, U>>
EMU_INLINE emu::with_scalar_t<V, bool> isordered(const T& x, const U& y) {
  return !isunordered(x, y);
}

template <
    typename T,
    std::enable_if_t<std::is_same_v<emu::element_t<T>, bool>, int> = 0>
EMU_INLINE bool any(const T& v) {
  bool result = false;
  for (int i = 0; i < emu::vector_size<T>; ++i) {
    result |= emu::element_at(v, i);
  }
  return result;
}

template <
    typename T,
    std::enable_if_t<std::is_same_v<emu::element_t<T>, bool>, int> = 0>
EMU_INLINE bool all(const T& v) {
  bool result = true;
  for (int i = 0; i < emu::vector_size<T>; ++i) {
    result &= emu::element_at(v, i);
  }
  return result;
}

EMU_INLINE bool any(bool v) {
  return v;
}

EMU_INLINE bool all(bool v) {
  return v;
}

// c ? y : x, by element where c is a vector.
template <typename T, typename U, typename C, typename V = emu::common_t<T, U>>
EMU_INLINE V select(const T& x, const U& y, const C& c) {
  const V a(x);
  const V b(y);
  if constexpr (emu::is_vector<C>) {
    const vec<bool, emu::vector_size<C>> condition(c);
    V result;
    for (int i = 0; i < emu::vector_size<V>; ++i) {
      result.e[i] = condition.e[i] ? b.e[i] : a.e[i];
    }
    return result;
  } else {
    return c ? b : a;
  }
}

} // namespace metal
