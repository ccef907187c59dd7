// Included before every source of the extension.
//
// MLX exports a graph by looking the names of its primitives up in a table
// inside libmlx, where those of an extension can't be, and fails with the name
// that it did not find. The name is therefore where the reason can be told; it
// must have no spaces, at which MLX cuts it off.

#pragma once

#include "mlx/primitives.h"

#undef DEFINE_NAME
#define DEFINE_NAME(PRIMITIVE)                                                   \
  const char* name() const override {                                            \
    return #PRIMITIVE                                                            \
        "(from_an_extension:_MLX's_table_of_exportable_primitives_is_internal)"; \
  }
