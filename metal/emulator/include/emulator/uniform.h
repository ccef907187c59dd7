// Copyright © 2026 The mlx-fork authors
//
// <metal_uniform>: a value that is the same for all threads of a SIMD group.
// Here that is the value itself: nothing checks that it is the same.

#pragma once

#include "emulator/base.h"

namespace metal {

template <typename T>
using uniform = T;

template <typename T>
EMU_INLINE constexpr T make_uniform(T v) {
  return v;
}

template <typename T>
EMU_INLINE constexpr bool is_uniform(T) {
  return true;
}

} // namespace metal
