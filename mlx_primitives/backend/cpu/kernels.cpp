// Copyright © 2026 The mlx-fork authors

#include <cstdlib>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include "mlx/fused/backend/cpu/kernels.h"

namespace mlx::core::fused::cpu {

namespace {

bool has_avx2() {
#if defined(__GNUC__) && defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

bool has_avx512() {
#if defined(__GNUC__) && defined(__x86_64__)
  return has_avx2() && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

bool has_avx512_bf16() {
#if defined(__GNUC__) && defined(__x86_64__)
  // No processor has the first without the second.
  return has_avx512() && __builtin_cpu_supports("avx512bf16") &&
      __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

const Kernels& select_kernels() {
  // The best last.
  const Kernels* available[] = {
      portable_kernels(),
      neon_kernels(),
      has_avx2() ? avx2_kernels() : nullptr,
      has_avx512() ? avx512_kernels() : nullptr,
      has_avx512_bf16() ? avx512_bf16_kernels() : nullptr};
  const char* wanted = std::getenv("MLX_FUSED_CPU_SIMD");
  const Kernels* found = nullptr;
  for (auto k : available) {
    if (k && (!wanted || std::strcmp(wanted, k->name) == 0)) {
      found = k;
    }
  }
  if (!found) {
    std::ostringstream msg;
    msg << "[fused::cpu] MLX_FUSED_CPU_SIMD is '" << wanted
        << "' but this machine has";
    for (auto k : available) {
      if (k) {
        msg << " '" << k->name << "'";
      }
    }
    msg << ".";
    throw std::invalid_argument(msg.str());
  }
  return *found;
}

} // namespace

const Kernels& kernels() {
  static const Kernels& kernels_ = select_kernels();
  return kernels_;
}

} // namespace mlx::core::fused::cpu
