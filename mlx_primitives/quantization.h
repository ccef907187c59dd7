// Copyright © 2026 The mlx-fork authors

#pragma once

#include <optional>
#include <string>

#include "mlx/array.h"
#include "mlx/primitives.h"

namespace mlx::core::fused {

/** How a matrix is quantized. */
struct Quantization {
  int group_size;
  int bits;
  QuantizationMode mode;

  bool affine() const {
    return mode == QuantizationMode::Affine;
  }
};

std::string to_string(QuantizationMode mode);

/**
 * The quantization that the arguments of an op name, with the defaults of their
 * mode. Throws std::invalid_argument if there is no such quantization.
 */
Quantization resolve_quantization(
    const std::string& tag,
    const std::string& mode,
    std::optional<int> group_size,
    std::optional<int> bits);

/** A quantized matrix, or a batch of them, and its argument names for errors.
 */
struct QuantizedOperand {
  const array& w;
  const array& scales;
  const std::optional<array>& biases;
  std::string w_name;
  std::string scales_name;
  std::string biases_name;
};

/** Throws std::invalid_argument unless types and shapes fit one another. */
void check_operand(
    const std::string& tag,
    const QuantizedOperand& operand,
    const Quantization& q);

/**
 * Rows and columns of the dequantized matrix in the order (inner, outer): x of
 * shape (..., inner) times it gives (..., outer).
 */
std::pair<int, int>
matmul_dims(const array& w, const Quantization& q, bool transpose);

/**
 * The type in which x times the operands is given, as mx.gather_qmm has it.
 * Throws std::invalid_argument for one that is not float32, float16 or
 * bfloat16.
 */
Dtype matmul_type(
    const std::string& tag,
    const array& x,
    const std::string& x_name,
    const std::vector<QuantizedOperand>& operands,
    const Quantization& q);

} // namespace mlx::core::fused
