// Copyright © 2026 The mlx-fork authors
//
// What the kernels for the CPU make use of, for reports.

#pragma once

#include <string>

#include "mlx/api.h"

namespace mlx::core::fused {

/**
 * The vector instructions in use: "portable", "neon", "avx2", "avx512",
 * "avx512_bf16", or "none" if MLX was built without its CPU backend. The
 * environment variable MLX_FUSED_CPU_SIMD chooses among those that the
 * processor has; throws std::invalid_argument if it names another.
 */
MLX_API std::string cpu_simd();

/**
 * The threads that share an evaluation: MLX_FUSED_CPU_THREADS of them, or one
 * for each core that the process may use. Throws std::invalid_argument if the
 * variable is no number from 1 to 1024. Zero without the CPU backend.
 */
MLX_API int cpu_threads();

} // namespace mlx::core::fused
