// Copyright © 2026 The mlx-fork authors
//
// All kernels of one vector class.

#pragma once

#include "mlx/fused/backend/cpu/simd/elementwise.h"
#include "mlx/fused/backend/cpu/simd/qmm_n.h"

namespace mlx::core::fused::cpu::simd {

template <typename S>
int64_t transposed_scratch(int inner, int, int group_size) {
  return Scales<S>::size(inner / group_size);
}

template <typename S, typename Format>
QMMKernel words_kernel(bool fast, bool transpose) {
  if (transpose) {
    using Row = PreparedRow<S, Format>;
    using Sums = FloatSums<S, Format>;
    using Plain = DequantizedSums<S, Format>;
    return {
        fast,
        1,
        Row::size,
        Row::make,
        transposed_scratch<S>,
        qmm_t<S, Sums, qmm_t_tile<S, Plain, 1>>};
  }
  using Row = UnorderedRow<S>;
  using N = Untransposed<S, WordColumns<S, Format>>;
  return {fast, N::block, Row::size, Row::make, N::scratch, N::run};
}

template <typename S, int bits>
QMMKernel runs_kernel(bool transpose) {
  if (transpose) {
    using Row = PlainRow<S>;
    return {
        false,
        1,
        Row::size,
        Row::make,
        transposed_scratch<S>,
        qmm_runs<S, bits>};
  }
  using Row = UnorderedRow<S>;
  using N = Untransposed<S, RunColumns<S, bits>>;
  return {false, N::block, Row::size, Row::make, N::scratch, N::run};
}

/** `fast` is what kernels of the formats most used are called. */
template <typename S, bool fast>
QMMKernel qmm(int bits, bool fp, bool transpose, Stored) {
  if (fp) {
    return bits == 4 ? words_kernel<S, E2M1>(fast, transpose)
                     : words_kernel<S, E4M3>(fast, transpose);
  }
  switch (bits) {
    case 2:
      return words_kernel<S, Integers<2>>(fast, transpose);
    case 3:
      return runs_kernel<S, 3>(transpose);
    case 4:
      return words_kernel<S, Integers<4>>(fast, transpose);
    case 5:
      return runs_kernel<S, 5>(transpose);
    case 6:
      return runs_kernel<S, 6>(transpose);
    default:
      return words_kernel<S, Integers<8>>(fast, transpose);
  }
}

template <typename S, bool fast>
const Kernels* table() {
  static constexpr Kernels kernels{
      S::name,
      qmm<S, fast>,
      load<S>,
      store<S>,
      round<S>,
      silu<S>,
      weighted_step<S>};
  return &kernels;
}

} // namespace mlx::core::fused::cpu::simd
