// Which path a fused primitive took.

#include "mlx/fused/path.h"

#include "internal.h"

using namespace mlx_fork;

int mlx_fork_last_path(mlx_fork_path* result, const char* op) {
  return guarded([&] {
    auto& path = pointed(result, "result");
    switch (mx::fused::last_path(text(op, "op"))) {
      case mx::fused::Path::none:
        path = MLX_FORK_PATH_NONE;
        break;
      case mx::fused::Path::fast:
        path = MLX_FORK_PATH_FAST;
        break;
      case mx::fused::Path::general:
        path = MLX_FORK_PATH_GENERAL;
        break;
      case mx::fused::Path::composition:
        path = MLX_FORK_PATH_COMPOSITION;
        break;
    }
  });
}
