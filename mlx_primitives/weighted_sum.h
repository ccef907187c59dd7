// Copyright © 2026 The mlx-fork authors
//
// The ways to add up the outputs of experts, each multiplied by its weight.

#pragma once

#include <string>

#include "mlx/array.h"
#include "mlx/stream.h"

namespace mlx::core::fused {

/**
 * What is rounded on the way from acc = +0 through acc + y_j * w_j for j = 0,
 * 1,
 * ... to the result. T is the type of y.
 */
enum class Accumulate {
  Fma, // fused multiply-add in float32; the result rounded to T
  NoFma, // product and sum rounded to float32; the result rounded to T
  Exact, // weight, product and sum rounded to T each time
  Fp32, // as Fma, the result float32
  Fp32NoFma, // as NoFma, the result float32
  Native, // mx.sum of the products
};

/** Throws std::invalid_argument if there is no such way. */
Accumulate accumulate_from_string(
    const std::string& tag,
    const std::string& accumulate);

/** The type of the weighted sum of values of type `dtype`. */
Dtype weighted_sum_type(Accumulate accumulate, Dtype dtype, Dtype weights);

/** sum_j y_j * w_j of y (..., k, D) and w (..., k), in unfused operations. */
array weighted_sum(
    const array& y,
    const array& weights,
    Accumulate accumulate,
    Stream s);

} // namespace mlx::core::fused
