// Copyright © 2026 The mlx-fork authors
//
// <metal_geometric>: products, lengths and directions of vectors. Sums go from
// the first element to the last, each step rounded to the element's type.

#pragma once

#include "emulator/math.h"

namespace metal {

template <
    typename A,
    typename B,
    typename V = emu::vector_common_t<A, B>,
    std::enable_if_t<emu::is_vector<A> && emu::is_vector<B>, int> = 0>
EMU_INLINE emu::element_t<V> dot(const A& a, const B& b) {
  typedef emu::element_t<V> T;
  const V x(a);
  const V y(b);
  T sum = static_cast<T>(x.e[0] * y.e[0]);
  for (int i = 1; i < emu::vector_size<V>; ++i) {
    sum = static_cast<T>(sum + x.e[i] * y.e[i]);
  }
  return sum;
}

template <
    typename A,
    typename B,
    typename V = emu::vector_common_t<A, B>,
    std::enable_if_t<emu::vector_size<V> == 3, int> = 0>
EMU_INLINE V cross(const A& a, const B& b) {
  const V x(a);
  const V y(b);
  return V(x.y * y.z - x.z * y.y, x.z * y.x - x.x * y.z, x.x * y.y - x.y * y.x);
}

template <typename A, typename V = emu::vector_common_t<A, A>>
EMU_INLINE emu::element_t<V> length_squared(const A& a) {
  return dot(a, a);
}

template <typename A, typename V = emu::vector_common_t<A, A>>
EMU_INLINE emu::element_t<V> length(const A& a) {
  return emu::element_t<V>(sqrt(dot(a, a)));
}

template <typename A, typename B, typename V = emu::vector_common_t<A, B>>
EMU_INLINE emu::element_t<V> distance_squared(const A& a, const B& b) {
  return length_squared(V(a) - V(b));
}

template <typename A, typename B, typename V = emu::vector_common_t<A, B>>
EMU_INLINE emu::element_t<V> distance(const A& a, const B& b) {
  return length(V(a) - V(b));
}

template <typename A, typename V = emu::vector_common_t<A, A>>
EMU_INLINE V normalize(const A& a) {
  return V(a) * emu::element_t<V>(rsqrt(dot(a, a)));
}

template <typename A, typename B, typename V = emu::vector_common_t<A, B>>
EMU_INLINE V reflect(const A& incident, const B& normal) {
  typedef emu::element_t<V> T;
  return V(incident) - V(normal) * T(T(2) * dot(normal, incident));
}

// n, or -n where it points the same way as the reference.
template <typename A, typename B, typename C>
EMU_INLINE emu::vector_common_t<A, B>
faceforward(const A& n, const B& incident, const C& reference) {
  typedef emu::vector_common_t<A, B> V;
  return dot(reference, incident) < 0 ? V(n) : -V(n);
}

namespace fast {
using metal::distance;
using metal::length;
using metal::normalize;
} // namespace fast

namespace precise {
using metal::distance;
using metal::length;
using metal::normalize;
} // namespace precise

} // namespace metal
