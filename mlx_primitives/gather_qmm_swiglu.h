// Copyright © 2026 The mlx-fork authors

#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "mlx/api.h"
#include "mlx/primitives.h"
#include "mlx/utils.h"

namespace mlx::core {

/**
 * act(x @ gate) * (x @ up) for quantized, optionally gathered, gate and up.
 *
 * Shapes, defaults and type promotion are those of gather_qmm, or of
 * quantized_matmul when no indices are given. gate and up must have the same
 * shape. The products are summed in float32; each is rounded to the type of the
 * result, as is every step of the activation ("silu" or "gelu_approx").
 *
 * Where an index is out of range the result is NaN. Throws
 * std::invalid_argument for arguments that do not fit.
 */
MLX_API array gather_qmm_swiglu(
    const array& x,
    const array& gate_w,
    const array& gate_scales,
    const std::optional<array>& gate_biases,
    const array& up_w,
    const array& up_scales,
    const std::optional<array>& up_biases,
    std::optional<array> lhs_indices = std::nullopt,
    std::optional<array> rhs_indices = std::nullopt,
    bool transpose = true,
    std::optional<int> group_size = std::nullopt,
    std::optional<int> bits = std::nullopt,
    const std::string& mode = "affine",
    const std::string& activation = "silu",
    bool sorted_indices = false,
    StreamOrDevice s = {});

enum class GateActivation { Silu, GeluApprox };

/**
 * Its inputs are x, gate's w, scales and (affine) biases, the same of up, and
 * the indices that were given, as they were given: not broadcast, of any
 * integer type.
 */
class GatherQMMSwiGLU : public UnaryPrimitive {
 public:
  explicit GatherQMMSwiGLU(
      Stream stream,
      int group_size,
      int bits,
      QuantizationMode mode,
      bool transpose,
      GateActivation activation,
      bool sorted_indices,
      bool has_lhs_indices,
      bool has_rhs_indices)
      : UnaryPrimitive(stream),
        group_size_(group_size),
        bits_(bits),
        mode_(mode),
        transpose_(transpose),
        activation_(activation),
        sorted_indices_(sorted_indices),
        has_lhs_indices_(has_lhs_indices),
        has_rhs_indices_(has_rhs_indices) {}

  void eval_cpu(const std::vector<array>& inputs, array& out) override;
  void eval_gpu(const std::vector<array>& inputs, array& out) override;

  DEFINE_VMAP()
  DEFINE_GRADS()
  DEFINE_NAME(GatherQMMSwiGLU)
  bool is_equivalent(const Primitive& other) const override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  auto state() const {
    return std::make_tuple(
        group_size_,
        bits_,
        mode_,
        transpose_,
        activation_,
        sorted_indices_,
        has_lhs_indices_,
        has_rhs_indices_);
  }

 private:
  // The inputs by name.
  struct Operands;

  // x times gate and x times up in unfused operations, and which entries had
  // indices in range. For derivatives, `smooth`, in the precision in which they
  // were computed.
  struct Products;
  Products products(const std::vector<array>& inputs, bool smooth);

  // The result in unfused operations: with every rounding, or `smooth`.
  array composition(const std::vector<array>& inputs, Dtype dtype, bool smooth);

  int group_size_;
  int bits_;
  QuantizationMode mode_;
  bool transpose_;
  GateActivation activation_;
  bool sorted_indices_;
  bool has_lhs_indices_;
  bool has_rhs_indices_;
};

} // namespace mlx::core
