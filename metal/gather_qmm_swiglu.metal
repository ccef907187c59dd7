// Copyright © 2026 The mlx-fork authors

// clang-format off
#include <metal_simdgroup>
#include <metal_stdlib>

#include "mlx/backend/metal/kernels/utils.h"
#include "mlx/backend/metal/kernels/fused/gather_qmm_swiglu.h"
#include "mlx/backend/metal/kernels/fused/instantiate.h"
// clang-format on

instantiate_fused_all(gather_qmm_swiglu)
