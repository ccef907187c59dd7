// Copyright © 2026 The mlx-fork authors

#include "mlx/backend/cuda/device.h"
#include "mlx/fused/composition.h"

namespace mlx::core::fused::gpu {

void add_temporaries(std::vector<array> arrays, Stream s) {
  auto& encoder = cu::get_command_encoder(s);
  for (auto& a : arrays) {
    encoder.add_temporary(a);
  }
}

} // namespace mlx::core::fused::gpu
