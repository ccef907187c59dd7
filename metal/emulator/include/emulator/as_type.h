// Copyright © 2026 The mlx-fork authors
//
// as_type<T>(v): the bits of v as another type of the same size.

#pragma once

#include "emulator/vector.h"

namespace emu {

// What is trivially copyable and holds the value's bits.
template <typename T>
EMU_INLINE constexpr auto to_bits(const T& v) {
  if constexpr (is_vector<T>) {
    return metal::vec<element_t<T>, vector_size<T>>(v).raw;
  } else if constexpr (std::is_same_v<value_t<T>, T>) {
    return v;
  } else {
    return value_t<T>(v);
  }
}

} // namespace emu

template <typename T, typename U>
EMU_INLINE constexpr T as_type(const U& v) {
  if constexpr (emu::is_vector<T>) {
    return metal::vec<emu::element_t<T>, emu::vector_size<T>>::emu_from_raw(
        __builtin_bit_cast(
            emu::raw_t<emu::element_t<T>, emu::vector_size<T>>,
            emu::to_bits(v)));
  } else {
    return __builtin_bit_cast(T, emu::to_bits(v));
  }
}

namespace metal {
using ::as_type;
} // namespace metal
