// Copyright © 2026 The mlx-fork authors

#include <stdexcept>

#include "mlx/fused/gather_qmm_swiglu.h"

namespace mlx::core {

void GatherQMMSwiGLU::eval_gpu(const std::vector<array>&, array&) {
  throw std::runtime_error("GatherQMMSwiGLU has no GPU implementation.");
}

} // namespace mlx::core
