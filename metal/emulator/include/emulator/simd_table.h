// Copyright © 2026 The mlx-fork authors
//
// What SIMD-group functions are made of: values brought to a table that all
// lanes of the group see, reductions and scans over it.
//
// A lane that is not there (the group's last lanes where the threadgroup is no
// multiple of 32) brings nothing. Metal leaves undefined what reading it gives;
// here it is poison: all bits set, NaN for floats, true for bool.

#pragma once

#include "emulator/as_type.h"
#include "emulator/common.h"

#define EMU_UNINSTRUMENTED __attribute__((no_sanitize("thread")))

namespace emu {

constexpr int simd_width = 32;

EMU_INLINE bool simd_has(const SimdTable& table, uint32_t lane) {
  return lane < simd_width && ((table.active >> lane) & 1);
}

template <typename T>
EMU_INLINE T simd_value(const SimdTable& table, uint32_t lane) {
  return *reinterpret_cast<const T*>(table.lane[lane]);
}

template <typename T>
EMU_INLINE T simd_poison() {
  if constexpr (is_vector<T>) {
    return T(simd_poison<element_t<T>>());
  } else if constexpr (std::is_same_v<T, bool>) {
    return true;
  } else if constexpr (is_small<T>) {
    return T::emu_from_bits(0xffff);
  } else if constexpr (std::is_floating_point_v<T>) {
    return __builtin_bit_cast(float, 0xffffffffu);
  } else {
    return static_cast<T>(~T(0));
  }
}

template <typename T>
EMU_INLINE T simd_value_or_poison(const SimdTable& table, uint32_t lane) {
  return simd_has(table, lane) ? simd_value<T>(table, lane) : simd_poison<T>();
}

// Meets the group with a value; what `finish` wrote is in the table.
template <typename T>
EMU_INLINE SimdTable&
simd_meet(const char* name, const T& v, void (*finish)(SimdTable&), Site site) {
  static_assert(sizeof(T) <= 16, "a SIMD operation takes at most 16 bytes");
  return simd_exchange(name, site, &v, sizeof(T), finish);
}

// f of the elements of a value too large for the table, else of the value.
#define EMU_BY_ELEMENTS(V, call_of_element)         \
  if constexpr (sizeof(V) > 16) {                   \
    V result;                                       \
    for (int i = 0; i < emu::vector_size<V>; ++i) { \
      result.e[i] = call_of_element;                \
    }                                               \
    return result;                                  \
  }

// F over the lanes that are there, in the run's order, each step rounded to T.
template <typename F, typename T>
EMU_UNINSTRUMENTED void simd_finish_reduction(SimdTable& table) {
  T value[simd_width];
  bool there[simd_width];
  for (int i = 0; i < simd_width; ++i) {
    there[i] = simd_has(table, i);
    if (there[i]) {
      value[i] = simd_value<T>(table, i);
    }
  }
  const auto join = [&](int to, int from) EMU_UNINSTRUMENTED {
    if (!there[from]) {
      return;
    }
    value[to] =
        there[to] ? F::template call<T>(value[to], value[from]) : value[from];
    there[to] = true;
  };
  int at = 0;
  switch (reduction_order()) {
    case butterfly_down:
      for (int d = simd_width / 2; d > 0; d /= 2) {
        for (int i = 0; i < d; ++i) {
          join(i, i + d);
        }
      }
      break;
    case butterfly_up:
      for (int d = 1; d < simd_width; d *= 2) {
        for (int i = 0; i < simd_width; i += 2 * d) {
          join(i, i + d);
        }
      }
      break;
    case forward:
      for (int i = 1; i < simd_width; ++i) {
        join(0, i);
      }
      break;
    case backward:
      at = simd_width - 1;
      for (int i = simd_width - 2; i >= 0; --i) {
        join(at, i);
      }
      break;
  }
  *reinterpret_cast<T*>(table.result) = value[at];
}

// The scan by lanes, into the lanes' own slots: one after the other, or by
// doubling distances where the run's order is a butterfly.
template <typename F, typename T, bool inclusive>
EMU_UNINSTRUMENTED void simd_finish_scan(SimdTable& table) {
  T value[simd_width];
  for (int i = 0; i < simd_width; ++i) {
    value[i] = simd_has(table, i) ? simd_value<T>(table, i)
                                  : F::template identity<T>();
  }
  const Reduction order = reduction_order();
  if (order == forward || order == backward) {
    for (int i = 1; i < simd_width; ++i) {
      value[i] = F::template call<T>(value[i - 1], value[i]);
    }
  } else {
    for (int d = 1; d < simd_width; d *= 2) {
      for (int i = simd_width - 1; i >= d; --i) {
        value[i] = F::template call<T>(value[i - d], value[i]);
      }
    }
  }
  for (int i = 0; i < simd_width; ++i) {
    T* to = reinterpret_cast<T*>(table.lane[i]);
    if constexpr (inclusive) {
      *to = value[i];
    } else {
      *to = i ? value[i - 1] : F::template identity<T>();
    }
  }
}

namespace fn {

struct simd_add {
  template <typename T>
  static EMU_INLINE T call(const T& a, const T& b) {
    return static_cast<T>(a + b);
  }
  template <typename T>
  static EMU_INLINE T identity() {
    return T(0);
  }
};

struct simd_mul {
  template <typename T>
  static EMU_INLINE T call(const T& a, const T& b) {
    return static_cast<T>(a * b);
  }
  template <typename T>
  static EMU_INLINE T identity() {
    return T(1);
  }
};

struct simd_minimum {
  template <typename T>
  static EMU_INLINE T call(const T& a, const T& b) {
    return static_cast<T>(metal::min(a, b));
  }
};

struct simd_maximum {
  template <typename T>
  static EMU_INLINE T call(const T& a, const T& b) {
    return static_cast<T>(metal::max(a, b));
  }
};

// Of a float: of its bits.
struct simd_bits_and {
  template <typename T>
  static EMU_INLINE T call(const T& a, const T& b) {
    if constexpr (std::is_same_v<T, float>) {
      return __builtin_bit_cast(
          float,
          __builtin_bit_cast(uint32_t, a) & __builtin_bit_cast(uint32_t, b));
    } else {
      return static_cast<T>(a & b);
    }
  }
};

struct simd_bits_or {
  template <typename T>
  static EMU_INLINE T call(const T& a, const T& b) {
    if constexpr (std::is_same_v<T, float>) {
      return __builtin_bit_cast(
          float,
          __builtin_bit_cast(uint32_t, a) | __builtin_bit_cast(uint32_t, b));
    } else {
      return static_cast<T>(a | b);
    }
  }
};

struct simd_bits_xor {
  template <typename T>
  static EMU_INLINE T call(const T& a, const T& b) {
    if constexpr (std::is_same_v<T, float>) {
      return __builtin_bit_cast(
          float,
          __builtin_bit_cast(uint32_t, a) ^ __builtin_bit_cast(uint32_t, b));
    } else {
      return static_cast<T>(a ^ b);
    }
  }
};

} // namespace fn

template <typename F, typename V>
EMU_INLINE V simd_reduction(const char* name, const V& v, Site site) {
  EMU_BY_ELEMENTS(V, simd_reduction<F>(name, v.e[i], site))
  else {
    const SimdTable& table =
        simd_meet(name, v, simd_finish_reduction<F, V>, site);
    return *reinterpret_cast<const V*>(table.result);
  }
}

template <typename F, bool inclusive, typename V>
EMU_INLINE V simd_scan(const char* name, const V& v, Site site) {
  EMU_BY_ELEMENTS(V, (simd_scan<F, inclusive>(name, v.e[i], site)))
  else {
    const SimdTable& table =
        simd_meet(name, v, simd_finish_scan<F, V, inclusive>, site);
    return simd_value<V>(table, simd_lane());
  }
}

// The value of another lane.
template <typename V>
EMU_INLINE V simd_from(const char* name, const V& v, uint32_t lane, Site site) {
  EMU_BY_ELEMENTS(V, simd_from(name, v.e[i], lane, site))
  else {
    return simd_value_or_poison<V>(simd_meet(name, v, nullptr, site), lane);
  }
}

// The value of lane `lane` of v, or of `fill` where `filled` says so.
template <typename V>
EMU_INLINE V simd_from_either(
    const char* name,
    const V& v,
    const V& fill,
    bool filled,
    uint32_t lane,
    Site site) {
  if constexpr (2 * sizeof(V) <= 16) {
    struct Pair {
      V value;
      V fill;
    };
    const SimdTable& table = simd_meet(name, Pair{v, fill}, nullptr, site);
    if (!simd_has(table, lane)) {
      return simd_poison<V>();
    }
    const Pair* pair = reinterpret_cast<const Pair*>(table.lane[lane]);
    return filled ? pair->fill : pair->value;
  } else {
    const V of_value = simd_from(name, v, lane, site);
    const V of_fill = simd_from(name, fill, lane, site);
    return filled ? of_fill : of_value;
  }
}

} // namespace emu
