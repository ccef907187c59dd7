// Copyright © 2026 The mlx-fork authors
//
// What follows the products, operation by operation: each is computed in
// float32 and rounded to T, which for half and bfloat gives the same as the
// operation in T would, in whatever precision the compiler keeps those.

#pragma once

#include "mlx/backend/metal/kernels/fused/params.h"
#include "mlx/backend/metal/kernels/utils.h"

namespace mlx::fused {

/** v rounded to T, to nearest even. */
template <typename T>
METAL_FUNC float round_to(float v) {
  return static_cast<float>(static_cast<T>(v));
}

template <typename T>
METAL_FUNC float silu(float g) {
#pragma METAL fp contract(off)
  float e = round_to<T>(metal::precise::exp(metal::abs(g)));
  float d = round_to<T>(1.0f + e);
  float y = round_to<T>(1.0f / d);
  float s = g < 0 ? y : round_to<T>(1.0f - y);
  return round_to<T>(g * s);
}

template <typename T>
METAL_FUNC float gelu_approx(float g) {
#pragma METAL fp contract(off)
  float cube = round_to<T>(metal::precise::pow(g, 3.0f));
  float term = round_to<T>(round_to<T>(0.044715f) * cube);
  float inner = round_to<T>(g + term);
  float scaled = round_to<T>(round_to<T>(0.7978845608028654f) * inner);
  float t = round_to<T>(metal::precise::tanh(scaled));
  float factor = round_to<T>(1.0f + t);
  float half_g = round_to<T>(0.5f * g);
  return round_to<T>(half_g * factor);
}

/** The activation of g times u. */
template <typename T>
METAL_FUNC T gate(float g, float u, int activation) {
#pragma METAL fp contract(off)
  g = round_to<T>(g);
  u = round_to<T>(u);
  float a = activation == Silu ? silu<T>(g) : gelu_approx<T>(g);
  return static_cast<T>(a * u);
}

/** A step of a weighted sum. */
template <typename T>
METAL_FUNC float weighted_step(float acc, float y, float weight, int rounding) {
#pragma METAL fp contract(off)
  if (rounding == Fused) {
    return fma(y, weight, acc);
  }
  if (rounding == Float) {
    float product = y * weight;
    return acc + product;
  }
  float product = round_to<T>(y * round_to<T>(weight));
  return round_to<T>(acc + product);
}

} // namespace mlx::fused
