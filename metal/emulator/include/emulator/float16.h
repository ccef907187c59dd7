// Copyright © 2026 The mlx-fork authors
//
// half and bfloat, and the type of an expression of them under the habit of
// excess precision (EMU_HALF_EXCESS=1).
//
// Habit 0: each operation is computed in float and rounded to the type. For
// +, -, * and / that is the correctly rounded result.
// Habit 1: an operation gives Excess, a float that is rounded when it becomes a
// variable or an argument of the 16-bit type. `auto` and a deduced template
// parameter keep it as it is.
//
// As in Metal: half and float convert to each other implicitly; bfloat converts
// to float implicitly, and from float or half only when asked. Not as in Metal:
// `c ? h : 1.0f` and `c ? h : 0` are ambiguous; the kernel has to say half(0).

#pragma once

#include <type_traits>

#include "emulator/float16_formats.h"

namespace metal {
template <typename F>
struct Float16;
template <typename F>
struct Excess;
} // namespace metal

typedef metal::Float16<emu::HalfFormat> half;
typedef metal::Float16<emu::BfloatFormat> bfloat;

namespace metal {
using ::bfloat;
using ::half;
} // namespace metal

namespace emu {

// How a scalar type takes part in 16-bit arithmetic: 0 not at all, 1 integers
// (they become the other operand's type), 2 a 16-bit type, 3 float.
template <typename T>
struct SmallOperand {
  static constexpr int rank = std::is_floating_point_v<T> ? 3
      : std::is_integral_v<T> || std::is_enum_v<T>        ? 1
                                                          : 0;
  typedef void format;
};

template <typename F>
struct SmallOperand<metal::Float16<F>> {
  static constexpr int rank = 2;
  typedef F format;
};

template <typename F>
struct SmallOperand<metal::Excess<F>> {
  static constexpr int rank = 2;
  typedef F format;
};

template <typename T>
constexpr bool is_small = SmallOperand<T>::rank == 2;
template <typename T>
constexpr bool is_number = SmallOperand<T>::rank != 0;
template <typename T, typename F>
constexpr bool is_small_of =
    std::is_same_v<typename SmallOperand<T>::format, F>;

template <typename T>
struct IsExcess : std::false_type {};
template <typename F>
struct IsExcess<metal::Excess<F>> : std::true_type {};

// The format that `A op B` is computed in: void for float, and nothing where
// neither is a 16-bit type or one is no number.
template <typename A, typename B, typename = void>
struct SmallCommon {};

template <typename A, typename B>
struct SmallCommon<
    A,
    B,
    std::enable_if_t<
        (is_small<A> || is_small<B>) && is_number<A> && is_number<B>>> {
  typedef typename SmallOperand<A>::format a;
  typedef typename SmallOperand<B>::format b;
  static constexpr int a_rank = SmallOperand<A>::rank;
  static constexpr int b_rank = SmallOperand<B>::rank;
  typedef std::conditional_t<
      a_rank == 3 || b_rank == 3,
      void,
      std::conditional_t<
          a_rank == 1,
          b,
          std::conditional_t<b_rank == 1 || std::is_same_v<a, b>, a, void>>>
      format;
};

template <typename F>
struct SmallResult {
#if EMU_HALF_EXCESS
  typedef metal::Excess<F> type;
#else
  typedef metal::Float16<F> type;
#endif
};

template <>
struct SmallResult<void> {
  typedef float type;
};

template <typename A, typename B>
using small_format_t = typename SmallCommon<A, B>::format;

template <typename A, typename B>
using small_result_t =
    typename SmallResult<typename SmallCommon<A, B>::format>::type;

template <typename T>
constexpr EMU_INLINE float to_float(T v) {
  if constexpr (is_small<T>) {
    return v.emu_float();
  } else if constexpr (std::is_enum_v<T>) {
    return integer_to_float(static_cast<long>(v));
  } else if constexpr (std::is_integral_v<T>) {
    return integer_to_float(v);
  } else {
    return static_cast<float>(v);
  }
}

// The operand's value in float; an integer is rounded to the format first,
// unless the operation is one in float.
template <typename F, typename T>
constexpr EMU_INLINE float small_operand(T v) {
  if constexpr (is_small<T>) {
    return v.emu_float();
  } else if constexpr (SmallOperand<T>::rank == 3 || std::is_void_v<F>) {
    return static_cast<float>(v);
  } else {
    return F::widen(F::round(to_float(v)));
  }
}

// Which numbers a 16-bit type takes without being asked.
template <typename F, typename T>
constexpr bool small_converts = is_number<T> &&
    (SmallOperand<T>::rank == 1 || is_small_of<T, F> ||
     (std::is_same_v<F, HalfFormat> && SmallOperand<T>::rank == 3));

template <typename C, typename T, typename = void>
struct HasConversion : std::false_type {};
template <typename C, typename T>
struct HasConversion<
    C,
    T,
    std::void_t<decltype(std::declval<C>().operator T())>> : std::true_type {};

// Whether a class converts to a 16-bit type by way of an arithmetic type; it
// may have a conversion to the 16-bit type itself, which then is the one. A
// class that gives a float gives a bfloat only when asked.
template <
    typename F,
    typename C,
    bool = std::is_class_v<std::remove_reference_t<C>> &&
        !is_number<std::remove_cv_t<std::remove_reference_t<C>>>>
struct SmallFromClass {
  static constexpr bool possible = false;
  static constexpr bool implicit = false;
};

template <typename F, typename C>
struct SmallFromClass<F, C, true> {
  static constexpr bool possible = std::is_convertible_v<C, float> &&
      !HasConversion<C, metal::Float16<F>>::value;
  static constexpr bool implicit =
      std::is_same_v<F, HalfFormat> || !HasConversion<C, float>::value;
};

} // namespace emu

