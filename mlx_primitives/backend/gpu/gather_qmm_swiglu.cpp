// Copyright © 2026 The mlx-fork authors

#include "mlx/fused/gather_qmm_swiglu.h"
#include "mlx/fused/composition.h"
#include "mlx/fused/path.h"

namespace mlx::core {

void GatherQMMSwiGLU::eval_gpu(const std::vector<array>& inputs, array& out) {
  fused::eval_composition(
      composition(inputs, out.dtype(), false), out, stream());
  fused::record_path("gather_qmm_swiglu", fused::Path::composition);
}

} // namespace mlx::core
