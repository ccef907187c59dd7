// Copyright © 2026 The mlx-fork authors
//
// libc++ turns a tuple of two into a pair, libstdc++ before C++23 doesn't:
// where MLX returns std::make_tuple(a, b) as a pair of arrays, this makes the
// pair.

#pragma once

#include <tuple>
#include <utility>

#include "mlx/array.h"

namespace std {

inline pair<mlx::core::array, mlx::core::array> make_tuple(
    mlx::core::array& first,
    mlx::core::array& second) {
  return {first, second};
}

} // namespace std
