// Copyright © 2026 The mlx-fork authors
//
// <metal_simdgroup>: functions of a SIMD group of 32 lanes, for scalars and
// vectors.
//
// simd_shuffle_down and _up past the group's end give the lane's own value, as
// Apple's GPUs do; other reads of lanes that are not there give poison
// (simd_table.h). Reductions of half and bfloat round each addition.

#pragma once

#include "emulator/simd_table.h"

namespace metal {

#define EMU_SIMD_REDUCTION(name, function)                               \
  template <                                                             \
      typename T,                                                        \
      typename V = emu::common_t<T>,                                     \
      emu::unless_bfloat_expression<T> = 0>                              \
  EMU_INLINE auto name(const T& v, emu::Site site = emu::Site::here()) { \
    return emu::as_expression<T>(                                        \
        emu::simd_reduction<emu::fn::function>(#name, V(v), site));      \
  }                                                                      \
  EMU_BFLOAT_EXPRESSION_1(name)

EMU_SIMD_REDUCTION(simd_sum, simd_add)
EMU_SIMD_REDUCTION(simd_product, simd_mul)
EMU_SIMD_REDUCTION(simd_min, simd_minimum)
EMU_SIMD_REDUCTION(simd_max, simd_maximum)
EMU_SIMD_REDUCTION(simd_and, simd_bits_and)
EMU_SIMD_REDUCTION(simd_or, simd_bits_or)
EMU_SIMD_REDUCTION(simd_xor, simd_bits_xor)
#undef EMU_SIMD_REDUCTION

#define EMU_SIMD_SCAN(name, function, inclusive)                          \
  template <                                                              \
      typename T,                                                         \
      typename V = emu::common_t<T>,                                      \
      emu::unless_bfloat_expression<T> = 0>                               \
  EMU_INLINE auto name(const T& v, emu::Site site = emu::Site::here()) {  \
    return emu::as_expression<T>(                                         \
        emu::simd_scan<emu::fn::function, inclusive>(#name, V(v), site)); \
  }                                                                       \
  EMU_BFLOAT_EXPRESSION_1(name)

EMU_SIMD_SCAN(simd_prefix_inclusive_sum, simd_add, true)
EMU_SIMD_SCAN(simd_prefix_exclusive_sum, simd_add, false)
EMU_SIMD_SCAN(simd_prefix_inclusive_product, simd_mul, true)
EMU_SIMD_SCAN(simd_prefix_exclusive_product, simd_mul, false)
#undef EMU_SIMD_SCAN

// `lane` is this thread's; the expression names the lane to read.
#define EMU_SIMD_SHUFFLE(name, argument, expression)                     \
  template <                                                             \
      typename T,                                                        \
      typename V = emu::common_t<T>,                                     \
      emu::unless_bfloat_expression<T> = 0>                              \
  EMU_INLINE auto name(                                                  \
      const T& v, ushort argument, emu::Site site = emu::Site::here()) { \
    const uint lane = emu::simd_lane();                                  \
    (void)lane;                                                          \
    return emu::as_expression<T>(                                        \
        emu::simd_from(#name, V(v), expression, site));                  \
  }                                                                      \
  template <typename T, emu::if_bfloat_expression<T> = 0>                \
  EMU_INLINE auto name(const T& v, ushort argument) {                    \
    return emu::as_expression<T>(name(emu::rounded(v), argument));       \
  }

EMU_SIMD_SHUFFLE(simd_broadcast, from, from)
EMU_SIMD_SHUFFLE(simd_shuffle, from, from)
EMU_SIMD_SHUFFLE(simd_shuffle_xor, mask, lane ^ mask)
EMU_SIMD_SHUFFLE(
    simd_shuffle_down,
    delta,
    lane + delta < emu::simd_width ? lane + delta : lane)
EMU_SIMD_SHUFFLE(simd_shuffle_up, delta, lane >= delta ? lane - delta : lane)
EMU_SIMD_SHUFFLE(
    simd_shuffle_rotate_down,
    delta,
    (lane + delta) % emu::simd_width)
EMU_SIMD_SHUFFLE(
    simd_shuffle_rotate_up,
    delta,
    (lane + emu::simd_width - delta % emu::simd_width) % emu::simd_width)
#undef EMU_SIMD_SHUFFLE

// Shifts within segments of `modulo` lanes; what is shifted in comes from the
// other end of the segment of `fill`.
template <
    typename T,
    typename V = emu::common_t<T>,
    emu::unless_bfloat_expression<T> = 0>
EMU_INLINE V simd_shuffle_and_fill_down(
    const T& v,
    const emu::same_t<V>& fill,
    ushort delta,
    ushort modulo,
    emu::Site site = emu::Site::here()) {
  const uint lane = emu::simd_lane();
  const uint at = lane % modulo + delta;
  return emu::simd_from_either(
      "simd_shuffle_and_fill_down",
      V(v),
      fill,
      at >= modulo,
      lane - lane % modulo + at % modulo,
      site);
}

template <
    typename T,
    typename V = emu::common_t<T>,
    emu::unless_bfloat_expression<T> = 0>
EMU_INLINE V simd_shuffle_and_fill_up(
    const T& v,
    const emu::same_t<V>& fill,
    ushort delta,
    ushort modulo,
    emu::Site site = emu::Site::here()) {
  const uint lane = emu::simd_lane();
  const uint at = lane % modulo;
  return emu::simd_from_either(
      "simd_shuffle_and_fill_up",
      V(v),
      fill,
      at < delta,
      lane - at + (at + modulo - delta % modulo) % modulo,
      site);
}

#define EMU_SIMD_FILL(name)                                     \
  template <                                                    \
      typename T,                                               \
      typename V = emu::common_t<T>,                            \
      emu::unless_bfloat_expression<T> = 0>                     \
  EMU_INLINE auto name(                                         \
      const T& v,                                               \
      const emu::same_t<V>& fill,                               \
      ushort delta,                                             \
      emu::Site site = emu::Site::here()) {                     \
    return name(v, fill, delta, ushort(emu::simd_width), site); \
  }

EMU_SIMD_FILL(simd_shuffle_and_fill_down)
EMU_SIMD_FILL(simd_shuffle_and_fill_up)
#undef EMU_SIMD_FILL

// A bit for each lane.
class simd_vote {
 public:
  typedef ulong vote_t;

  simd_vote() = default;
  EMU_INLINE explicit constexpr simd_vote(vote_t v) : mask_(v) {}

  EMU_INLINE explicit constexpr operator vote_t() const {
    return mask_;
  }

  EMU_INLINE constexpr bool all() const {
    return mask_ == 0xffffffff;
  }

  EMU_INLINE constexpr bool any() const {
    return mask_ != 0;
  }

 private:
  vote_t mask_;
};

} // namespace metal

namespace emu {

// The lanes that are there and brought true, in the table's result.
EMU_UNINSTRUMENTED inline void simd_finish_ballot(SimdTable& table) {
  uint32_t mask = 0;
  for (uint32_t i = 0; i < simd_width; ++i) {
    if (simd_has(table, i) && simd_value<bool>(table, i)) {
      mask |= 1u << i;
    }
  }
  *reinterpret_cast<uint32_t*>(table.result) = mask;
}

struct Ballot {
  uint32_t voted;
  uint32_t active;
};

EMU_INLINE Ballot simd_ballot(const char* name, bool v, Site site) {
  const SimdTable& table = simd_meet(name, v, simd_finish_ballot, site);
  return Ballot{*reinterpret_cast<const uint32_t*>(table.result), table.active};
}

} // namespace emu

namespace metal {

EMU_INLINE simd_vote simd_ballot(bool v, emu::Site site = emu::Site::here()) {
  return simd_vote(emu::simd_ballot("simd_ballot", v, site).voted);
}

EMU_INLINE bool simd_all(bool v, emu::Site site = emu::Site::here()) {
  const emu::Ballot ballot = emu::simd_ballot("simd_all", v, site);
  return ballot.voted == ballot.active;
}

EMU_INLINE bool simd_any(bool v, emu::Site site = emu::Site::here()) {
  return emu::simd_ballot("simd_any", v, site).voted != 0;
}

EMU_INLINE simd_vote
simd_active_threads_mask(emu::Site site = emu::Site::here()) {
  return simd_vote(
      emu::simd_ballot("simd_active_threads_mask", true, site).active);
}

EMU_INLINE bool simd_is_first(emu::Site site = emu::Site::here()) {
  const uint active = emu::simd_ballot("simd_is_first", true, site).active;
  return emu::simd_lane() == static_cast<uint>(__builtin_ctz(active));
}

template <
    typename T,
    typename V = emu::common_t<T>,
    emu::unless_bfloat_expression<T> = 0>
EMU_INLINE V
simd_broadcast_first(const T& v, emu::Site site = emu::Site::here()) {
  const V mine(v);
  EMU_BY_ELEMENTS(V, simd_broadcast_first(mine.e[i], site))
  else {
    const emu::SimdTable& table =
        emu::simd_meet("simd_broadcast_first", mine, nullptr, site);
    return emu::simd_value<V>(
        table, static_cast<uint>(__builtin_ctz(table.active)));
  }
}

} // namespace metal
