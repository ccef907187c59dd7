// Copyright © 2026 The mlx-fork authors
//
// vec<T, N> for N = 2, 3, 4, with Metal's sizes, alignments, constructors and
// members. Operators are in vector_operators.h.
//
// A vector is copied through its member `raw`, a machine vector: one load and
// one store of the whole, so that the checked build sees the alignment that a
// GPU would need and counts one access. (Two of 16 bytes where a vector has 32:
// the instrumentation knows no wider access.)

#pragma once

#include "emulator/swizzle.h"

namespace metal {

template <typename T, int N>
struct VecStorage;

template <typename T>
struct VecStorage<T, 2> {
  static constexpr int emu_stored = 2;
  union {
    emu::raw_t<T, 2> raw;
    T e[2];
    struct {
      T x, y;
    };
    struct {
      T r, g;
    };
    EMU_SWIZZLES_2(x, y)
    EMU_SWIZZLES_2(r, g)
  };

  VecStorage() = default;
  EMU_INLINE constexpr VecStorage(emu::raw_t<T, 2> v) : raw(v) {}
};

template <typename T>
struct VecStorage<T, 3> {
  static constexpr int emu_stored = 3;
  union {
    emu::raw_t<T, 3> raw;
    T e[3];
    struct {
      T x, y, z;
    };
    struct {
      T r, g, b;
    };
    EMU_SWIZZLES_3(x, y, z)
    EMU_SWIZZLES_3(r, g, b)
  };

  VecStorage() = default;
  EMU_INLINE constexpr VecStorage(emu::raw_t<T, 3> v) : raw(v) {}
};

template <typename T>
struct VecStorage<T, 4> {
  static constexpr int emu_stored = 4;
  union {
    emu::raw_t<T, 4> raw;
    T e[4];
    struct {
      T x, y, z, w;
    };
    struct {
      T r, g, b, a;
    };
    EMU_SWIZZLES_4(x, y, z, w)
    EMU_SWIZZLES_4(r, g, b, a)
  };

  VecStorage() = default;
  EMU_INLINE constexpr VecStorage(emu::raw_t<T, 4> v) : raw(v) {}
};

template <typename T, int N>
struct packed_vec;

} // namespace metal

namespace emu {

// Vectors, swizzles and packed vectors: their element type and length. Length
// 0: not one of them.
template <typename T>
struct VectorTraits {
  typedef void element;
  static constexpr int size = 0;
};

template <typename T, int N>
struct VectorTraits<metal::vec<T, N>> {
  typedef T element;
  static constexpr int size = N;
};

template <typename T, int N, int... I>
struct VectorTraits<metal::Swizzle<T, N, I...>> {
  typedef T element;
  static constexpr int size = sizeof...(I);
};

template <typename T, int N>
struct VectorTraits<metal::packed_vec<T, N>> {
  typedef T element;
  static constexpr int size = N;
};

template <typename T>
constexpr bool is_packed = false;
template <typename T, int N>
constexpr bool is_packed<metal::packed_vec<T, N>> = true;

template <typename T>
using element_t = typename VectorTraits<std::remove_cv_t<T>>::element;
template <typename T>
constexpr int vector_size = VectorTraits<std::remove_cv_t<T>>::size;
template <typename T>
constexpr bool is_vector = vector_size<T> != 0;
// How many elements an argument gives to a constructor.
template <typename T>
constexpr int count_of = is_vector<T> ? vector_size<T> : 1;

template <typename V>
EMU_INLINE element_t<V> element_at(const V& v, int i) {
  if constexpr (std::is_same_v<V, metal::vec<element_t<V>, vector_size<V>>>) {
    return v.e[i];
  } else {
    return v[i];
  }
}

template <typename V>
EMU_INLINE V load_raw(const V* p) {
  if constexpr (sizeof(V) > 16) {
    typedef long Half __attribute__((ext_vector_type(2)));
    union {
      V whole;
      Half part[2];
    } v;
    v.part[0] = reinterpret_cast<const Half*>(p)[0];
    v.part[1] = reinterpret_cast<const Half*>(p)[1];
    return v.whole;
  } else {
    return *p;
  }
}

template <typename V>
EMU_INLINE void store_raw(V* p, V v) {
  if constexpr (sizeof(V) > 16) {
    typedef long Half __attribute__((ext_vector_type(2)));
    union {
      V whole;
      Half part[2];
    } u;
    u.whole = v;
    reinterpret_cast<Half*>(p)[0] = u.part[0];
    reinterpret_cast<Half*>(p)[1] = u.part[1];
  } else {
    *p = v;
  }
}

// Keeps the optimizer from loading the elements one by one, where accesses are
// looked at.
template <typename V>
EMU_INLINE void keep_whole(V& v) {
#ifdef EMU_CHECKED
  if constexpr (sizeof(V) == 16) {
#if defined(__x86_64__)
    asm("" : "+x"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#endif
  } else if constexpr (sizeof(V) == 8) {
    auto bits = __builtin_bit_cast(unsigned long, v);
    asm("" : "+r"(bits));
    v = __builtin_bit_cast(V, bits);
  } else if constexpr (sizeof(V) == 4) {
    auto bits = __builtin_bit_cast(unsigned, v);
    asm("" : "+r"(bits));
    v = __builtin_bit_cast(V, bits);
  }
#endif
}

} // namespace emu

namespace metal {

template <typename T, int N>
struct __attribute__((trivial_abi)) vec : VecStorage<T, N> {
  typedef VecStorage<T, N> Storage;
  typedef emu::raw_t<T, N> emu_raw;
  using Storage::e;
  using Storage::raw;

  vec() = default;

  EMU_INLINE constexpr vec(const vec& v) : Storage(emu::load_raw(&v.raw)) {}

