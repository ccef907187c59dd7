// Copyright © 2026 The mlx-fork authors
//
// metal::array<T, N>: an aggregate with the members of std::array that Metal
// gives it.

#pragma once

#include "emulator/base.h"

namespace metal {

template <typename T, size_t N>
struct array {
  T __elems[N ? N : 1];

  EMU_INLINE constexpr T& operator[](size_t i) {
    return __elems[i];
  }

  EMU_INLINE constexpr const T& operator[](size_t i) const {
    return __elems[i];
  }

  EMU_INLINE constexpr size_t size() const {
    return N;
  }

  EMU_INLINE constexpr bool empty() const {
    return N == 0;
  }

  EMU_INLINE constexpr T* data() {
    return __elems;
  }

  EMU_INLINE constexpr const T* data() const {
    return __elems;
  }

  EMU_INLINE constexpr T& front() {
    return __elems[0];
  }

  EMU_INLINE constexpr const T& front() const {
    return __elems[0];
  }

  EMU_INLINE constexpr T& back() {
    return __elems[N - 1];
  }

  EMU_INLINE constexpr const T& back() const {
    return __elems[N - 1];
  }

  EMU_INLINE constexpr T* begin() {
    return __elems;
  }

  EMU_INLINE constexpr const T* begin() const {
    return __elems;
  }

  EMU_INLINE constexpr T* end() {
    return __elems + N;
  }

  EMU_INLINE constexpr const T* end() const {
    return __elems + N;
  }

  EMU_INLINE constexpr void fill(const T& v) {
    for (size_t i = 0; i < N; ++i) {
      __elems[i] = v;
    }
  }
};

} // namespace metal
