// Copyright © 2026 The mlx-fork authors
//
// What stored numbers stand for, and rounding to them, in float64 and with no
// bit of the kernels' ways: the reference of these tests.

#pragma once

#include <cstdint>

#include "mlx/fused/backend/cpu/kernels.h"

namespace kernel_tests {

using mlx::core::fused::cpu::size_of;
using mlx::core::fused::cpu::Stored;

/** The value of a code of this type; a float32's bits for F32. */
double value_of(Stored type, uint32_t code);

/** v to the nearest value of F32, F16 or BF16, ties to even. */
double rounded(Stored type, double v);

/** The code of a value that the type has; of F32, F16 or BF16. */
uint32_t code_of(Stored type, double value);

/** The code at index i of an array of this type; and writing it. */
uint32_t read_code(Stored type, const void* p, int64_t i);
void write_code(Stored type, void* p, int64_t i, uint32_t code);

/** The same value, zeros with their signs, or both NaN. */
bool same(double a, double b);

} // namespace kernel_tests
