// Copyright © 2026 The mlx-fork authors
//
// packed_float3 and its kin: vectors with the size and alignment of their
// elements. Arithmetic goes through vec<T, N> (vector_operators.h).

#pragma once

#include "emulator/vector.h"

namespace metal {

template <typename T, int N>
struct PackedStorage;

template <typename T>
struct PackedStorage<T, 2> {
  T x, y;
};

template <typename T>
struct PackedStorage<T, 3> {
  T x, y, z;
};

template <typename T>
struct PackedStorage<T, 4> {
  T x, y, z, w;
};

template <typename T, int N>
struct packed_vec : PackedStorage<T, N> {
  packed_vec() = default;

  template <
      typename S,
      std::enable_if_t<
          !emu::is_vector<S> && std::is_constructible_v<T, S>,
          int> = 0>
  EMU_INLINE packed_vec(S s) {
    emu_set(vec<T, N>(s));
  }

  template <
      typename V,
      std::enable_if_t<
          emu::vector_size<V> == N && std::is_same_v<emu::element_t<V>, T>,
          int> = 0>
  EMU_INLINE packed_vec(const V& v) {
    emu_set(v);
  }

  template <
      typename V,
      std::enable_if_t<
          emu::vector_size<V> == N && !std::is_same_v<emu::element_t<V>, T>,
          long> = 0>
  EMU_INLINE explicit packed_vec(const V& v) {
    emu_set(vec<T, N>(v));
  }

  template <
      typename... S,
      std::enable_if_t<
          (sizeof...(S) > 1) && (emu::count_of<S> + ...) == N,
          int> = 0>
  EMU_INLINE packed_vec(const S&... s) {
    emu_set(vec<T, N>(s...));
  }

  EMU_INLINE T& operator[](int i) {
    return (&this->x)[i];
  }

  EMU_INLINE const T& operator[](int i) const {
    return (&this->x)[i];
  }

 private:
  EMU_INLINE void emu_set(const vec<T, N>& v) {
    for (int i = 0; i < N; ++i) {
      (*this)[i] = v.e[i];
    }
  }
};

#define EMU_PACKED_TYPES(name, T)            \
  typedef packed_vec<T, 2> packed_##name##2; \
  typedef packed_vec<T, 3> packed_##name##3; \
  typedef packed_vec<T, 4> packed_##name##4;

EMU_PACKED_TYPES(bool, bool)
EMU_PACKED_TYPES(char, char)
EMU_PACKED_TYPES(uchar, uchar)
EMU_PACKED_TYPES(short, short)
EMU_PACKED_TYPES(ushort, ushort)
EMU_PACKED_TYPES(int, int)
EMU_PACKED_TYPES(uint, uint)
EMU_PACKED_TYPES(long, long)
EMU_PACKED_TYPES(ulong, ulong)
EMU_PACKED_TYPES(half, half)
EMU_PACKED_TYPES(bfloat, bfloat)
EMU_PACKED_TYPES(float, float)
#undef EMU_PACKED_TYPES

} // namespace metal
