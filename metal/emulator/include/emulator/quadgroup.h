// Copyright © 2026 The mlx-fork authors
//
// <metal_quadgroup>: functions of four consecutive lanes.
//
// They meet the whole SIMD group, so a quad that alone is in a branch is
// reported as divergent though Metal allows it.

#pragma once

#include "emulator/simdgroup.h"

namespace emu {

constexpr uint32_t quad_width = 4;

// F over the lanes of the quad that are there, in ascending order.
template <typename F, typename V>
EMU_INLINE V quad_reduction(const char* name, const V& v, Site site) {
  EMU_BY_ELEMENTS(V, quad_reduction<F>(name, v.e[i], site))
  else {
    const SimdTable& table = simd_meet(name, v, nullptr, site);
    const uint32_t first = simd_lane() / quad_width * quad_width;
    V sum = simd_value<V>(table, first);
    for (uint32_t i = 1; i < quad_width; ++i) {
      if (simd_has(table, first + i)) {
        sum = F::template call<V>(sum, simd_value<V>(table, first + i));
      }
    }
    return sum;
  }
}

template <typename F, bool inclusive, typename V>
EMU_INLINE V quad_scan(const char* name, const V& v, Site site) {
  EMU_BY_ELEMENTS(V, (quad_scan<F, inclusive>(name, v.e[i], site)))
  else {
    const SimdTable& table = simd_meet(name, v, nullptr, site);
    const uint32_t lane = simd_lane();
    V sum = F::template identity<V>();
    for (uint32_t i = lane / quad_width * quad_width; i < lane + inclusive;
         ++i) {
      sum = F::template call<V>(sum, simd_value<V>(table, i));
    }
    return sum;
  }
}

// The lanes of the quad that are there and brought true, and those there.
EMU_INLINE Ballot quad_ballot(const char* name, bool v, Site site) {
  const Ballot all = simd_ballot(name, v, site);
  const uint32_t shift = simd_lane() / quad_width * quad_width;
  return Ballot{(all.voted >> shift) & 15, (all.active >> shift) & 15};
}

} // namespace emu

namespace metal {

#define EMU_QUAD_REDUCTION(name, function)                               \
  template <                                                             \
      typename T,                                                        \
      typename V = emu::common_t<T>,                                     \
      emu::unless_bfloat_expression<T> = 0>                              \
  EMU_INLINE auto name(const T& v, emu::Site site = emu::Site::here()) { \
    return emu::as_expression<T>(                                        \
        emu::quad_reduction<emu::fn::function>(#name, V(v), site));      \
  }                                                                      \
  EMU_BFLOAT_EXPRESSION_1(name)

EMU_QUAD_REDUCTION(quad_sum, simd_add)
EMU_QUAD_REDUCTION(quad_product, simd_mul)
EMU_QUAD_REDUCTION(quad_min, simd_minimum)
EMU_QUAD_REDUCTION(quad_max, simd_maximum)
EMU_QUAD_REDUCTION(quad_and, simd_bits_and)
EMU_QUAD_REDUCTION(quad_or, simd_bits_or)
EMU_QUAD_REDUCTION(quad_xor, simd_bits_xor)
#undef EMU_QUAD_REDUCTION

#define EMU_QUAD_SCAN(name, function, inclusive)                          \
  template <                                                              \
      typename T,                                                         \
      typename V = emu::common_t<T>,                                      \
      emu::unless_bfloat_expression<T> = 0>                               \
  EMU_INLINE auto name(const T& v, emu::Site site = emu::Site::here()) {  \
    return emu::as_expression<T>(                                         \
        emu::quad_scan<emu::fn::function, inclusive>(#name, V(v), site)); \
  }                                                                       \
  EMU_BFLOAT_EXPRESSION_1(name)

EMU_QUAD_SCAN(quad_prefix_inclusive_sum, simd_add, true)
EMU_QUAD_SCAN(quad_prefix_exclusive_sum, simd_add, false)
EMU_QUAD_SCAN(quad_prefix_inclusive_product, simd_mul, true)
EMU_QUAD_SCAN(quad_prefix_exclusive_product, simd_mul, false)
#undef EMU_QUAD_SCAN

// `lane` is this thread's in the quad; the expression names the one to read.
#define EMU_QUAD_SHUFFLE(name, argument, expression)                       \
  template <                                                               \
      typename T,                                                          \
      typename V = emu::common_t<T>,                                       \
      emu::unless_bfloat_expression<T> = 0>                                \
  EMU_INLINE auto name(                                                    \
      const T& v, ushort argument, emu::Site site = emu::Site::here()) {   \
    const uint lane = emu::simd_lane() % emu::quad_width;                  \
    const uint first = emu::simd_lane() - lane;                            \
    const uint from_lane = expression;                                     \
    return emu::as_expression<T>(emu::simd_from(                           \
        #name,                                                             \
        V(v),                                                              \
        from_lane < emu::quad_width ? first + from_lane : emu::simd_width, \
        site));                                                            \
  }                                                                        \
  template <typename T, emu::if_bfloat_expression<T> = 0>                  \
  EMU_INLINE auto name(const T& v, ushort argument) {                      \
    return emu::as_expression<T>(name(emu::rounded(v), argument));         \
  }

EMU_QUAD_SHUFFLE(quad_broadcast, from, from)
EMU_QUAD_SHUFFLE(quad_shuffle, from, from)
EMU_QUAD_SHUFFLE(quad_shuffle_xor, mask, lane ^ mask)
EMU_QUAD_SHUFFLE(
    quad_shuffle_down,
    delta,
    lane + delta < emu::quad_width ? lane + delta : lane)
EMU_QUAD_SHUFFLE(quad_shuffle_up, delta, lane >= delta ? lane - delta : lane)
EMU_QUAD_SHUFFLE(
    quad_shuffle_rotate_down,
    delta,
    (lane + delta) % emu::quad_width)
EMU_QUAD_SHUFFLE(
    quad_shuffle_rotate_up,
    delta,
    (lane + emu::quad_width - delta % emu::quad_width) % emu::quad_width)
#undef EMU_QUAD_SHUFFLE

EMU_INLINE bool quad_all(bool v, emu::Site site = emu::Site::here()) {
  const emu::Ballot ballot = emu::quad_ballot("quad_all", v, site);
  return ballot.voted == ballot.active;
}

EMU_INLINE bool quad_any(bool v, emu::Site site = emu::Site::here()) {
  return emu::quad_ballot("quad_any", v, site).voted != 0;
}

// A bit for each lane of the quad.
class quad_vote {
 public:
  typedef uint vote_t;

  quad_vote() = default;
  EMU_INLINE explicit constexpr quad_vote(vote_t v) : mask_(v) {}

  EMU_INLINE explicit constexpr operator vote_t() const {
    return mask_;
  }

  EMU_INLINE constexpr bool all() const {
    return mask_ == 0xf;
  }

  EMU_INLINE constexpr bool any() const {
    return mask_ != 0;
  }

 private:
  vote_t mask_;
};

EMU_INLINE quad_vote quad_ballot(bool v, emu::Site site = emu::Site::here()) {
  return quad_vote(emu::quad_ballot("quad_ballot", v, site).voted);
}

} // namespace metal
