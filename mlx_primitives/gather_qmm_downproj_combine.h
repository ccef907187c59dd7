// Copyright © 2026 The mlx-fork authors

#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "mlx/api.h"
#include "mlx/fused/weighted_sum.h"
#include "mlx/primitives.h"
#include "mlx/utils.h"

namespace mlx::core {

/**
 * The weighted sum of what experts make of their inputs, for quantized experts:
 * sum_j weights_j * (h_j @ w[rhs_indices_j]) over the last batch dimension.
 *
 * h (..., k, K), rhs_indices (..., k) and weights (..., k) broadcast with one
 * another; the result is (..., N). Types are promoted as in gather_qmm; weights
 * must have the promoted type T or float32. The products with the matrices are
 * summed in float32 and rounded to T, then added up in the order of j as
 * `accumulate` says: "fma", "no_fma", "exact", "fp32", "fp32_no_fma" or
 * "native" (see fused::Accumulate).
 *
 * Where an index is out of range the result is NaN. Throws
 * std::invalid_argument for arguments that do not fit.
 */
MLX_API array gather_qmm_downproj_combine(
    const array& h,
    const array& w,
    const array& scales,
    const std::optional<array>& biases,
    const array& rhs_indices,
    const array& weights,
    bool transpose = true,
    std::optional<int> group_size = std::nullopt,
    std::optional<int> bits = std::nullopt,
    const std::string& mode = "affine",
    const std::string& accumulate = "exact",
    StreamOrDevice s = {});

/**
 * Its inputs are h, w, scales, (affine) biases, rhs_indices and weights: not
 * broadcast, the indices of any integer type.
 */
class GatherQMMDownprojCombine : public UnaryPrimitive {
 public:
  explicit GatherQMMDownprojCombine(
      Stream stream,
      int group_size,
      int bits,
      QuantizationMode mode,
      bool transpose,
      fused::Accumulate accumulate)
      : UnaryPrimitive(stream),
        group_size_(group_size),
        bits_(bits),
        mode_(mode),
        transpose_(transpose),
        accumulate_(accumulate) {}

  void eval_cpu(const std::vector<array>& inputs, array& out) override;
  void eval_gpu(const std::vector<array>& inputs, array& out) override;

  DEFINE_VMAP()
  DEFINE_GRADS()
  DEFINE_NAME(GatherQMMDownprojCombine)
  bool is_equivalent(const Primitive& other) const override;
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) override;
  auto state() const {
    return std::make_tuple(group_size_, bits_, mode_, transpose_, accumulate_);
  }

 private:
  // The result in unfused operations: with every rounding or, for derivatives,
  // `smooth`.
  array composition(const std::vector<array>& inputs, Dtype dtype, bool smooth);

  int group_size_;
  int bits_;
  QuantizationMode mode_;
  bool transpose_;
  fused::Accumulate accumulate_;
};

} // namespace mlx::core
