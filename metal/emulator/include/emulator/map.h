// Copyright © 2026 The mlx-fork authors
//
// How a library function of scalars becomes one of everything Metal takes:
// vectors element by element, mixed arguments in their common type, half by
// computing in float and rounding once.
//
// A bfloat argument converts to float and the result is float, since Metal's
// library has no bfloat overloads; kernels that want them (MLX's bf16_math.h)
// declare functions of bfloat, which are preferred.

#pragma once

#include "emulator/vector_operators.h"

namespace emu {

// The type that a function computes two arguments in.
template <typename A, typename B>
struct CommonScalar {
  typedef std::conditional_t<
      std::is_arithmetic_v<A> && std::is_arithmetic_v<B>,
      decltype(std::declval<std::conditional_t<std::is_arithmetic_v<A>, A, int>>() + std::declval<std::conditional_t<std::is_arithmetic_v<B>, B, int>>()),
      float>
      type;
};

template <typename A>
struct CommonScalar<A, A> {
  typedef A type;
};

template <typename F, typename B>
struct CommonScalar<metal::Float16<F>, B> {
  typedef std::conditional_t<std::is_integral_v<B>, metal::Float16<F>, float>
      type;
};

template <typename A, typename F>
struct CommonScalar<A, metal::Float16<F>> {
  typedef std::conditional_t<std::is_integral_v<A>, metal::Float16<F>, float>
      type;
};

template <typename F>
struct CommonScalar<metal::Float16<F>, metal::Float16<F>> {
  typedef metal::Float16<F> type;
};

template <typename F, typename G>
struct CommonScalar<metal::Float16<F>, metal::Float16<G>> {
  typedef float type;
};

// The vector or scalar that arguments agree on.
template <typename A, typename B, typename = void>
struct Common {};

template <typename A, typename B>
struct Common<
    A,
    B,
    std::enable_if_t<(is_vector<A> || is_vector<B>) && !std::is_void_v<B>>> {
  typedef vector_common_t<A, B> type;
};

template <typename A, typename B>
struct Common<A, B, std::enable_if_t<is_number<A> && is_number<B>>> {
  typedef typename CommonScalar<value_t<A>, value_t<B>>::type type;
};

template <typename A>
struct Common<A, void, std::enable_if_t<is_number<A>>> {
  typedef value_t<A> type;
};

template <typename A>
struct Common<A, void, std::enable_if_t<is_vector<A>>> {
  typedef metal::vec<element_t<A>, vector_size<A>> type;
};

template <typename A, typename B, typename C, typename = void>
struct CommonOf {};

template <typename A, typename B>
struct CommonOf<A, B, void> : Common<A, B> {};

template <typename A, typename B, typename C>
struct CommonOf<
    A,
    B,
    C,
    std::enable_if_t<
        !std::is_void_v<C> && !std::is_void_v<typename Common<A, B>::type>>>
    : Common<typename Common<A, B>::type, C> {};

// Nothing where no argument is one of ours: kernels have functions of the
// same names for their own types.
template <typename A, typename B = void, typename C = void>
using common_t = typename CommonOf<
    std::remove_cv_t<A>,
    std::remove_cv_t<B>,
    std::remove_cv_t<C>>::type;

// The scalar type of a scalar or vector.
template <typename T, bool = is_vector<T>>
struct ScalarOf {
  typedef T type;
};
template <typename T>
struct ScalarOf<T, true> {
  typedef element_t<T> type;
};
template <typename T>
using scalar_t = typename ScalarOf<T>::type;

// The same shape with other elements.
template <typename T, typename E, bool = is_vector<T>>
struct Reshape {
  typedef E type;
};
template <typename T, typename E>
struct Reshape<T, E, true> {
  typedef metal::vec<E, vector_size<T>> type;
};
template <typename T, typename E>
using with_scalar_t = typename Reshape<T, E>::type;

template <typename T>
EMU_INLINE auto nth(const T& v, int i) {
  if constexpr (is_vector<T>) {
    return v.e[i];
  } else {
    return v;
  }
}

// F::call over the elements of arguments of one shape.
template <typename F, typename R, typename... T>
EMU_INLINE R elementwise(const T&... v) {
  if constexpr (is_vector<R>) {
    R result;
    for (int i = 0; i < vector_size<R>; ++i) {
      result.e[i] = F::call(nth(v, i)...);
    }
    return result;
  } else {
    return F::call(v...);
  }
}

// The scalar type that a function of floating-point numbers gives for T.
template <typename T>
struct FloatOf {
  typedef float type;
};
template <>
struct FloatOf<half> {
  typedef half type;
};

template <typename V>
using float_of_t = with_scalar_t<V, typename FloatOf<scalar_t<V>>::type>;

// True where F has a way of its own for half: rounding the float's result
// would be wrong.
template <typename F, typename = void>
constexpr bool has_own_half = false;
template <typename F>
constexpr bool has_own_half<F, std::void_t<decltype(&F::call_half)>> = true;

// F computed in float and rounded to R.
template <typename F, typename R>
struct InFloat {
  template <typename... T>
  static EMU_INLINE R call(const T&... v) {
    if constexpr (std::is_same_v<R, half> && has_own_half<F>) {
      return F::call_half(v...);
    } else {
      return static_cast<R>(F::call(to_float(v)...));
    }
  }
};

template <typename F, typename V, typename... T>
EMU_INLINE float_of_t<V> float_map(const T&... v) {
  return elementwise<InFloat<F, scalar_t<float_of_t<V>>>, float_of_t<V>>(
      V(v)...);
}

// An expression of bfloats under the habit of excess precision. Given to a
// function it is rounded and the call made anew, which then finds a kernel's
// own overloads for bfloat.
template <typename T>
constexpr bool is_bfloat_expression =
    std::is_same_v<T, metal::Excess<BfloatFormat>>;

template <typename... T>
constexpr bool has_bfloat_expression = (is_bfloat_expression<T> || ...) &&
    ((is_bfloat_expression<T> || std::is_same_v<T, bfloat>) && ...);

template <typename T>
EMU_INLINE value_t<T> rounded(const T& v) {
  return value_t<T>(v);
}

template <typename... T>
using unless_bfloat_expression =
    std::enable_if_t<!has_bfloat_expression<T...>, int>;
template <typename... T>
using if_bfloat_expression =
    std::enable_if_t<has_bfloat_expression<T...>, long>;

} // namespace emu

#define EMU_BFLOAT_EXPRESSION_1(name)                     \
  template <typename T, emu::if_bfloat_expression<T> = 0> \
  EMU_INLINE auto name(const T& x) {                      \
    return emu::as_expression<T>(name(emu::rounded(x)));  \
  }

#define EMU_BFLOAT_EXPRESSION_2(name)                                        \
  template <typename T, typename U, emu::if_bfloat_expression<T, U> = 0>     \
  EMU_INLINE auto name(const T& x, const U& y) {                             \
    return emu::as_expression<T, U>(name(emu::rounded(x), emu::rounded(y))); \
  }

#define EMU_BFLOAT_EXPRESSION_3(name)                             \
  template <                                                      \
      typename T,                                                 \
      typename U,                                                 \
      typename W,                                                 \
      emu::if_bfloat_expression<T, U, W> = 0>                     \
  EMU_INLINE auto name(const T& x, const U& y, const W& z) {      \
    return emu::as_expression<T, U, W>(                           \
        name(emu::rounded(x), emu::rounded(y), emu::rounded(z))); \
  }
