// Copyright © 2026 The mlx-fork authors

#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "checks.h"
#include "guarded.h"
#include "numbers.h"

#if defined(__GNUC__) && defined(__x86_64__)

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#include "mlx/fused/backend/cpu/simd/avx2.h"

#include "lanes.h"

namespace kernel_tests {

void check_avx2_lanes(Checks& checks) {
  Lanes<mlx::core::fused::cpu::simd::Avx2>(checks).check();
}

} // namespace kernel_tests

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else

namespace kernel_tests {

void check_avx2_lanes(Checks&) {}

} // namespace kernel_tests

#endif
