// Copyright © 2026 The mlx-fork authors
//
// Products of one row of x with quantized matrices, summed in float32.
//
// Every operation of the sums is written out, fused multiply-adds included, and
// so is the order in which lanes add up: the bits of a dot depend on neither
// the compiler nor the strides of its operands.

#pragma once

#include "mlx/backend/metal/kernels/fused/format.h"
#include "mlx/backend/metal/kernels/fused/operands.h"

namespace mlx::fused {

static constant constexpr const int LANES = 32;

// Rows of each matrix that a SIMD group multiplies with one row of x.
static constant constexpr const int ROWS = 4;

/**
 * Of four sums in each lane, the total of one over all lanes: that of
 * sums[lane / 8]. V is float, or a vector of independent sums.
 */
template <typename V>
METAL_FUNC V total_of_row(const thread V* sums, uint lane) {
  bool high = lane & 16;
  V a = high ? sums[2] : sums[0];
  V b = high ? sums[3] : sums[1];
  a += simd_shuffle_xor(high ? sums[0] : sums[2], 16);
  b += simd_shuffle_xor(high ? sums[1] : sums[3], 16);
  high = lane & 8;
  V total = high ? b : a;
  total += simd_shuffle_xor(high ? a : b, 8);
  total += simd_shuffle_xor(total, 4);
  total += simd_shuffle_xor(total, 2);
  total += simd_shuffle_xor(total, 1);
  return total;
}

/**
 * x times rows row0 ... row0 + 3 of each matrix, whose groups lie along the
 * rows. Each lane has its part of the sums.
 *
 * The lanes take one chunk of a row after another: what a SIMD group loads at a
 * time lies together. Scales and biases are loaded once, one by each lane for
 * the next 32 groups, and handed to the lanes that need them.
 */
template <typename T, typename Format, typename Access, int matrices>
METAL_FUNC void add_rows(
    const device T* x,
    const thread Matrix<T>* m,
    const constant GatherQMMParams& params,
    int row0,
    uint lane,
    thread float (*sums)[ROWS]) {
  const device uint32_t* w[matrices][ROWS];
  const device uint8_t* scales[matrices][ROWS];
  const device T* biases[matrices][ROWS];
  constexpr int scale_size = sizeof(T);
  MLX_MTL_PRAGMA_UNROLL
  for (int i = 0; i < matrices; i++) {
    const constant MatrixStrides& strides = params.matrices[i];
    MLX_MTL_PRAGMA_UNROLL
    for (int r = 0; r < ROWS; r++) {
      // Beyond the last row, the last row again: its sums go nowhere.
      int64_t row = min(row0 + r, params.N - 1);
      w[i][r] = m[i].w + row * strides.w.row;
      scales[i][r] = m[i].scales +
          row * strides.scales.row *
              (Format::mode() == Affine ? scale_size : 1);
      biases[i][r] = m[i].biases;
      if (Format::mode() == Affine) {
        biases[i][r] += row * strides.biases.row;
      }
      sums[i][r] = 0;
    }
  }

  int K = params.K;
  int group_size = Format::group_size();
  int groups = K / group_size;
  for (int first = 0; first < K; first += LANES * group_size) {
    float4 scale[matrices]; // of the rows
    float4 bias[matrices];
    int group = first / group_size + int(lane);
    MLX_MTL_PRAGMA_UNROLL
    for (int i = 0; i < matrices; i++) {
      const constant MatrixStrides& strides = params.matrices[i];
      scale[i] = 0;
      bias[i] = 0;
      MLX_MTL_PRAGMA_UNROLL
      for (int r = 0; r < ROWS; r++) {
        if (group < groups) {
          scale[i][r] = scale_at<T, Format>(
              scales[i][r], Access::at(group, strides.scales.column));
          if (Format::mode() == Affine) {
            bias[i][r] = biases[i][r][Access::at(group, strides.biases.column)];
          }
        }
      }
    }

    int end = min(K, first + LANES * group_size);
    for (int k0 = first; k0 < end; k0 += LANES * CHUNK) {
      int k = k0 + int(lane) * CHUNK;
      uint16_t owner = (k - first) / group_size;
      float values[CHUNK];
      float x_values[CHUNK];
      float x_sum = 0;
      if (k < K) {
        Access::load(
            x + Access::at(k, params.x.column), params.x.column, x_values);
        MLX_MTL_PRAGMA_UNROLL
        for (int j = 0; j < CHUNK; j++) {
          x_sum += x_values[j];
        }
      }
      MLX_MTL_PRAGMA_UNROLL
      for (int i = 0; i < matrices; i++) {
        // All lanes take part in the shuffles.
        float4 s = simd_shuffle(scale[i], owner);
        float4 b = 0;
        if (Format::mode() == Affine) {
          b = simd_shuffle(bias[i], owner);
        }
        if (k < K) {
          MLX_MTL_PRAGMA_UNROLL
          for (int r = 0; r < ROWS; r++) {
            uint codes[CHUNK_WORDS];
            Access::template codes<Format>(
                w[i][r], params.matrices[i].w.column, k / CHUNK, codes);
            decode<Format>(codes, values);
            float dot = 0;
            MLX_MTL_PRAGMA_UNROLL
            for (int j = 0; j < CHUNK; j++) {
              dot = fma(x_values[j], values[j], dot);
            }
            sums[i][r] = fma(s[r], dot, sums[i][r]);
            if (Format::mode() == Affine) {
              sums[i][r] = fma(b[r], x_sum, sums[i][r]);
            }
          }
        }
      }
    }
  }
}

// The columns of a matrix whose groups lie along them that a threadgroup
// multiplies, and its SIMD groups at most.
static constant constexpr const int TILE = 64;
static constant constexpr const int MAX_SIMDGROUPS = 8;

/**
 * x times columns n0 ... n0 + 63 of a matrix whose groups lie along the
 * columns. Four lanes take a chunk each, the others further k; the sum of each
 * SIMD group goes to `partial`, and total_of_column() sums those up after a
 * barrier.
 */
template <typename T, typename Format>
METAL_FUNC void add_columns(
    const device T* x,
    const thread Matrix<T>& m,
    const constant GatherQMMParams& params,
    const constant MatrixStrides& strides,
    int n0,
    uint simd_group,
    uint simd_groups,
    uint lane,
    threadgroup float (*partial)[TILE]) {
  constexpr int chunks = TILE / CHUNK;
  constexpr int k_lanes = LANES / chunks;
  int n = n0 + int(lane % chunks) * CHUNK;
  float sums[CHUNK];
  MLX_MTL_PRAGMA_UNROLL
  for (int i = 0; i < CHUNK; i++) {
    sums[i] = 0;
  }
  if (n < params.N) {
    int64_t group = n / Format::group_size();
    for (int k = simd_group * k_lanes + lane / chunks; k < params.K;
         k += k_lanes * int(simd_groups)) {
      float x_k = x[k * params.x.column];
      auto scales = m.scales +
          k * strides.scales.row *
              (Format::mode() == Affine ? int(sizeof(T)) : 1);
      float s = scale_at<T, Format>(scales, group * strides.scales.column);
      float b = 0;
      if (Format::mode() == Affine) {
        b = m.biases[k * strides.biases.row + group * strides.biases.column];
      }
      uint codes[CHUNK_WORDS];
      float values[CHUNK];
      Strided::codes<Format>(
          m.w + k * strides.w.row, strides.w.column, n / CHUNK, codes);
      decode<Format>(codes, values);
      MLX_MTL_PRAGMA_UNROLL
      for (int i = 0; i < CHUNK; i++) {
        sums[i] = fma(x_k, fma(s, values[i], b), sums[i]);
      }
    }
  }
  for (int i = 0; i < CHUNK; i++) {
    for (uint16_t step = LANES / 2; step >= chunks; step /= 2) {
      sums[i] += simd_shuffle_xor(sums[i], step);
    }
    if (lane < chunks) {
      partial[simd_group][lane * CHUNK + i] = sums[i];
    }
  }
}

METAL_FUNC float total_of_column(
    threadgroup const float (*partial)[TILE],
    uint simd_groups,
    uint column) {
  float sum = partial[0][column];
  for (uint i = 1; i < simd_groups; i++) {
    sum += partial[i][column];
  }
  return sum;
}

/** The format of the general kernels. */
constant int format_mode [[function_constant(407)]];
constant int format_group_size [[function_constant(408)]];
constant int format_bits [[function_constant(409)]];

struct SpecializedFormat {
  static int mode() {
    return format_mode;
  }
  static int group_size() {
    return format_group_size;
  }
  static int bits() {
    return format_bits;
  }
};

} // namespace mlx::fused
