// Copyright © 2026 The mlx-fork authors
//
// <metal_integer>: bit and saturating arithmetic of integers and vectors of
// them. The result has the arguments' type, and absdiff's is unsigned.

#pragma once

#include "emulator/map.h"

namespace emu {
namespace fn {

template <typename T>
using unsigned_t = std::make_unsigned_t<T>;

template <typename T>
constexpr int width = 8 * static_cast<int>(sizeof(T));

// The type that products and sums of T are exact in.
template <typename T>
using wide_t = std::conditional_t<
    std::is_signed_v<T>,
    std::conditional_t<(sizeof(T) < 8), int64_t, __int128>,
    std::conditional_t<(sizeof(T) < 8), uint64_t, unsigned __int128>>;

template <typename T>
EMU_INLINE T
saturated(std::conditional_t<(sizeof(T) < 8), int64_t, __int128> v) {
  typedef std::conditional_t<(sizeof(T) < 8), int64_t, __int128> W;
  constexpr W top = static_cast<W>(
      static_cast<unsigned_t<T>>(~unsigned_t<T>(0)) >> std::is_signed_v<T>);
  constexpr W bottom = std::is_signed_v<T> ? -top - 1 : W(0);
  return static_cast<T>(v > top ? top : v < bottom ? bottom : v);
}

struct popcount {
  template <typename T>
  static EMU_INLINE T call(T x) {
    return static_cast<T>(__builtin_popcountll(static_cast<unsigned_t<T>>(x)));
  }
};

struct clz {
  template <typename T>
  static EMU_INLINE T call(T x) {
    const uint64_t bits = static_cast<unsigned_t<T>>(x);
    return static_cast<T>(
        bits ? __builtin_clzll(bits) - (64 - width<T>) : width<T>);
  }
};

struct ctz {
  template <typename T>
  static EMU_INLINE T call(T x) {
    const uint64_t bits = static_cast<unsigned_t<T>>(x);
    return static_cast<T>(bits ? __builtin_ctzll(bits) : width<T>);
  }
};

struct reverse_bits {
  template <typename T>
  static EMU_INLINE T call(T x) {
    const uint64_t bits = static_cast<unsigned_t<T>>(x);
    return static_cast<T>(__builtin_bitreverse64(bits) >> (64 - width<T>));
  }
};

struct rotate {
  template <typename T>
  static EMU_INLINE T call(T x, T by) {
    const unsigned_t<T> bits = static_cast<unsigned_t<T>>(x);
    const int n = static_cast<int>(
        static_cast<unsigned_t<T>>(by) & unsigned_t<T>(width<T> - 1));
    return static_cast<T>(n ? (bits << n) | (bits >> (width<T> - n)) : bits);
  }
};

struct mulhi {
  template <typename T>
  static EMU_INLINE T call(T x, T y) {
    return static_cast<T>(
        (static_cast<wide_t<T>>(x) * static_cast<wide_t<T>>(y)) >> width<T>);
  }
};

struct madhi {
  template <typename T>
  static EMU_INLINE T call(T x, T y, T z) {
    return static_cast<T>(
        static_cast<unsigned_t<T>>(mulhi::call(x, y)) +
        static_cast<unsigned_t<T>>(z));
  }
};

// The product of the low 24 bits.
struct mul24 {
  template <typename T>
  static EMU_INLINE T call(T x, T y) {
    if constexpr (std::is_signed_v<T>) {
      const int64_t a =
          static_cast<int32_t>(static_cast<uint32_t>(x) << 8) >> 8;
      const int64_t b =
          static_cast<int32_t>(static_cast<uint32_t>(y) << 8) >> 8;
      return static_cast<T>(a * b);
    } else {
      return static_cast<T>((x & 0xffffff) * (y & 0xffffff));
    }
  }
};

struct mad24 {
  template <typename T>
  static EMU_INLINE T call(T x, T y, T z) {
    return static_cast<T>(
        static_cast<unsigned_t<T>>(mul24::call(x, y)) +
        static_cast<unsigned_t<T>>(z));
  }
};

struct addsat {
  template <typename T>
  static EMU_INLINE T call(T x, T y) {
    if constexpr (sizeof(T) == 8 && !std::is_signed_v<T>) {
      const T sum = x + y;
      return sum < x ? ~T(0) : sum;
    } else {
      return saturated<T>(
          static_cast<std::conditional_t<(sizeof(T) < 8), int64_t, __int128>>(
              x) +
          y);
    }
  }
};

struct subsat {
  template <typename T>
  static EMU_INLINE T call(T x, T y) {
    if constexpr (sizeof(T) == 8 && !std::is_signed_v<T>) {
      return x < y ? T(0) : x - y;
    } else {
      return saturated<T>(
          static_cast<std::conditional_t<(sizeof(T) < 8), int64_t, __int128>>(
              x) -
          y);
    }
  }
};

struct madsat {
  template <typename T>
  static EMU_INLINE T call(T x, T y, T z) {
    const __int128 product =
        static_cast<__int128>(x) * static_cast<__int128>(y);
    constexpr __int128 top =
        static_cast<unsigned_t<T>>(~unsigned_t<T>(0)) >> std::is_signed_v<T>;
    constexpr __int128 bottom = std::is_signed_v<T> ? -top - 1 : 0;
    const __int128 sum = product + z;
    return static_cast<T>(sum > top ? top : sum < bottom ? bottom : sum);
  }
};

struct absdiff {
  template <typename T>
  static EMU_INLINE unsigned_t<T> call(T x, T y) {
    typedef unsigned_t<T> U;
    return static_cast<U>(
        x < y ? static_cast<U>(y) - static_cast<U>(x)
              : static_cast<U>(x) - static_cast<U>(y));
  }
};

// (x + y) / 2 without overflow, rounded down.
struct hadd {
  template <typename T>
  static EMU_INLINE T call(T x, T y) {
    return static_cast<T>((x >> 1) + (y >> 1) + (x & y & 1));
  }
};

// And rounded up.
struct rhadd {
  template <typename T>
  static EMU_INLINE T call(T x, T y) {
    return static_cast<T>((x >> 1) + (y >> 1) + ((x | y) & 1));
  }
};

} // namespace fn

// Integers and their vectors, promoted no further than the larger of the two.
template <typename A, typename B, typename = void>
struct CommonInteger {};

template <typename A, typename B>
struct CommonInteger<
    A,
    B,
    std::enable_if_t<std::is_integral_v<A> && std::is_integral_v<B>>> {
  typedef typename CommonScalar<A, B>::type type;
};

template <typename A, typename B>
struct CommonInteger<
    A,
    B,
    std::enable_if_t<
        std::is_integral_v<element_t<typename Common<A, B>::type>>>> {
  typedef typename Common<A, B>::type type;
};

template <typename A, typename B = A>
using integer_t =
    typename CommonInteger<std::remove_cv_t<A>, std::remove_cv_t<B>>::type;

} // namespace emu

