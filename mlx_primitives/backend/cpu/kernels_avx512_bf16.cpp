// Copyright © 2026 The mlx-fork authors

#include "mlx/fused/backend/cpu/kernels.h"

#if defined(__GNUC__) && defined(__x86_64__)

// Whatever these define must be compiled for any processor: the linker keeps
// one copy of it for the whole library.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(                                                   \
    __attribute__((target(                                                      \
        "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target( \
    "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma,f16c")
#endif

#include "mlx/fused/backend/cpu/simd/qmm_bf16.h"
#include "mlx/fused/backend/cpu/simd/qmm_vnni.h"

namespace mlx::core::fused::cpu {

namespace {

template <typename Codes>
QMMKernel bfloat_kernel() {
  // What is not different here.
  auto kernel =
      avx512_kernels()->qmm(4, !Codes::Format::scaled, true, Stored::F32);
  using Sums = simd::BfloatSums<Codes>;
  kernel.prepare = Sums::make;
  kernel.run = simd::qmm_t<
      simd::Avx512,
      Sums,
      simd::qmm_t_tile<simd::Avx512, typename Sums::Plain, 1>>;
  return kernel;
}

QMMKernel integer_kernel() {
  auto kernel = avx512_kernels()->qmm(4, false, true, Stored::F32);
  using Sums = simd::IntegerSums;
  kernel.prepared = Sums::size;
  kernel.prepare = Sums::make;
  kernel.run = simd::qmm_t<simd::Avx512, Sums, Sums::plain>;
  return kernel;
}

QMMKernel qmm(int bits, bool fp, bool transpose, Stored x) {
  if (bits == 4 && transpose && x == Stored::BF16) {
    return fp ? bfloat_kernel<simd::E2M1Codes>()
              : bfloat_kernel<simd::IntegerCodes>();
  }
  if (bits == 4 && !fp && transpose && x == Stored::F16) {
    return integer_kernel();
  }
  return avx512_kernels()->qmm(bits, fp, transpose, x);
}

Kernels make_kernels() {
  auto kernels = *avx512_kernels();
  kernels.name = "avx512_bf16";
  kernels.qmm = qmm;
  return kernels;
}

} // namespace

const Kernels* avx512_bf16_kernels() {
  static const Kernels kernels = make_kernels();
  return &kernels;
}

} // namespace mlx::core::fused::cpu

#ifdef __clang__
#pragma clang attribute pop
#endif

#else

namespace mlx::core::fused::cpu {

const Kernels* avx512_bf16_kernels() {
  return nullptr;
}

} // namespace mlx::core::fused::cpu

#endif
