// Copyright © 2026 The mlx-fork authors
//
// The members .xy, .zyx, .rgba … of a vector: views of its storage that read
// and write the elements they name. They live in the vector's union (vector.h)
// and take part in expressions as vectors of their own length.

#pragma once

#include "emulator/float16.h"

namespace metal {
template <typename T, int N>
struct vec;
template <typename T, int N, int... I>
struct Swizzle;
} // namespace metal

namespace emu {

// The type that stands for an element in the machine vector `raw`.
template <typename T>
struct RawElement {
  typedef T type;
};
template <>
struct RawElement<bool> {
  typedef uint8_t type;
};
template <typename F>
struct RawElement<metal::Float16<F>> {
  typedef uint16_t type;
};
template <typename T>
using raw_element_t = typename RawElement<T>::type;

template <typename T, int N>
struct Raw {
  typedef raw_element_t<T> type __attribute__((ext_vector_type(N)));
};

template <typename T, int N>
using raw_t = typename Raw<T, N>::type;

template <typename T>
constexpr EMU_INLINE raw_element_t<T> to_raw_element(T v) {
  if constexpr (is_small<T>) {
    return v.emu_bits;
  } else {
    return static_cast<raw_element_t<T>>(v);
  }
}

template <typename T>
constexpr EMU_INLINE T from_raw_element(raw_element_t<T> v) {
  if constexpr (is_small<T>) {
    return T::emu_from_bits(v);
  } else {
    return static_cast<T>(v);
  }
}

} // namespace emu

namespace metal {

// The elements of a swizzle by name, so that v.zw.x is v.z.
template <typename T, int N, int... I>
struct SwizzleNames {
  T emu_elements[N];
};

template <typename T, int N, int I, int J>
struct SwizzleNames<T, N, I, J> {
  union {
    T emu_elements[N];
    struct {
      T emu_before_x[I];
      T x;
    };
    struct {
      T emu_before_y[J];
      T y;
    };
  };
};

template <typename T, int N, int I, int J, int K>
struct SwizzleNames<T, N, I, J, K> {
  union {
    T emu_elements[N];
    struct {
      T emu_before_x[I];
      T x;
    };
    struct {
      T emu_before_y[J];
      T y;
    };
    struct {
      T emu_before_z[K];
      T z;
    };
  };
};

template <typename T, int N, int... I>
struct Swizzle : SwizzleNames<T, N, I...> {
  static constexpr int emu_size = sizeof...(I);
  typedef vec<T, emu_size> emu_vec;

  // Explicit: v.xy = {a, b} then makes a vector, not a swizzle.
  explicit Swizzle() = default;
  Swizzle(const Swizzle&) = default;

  EMU_INLINE T emu_get(int i) const {
    constexpr int at[] = {I...};
    return this->emu_elements[at[i]];
  }

  EMU_INLINE T operator[](int i) const {
    return emu_get(i);
  }

  EMU_INLINE void emu_set(const emu_vec& v) {
    constexpr int at[] = {I...};
    for (int i = 0; i < emu_size; ++i) {
      this->emu_elements[at[i]] = v.e[i];
    }
  }

  EMU_INLINE Swizzle& operator=(const Swizzle& v) {
    emu_set(emu_vec(v));
    return *this;
  }

  EMU_INLINE Swizzle& operator=(const emu_vec& v) {
    emu_set(v);
    return *this;
  }
};

} // namespace metal

// Every swizzle of two, three and four elements out of the N names given, as
// members Swizzle<T, N, …>.
#define EMU_SWIZZLE_2(a, i, b, j) Swizzle<T, emu_stored, i, j> a##b;
#define EMU_SWIZZLE_3(a, i, b, j, c, k) Swizzle<T, emu_stored, i, j, k> a##b##c;
#define EMU_SWIZZLE_4(a, i, b, j, c, k, d, l) \
  Swizzle<T, emu_stored, i, j, k, l> a##b##c##d;

#define EMU_LAST_2_2(x, y, ...) \
  EMU_SWIZZLE_2(__VA_ARGS__, x, 0) EMU_SWIZZLE_2(__VA_ARGS__, y, 1)
#define EMU_LAST_3_2(x, y, ...) \
  EMU_SWIZZLE_3(__VA_ARGS__, x, 0) EMU_SWIZZLE_3(__VA_ARGS__, y, 1)
#define EMU_LAST_4_2(x, y, ...) \
  EMU_SWIZZLE_4(__VA_ARGS__, x, 0) EMU_SWIZZLE_4(__VA_ARGS__, y, 1)
#define EMU_THIRD_2(x, y, ...)          \
  EMU_LAST_4_2(x, y, __VA_ARGS__, x, 0) \
  EMU_LAST_4_2(x, y, __VA_ARGS__, y, 1)
#define EMU_SECOND_2(x, y, ...)         \
  EMU_LAST_3_2(x, y, __VA_ARGS__, x, 0) \
  EMU_LAST_3_2(x, y, __VA_ARGS__, y, 1) \
  EMU_THIRD_2(x, y, __VA_ARGS__, x, 0)  \
  EMU_THIRD_2(x, y, __VA_ARGS__, y, 1)
