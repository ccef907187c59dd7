// Copyright © 2026 The mlx-fork authors

#include "mlx/fused/backend/cpu/kernels.h"

#if defined(__GNUC__) && defined(__x86_64__)

// Whatever these define must be compiled for any processor: the linker keeps
// one copy of it for the whole library.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#include "mlx/fused/backend/cpu/simd/avx2.h"
#include "mlx/fused/backend/cpu/simd/table.h"

namespace mlx::core::fused::cpu {

const Kernels* avx2_kernels() {
  return simd::table<simd::Avx2, true>();
}

} // namespace mlx::core::fused::cpu

#ifdef __clang__
#pragma clang attribute pop
#endif

#else

namespace mlx::core::fused::cpu {

const Kernels* avx2_kernels() {
  return nullptr;
}

} // namespace mlx::core::fused::cpu

#endif
