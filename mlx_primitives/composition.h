// Copyright © 2026 The mlx-fork authors
//
// Evaluates a fused primitive as a graph of unfused operations: on devices that
// have no kernel of ours, and for derivatives.

#pragma once

#include <optional>
#include <vector>

#include "mlx/array.h"
#include "mlx/fused/quantization.h"
#include "mlx/stream.h"

namespace mlx::core::fused {

/**
 * Evaluates the unevaluated graph that ends in `result`, from inside the eval
 * of a primitive and on its stream, and makes `out` the owner of the result.
 * All primitives of the graph must be on stream `s`.
 */
void eval_composition(array result, array& out, Stream s);

/** For tests: evaluate on the CPU by composition too. */
MLX_API void force_composition(bool force);
bool composition_forced();

/** What unfused operations need to know to multiply with a quantized matrix. */
struct UnfusedMatmul {
  array w;
  array scales;
  std::optional<array> biases;
  Quantization q;
  bool transpose;
};

/**
 * x times the matrix in unfused operations, float32 inside: mx.gather_qmm, or
 * mx.quantized_matmul without indices, on types that make it sum in float32.
 * The result has the type of `x` if `keep_type`, else the one it was computed
 * in.
 */
array unfused_matmul(
    const array& x,
    const UnfusedMatmul& m,
    const std::optional<array>& lhs_indices,
    const std::optional<array>& rhs_indices,
    bool sorted_indices,
    bool keep_type,
    Stream s);

namespace cpu {
/** Keeps arrays alive until what the stream has been given so far is done. */
void add_temporaries(std::vector<array> arrays, Stream s);
} // namespace cpu

namespace gpu {
void add_temporaries(std::vector<array> arrays, Stream s);
} // namespace gpu

} // namespace mlx::core::fused
