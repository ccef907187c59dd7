// Copyright © 2026 The mlx-fork authors

#include "mlx/backend/metal/device.h"
#include "mlx/fused/composition.h"

namespace mlx::core::fused::gpu {

void add_temporaries(std::vector<array> arrays, Stream s) {
  metal::get_command_encoder(s).add_temporaries(std::move(arrays));
}

} // namespace mlx::core::fused::gpu
