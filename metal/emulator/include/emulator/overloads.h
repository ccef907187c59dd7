// Copyright © 2026 The mlx-fork authors
//
// Calls with a half of functions that a kernel overloads for float and for a
// class of its own that converts from float, as MLX does with log1p for its
// complex numbers. In Metal half to float is a promotion and wins; here both
// are conversions of a class and the call would be ambiguous. MLX has one such
// function.

#pragma once

#include "emulator/float16.h"

// A float that no class converts from by way of metal::is_convertible. Global,
// so that functions of the kernel are found for it.
template <typename F>
struct EmuOnlyFloat {
  float value;

  EMU_INLINE operator float() const {
    return value;
  }
};

namespace emu {

template <typename T>
struct IsOnlyFloat : std::false_type {};
template <typename F>
struct IsOnlyFloat<EmuOnlyFloat<F>> : std::true_type {};
template <typename T>
constexpr bool is_only_float = IsOnlyFloat<std::remove_cv_t<T>>::value;

} // namespace emu

namespace metal {

// The kernel's log1p(float). The result is float in value; as an Excess it
// still meets a half in `c ? h : h + log1p(h)`.
template <typename T, std::enable_if_t<emu::is_small<T>, int> = 0>
EMU_INLINE auto log1p(T x) {
  typedef typename emu::SmallOperand<T>::format F;
  return Excess<F>(
      static_cast<float>(log1p(EmuOnlyFloat<F>{emu::to_float(x)})));
}

} // namespace metal
