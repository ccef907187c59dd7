// Copyright © 2026 The mlx-fork authors

#include "mlx/backend/cpu/encoder.h"
#include "mlx/fused/composition.h"

namespace mlx::core::fused::cpu {

void add_temporaries(std::vector<array> arrays, Stream s) {
  mlx::core::cpu::get_command_encoder(s).add_temporaries(std::move(arrays));
}

} // namespace mlx::core::fused::cpu
