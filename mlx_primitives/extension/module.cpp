// The Python module of the extension: refuses what it does not fit, then
// defines the functions that the fork defines in mlx.core.

#include <nanobind/nanobind.h>

#include "mlx/array.h"
#include "mlx_fork.h"

namespace mx = mlx::core;
namespace nb = nanobind;

void init_fused(nb::module_&);

NB_MODULE(_ext, m) {
  nb::set_leak_warnings(false);
  if (mlx_fork_check() != 0) {
    throw nb::import_error(mlx_fork_last_error());
  }
  // Modules of different versions of nanobind do not see each other's types.
  if (!nb::type<mx::array>().is_valid()) {
    throw nb::import_error(
        "mlx_fork was built with another version of nanobind than mlx.core: "
        "build it again with the version that this MLX was built with");
  }
  m.attr("fork_id") = mlx_fork_id();
  m.def(
      "last_path",
      [](const char* op) {
        mlx_fork_path path = MLX_FORK_PATH_NONE;
        if (mlx_fork_last_path(&path, op) != 0) {
          throw nb::value_error(mlx_fork_last_error());
        }
        switch (path) {
          case MLX_FORK_PATH_NONE:
            return "none";
          case MLX_FORK_PATH_FAST:
            return "fast";
          case MLX_FORK_PATH_GENERAL:
            return "general";
          case MLX_FORK_PATH_COMPOSITION:
            return "composition";
        }
        return "unknown";
      },
      nb::arg("op"),
      "The path that the last evaluation of a primitive took.");
  // A module of its own, so that what the bindings define can be told apart.
  auto ops = m.def_submodule("ops", "The fused primitives.");
  init_fused(ops);
}
