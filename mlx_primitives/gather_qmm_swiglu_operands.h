// Copyright © 2026 The mlx-fork authors
//
// The inputs of GatherQMMSwiGLU by name, and which matrices they pair up.

#pragma once

#include "mlx/fused/gather_qmm_swiglu.h"

namespace mlx::core {

struct GatherQMMSwiGLU::Operands {
  struct Quantized {
    array w;
    array scales;
    std::optional<array> biases;
  };

  Operands(const GatherQMMSwiGLU& primitive, const std::vector<array>& inputs);

  // The batch of matrices of x, and of gate and up, that the indices count.
  // Without indices a batch of w is left alone unless x has one too, as
  // quantized_matmul does: the first matrix is used.
  Shape lhs_batch() const;
  Shape rhs_batch() const;

  // The shape of the indices, given or by default.
  Shape lhs_shape() const;
  Shape rhs_shape() const;

  array x;
  Quantized gate;
  Quantized up;
  std::optional<array> lhs_indices;
  std::optional<array> rhs_indices;

 private:
  Operands(
      const GatherQMMSwiGLU& primitive,
      const std::vector<array>& inputs,
      int per_matrix);
};

} // namespace mlx::core
