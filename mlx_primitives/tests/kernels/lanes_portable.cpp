// Copyright © 2026 The mlx-fork authors
//
// The classes that need no setting of the compiler's target.

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "mlx/fused/backend/cpu/simd/portable.h"
#if defined(__aarch64__) && defined(__ARM_NEON)
#include "mlx/fused/backend/cpu/simd/neon.h"
#endif

#include "lanes.h"

namespace kernel_tests {

namespace simd = mlx::core::fused::cpu::simd;

void check_portable_lanes(Checks& checks) {
  Lanes<simd::Portable>(checks).check();
}

void check_neon_lanes(Checks& checks) {
#if defined(__aarch64__) && defined(__ARM_NEON)
  Lanes<simd::Neon>(checks).check();
#else
  (void)checks;
#endif
}

} // namespace kernel_tests