#define EMU_FIRST_2(x, y, ...)    \
  EMU_LAST_2_2(x, y, __VA_ARGS__) \
  EMU_SECOND_2(x, y, __VA_ARGS__)
#define EMU_SWIZZLES_2(x, y) EMU_FIRST_2(x, y, x, 0) EMU_FIRST_2(x, y, y, 1)

#define EMU_LAST_2_3(x, y, z, ...) \
  EMU_LAST_2_2(x, y, __VA_ARGS__) EMU_SWIZZLE_2(__VA_ARGS__, z, 2)
#define EMU_LAST_3_3(x, y, z, ...) \
  EMU_LAST_3_2(x, y, __VA_ARGS__) EMU_SWIZZLE_3(__VA_ARGS__, z, 2)
#define EMU_LAST_4_3(x, y, z, ...) \
  EMU_LAST_4_2(x, y, __VA_ARGS__) EMU_SWIZZLE_4(__VA_ARGS__, z, 2)
#define EMU_THIRD_3(x, y, z, ...)          \
  EMU_LAST_4_3(x, y, z, __VA_ARGS__, x, 0) \
  EMU_LAST_4_3(x, y, z, __VA_ARGS__, y, 1) \
  EMU_LAST_4_3(x, y, z, __VA_ARGS__, z, 2)
#define EMU_SECOND_3(x, y, z, ...)         \
  EMU_LAST_3_3(x, y, z, __VA_ARGS__, x, 0) \
  EMU_LAST_3_3(x, y, z, __VA_ARGS__, y, 1) \
  EMU_LAST_3_3(x, y, z, __VA_ARGS__, z, 2) \
  EMU_THIRD_3(x, y, z, __VA_ARGS__, x, 0)  \
  EMU_THIRD_3(x, y, z, __VA_ARGS__, y, 1)  \
  EMU_THIRD_3(x, y, z, __VA_ARGS__, z, 2)
#define EMU_FIRST_3(x, y, z, ...)    \
  EMU_LAST_2_3(x, y, z, __VA_ARGS__) \
  EMU_SECOND_3(x, y, z, __VA_ARGS__)
#define EMU_SWIZZLES_3(x, y, z) \
  EMU_FIRST_3(x, y, z, x, 0)    \
  EMU_FIRST_3(x, y, z, y, 1)    \
  EMU_FIRST_3(x, y, z, z, 2)

#define EMU_LAST_2_4(x, y, z, w, ...) \
  EMU_LAST_2_3(x, y, z, __VA_ARGS__) EMU_SWIZZLE_2(__VA_ARGS__, w, 3)
#define EMU_LAST_3_4(x, y, z, w, ...) \
  EMU_LAST_3_3(x, y, z, __VA_ARGS__) EMU_SWIZZLE_3(__VA_ARGS__, w, 3)
#define EMU_LAST_4_4(x, y, z, w, ...) \
  EMU_LAST_4_3(x, y, z, __VA_ARGS__) EMU_SWIZZLE_4(__VA_ARGS__, w, 3)
#define EMU_THIRD_4(x, y, z, w, ...)          \
  EMU_LAST_4_4(x, y, z, w, __VA_ARGS__, x, 0) \
  EMU_LAST_4_4(x, y, z, w, __VA_ARGS__, y, 1) \
  EMU_LAST_4_4(x, y, z, w, __VA_ARGS__, z, 2) \
  EMU_LAST_4_4(x, y, z, w, __VA_ARGS__, w, 3)
#define EMU_SECOND_4(x, y, z, w, ...)         \
  EMU_LAST_3_4(x, y, z, w, __VA_ARGS__, x, 0) \
  EMU_LAST_3_4(x, y, z, w, __VA_ARGS__, y, 1) \
  EMU_LAST_3_4(x, y, z, w, __VA_ARGS__, z, 2) \
  EMU_LAST_3_4(x, y, z, w, __VA_ARGS__, w, 3) \
  EMU_THIRD_4(x, y, z, w, __VA_ARGS__, x, 0)  \
  EMU_THIRD_4(x, y, z, w, __VA_ARGS__, y, 1)  \
  EMU_THIRD_4(x, y, z, w, __VA_ARGS__, z, 2)  \
  EMU_THIRD_4(x, y, z, w, __VA_ARGS__, w, 3)
#define EMU_FIRST_4(x, y, z, w, ...)    \
  EMU_LAST_2_4(x, y, z, w, __VA_ARGS__) \
  EMU_SECOND_4(x, y, z, w, __VA_ARGS__)
#define EMU_SWIZZLES_4(x, y, z, w) \
  EMU_FIRST_4(x, y, z, w, x, 0)    \
  EMU_FIRST_4(x, y, z, w, y, 1)    \
  EMU_FIRST_4(x, y, z, w, z, 2)    \
  EMU_FIRST_4(x, y, z, w, w, 3)