  EMU_INLINE vec& operator=(const vec& v) {
    emu::store_raw(&raw, emu::load_raw(&v.raw));
    return *this;
  }

  // One scalar: all elements.
  template <
      typename S,
      std::enable_if_t<
          !emu::is_vector<S> && std::is_constructible_v<T, S>,
          int> = 0>
  EMU_INLINE constexpr vec(S s)
      : Storage(emu_splat(emu::to_raw_element(static_cast<T>(s)))) {}

  // Another vector of the same length: implicit for the same element type.
  template <
      typename V,
      std::enable_if_t<
          emu::vector_size<V> == N && std::is_same_v<emu::element_t<V>, T>,
          int> = 0>
  EMU_INLINE vec(const V& v) {
    if constexpr (
        emu::is_packed<V> && N != 3 && sizeof(V) <= (alignof(T) < 8 ? 16 : 8)) {
      // One load, as on a GPU, though aligned like an element. (What is seen
      // of one of 16 bytes doesn't tell an alignment of 8 from one of 16.)
      typedef emu_raw Packed __attribute__((aligned(alignof(T)), may_alias));
      raw = *reinterpret_cast<const Packed*>(&v);
      emu::keep_whole(raw);
    } else {
      for (int i = 0; i < N; ++i) {
        e[i] = emu::element_at(v, i);
      }
    }
  }

  template <
      typename V,
      std::enable_if_t<
          emu::vector_size<V> == N && !std::is_same_v<emu::element_t<V>, T>,
          long> = 0>
  EMU_INLINE explicit vec(const V& v) {
    const vec<emu::element_t<V>, N> from(v);
    for (int i = 0; i < N; ++i) {
      e[i] = static_cast<T>(from.e[i]);
    }
  }

  // As many scalars as elements, or fewer: the rest is zero, as in Metal's
  // `uint4 v = {a, b, c}`.
  template <
      typename... S,
      std::enable_if_t<
          (sizeof...(S) > 1) && (sizeof...(S) <= N) &&
              (!emu::is_vector<S> && ...),
          int> = 0>
  EMU_INLINE constexpr vec(S... s)
      : Storage(emu_raw{emu::to_raw_element(static_cast<T>(s))...}) {}

  // Scalars and vectors that have as many elements together.
  template <
      typename... S,
      std::enable_if_t<
          (sizeof...(S) > 1) && (sizeof...(S) < N) &&
              (emu::is_vector<S> || ...) && (emu::count_of<S> + ...) == N,
          long> = 0>
  EMU_INLINE vec(const S&... s) {
    int at = 0;
    (emu_append(at, s), ...);
  }

  EMU_INLINE T& operator[](int i) {
    return e[i];
  }

  EMU_INLINE const T& operator[](int i) const {
    return e[i];
  }

  // A vector of a machine vector's elements.
  static EMU_INLINE constexpr vec emu_from_raw(emu_raw r) {
    return vec(RawTag{}, r);
  }

 private:
  struct RawTag {};
  EMU_INLINE constexpr vec(RawTag, emu_raw r) : Storage(r) {}

  static EMU_INLINE constexpr emu_raw emu_splat(emu::raw_element_t<T> v) {
    return emu_raw(v);
  }

  template <typename S>
  EMU_INLINE void emu_append(int& at, const S& s) {
    if constexpr (emu::is_vector<S>) {
      const vec<emu::element_t<S>, emu::vector_size<S>> from(s);
      for (int i = 0; i < emu::vector_size<S>; ++i) {
        e[at++] = static_cast<T>(from.e[i]);
      }
    } else {
      e[at++] = static_cast<T>(s);
    }
  }
};

#define EMU_VECTOR_TYPES(name, T) \
  typedef vec<T, 2> name##2;      \
  typedef vec<T, 3> name##3;      \
  typedef vec<T, 4> name##4;

EMU_VECTOR_TYPES(bool, bool)
EMU_VECTOR_TYPES(char, char)
EMU_VECTOR_TYPES(uchar, uchar)
EMU_VECTOR_TYPES(short, short)
EMU_VECTOR_TYPES(ushort, ushort)
EMU_VECTOR_TYPES(int, int)
EMU_VECTOR_TYPES(uint, uint)
EMU_VECTOR_TYPES(long, long)
EMU_VECTOR_TYPES(ulong, ulong)
EMU_VECTOR_TYPES(half, half)
EMU_VECTOR_TYPES(bfloat, bfloat)
EMU_VECTOR_TYPES(float, float)
#undef EMU_VECTOR_TYPES

} // namespace metal

// Copies of a union of a kernel's, which vectors in it would forbid; the first
// thing in its body.
#define EMU_UNION(name)                           \
  name() = default;                               \
  EMU_INLINE name(const name& other) {            \
    __builtin_memcpy(this, &other, sizeof(name)); \
  }                                               \
  EMU_INLINE name& operator=(const name& other) { \
    __builtin_memcpy(this, &other, sizeof(name)); \
    return *this;                                 \
  }

// The types' names are there without `using namespace metal` too.
#define EMU_VECTOR_TYPES(name) \
  using metal::name##2;        \
  using metal::name##3;        \
  using metal::name##4;

EMU_VECTOR_TYPES(bool)
EMU_VECTOR_TYPES(char)
EMU_VECTOR_TYPES(uchar)
EMU_VECTOR_TYPES(short)
EMU_VECTOR_TYPES(ushort)
EMU_VECTOR_TYPES(int)
EMU_VECTOR_TYPES(uint)
EMU_VECTOR_TYPES(long)
EMU_VECTOR_TYPES(ulong)
EMU_VECTOR_TYPES(half)
EMU_VECTOR_TYPES(bfloat)
EMU_VECTOR_TYPES(float)
#undef EMU_VECTOR_TYPES
