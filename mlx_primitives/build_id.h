// Copyright © 2026 The mlx-fork authors

#pragma once

#include "mlx/api.h"

namespace mlx::core::fused {

/** The id given to CMake as MLX_FORK_ID, or "" when none was given. */
MLX_API const char* build_id();

} // namespace mlx::core::fused

/** The same under a name that is easy to find in a symbol table. */
extern "C" MLX_API const char* mlx_fork_build_id();
