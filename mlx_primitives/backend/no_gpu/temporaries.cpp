// Copyright © 2026 The mlx-fork authors

#include <stdexcept>

#include "mlx/fused/composition.h"

namespace mlx::core::fused::gpu {

void add_temporaries(std::vector<array>, Stream) {
  throw std::runtime_error(
      "[fused::gpu::add_temporaries] MLX was built without its GPU backend.");
}

} // namespace mlx::core::fused::gpu
