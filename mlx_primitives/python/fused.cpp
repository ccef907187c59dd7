// Copyright © 2026 The mlx-fork authors

#include <nanobind/nanobind.h>

namespace nb = nanobind;

void init_gather_qmm_downproj_combine(nb::module_&);
void init_gather_qmm_swiglu(nb::module_&);

void init_fused(nb::module_& m) {
#ifdef MLX_FUSED_GATHER_QMM_DOWNPROJ_COMBINE
  init_gather_qmm_downproj_combine(m);
#endif
#ifdef MLX_FUSED_GATHER_QMM_SWIGLU
  init_gather_qmm_swiglu(m);
#endif
}
