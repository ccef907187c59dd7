// Copyright © 2026 The mlx-fork authors
//
// metal::numeric_limits for integers, float, half and bfloat, all constexpr.

#pragma once

#include <limits>

#include "emulator/float16.h"

namespace metal {

template <typename T>
struct numeric_limits : std::numeric_limits<T> {};

template <typename F>
struct numeric_limits<Float16<F>> {
  typedef Float16<F> T;
  static constexpr bool is_specialized = true;
  static constexpr bool is_signed = true;
  static constexpr bool is_integer = false;
  static constexpr bool is_exact = false;
  static constexpr bool has_infinity = true;
  static constexpr bool has_quiet_NaN = true;
  static constexpr bool has_signaling_NaN = true;
  static constexpr bool is_iec559 = true;
  static constexpr bool is_bounded = true;
  static constexpr bool is_modulo = false;
  static constexpr bool traps = false;
  static constexpr bool tinyness_before = false;
  static constexpr int radix = 2;
  static constexpr int digits = F::digits;
  static constexpr int digits10 = (F::digits - 1) * 3 / 10;
  static constexpr int max_digits10 = 2 + F::digits * 3 / 10;
  static constexpr int max_exponent = F::max_exponent;
  static constexpr int min_exponent = 3 - F::max_exponent;
  static constexpr int max_exponent10 = (F::max_exponent - 1) * 3 / 10;
  static constexpr int min_exponent10 = (min_exponent - 1) * 3 / 10;

  static constexpr T min() {
    return T::emu_from_bits(F::smallest_normal);
  }
  static constexpr T max() {
    return T::emu_from_bits(F::largest);
  }
  static constexpr T lowest() {
    return T::emu_from_bits(F::largest | 0x8000);
  }
  static constexpr T epsilon() {
    return T::emu_from_bits(F::epsilon);
  }
  static constexpr T round_error() {
    return T(0.5f);
  }
  static constexpr T infinity() {
    return T::emu_from_bits(F::infinity);
  }
  static constexpr T quiet_NaN() {
    return T::emu_from_bits(F::nan);
  }
  static constexpr T signaling_NaN() {
    return T::emu_from_bits(F::infinity | 1);
  }
  static constexpr T denorm_min() {
    return T::emu_from_bits(1);
  }
};

template <typename F>
struct numeric_limits<Excess<F>> : numeric_limits<Float16<F>> {};

template <typename T>
struct numeric_limits<const T> : numeric_limits<T> {};

} // namespace metal
