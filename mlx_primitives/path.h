// Copyright © 2026 The mlx-fork authors

#pragma once

#include <string>

#include "mlx/api.h"

namespace mlx::core::fused {

/** The ways in which a fused primitive can be evaluated. */
enum class Path {
  none, // not evaluated yet
  fast, // a kernel made for these shapes, types and processor
  general, // the kernel that takes everything
  composition, // a graph of other operations
};

/** The path that the last evaluation of `op` in this process took. */
MLX_API Path last_path(const std::string& op);

/** Called by each evaluation once it has chosen its path. */
void record_path(const std::string& op, Path path);

} // namespace mlx::core::fused
