// Copyright © 2026 The mlx-fork authors

#include "mlx/fused/backend/cpu/kernels.h"

namespace mlx::core::fused::cpu {

const Kernels* neon_kernels() {
  return nullptr;
}

} // namespace mlx::core::fused::cpu
