// Copyright © 2026 The mlx-fork authors

#include <stdexcept>

#include "mlx/fused/gather_qmm_downproj_combine.h"

namespace mlx::core {

void GatherQMMDownprojCombine::eval_cpu(const std::vector<array>&, array&) {
  throw std::runtime_error(
      "GatherQMMDownprojCombine has no CPU implementation.");
}

} // namespace mlx::core
