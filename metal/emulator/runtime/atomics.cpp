// Copyright © 2026 The mlx-fork authors
//
// What instrumented code calls for atomic operations: clang's interface for
// ThreadSanitizer. Metal has relaxed ones only, and one worker runs checked
// kernels, so they are plain here.

#include <cstdint>

#include "access.h"

#define EMU_PC __builtin_return_address(0)
#define EMU_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using emu::Access;

template <typename T>
T* judged(const volatile T* at, Access access, const void* pc) {
  auto* place = const_cast<T*>(at);
  emu::on_access(place, sizeof(T), access, sizeof(T), pc);
  return place;
}

template <typename T, typename F>
T update(volatile T* at, const void* pc, F next) {
  auto* place = judged(at, Access::atomic_update, pc);
  T old = *place;
  *place = T(next(old));
  return old;
}

// Stores only where it finds what is expected. Gives back what it found.
template <typename T>
T compare_exchange(volatile T* at, T expected, T value, const void* pc) {
  T old = *judged(at, Access::atomic_load, pc);
  if (old == expected) {
    *judged(at, Access::atomic_store, pc) = value;
  }
  return old;
}

} // namespace

#define EMU_FETCH(T, bits, name, expression)                      \
  EMU_EXPORT T __tsan_atomic##bits##_fetch_##name(                \
      volatile T* at, T value, int) {                             \
    return update(at, EMU_PC, [&](T old) { return expression; }); \
  }

#define EMU_ATOMICS(T, bits)                                                  \
  EMU_EXPORT T __tsan_atomic##bits##_load(const volatile T* at, int) {        \
    return *judged(at, Access::atomic_load, EMU_PC);                          \
  }                                                                           \
  EMU_EXPORT void __tsan_atomic##bits##_store(volatile T* at, T value, int) { \
    *judged(at, Access::atomic_store, EMU_PC) = value;                        \
  }                                                                           \
  EMU_EXPORT T __tsan_atomic##bits##_exchange(volatile T* at, T value, int) { \
    return update(at, EMU_PC, [&](T) { return value; });                      \
  }                                                                           \
  EMU_FETCH(T, bits, add, old + value)                                        \
  EMU_FETCH(T, bits, sub, old - value)                                        \
  EMU_FETCH(T, bits, and, old& value)                                         \
  EMU_FETCH(T, bits, or, old | value)                                         \
  EMU_FETCH(T, bits, xor, old ^ value)                                        \
  EMU_FETCH(T, bits, nand, ~(old & value))                                    \
  EMU_EXPORT int __tsan_atomic##bits##_compare_exchange_strong(               \
      volatile T* at, T* expected, T value, int, int) {                       \
    T old = compare_exchange(at, *expected, value, EMU_PC);                   \
    bool done = old == *expected;                                             \
    *expected = old;                                                          \
    return done;                                                              \
  }                                                                           \
  EMU_EXPORT int __tsan_atomic##bits##_compare_exchange_weak(                 \
      volatile T* at, T* expected, T value, int, int) {                       \
    T old = compare_exchange(at, *expected, value, EMU_PC);                   \
    bool done = old == *expected;                                             \
    *expected = old;                                                          \
    return done;                                                              \
  }                                                                           \
  EMU_EXPORT T __tsan_atomic##bits##_compare_exchange_val(                    \
      volatile T* at, T expected, T value, int, int) {                        \
    return compare_exchange(at, expected, value, EMU_PC);                     \
  }

EMU_ATOMICS(uint8_t, 8)
EMU_ATOMICS(uint16_t, 16)
EMU_ATOMICS(uint32_t, 32)
EMU_ATOMICS(uint64_t, 64)

EMU_EXPORT void __tsan_atomic_thread_fence(int) {}
EMU_EXPORT void __tsan_atomic_signal_fence(int) {}
