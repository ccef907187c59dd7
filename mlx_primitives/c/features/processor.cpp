// What the CPU kernels of the primitives make use of.

#include "mlx/fused/processor.h"

#include "internal.h"

const char* mlx_fork_cpu_simd(void) {
  try {
    static const std::string name = mlx::core::fused::cpu_simd();
    return name.c_str();
  } catch (const std::exception&) {
    return nullptr;
  }
}

int mlx_fork_cpu_threads(void) {
  try {
    return mlx::core::fused::cpu_threads();
  } catch (const std::exception&) {
    return -1;
  }
}