namespace metal {

template <typename F>
struct Float16 {
  uint16_t emu_bits;

  Float16() = default;

  template <
      typename T,
      std::enable_if_t<
          emu::small_converts<F, T> && !std::is_same_v<T, Float16>,
          int> = 0>
  EMU_INLINE constexpr Float16(T v) : emu_bits(F::round(emu::to_float(v))) {}

  template <
      typename T,
      std::enable_if_t<emu::is_number<T> && !emu::small_converts<F, T>, int> =
          0>
  EMU_INLINE explicit constexpr Float16(T v)
      : emu_bits(F::round(emu::to_float(v))) {}

  // A class of the kernel's, by way of what it converts to.
  template <
      typename C,
      std::enable_if_t<
          emu::SmallFromClass<F, C>::possible &&
              emu::SmallFromClass<F, C>::implicit,
          int> = 0>
  EMU_INLINE constexpr Float16(C&& v) : Float16(static_cast<float>(v)) {}

  template <
      typename C,
      std::enable_if_t<
          emu::SmallFromClass<F, C>::possible &&
              !emu::SmallFromClass<F, C>::implicit,
          long> = 0>
  EMU_INLINE explicit constexpr Float16(C&& v)
      : Float16(static_cast<float>(v)) {}

  static EMU_INLINE constexpr Float16 emu_from_bits(uint16_t bits) {
    Float16 v{};
    v.emu_bits = bits;
    return v;
  }

  EMU_INLINE constexpr float emu_float() const {
    return F::widen(emu_bits);
  }

  // To other numbers by way of float, as the language adds.
  EMU_INLINE constexpr operator float() const {
    return emu_float();
  }

  EMU_INLINE constexpr Float16 operator+() const {
    return *this;
  }

  EMU_INLINE constexpr Float16 operator-() const {
    return emu_from_bits(emu_bits ^ 0x8000);
  }

  EMU_INLINE constexpr Float16& operator++() {
    return *this = Float16(emu_float() + 1.0f);
  }

  EMU_INLINE constexpr Float16& operator--() {
    return *this = Float16(emu_float() - 1.0f);
  }

  EMU_INLINE constexpr Float16 operator++(int) {
    const Float16 before = *this;
    ++*this;
    return before;
  }

  EMU_INLINE constexpr Float16 operator--(int) {
    const Float16 before = *this;
    --*this;
    return before;
  }
};

// A 16-bit expression that has not been rounded yet. It becomes a float, or a
// variable of its type, without being asked: no further conversion is added to
// it, so that `c ? a * b : 0` keeps the type.
template <typename F>
struct Excess {
  float emu_value;

  EMU_INLINE explicit constexpr Excess(float v) : emu_value(v) {}

  template <
      typename T,
      std::enable_if_t<emu::SmallOperand<T>::rank == 1, int> = 0>
  EMU_INLINE constexpr Excess(T v) : emu_value(emu::small_operand<F>(v)) {}

  template <
      typename T,
      std::enable_if_t<
          (emu::SmallOperand<T>::rank > 1) && !std::is_same_v<T, float> &&
              !std::is_same_v<T, Excess>,
          long> = 0>
  EMU_INLINE explicit constexpr Excess(T v) : emu_value(emu::to_float(v)) {}

  EMU_INLINE constexpr float emu_float() const {
    return emu_value;
  }

  template <typename T, std::enable_if_t<std::is_same_v<T, float>, int> = 0>
  EMU_INLINE constexpr operator T() const {
    return emu_value;
  }

