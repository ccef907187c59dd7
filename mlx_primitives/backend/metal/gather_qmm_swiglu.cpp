// Copyright © 2026 The mlx-fork authors

#include <algorithm>

#include "mlx/allocator.h"
#include "mlx/fused/backend/metal/dispatch.h"
#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_swiglu.h"
#include "mlx/fused/gather_qmm_swiglu_operands.h"
#include "mlx/fused/path.h"

namespace mlx::core {

void GatherQMMSwiGLU::eval_gpu(const std::vector<array>& inputs, array& out) {
  Operands ops(*this, inputs);
  fused::SwiGLULayout op{
      fused::kernel_format(
          out.dtype(), {group_size_, bits_, mode_}, transpose_),
      activation_ == GateActivation::Silu ? mlx::fused::Activation::Silu
                                          : mlx::fused::Activation::GeluApprox,
      sorted_indices_,
      fused::layout_of(ops.x),
      fused::layout_of(ops.gate.w, ops.gate.scales, ops.gate.biases),
      fused::layout_of(ops.up.w, ops.up.scales, ops.up.biases),
      fused::layout_of(ops.lhs_indices, ops.lhs_batch()),
      fused::layout_of(ops.rhs_indices, ops.rhs_batch())};

  // There is nothing to launch over, or nothing to read: no kernel.
  bool empty =
      out.size() == 0 || std::any_of(inputs.begin(), inputs.end(), [](auto& a) {
        return a.size() == 0;
      });
  if (empty || fused::composition_forced() || fused::prefers_composition(op)) {
    fused::eval_composition(
        composition(inputs, out.dtype(), false), out, stream());
    fused::record_path("gather_qmm_swiglu", fused::Path::composition);
    return;
  }

  auto launch = fused::launch(op);
  fused::dispatch(launch, inputs, out, stream());
  fused::record_path(
      "gather_qmm_swiglu",
      launch.fast ? fused::Path::fast : fused::Path::general);
}

} // namespace mlx::core
