// Copyright © 2026 The mlx-fork authors

#include <algorithm>

#include "mlx/fused/backend/metal/dispatch.h"
#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_downproj_combine.h"
#include "mlx/fused/path.h"

namespace mlx::core {

namespace {

mlx::fused::StepRounding rounding_of(fused::Accumulate accumulate) {
  switch (accumulate) {
    case fused::Accumulate::Fma:
    case fused::Accumulate::Fp32:
      return mlx::fused::StepRounding::Fused;
    case fused::Accumulate::NoFma:
    case fused::Accumulate::Fp32NoFma:
      return mlx::fused::StepRounding::Float;
    default:
      return mlx::fused::StepRounding::Storage;
  }
}

} // namespace

void GatherQMMDownprojCombine::eval_gpu(
    const std::vector<array>& inputs,
    array& out) {
  // Native is the composition by definition; where there is nothing to launch
  // over, or nothing to read, there is no kernel.
  bool empty =
      out.size() == 0 || std::any_of(inputs.begin(), inputs.end(), [](auto& a) {
        return a.size() == 0;
      });
  if (empty || accumulate_ == fused::Accumulate::Native ||
      fused::composition_forced()) {
    fused::eval_composition(
        composition(inputs, out.dtype(), false), out, stream());
    fused::record_path("gather_qmm_downproj_combine", fused::Path::composition);
    return;
  }

  auto& h = inputs[0];
  auto& rhs_indices = inputs[inputs.size() - 2];
  auto& weights = inputs[inputs.size() - 1];
  std::optional<array> biases;
  if (mode_ == QuantizationMode::Affine) {
    biases = inputs[3];
  }
  auto launch = fused::launch(
      fused::DownprojCombineLayout{
          fused::kernel_format(
              h.dtype(), {group_size_, bits_, mode_}, transpose_),
          rounding_of(accumulate_),
          weights.dtype() == float32,
          out.dtype() == float32,
          fused::layout_of(h),
          fused::layout_of(inputs[1], inputs[2], biases),
          fused::layout_of(rhs_indices, {}),
          fused::layout_of(weights)});
  fused::dispatch(launch, inputs, out, stream());
  fused::record_path(
      "gather_qmm_downproj_combine",
      launch.fast ? fused::Path::fast : fused::Path::general);
}

} // namespace mlx::core
