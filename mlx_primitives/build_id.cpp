// Copyright © 2026 The mlx-fork authors

#include "mlx/fused/build_id.h"

#ifndef MLX_FORK_ID
#define MLX_FORK_ID ""
#endif

namespace mlx::core::fused {

const char* build_id() {
  return MLX_FORK_ID;
}

} // namespace mlx::core::fused

const char* mlx_fork_build_id() {
  return MLX_FORK_ID;
}
