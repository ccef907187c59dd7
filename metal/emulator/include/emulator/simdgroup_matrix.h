// Copyright © 2026 The mlx-fork authors
//
// <metal_simdgroup_matrix>: 8 x 8 matrices spread over a SIMD group, two
// elements a lane.
//
// Lane l holds columns c and c + 1 of one row, with q = l / 4:
// row (q & 4) + (l / 2) % 4, c = (q & 2) * 2 + (l % 2) * 2.
// Products are summed in float over ascending k, from the addend on, and
// rounded to the result's type at the end; Apple's hardware may sum otherwise.

#pragma once

#include "emulator/simdgroup.h"

namespace emu {

struct MatrixPlace {
  uint32_t row;
  uint32_t column;
};

EMU_INLINE constexpr MatrixPlace matrix_place(uint32_t lane) {
  const uint32_t quad = lane / 4;
  return MatrixPlace{
      (quad & 4) + (lane / 2) % 4, (quad & 2) * 2 + (lane % 2) * 2};
}

// The lane that holds an element; the element is its first or second by the
// column's lowest bit.
EMU_INLINE constexpr uint32_t matrix_lane(uint32_t row, uint32_t column) {
  return (row & 4) * 4 + (column & 4) * 2 + (row & 3) * 2 + ((column >> 1) & 1);
}

} // namespace emu

namespace metal {

template <typename T, int Columns, int Rows>
struct simdgroup_matrix {
  static_assert(
      Columns == 8 && Rows == 8,
      "simdgroup_matrix: only 8 x 8 matrices exist");
  static_assert(
      std::is_same_v<T, float> || emu::is_small<T>,
      "simdgroup_matrix: elements are float, half or bfloat");

  typedef vec<T, 2> storage_type;

  simdgroup_matrix() = default;

  // The diagonal matrix.
  EMU_INLINE explicit simdgroup_matrix(T v) {
    const emu::MatrixPlace place = emu::matrix_place(emu::simd_lane());
    elements_.e[0] = place.row == place.column ? v : T(0);
    elements_.e[1] = place.row == place.column + 1 ? v : T(0);
  }

  EMU_INLINE storage_type& thread_elements() {
    return elements_;
  }

  EMU_INLINE const storage_type& thread_elements() const {
    return elements_;
  }

 private:
  storage_type elements_;
};

typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;

template <typename T, int Columns, int Rows>
EMU_INLINE simdgroup_matrix<T, Columns, Rows> make_filled_simdgroup_matrix(
    emu::same_t<T> v) {
  simdgroup_matrix<T, Columns, Rows> result;
  result.thread_elements() = vec<T, 2>(v);
  return result;
}

template <typename T>
EMU_INLINE simdgroup_matrix<T, 8, 8> make_diagonal_simdgroup_matrix(T v) {
  return simdgroup_matrix<T, 8, 8>(v);
}

} // namespace metal

namespace emu {

// The lanes must be here together, though no values are exchanged.
EMU_INLINE void matrix_meet(const char* name, Site site) {
  const uint8_t nothing = 0;
  simd_meet(name, nothing, nullptr, site);
}

// Adds the products of a row of A and two columns of B; a lane's slot holds its
// elements of A, then of B.
EMU_UNINSTRUMENTED inline void
matrix_multiply(const SimdTable& table, uint32_t lane, float (&sum)[2]) {
  const MatrixPlace place = matrix_place(lane);
  for (uint32_t k = 0; k < 8; ++k) {
    const float* a =
        reinterpret_cast<const float*>(table.lane[matrix_lane(place.row, k)]);
    const float* b = reinterpret_cast<const float*>(
        table.lane[matrix_lane(k, place.column)]);
    sum[0] += a[k & 1] * b[2];
    sum[1] += a[k & 1] * b[3];
  }
}

EMU_INLINE size_t matrix_offset(
    MatrixPlace place,
    int i,
    ulong elements_per_row,
    const metal::ulong2& origin,
    bool transpose) {
  const ulong row = transpose ? place.column + i : place.row;
  const ulong column = transpose ? place.row : place.column + i;
  return (origin.y + row) * elements_per_row + origin.x + column;
}

} // namespace emu

namespace metal {

template <typename T>
EMU_INLINE void simdgroup_load(
    simdgroup_matrix<T, 8, 8>& d,
    const emu::same_t<T>* src,
    ulong elements_per_row = 8,
    ulong2 origin = 0,
    bool transpose = false,
    emu::Site site = emu::Site::here()) {
  emu::matrix_meet("simdgroup_load", site);
  const emu::MatrixPlace place = emu::matrix_place(emu::simd_lane());
  for (int i = 0; i < 2; ++i) {
    d.thread_elements().e[i] =
        src[emu::matrix_offset(place, i, elements_per_row, origin, transpose)];
  }
}

template <typename T>
EMU_INLINE void simdgroup_store(
    const simdgroup_matrix<T, 8, 8>& a,
    emu::same_t<T>* dst,
    ulong elements_per_row = 8,
    ulong2 origin = 0,
    bool transpose = false,
    emu::Site site = emu::Site::here()) {
  emu::matrix_meet("simdgroup_store", site);
  const emu::MatrixPlace place = emu::matrix_place(emu::simd_lane());
  for (int i = 0; i < 2; ++i) {
    dst[emu::matrix_offset(place, i, elements_per_row, origin, transpose)] =
        a.thread_elements().e[i];
  }
}

// d = a b + c
template <typename D, typename A, typename B, typename C>
EMU_INLINE void simdgroup_multiply_accumulate(
    simdgroup_matrix<D, 8, 8>& d,
    const simdgroup_matrix<A, 8, 8>& a,
    const simdgroup_matrix<B, 8, 8>& b,
    const simdgroup_matrix<C, 8, 8>& c,
    emu::Site site = emu::Site::here()) {
  const float4 mine(
      float(a.thread_elements().e[0]),
      float(a.thread_elements().e[1]),
      float(b.thread_elements().e[0]),
      float(b.thread_elements().e[1]));
  float sum[2] = {
      float(c.thread_elements().e[0]), float(c.thread_elements().e[1])};
  const emu::SimdTable& table =
      emu::simd_meet("simdgroup_multiply_accumulate", mine, nullptr, site);
  emu::matrix_multiply(table, emu::simd_lane(), sum);
  d.thread_elements().e[0] = static_cast<D>(sum[0]);
  d.thread_elements().e[1] = static_cast<D>(sum[1]);
}

// d = a b
template <typename D, typename A, typename B>
EMU_INLINE void simdgroup_multiply(
    simdgroup_matrix<D, 8, 8>& d,
    const simdgroup_matrix<A, 8, 8>& a,
    const simdgroup_matrix<B, 8, 8>& b,
    emu::Site site = emu::Site::here()) {
  const auto zero = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  simdgroup_multiply_accumulate(d, a, b, zero, site);
}

template <typename A, typename B>
EMU_INLINE simdgroup_matrix<A, 8, 8> operator*(
    const simdgroup_matrix<A, 8, 8>& a,
    const simdgroup_matrix<B, 8, 8>& b) {
  simdgroup_matrix<A, 8, 8> d;
  simdgroup_multiply(d, a, b);
  return d;
}

} // namespace metal
