// Copyright © 2026 The mlx-fork authors

#pragma once

#include "mlx/backend/metal/kernels/fused/dots.h"
#include "mlx/backend/metal/kernels/fused/elementwise.h"

using namespace metal;
using namespace mlx::fused;

constant int step_rounding [[function_constant(404)]];
constant bool float_weights [[function_constant(405)]];
constant bool float_result [[function_constant(406)]];

/**
 * Moves on to the row of h and the matrix of product i. False if its index is
 * out of range.
 */
template <typename T, typename Format>
METAL_FUNC bool find_operands(
    const device T * thread & h,
    thread Matrix<T>& m,
    const device uint8_t* rhs_indices,
    const constant GatherQMMParams& params,
    thread const Dims& dims,
    uint i) {
  int64_t rhs =
      read_index(rhs_indices, params.rhs_type, dims.rhs(i), params.rhs_size);
  if (rhs < 0) {
    return false;
  }
  h += dims.x_matrix(dims.lhs(i));
  m.template select<Format>(rhs, dims, 0);
  return true;
}

template <typename T>
METAL_FUNC float weight_at(const device uint8_t* weights, int64_t at) {
  if (float_weights) {
    return reinterpret_cast<const device float*>(weights)[at];
  }
  return reinterpret_cast<const device T*>(weights)[at];
}

template <typename T>
METAL_FUNC void store(device uint8_t* out, int64_t at, float sum) {
  if (float_result) {
    reinterpret_cast<device float*>(out)[at] = sum;
  } else {
    reinterpret_cast<device T*>(out)[at] = static_cast<T>(sum);
  }
}

/**
 * Four columns of one row of the result for each threadgroup. Its SIMD groups
 * take an expert each, the next ones when they are more; then the products are
 * added up in the order of the experts, by one thread for each column.
 */
template <typename T, typename Format, typename Access>
[[kernel]] void gather_qmm_downproj_combine_rows(
    const device T* h [[buffer(0)]],
    const device uint32_t* w [[buffer(1)]],
    const device uint8_t* scales [[buffer(2)]],
    const device T* biases [[buffer(3), function_constant(has_biases)]],
    const device uint8_t* rhs_indices [[buffer(4)]],
    const device uint8_t* weights [[buffer(5)]],
    device uint8_t* out [[buffer(6)]],
    const constant GatherQMMParams& params [[buffer(7)]],
    const constant int64_t* all_dims [[buffer(8)]],
    uint3 tid [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint simd_group [[simdgroup_index_in_threadgroup]],
    uint simd_groups [[simdgroups_per_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float products[MAX_SIMDGROUPS][ROWS];

  Dims dims(all_dims, params);
  int row0 = tid.x * ROWS;
  uint k = params.k;
  float acc = 0;
  for (uint first = 0; first < k; first += simd_groups) {
    uint j = first + simd_group;
    if (j < k) {
      auto h_j = h;
      Matrix<T> m = {w, scales, has_biases ? biases : nullptr};
      float p = numeric_limits<float>::quiet_NaN();
      if (find_operands<T, Format>(
              h_j, m, rhs_indices, params, dims, tid.z * k + j)) {
        float sums[1][ROWS];
        add_rows<T, Format, Access, 1>(h_j, &m, params, row0, lane, sums);
        p = total_of_row(sums[0], lane);
      }
      constexpr int lanes_per_row = LANES / ROWS;
      if (lane % lanes_per_row == 0) {
        products[simd_group][lane / lanes_per_row] = round_to<T>(p);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    if (thread_index < ROWS) {
      uint n = min(simd_groups, k - first);
      for (uint i = 0; i < n; i++) {
        float weight =
            weight_at<T>(weights, dims.weight(tid.z * k + first + i));
        acc = weighted_step<T>(
            acc, products[i][thread_index], weight, step_rounding);
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }

  int row = row0 + int(thread_index);
  if (thread_index < ROWS && row < params.N) {
    store<T>(out, int64_t(tid.z) * params.N + row, acc);
  }
}

/** For weights (K, N): 64 columns for each threadgroup, expert by expert. */
template <typename T, typename Format>
[[kernel]] void gather_qmm_downproj_combine_columns(
    const device T* h [[buffer(0)]],
    const device uint32_t* w [[buffer(1)]],
    const device uint8_t* scales [[buffer(2)]],
    const device T* biases [[buffer(3), function_constant(has_biases)]],
    const device uint8_t* rhs_indices [[buffer(4)]],
    const device uint8_t* weights [[buffer(5)]],
    device uint8_t* out [[buffer(6)]],
    const constant GatherQMMParams& params [[buffer(7)]],
    const constant int64_t* all_dims [[buffer(8)]],
    uint3 tid [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint simd_group [[simdgroup_index_in_threadgroup]],
    uint simd_groups [[simdgroups_per_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float partial[MAX_SIMDGROUPS][TILE];

  Dims dims(all_dims, params);
  int n0 = tid.x * TILE;
  uint k = params.k;
  float acc = 0;
  for (uint j = 0; j < k; j++) {
    uint i = tid.z * k + j;
    auto h_j = h;
    Matrix<T> m = {w, scales, has_biases ? biases : nullptr};
    bool valid = find_operands<T, Format>(h_j, m, rhs_indices, params, dims, i);
    if (valid) {
      add_columns<T, Format>(
          h_j,
          m,
          params,
          params.matrices[0],
          n0,
          simd_group,
          simd_groups,
          lane,
          partial);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    if (thread_index < TILE) {
      float p = valid ? total_of_column(partial, simd_groups, thread_index)
                      : numeric_limits<float>::quiet_NaN();
      acc = weighted_step<T>(
          acc,
          round_to<T>(p),
          weight_at<T>(weights, dims.weight(i)),
          step_rounding);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }

  int n = n0 + int(thread_index);
  if (thread_index < TILE && n < params.N) {
    store<T>(out, int64_t(tid.z) * params.N + n, acc);
  }
}
