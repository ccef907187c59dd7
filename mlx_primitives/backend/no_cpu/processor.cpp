// Copyright © 2026 The mlx-fork authors

#include "mlx/fused/processor.h"

namespace mlx::core::fused {

std::string cpu_simd() {
  return "none";
}

int cpu_threads() {
  return 0;
}

} // namespace mlx::core::fused
