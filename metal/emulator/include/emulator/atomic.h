// Copyright © 2026 The mlx-fork authors
//
// <metal_atomic>, on the compiler's atomic builtins, so that the checked build
// sees them as atomic accesses.
//
// Wider than Metal: every operation is there for every type of 4 or 8 bytes
// (Metal has only min and max for ulong, and only add and sub for float).

#pragma once

#include "emulator/barrier.h"
#include "emulator/type_traits.h"

namespace metal {

template <typename T>
struct _atomic {
  static_assert(
      is_same_v<T, bool> || (is_arithmetic_v<T> && sizeof(T) >= 4),
      "atomic<T>: T is bool, int, uint, long, ulong or float");
  T emu_value;
};

template <typename T>
using atomic = _atomic<T>;

typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<bool> atomic_bool;
typedef atomic<float> atomic_float;
typedef atomic<long> atomic_long;
typedef atomic<ulong> atomic_ulong;

} // namespace metal

namespace emu {

// The integer that holds the bits of T.
template <typename T>
using atomic_bits_t = std::conditional_t<
    sizeof(T) == 1,
    uint8_t,
    std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;

template <typename T>
EMU_INLINE volatile atomic_bits_t<T>* atomic_bits(
    const volatile metal::atomic<T>* object) {
  return reinterpret_cast<volatile atomic_bits_t<T>*>(
      const_cast<volatile T*>(&object->emu_value));
}

// What the object holds, to begin with: the exchange that follows is what is
// seen and counted.
template <typename T>
__attribute__((no_sanitize("thread"))) inline atomic_bits_t<T> atomic_peek(
    const volatile metal::atomic<T>* object) {
  return *atomic_bits(object);
}

// Replaces the value by F of it and `v`; gives the value before.
template <typename F, typename T>
EMU_INLINE T atomic_update(volatile metal::atomic<T>* object, T v, int order) {
  typedef atomic_bits_t<T> Bits;
  Bits before = atomic_peek(object);
  Bits after;
  do {
    after = __builtin_bit_cast(
        Bits, static_cast<T>(F::call(__builtin_bit_cast(T, before), v)));
  } while (!__atomic_compare_exchange_n(
      atomic_bits(object), &before, after, true, order, __ATOMIC_RELAXED));
  return __builtin_bit_cast(T, before);
}

namespace fn {

struct atomic_add {
  template <typename T>
  static EMU_INLINE T call(T a, T b) {
    return a + b;
  }
};

struct atomic_sub {
  template <typename T>
  static EMU_INLINE T call(T a, T b) {
    return a - b;
  }
};

struct atomic_min {
  template <typename T>
  static EMU_INLINE T call(T a, T b) {
    return b < a ? b : a;
  }
};

struct atomic_max {
  template <typename T>
  static EMU_INLINE T call(T a, T b) {
    return a < b ? b : a;
  }
};

} // namespace fn
} // namespace emu

namespace metal {

template <typename T>
EMU_INLINE T
atomic_load_explicit(const volatile atomic<T>* object, memory_order order) {
  return __builtin_bit_cast(
      T, __atomic_load_n(emu::atomic_bits(object), static_cast<int>(order)));
}

template <typename T>
EMU_INLINE void atomic_store_explicit(
    volatile atomic<T>* object,
    emu::same_t<T> v,
    memory_order order) {
  __atomic_store_n(
      emu::atomic_bits(object),
      __builtin_bit_cast(emu::atomic_bits_t<T>, v),
      static_cast<int>(order));
}

template <typename T>
EMU_INLINE T atomic_exchange_explicit(
    volatile atomic<T>* object,
    emu::same_t<T> v,
    memory_order order) {
  return __builtin_bit_cast(
      T,
      __atomic_exchange_n(
          emu::atomic_bits(object),
          __builtin_bit_cast(emu::atomic_bits_t<T>, v),
          static_cast<int>(order)));
}

template <typename T>
EMU_INLINE bool atomic_compare_exchange_weak_explicit(
    volatile atomic<T>* object,
    emu::same_t<T>* expected,
    emu::same_t<T> desired,
    memory_order success,
    memory_order failure) {
  typedef emu::atomic_bits_t<T> Bits;
  Bits found = __builtin_bit_cast(Bits, *expected);
  const bool done = __atomic_compare_exchange_n(
      emu::atomic_bits(object),
      &found,
      __builtin_bit_cast(Bits, desired),
      true,
      static_cast<int>(success),
      static_cast<int>(failure));
  if (!done) {
    *expected = __builtin_bit_cast(T, found);
  }
  return done;
}

#define EMU_ATOMIC_LOOP(name, function)                                   \
  template <typename T>                                                   \
  EMU_INLINE T name(                                                      \
      volatile atomic<T>* object, emu::same_t<T> v, memory_order order) { \
    return emu::atomic_update<emu::fn::function>(                         \
        object, v, static_cast<int>(order));                              \
  }

EMU_ATOMIC_LOOP(atomic_fetch_min_explicit, atomic_min)
EMU_ATOMIC_LOOP(atomic_fetch_max_explicit, atomic_max)
#undef EMU_ATOMIC_LOOP

#define EMU_ATOMIC_SUM(name, builtin, function)                           \
  template <typename T>                                                   \
  EMU_INLINE T name(                                                      \
      volatile atomic<T>* object, emu::same_t<T> v, memory_order order) { \
    if constexpr (std::is_integral_v<T>) {                                \
      return builtin(&object->emu_value, v, static_cast<int>(order));     \
    } else {                                                              \
      return emu::atomic_update<emu::fn::function>(                       \
          object, v, static_cast<int>(order));                            \
    }                                                                     \
  }

EMU_ATOMIC_SUM(atomic_fetch_add_explicit, __atomic_fetch_add, atomic_add)
EMU_ATOMIC_SUM(atomic_fetch_sub_explicit, __atomic_fetch_sub, atomic_sub)
#undef EMU_ATOMIC_SUM

#define EMU_ATOMIC_BITS(name, builtin)                                    \
  template <typename T>                                                   \
  EMU_INLINE T name(                                                      \
      volatile atomic<T>* object, emu::same_t<T> v, memory_order order) { \
    return builtin(&object->emu_value, v, static_cast<int>(order));       \
  }

EMU_ATOMIC_BITS(atomic_fetch_and_explicit, __atomic_fetch_and)
EMU_ATOMIC_BITS(atomic_fetch_or_explicit, __atomic_fetch_or)
EMU_ATOMIC_BITS(atomic_fetch_xor_explicit, __atomic_fetch_xor)
#undef EMU_ATOMIC_BITS

// The two that Metal has for ulong: without a result.
EMU_INLINE void atomic_min_explicit(
    volatile atomic<ulong>* object,
    ulong v,
    memory_order order) {
  atomic_fetch_min_explicit(object, v, order);
}

EMU_INLINE void atomic_max_explicit(
    volatile atomic<ulong>* object,
    ulong v,
    memory_order order) {
  atomic_fetch_max_explicit(object, v, order);
}

EMU_INLINE void atomic_thread_fence(
    mem_flags,
    memory_order order,
    thread_scope = thread_scope_device) {
  __atomic_thread_fence(static_cast<int>(order));
}

} // namespace metal
