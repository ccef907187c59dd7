// Copyright © 2026 The mlx-fork authors
//
// One step of a weighted sum on the CPU, with the roundings that
// fused::Accumulate names.

#pragma once

#include <cmath>
#include <cstdint>

#include "mlx/fused/backend/cpu/qmm.h"
#include "mlx/fused/weighted_sum.h"

namespace mlx::core::fused::cpu {

/** acc += y * weight for n values y of type T, held as float32. */
template <typename T>
void weighted_step(
    Accumulate accumulate,
    const float* y,
    float weight,
    int64_t n,
    float* acc) {
  switch (accumulate) {
    case Accumulate::Fma:
    case Accumulate::Fp32:
      for (int64_t i = 0; i < n; ++i) {
        acc[i] = std::fma(y[i], weight, acc[i]);
      }
      break;
    case Accumulate::NoFma:
    case Accumulate::Fp32NoFma:
      for (int64_t i = 0; i < n; ++i) {
        acc[i] += uncontracted(y[i] * weight);
      }
      break;
    default:
      weight = round_to<T>(weight);
      for (int64_t i = 0; i < n; ++i) {
        acc[i] = round_to<T>(acc[i] + uncontracted(round_to<T>(y[i] * weight)));
      }
      break;
  }
}

} // namespace mlx::core::fused::cpu
