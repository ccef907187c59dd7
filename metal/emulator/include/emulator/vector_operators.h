// Copyright © 2026 The mlx-fork authors
//
// Operators of vectors, elementwise. A scalar operand becomes the vector's
// element type first; two vectors must agree in type and length; comparisons
// give a vector of bool. Machine types compute as machine vectors, the 16-bit
// floats element by element, each rounded (in both habits).

#pragma once

#include "emulator/vector.h"

namespace emu {

// The vector that `A op B` gives, where one of them is a vector.
template <typename A, typename B, typename = void>
struct VectorCommon {};

template <typename A, typename B>
struct VectorCommon<
    A,
    B,
    std::enable_if_t<
        is_vector<A> && is_vector<B> && vector_size<A> == vector_size<B> &&
        std::is_same_v<element_t<A>, element_t<B>>>> {
  typedef metal::vec<element_t<A>, vector_size<A>> type;
};

template <typename A, typename B>
struct VectorCommon<
    A,
    B,
    std::enable_if_t<
        is_vector<A> && !is_vector<B> &&
        std::is_constructible_v<element_t<A>, B>>> {
  typedef metal::vec<element_t<A>, vector_size<A>> type;
};

template <typename A, typename B>
struct VectorCommon<
    A,
    B,
    std::enable_if_t<
        !is_vector<A> && is_vector<B> &&
        std::is_constructible_v<element_t<B>, A>>> {
  typedef metal::vec<element_t<B>, vector_size<B>> type;
};

template <typename A, typename B>
using vector_common_t = typename VectorCommon<A, B>::type;

template <typename V>
constexpr bool is_machine_vector =
    std::is_arithmetic_v<element_t<V>> && !std::is_same_v<element_t<V>, bool>;

template <typename V>
using bool_vector_t = metal::vec<bool, vector_size<V>>;

// A machine vector's comparison gives 0 and -1 of the element's width.
template <int N, typename R>
EMU_INLINE metal::vec<bool, N> from_mask(R mask) {
  return metal::vec<bool, N>::emu_from_raw(
      __builtin_convertvector(mask, raw_t<bool, N>) & raw_t<bool, N>(1));
}

} // namespace emu

namespace metal {

// Never contracted, whatever the setting: a kernel's own pragma must hold, and
// in here it isn't seen.
#pragma float_control(push)
#pragma clang fp contract(off)

#define EMU_VECTOR_ASSIGNMENT(op)                                     \
  template <                                                          \
      typename T,                                                     \
      int N,                                                          \
      typename B,                                                     \
      typename = emu::vector_common_t<vec<T, N>, B>>                  \
  EMU_INLINE vec<T, N>& operator op## = (vec<T, N> & a, const B& b) { \
    return a = a op b;                                                \
  }                                                                   \
  template <                                                          \
      typename T,                                                     \
      int N,                                                          \
      int... I,                                                       \
      typename B,                                                     \
      typename = emu::vector_common_t<Swizzle<T, N, I...>, B>>        \
  EMU_INLINE Swizzle<T, N, I...>& operator op## =                     \
      (Swizzle<T, N, I...> & a, const B& b) {                         \
    return a = a op b;                                                \
  }                                                                   \
  template <                                                          \
      typename T,                                                     \
      int N,                                                          \
      typename B,                                                     \
      typename = emu::vector_common_t<packed_vec<T, N>, B>>           \
  EMU_INLINE packed_vec<T, N>& operator op## =                        \
      (packed_vec<T, N> & a, const B& b) {                            \
    return a = a op b;                                                \
  }

#define EMU_VECTOR_ARITHMETIC(op)                                          \
  template <                                                               \
      typename A,                                                          \
      typename B,                                                          \
      typename V = emu::vector_common_t<A, B>,                             \
      std::enable_if_t<!std::is_same_v<emu::element_t<V>, bool>, int> = 0> \
  EMU_INLINE V operator op(const A& a, const B& b) {                       \
    const V x(a);                                                          \
    const V y(b);                                                          \
    if constexpr (emu::is_machine_vector<V>) {                             \
      return V::emu_from_raw(x.raw op y.raw);                              \
    } else {                                                               \
      V result;                                                            \
      for (int i = 0; i < emu::vector_size<V>; ++i) {                      \
        result.e[i] = x.e[i] op y.e[i];                                    \
      }                                                                    \
      return result;                                                       \
    }                                                                      \
  }                                                                        \
  EMU_VECTOR_ASSIGNMENT(op)

EMU_VECTOR_ARITHMETIC(+)
EMU_VECTOR_ARITHMETIC(-)
EMU_VECTOR_ARITHMETIC(*)
EMU_VECTOR_ARITHMETIC(/)
#undef EMU_VECTOR_ARITHMETIC

#pragma float_control(pop)

