// Copyright © 2026 The mlx-fork authors
//
// Metal's types and library for kernels that were rewritten into C++17 for a
// CPU. Everything is in namespace metal, except what is a keyword in Metal
// (half, bfloat, as_type) or global there (uint and its kin).

#pragma once

#include "emulator/array.h"
#include "emulator/as_type.h"
#include "emulator/atomic.h"
#include "emulator/barrier.h"
#include "emulator/builtins.h"
#include "emulator/common.h"
#include "emulator/geometric.h"
#include "emulator/integer.h"
#include "emulator/limits.h"
#include "emulator/logging.h"
#include "emulator/math.h"
#include "emulator/packed.h"
#include "emulator/quadgroup.h"
#include "emulator/relational.h"
#include "emulator/simdgroup.h"
#include "emulator/simdgroup_matrix.h"
#include "emulator/type_traits.h"
#include "emulator/uniform.h"
#include "emulator/vector.h"

#include "emulator/launch.h"
