// Copyright © 2026 The mlx-fork authors

#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "doctest/doctest.h"

#include "mlx/fused/build_id.h"
#include "mlx/fused/path.h"
#include "mlx/mlx.h"

using namespace mlx::core;

TEST_CASE("test fused build id is the same under both names") {
  CHECK_EQ(std::string(mlx_fork_build_id()), fused::build_id());
}

TEST_CASE("test fused last path of an op that never ran") {
  CHECK_EQ(fused::last_path("no such op"), fused::Path::none);
}