  template <
      typename T,
      std::enable_if_t<
          (std::is_arithmetic_v<T> && !std::is_same_v<T, float>) ||
              std::is_enum_v<T>,
          int> = 0>
  EMU_INLINE explicit constexpr operator T() const {
    return static_cast<T>(emu_value);
  }

  EMU_INLINE constexpr Excess operator+() const {
    return *this;
  }

  EMU_INLINE constexpr Excess operator-() const {
    return Excess(-emu_value);
  }
};

// Never contracted, whatever the setting: a kernel's own pragma must hold, and
// in here it isn't seen.
#pragma float_control(push)
#pragma clang fp contract(off)

#define EMU_SMALL_OPERATOR(op)                                              \
  template <typename A, typename B, typename F = emu::small_format_t<A, B>> \
  EMU_INLINE constexpr emu::small_result_t<A, B> operator op(A a, B b) {    \
    return emu::small_result_t<A, B>(emu::small_operand<F>(a)               \
                                         op emu::small_operand<F>(b));      \
  }                                                                         \
  template <                                                                \
      typename F,                                                           \
      typename B,                                                           \
      std::enable_if_t<emu::is_number<B>, int> = 0>                         \
  EMU_INLINE constexpr Float16<F>& operator op## = (Float16<F> & a, B b) {  \
    return a = static_cast<Float16<F>>(a op b);                             \
  }                                                                         \
  template <                                                                \
      typename F,                                                           \
      typename B,                                                           \
      std::enable_if_t<emu::is_number<B>, int> = 0>                         \
  EMU_INLINE constexpr Excess<F>& operator op## = (Excess<F> & a, B b) {    \
    return a = static_cast<Excess<F>>(a op b);                              \
  }                                                                         \
  template <                                                                \
      typename A,                                                           \
      typename F,                                                           \
      std::enable_if_t<std::is_arithmetic_v<A>, int> = 0>                   \
  EMU_INLINE constexpr A& operator op## = (A & a, Float16<F> b) {           \
    return a = static_cast<A>(a op b);                                      \
  }                                                                         \
  template <                                                                \
      typename A,                                                           \
      typename F,                                                           \
      std::enable_if_t<std::is_arithmetic_v<A>, int> = 0>                   \
  EMU_INLINE constexpr A& operator op## = (A & a, Excess<F> b) {            \
    return a = static_cast<A>(a op b);                                      \
  }

EMU_SMALL_OPERATOR(+)
EMU_SMALL_OPERATOR(-)
EMU_SMALL_OPERATOR(*)
EMU_SMALL_OPERATOR(/)
#undef EMU_SMALL_OPERATOR

#pragma float_control(pop)

#define EMU_SMALL_COMPARISON(op)                                            \
  template <typename A, typename B, typename F = emu::small_format_t<A, B>> \
  EMU_INLINE constexpr bool operator op(A a, B b) {                         \
    return emu::small_operand<F>(a) op emu::small_operand<F>(b);            \
  }

EMU_SMALL_COMPARISON(==)
EMU_SMALL_COMPARISON(!=)
EMU_SMALL_COMPARISON(<)
EMU_SMALL_COMPARISON(>)
EMU_SMALL_COMPARISON(<=)
EMU_SMALL_COMPARISON(>=)
#undef EMU_SMALL_COMPARISON

} // namespace metal

namespace emu {

// What an argument is when a function takes it: an expression is rounded.
// (Where no operation gives one, it stands for a float: overloads.h.)
template <typename T>
struct Value {
  typedef T type;
};

template <typename F>
struct Value<metal::Excess<F>> {
#if EMU_HALF_EXCESS
  typedef metal::Float16<F> type;
#else
  typedef float type;
#endif
};

// Metal has no double: an unsuffixed literal is a float.
template <>
struct Value<double> {
  typedef float type;
};

template <typename T>
using value_t = typename Value<T>::type;

// What a function gives that was called with a T: rounded, but an expression
// again where an argument was one. A kernel's template that deduced its T from
// an expression then has T throughout.
template <typename... T, typename R>
constexpr EMU_INLINE auto as_expression(const R& v) {
#if EMU_HALF_EXCESS
  if constexpr ((IsExcess<T>::value || ...) && is_small<R>) {
    return metal::Excess<typename SmallOperand<R>::format>(v);
  } else {
    return v;
  }
#else
  return v;
#endif
}

// `1.0h` and `1.0bf` of a kernel's text.
EMU_INLINE constexpr half half_literal(float v) {
  return half(v);
}

EMU_INLINE constexpr bfloat bfloat_literal(float v) {
  return bfloat(v);
}

} // namespace emu
