// Copyright © 2026 The mlx-fork authors
//
// From MLX's arrays to a launch (launch.h), and from a launch to the encoder.

#pragma once

#include <optional>
#include <vector>

#include "mlx/array.h"
#include "mlx/fused/backend/metal/launch.h"
#include "mlx/fused/quantization.h"
#include "mlx/stream.h"

namespace mlx::core::fused {

Layout layout_of(const array& a);

QuantizedLayout layout_of(
    const array& w,
    const array& scales,
    const std::optional<array>& biases);

/** Of indices, or of the default 0, 1, ... of a shape. */
IndexLayout layout_of(
    const std::optional<array>& indices,
    const Shape& default_shape);

KernelFormat kernel_format(Dtype type, const Quantization& q, bool transpose);

/** Allocates `out` and encodes the launch on the stream. */
void dispatch(
    const Launch& launch,
    const std::vector<array>& inputs,
    array& out,
    Stream s);

} // namespace mlx::core::fused
