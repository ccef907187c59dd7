// Copyright © 2026 The mlx-fork authors
//
// The numbers that the codes of e2m1, a float of four bits, stand for.

#pragma once

namespace mlx::core::fused::cpu::simd {

/** By code; the upper eight are the lower ones' negatives. */
constexpr float e2m1_values[16] = {
    0.0f,
    0.5f,
    1.0f,
    1.5f,
    2.0f,
    3.0f,
    4.0f,
    6.0f,
    -0.0f,
    -0.5f,
    -1.0f,
    -1.5f,
    -2.0f,
    -3.0f,
    -4.0f,
    -6.0f};

} // namespace mlx::core::fused::cpu::simd
