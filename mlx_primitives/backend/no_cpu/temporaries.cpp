// Copyright © 2026 The mlx-fork authors

#include <stdexcept>

#include "mlx/fused/composition.h"

namespace mlx::core::fused::cpu {

void add_temporaries(std::vector<array>, Stream) {
  throw std::runtime_error(
      "[fused::cpu::add_temporaries] MLX was built without its CPU backend.");
}

} // namespace mlx::core::fused::cpu
