// Copyright © 2026 The mlx-fork authors
//
// For mlx/export.cpp: what export.inc needs.

#pragma once

#ifdef MLX_FUSED_GATHER_QMM_DOWNPROJ_COMBINE
#include "mlx/fused/gather_qmm_downproj_combine.h"
#endif
#ifdef MLX_FUSED_GATHER_QMM_SWIGLU
#include "mlx/fused/gather_qmm_swiglu.h"
#endif
