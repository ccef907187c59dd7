// Copyright © 2026 The mlx-fork authors

#include "mlx/fused/processor.h"
#include "mlx/fused/backend/cpu/kernels.h"
#include "mlx/fused/backend/cpu/pool.h"

namespace mlx::core::fused {

std::string cpu_simd() {
  return cpu::kernels().name;
}

int cpu_threads() {
  return cpu::pool_threads();
}

} // namespace mlx::core::fused