namespace metal {

#define EMU_INTEGER_1(name)                             \
  template <typename T, typename V = emu::integer_t<T>> \
  EMU_INLINE V name(const T& x) {                       \
    return emu::elementwise<emu::fn::name, V>(V(x));    \
  }

#define EMU_INTEGER_2(name)                                            \
  template <typename T, typename U, typename V = emu::integer_t<T, U>> \
  EMU_INLINE V name(const T& x, const U& y) {                          \
    return emu::elementwise<emu::fn::name, V>(V(x), V(y));             \
  }

#define EMU_INTEGER_3(name)                                      \
  template <                                                     \
      typename T,                                                \
      typename U,                                                \
      typename W,                                                \
      typename V = emu::integer_t<emu::integer_t<T, U>, W>>      \
  EMU_INLINE V name(const T& x, const U& y, const W& z) {        \
    return emu::elementwise<emu::fn::name, V>(V(x), V(y), V(z)); \
  }

EMU_INTEGER_1(clz)
EMU_INTEGER_1(ctz)
EMU_INTEGER_1(popcount)
EMU_INTEGER_1(reverse_bits)
EMU_INTEGER_2(addsat)
EMU_INTEGER_2(hadd)
EMU_INTEGER_2(mul24)
EMU_INTEGER_2(mulhi)
EMU_INTEGER_2(rhadd)
EMU_INTEGER_2(rotate)
EMU_INTEGER_2(subsat)
EMU_INTEGER_3(mad24)
EMU_INTEGER_3(madhi)
EMU_INTEGER_3(madsat)
#undef EMU_INTEGER_1
#undef EMU_INTEGER_2
#undef EMU_INTEGER_3

template <typename T, typename U, typename V = emu::integer_t<T, U>>
EMU_INLINE auto absdiff(const T& x, const U& y) {
  typedef emu::with_scalar_t<V, emu::fn::unsigned_t<emu::scalar_t<V>>> R;
  return emu::elementwise<emu::fn::absdiff, R>(V(x), V(y));
}

// `bits` bits of v from `offset` on, sign-extended for signed types.
template <typename T, typename V = emu::integer_t<T>>
EMU_INLINE V extract_bits(const T& v, uint offset, uint bits) {
  typedef emu::scalar_t<V> E;
  if constexpr (emu::is_vector<V>) {
    const V x(v);
    V result;
    for (int i = 0; i < emu::vector_size<V>; ++i) {
      result.e[i] = extract_bits(x.e[i], offset, bits);
    }
    return result;
  } else {
    typedef std::make_unsigned_t<E> U;
    constexpr int width = emu::fn::width<E>;
    if (bits == 0) {
      return 0;
    }
    const U up = static_cast<U>(static_cast<U>(v) << (width - offset - bits));
    return static_cast<E>(static_cast<E>(up) >> (width - bits));
  }
}

// base with `bits` bits from `offset` on replaced by the low ones of v.
template <typename T, typename V = emu::integer_t<T>>
EMU_INLINE V insert_bits(const T& base, const T& v, uint offset, uint bits) {
  typedef emu::scalar_t<V> E;
  typedef std::make_unsigned_t<E> U;
  constexpr int width = emu::fn::width<E>;
  const U ones = bits == 0 ? U(0) : static_cast<U>(U(~U(0)) >> (width - bits));
  const U mask = static_cast<U>(ones << offset);
  if constexpr (emu::is_vector<V>) {
    V result;
    for (int i = 0; i < emu::vector_size<V>; ++i) {
      result.e[i] = insert_bits(V(base).e[i], V(v).e[i], offset, bits);
    }
    return result;
  } else {
    return static_cast<E>(
        (static_cast<U>(base) & static_cast<U>(~mask)) |
        (static_cast<U>(static_cast<U>(v) << offset) & mask));
  }
}

} // namespace metal