// Integers, and bool where its elements stay 0 and 1.
#define EMU_VECTOR_BITS(op, bools)                                 \
  template <                                                       \
      typename A,                                                  \
      typename B,                                                  \
      typename V = emu::vector_common_t<A, B>,                     \
      std::enable_if_t<                                            \
          std::is_integral_v<emu::element_t<V>> &&                 \
              (bools || !std::is_same_v<emu::element_t<V>, bool>), \
          int> = 0>                                                \
  EMU_INLINE V operator op(const A& a, const B& b) {               \
    return V::emu_from_raw(V(a).raw op V(b).raw);                  \
  }                                                                \
  EMU_VECTOR_ASSIGNMENT(op)

EMU_VECTOR_BITS(%, false)
EMU_VECTOR_BITS(&, true)
EMU_VECTOR_BITS(|, true)
EMU_VECTOR_BITS(^, true)
#undef EMU_VECTOR_BITS

// By the low bits of each count only, as many as count the element's bits.
#define EMU_VECTOR_SHIFT(op)                                  \
  template <                                                  \
      typename A,                                             \
      typename B,                                             \
      typename V = emu::vector_common_t<A, B>,                \
      std::enable_if_t<                                       \
          std::is_integral_v<emu::element_t<V>> &&            \
              !std::is_same_v<emu::element_t<V>, bool>,       \
          int> = 0>                                           \
  EMU_INLINE V operator op(const A& a, const B& b) {          \
    typedef emu::element_t<V> T;                              \
    const V most(static_cast<T>(8 * sizeof(T) - 1));          \
    return V::emu_from_raw(V(a).raw op(V(b).raw & most.raw)); \
  }                                                           \
  EMU_VECTOR_ASSIGNMENT(op)

EMU_VECTOR_SHIFT(<<)
EMU_VECTOR_SHIFT(>>)
#undef EMU_VECTOR_SHIFT
#undef EMU_VECTOR_ASSIGNMENT

#define EMU_VECTOR_COMPARISON(op)                                            \
  template <typename A, typename B, typename V = emu::vector_common_t<A, B>> \
  EMU_INLINE emu::bool_vector_t<V> operator op(const A& a, const B& b) {     \
    const V x(a);                                                            \
    const V y(b);                                                            \
    if constexpr (emu::is_machine_vector<V>) {                               \
      return emu::from_mask<emu::vector_size<V>>(x.raw op y.raw);            \
    } else {                                                                 \
      emu::bool_vector_t<V> result;                                          \
      for (int i = 0; i < emu::vector_size<V>; ++i) {                        \
        result.e[i] = x.e[i] op y.e[i];                                      \
      }                                                                      \
      return result;                                                         \
    }                                                                        \
  }

EMU_VECTOR_COMPARISON(==)
EMU_VECTOR_COMPARISON(!=)
EMU_VECTOR_COMPARISON(<)
EMU_VECTOR_COMPARISON(>)
EMU_VECTOR_COMPARISON(<=)
EMU_VECTOR_COMPARISON(>=)
#undef EMU_VECTOR_COMPARISON

#define EMU_VECTOR_LOGIC(op, bits)                                           \
  template <typename A, typename B, typename V = emu::vector_common_t<A, B>> \
  EMU_INLINE emu::bool_vector_t<V> operator op(const A& a, const B& b) {     \
    typedef emu::bool_vector_t<V> Bools;                                     \
    return Bools(V(a)) bits Bools(V(b));                                     \
  }

EMU_VECTOR_LOGIC(&&, &)
EMU_VECTOR_LOGIC(||, |)
#undef EMU_VECTOR_LOGIC

template <typename A, std::enable_if_t<emu::is_vector<A>, int> = 0>
EMU_INLINE emu::bool_vector_t<A> operator!(const A& a) {
  return emu::bool_vector_t<A>(emu::vector_common_t<A, A>(a)) ^ true;
}

template <typename A, typename V = emu::vector_common_t<A, A>>
EMU_INLINE V operator+(const A& a) {
  return V(a);
}

template <typename A, typename V = emu::vector_common_t<A, A>>
EMU_INLINE V operator-(const A& a) {
  const V x(a);
  if constexpr (emu::is_machine_vector<V>) {
    return V::emu_from_raw(-x.raw);
  } else {
    V result;
    for (int i = 0; i < emu::vector_size<V>; ++i) {
      result.e[i] = -x.e[i];
    }
    return result;
  }
}

template <
    typename A,
    typename V = emu::vector_common_t<A, A>,
    std::enable_if_t<std::is_integral_v<emu::element_t<V>>, int> = 0>
EMU_INLINE V operator~(const A& a) {
  return V::emu_from_raw(~V(a).raw);
}

template <typename T, int N>
EMU_INLINE vec<T, N>& operator++(vec<T, N>& a) {
  return a += T(1);
}

template <typename T, int N>
EMU_INLINE vec<T, N>& operator--(vec<T, N>& a) {
  return a -= T(1);
}

template <typename T, int N>
EMU_INLINE vec<T, N> operator++(vec<T, N>& a, int) {
  const vec<T, N> before = a;
  a += T(1);
  return before;
}

template <typename T, int N>
EMU_INLINE vec<T, N> operator--(vec<T, N>& a, int) {
  const vec<T, N> before = a;
  a -= T(1);
  return before;
}

} // namespace metal
