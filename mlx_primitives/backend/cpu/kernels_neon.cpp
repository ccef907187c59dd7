// Copyright © 2026 The mlx-fork authors

#include "mlx/fused/backend/cpu/kernels.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "mlx/fused/backend/cpu/simd/neon.h"
#include "mlx/fused/backend/cpu/simd/table.h"

namespace mlx::core::fused::cpu {

const Kernels* neon_kernels() {
  return simd::table<simd::Neon, true>();
}

} // namespace mlx::core::fused::cpu

#else

namespace mlx::core::fused::cpu {

const Kernels* neon_kernels() {
  return nullptr;
}

} // namespace mlx::core::fused::cpu

#endif
