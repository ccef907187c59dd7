// Copyright © 2026 The mlx-fork authors
//
// The formats that a kernel is instantiated for: those of gather_qmm.

#pragma once

// clang-format off
#define instantiate_fused(func, mode, format, type, group_size, bits) \
  instantiate_kernel(                                                 \
      #mode "_" #func "_fast_" #type "_gs_" #group_size "_b_" #bits,  \
      func ## _rows,                                                  \
      type,                                                           \
      FixedFormat<format, group_size, bits>,                          \
      Contiguous)

#define instantiate_fused_groups(func, type, bits)                    \
  instantiate_fused(func, affine, Affine, type, 32, bits)             \
  instantiate_fused(func, affine, Affine, type, 64, bits)             \
  instantiate_fused(func, affine, Affine, type, 128, bits)

#define instantiate_fused_type(func, type)                            \
  instantiate_fused_groups(func, type, 2)                             \
  instantiate_fused_groups(func, type, 3)                             \
  instantiate_fused_groups(func, type, 4)                             \
  instantiate_fused_groups(func, type, 5)                             \
  instantiate_fused_groups(func, type, 6)                             \
  instantiate_fused_groups(func, type, 8)                             \
  instantiate_fused(func, mxfp4, Mxfp4, type, 32, 4)                  \
  instantiate_fused(func, mxfp8, Mxfp8, type, 32, 8)                  \
  instantiate_fused(func, nvfp4, Nvfp4, type, 16, 4)                  \
  instantiate_kernel(                                                 \
      #func "_general_t_" #type,                                      \
      func ## _rows,                                                  \
      type,                                                           \
      SpecializedFormat,                                              \
      Strided)                                                        \
  instantiate_kernel(                                                 \
      #func "_general_n_" #type, func ## _columns, type, SpecializedFormat)

// 69 kernels: 63 for formats, 6 that take their format as function constants.
#define instantiate_fused_all(func)                                   \
  instantiate_fused_type(func, float)                                 \
  instantiate_fused_type(func, float16_t)                             \
  instantiate_fused_type(func, bfloat16_t)
// clang-format on
