// Copyright © 2026 The mlx-fork authors

#include <utility>

#include "mlx/fused/backend/cpu/kernels.h"
#include "mlx/fused/backend/cpu/simd/portable.h"
#include "mlx/fused/backend/cpu/simd/table.h"

namespace mlx::core::fused::cpu {

const Kernels* portable_kernels() {
  return simd::table<simd::Portable, false>();
}

} // namespace mlx::core::fused::cpu
