// Copyright © 2026 The mlx-fork authors

#pragma once

#include "mlx/backend/metal/kernels/fused/dots.h"
#include "mlx/backend/metal/kernels/fused/elementwise.h"

using namespace metal;
using namespace mlx::fused;

constant int activation [[function_constant(403)]];

/**
 * Moves on to the row of x and the matrices of an entry of the batch. False if
 * one of its indices is out of range.
 */
template <typename T, typename Format>
METAL_FUNC bool find_operands(
    const device T * thread & x,
    thread Matrix<T>* m,
    const device uint8_t* lhs_indices,
    const device uint8_t* rhs_indices,
    const constant GatherQMMParams& params,
    thread const Dims& dims,
    uint entry,
    uint row) {
  int64_t lhs = dims.lhs(entry);
  int64_t rhs = dims.rhs(entry);
  if (has_lhs_indices) {
    lhs = read_index(lhs_indices, params.lhs_type, lhs, params.lhs_size);
  }
  if (has_rhs_indices) {
    rhs = read_index(rhs_indices, params.rhs_type, rhs, params.rhs_size);
  }
  if (lhs < 0 || rhs < 0) {
    return false;
  }
  x += dims.x_matrix(lhs) + row * params.x.row;
  m[0].template select<Format>(rhs, dims, 0);
  m[1].template select<Format>(rhs, dims, 1);
  return true;
}

/**
 * Four rows of gate and the same rows of up for each SIMD group, which all
 * share what it has read of x.
 */
template <typename T, typename Format, typename Access>
[[kernel]] void gather_qmm_swiglu_rows(
    const device T* x [[buffer(0)]],
    const device uint32_t* gate_w [[buffer(1)]],
    const device uint8_t* gate_scales [[buffer(2)]],
    const device T* gate_biases [[buffer(3), function_constant(has_biases)]],
    const device uint32_t* up_w [[buffer(4)]],
    const device uint8_t* up_scales [[buffer(5)]],
    const device T* up_biases [[buffer(6), function_constant(has_biases)]],
    const device uint8_t* lhs_indices
    [[buffer(7), function_constant(has_lhs_indices)]],
    const device uint8_t* rhs_indices
    [[buffer(8), function_constant(has_rhs_indices)]],
    device T* out [[buffer(9)]],
    const constant GatherQMMParams& params [[buffer(10)]],
    const constant int64_t* all_dims [[buffer(11)]],
    uint3 tid [[threadgroup_position_in_grid]],
    uint3 grid [[threadgroups_per_grid]],
    uint simd_group [[simdgroup_index_in_threadgroup]],
    uint simd_groups [[simdgroups_per_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  int row0 = (tid.x * simd_groups + simd_group) * ROWS;
  if (row0 >= params.N) {
    return;
  }

  Dims dims(all_dims, params);
  Matrix<T> m[2] = {
      {gate_w, gate_scales, has_biases ? gate_biases : nullptr},
      {up_w, up_scales, has_biases ? up_biases : nullptr}};
  float2 gu = numeric_limits<float>::quiet_NaN();
  if (find_operands<T, Format>(
          x, m, lhs_indices, rhs_indices, params, dims, tid.z, tid.y)) {
    float sums[2][ROWS];
    add_rows<T, Format, Access, 2>(x, m, params, row0, lane, sums);
    float2 pairs[ROWS];
    MLX_MTL_PRAGMA_UNROLL
    for (int r = 0; r < ROWS; r++) {
      pairs[r] = {sums[0][r], sums[1][r]};
    }
    gu = total_of_row(pairs, lane);
  }

  constexpr int lanes_per_row = LANES / ROWS;
  int row = row0 + lane / lanes_per_row;
  if (lane % lanes_per_row == 0 && row < params.N) {
    out += (int64_t(tid.z) * grid.y + tid.y) * params.N;
    out[row] = gate<T>(gu.x, gu.y, activation);
  }
}

/** For weights (K, N): 64 columns for each threadgroup. */
template <typename T, typename Format>
[[kernel]] void gather_qmm_swiglu_columns(
    const device T* x [[buffer(0)]],
    const device uint32_t* gate_w [[buffer(1)]],
    const device uint8_t* gate_scales [[buffer(2)]],
    const device T* gate_biases [[buffer(3), function_constant(has_biases)]],
    const device uint32_t* up_w [[buffer(4)]],
    const device uint8_t* up_scales [[buffer(5)]],
    const device T* up_biases [[buffer(6), function_constant(has_biases)]],
    const device uint8_t* lhs_indices
    [[buffer(7), function_constant(has_lhs_indices)]],
    const device uint8_t* rhs_indices
    [[buffer(8), function_constant(has_rhs_indices)]],
    device T* out [[buffer(9)]],
    const constant GatherQMMParams& params [[buffer(10)]],
    const constant int64_t* all_dims [[buffer(11)]],
    uint3 tid [[threadgroup_position_in_grid]],
    uint3 grid [[threadgroups_per_grid]],
    uint thread_index [[thread_index_in_threadgroup]],
    uint simd_group [[simdgroup_index_in_threadgroup]],
    uint simd_groups [[simdgroups_per_threadgroup]],
    uint lane [[thread_index_in_simdgroup]]) {
  threadgroup float partial[2][MAX_SIMDGROUPS][TILE];

  Dims dims(all_dims, params);
  Matrix<T> m[2] = {
      {gate_w, gate_scales, has_biases ? gate_biases : nullptr},
      {up_w, up_scales, has_biases ? up_biases : nullptr}};
  bool valid = find_operands<T, Format>(
      x, m, lhs_indices, rhs_indices, params, dims, tid.z, tid.y);
  int n0 = tid.x * TILE;
  if (valid) {
    for (int i = 0; i < 2; i++) {
      add_columns<T, Format>(
          x,
          m[i],
          params,
          params.matrices[i],
          n0,
          simd_group,
          simd_groups,
          lane,
          partial[i]);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);

  int n = n0 + int(thread_index);
  if (thread_index < TILE && n < params.N) {
    float g = numeric_limits<float>::quiet_NaN();
    float u = g;
    if (valid) {
      g = total_of_column(partial[0], simd_groups, thread_index);
      u = total_of_column(partial[1], simd_groups, thread_index);
    }
    out += (int64_t(tid.z) * grid.y + tid.y) * params.N;
    out[n] = gate<T>(g, u, activation);
  }
}
