// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <sstream>

#include "mlx/fused/quantization.h"
#include "mlx/utils.h"

namespace mlx::core::fused {

namespace {

template <typename... Args>
[[noreturn]] void invalid(const std::string& tag, const Args&... args) {
  std::ostringstream msg;
  msg << "[" << tag << "] ";
  (msg << ... << args);
  throw std::invalid_argument(msg.str());
}

QuantizationMode mode_from_string(
    const std::string& tag,
    const std::string& mode) {
  for (auto m :
       {QuantizationMode::Affine,
        QuantizationMode::Mxfp4,
        QuantizationMode::Mxfp8,
        QuantizationMode::Nvfp4}) {
    if (to_string(m) == mode) {
      return m;
    }
  }
  invalid(
      tag,
      "mode must be 'affine', 'mxfp4', 'mxfp8' or 'nvfp4' but got '",
      mode,
      "'.");
}

} // namespace

std::string to_string(QuantizationMode mode) {
  switch (mode) {
    case QuantizationMode::Affine:
      return "affine";
    case QuantizationMode::Mxfp4:
      return "mxfp4";
    case QuantizationMode::Mxfp8:
      return "mxfp8";
    case QuantizationMode::Nvfp4:
      return "nvfp4";
  }
  throw std::invalid_argument("Unknown quantization mode.");
}

Quantization resolve_quantization(
    const std::string& tag,
    const std::string& mode,
    std::optional<int> group_size,
    std::optional<int> bits) {
  auto qmode = mode_from_string(tag, mode);
  if (qmode == QuantizationMode::Affine) {
    Quantization q{group_size.value_or(64), bits.value_or(4), qmode};
    if (q.group_size != 32 && q.group_size != 64 && q.group_size != 128) {
      invalid(
          tag,
          "group_size must be 32, 64 or 128 for mode 'affine' but got ",
          q.group_size,
          ".");
    }
    if (q.bits < 2 || q.bits > 8 || q.bits == 7) {
      invalid(
          tag,
          "bits must be 2, 3, 4, 5, 6 or 8 for mode 'affine' but got ",
          q.bits,
          ".");
    }
    return q;
  }

  int mode_group_size = qmode == QuantizationMode::Nvfp4 ? 16 : 32;
  int mode_bits = qmode == QuantizationMode::Mxfp8 ? 8 : 4;
  if (group_size.value_or(mode_group_size) != mode_group_size) {
    invalid(
        tag,
        "group_size must be ",
        mode_group_size,
        " for mode '",
        mode,
        "' but got ",
        *group_size,
        ".");
  }
  if (bits.value_or(mode_bits) != mode_bits) {
    invalid(
        tag,
        "bits must be ",
        mode_bits,
        " for mode '",
        mode,
        "' but got ",
        *bits,
        ".");
  }
  return {mode_group_size, mode_bits, qmode};
}

void check_operand(
    const std::string& tag,
    const QuantizedOperand& operand,
    const Quantization& q) {
  auto& [w, scales, biases, w_name, scales_name, biases_name] = operand;
  if (w.dtype() != uint32) {
    invalid(tag, w_name, " must have type uint32 but got ", w.dtype(), ".");
  }
  if (w.ndim() < 2) {
    invalid(
        tag,
        w_name,
        " must have at least 2 dimensions but got shape ",
        w.shape(),
        ".");
  }
  if (q.affine()) {
    if (!biases) {
      invalid(tag, biases_name, " must be given for mode 'affine'.");
    }
    for (auto [a, name] :
         {std::pair{&scales, &scales_name},
          std::pair{&(*biases), &biases_name}}) {
      if (!issubdtype(a->dtype(), floating)) {
        invalid(
            tag,
            *name,
            " must have a floating type for mode 'affine' but got ",
            a->dtype(),
            ".");
      }
    }
    if (scales.shape() != biases->shape()) {
      invalid(
          tag,
          biases_name,
          " must have the shape of ",
          scales_name,
          " ",
          scales.shape(),
          " but got shape ",
          biases->shape(),
          ".");
    }
  } else {
    if (biases) {
      invalid(
          tag,
          biases_name,
          " must be None for mode '",
          to_string(q.mode),
          "', which has no biases.");
    }
    if (scales.dtype() != uint8) {
      invalid(
          tag,
          scales_name,
          " must have type uint8 for mode '",
          to_string(q.mode),
          "' but got ",
          scales.dtype(),
          ".");
    }
  }

  // w.shape(-1) * 32 / bits values are scales.shape(-1) groups.
  bool fits =
      scales.ndim() == w.ndim() &&
      std::equal(
          w.shape().begin(), w.shape().end() - 1, scales.shape().begin()) &&
      int64_t(w.shape(-1)) * 32 ==
          int64_t(scales.shape(-1)) * q.group_size * q.bits;
  if (!fits) {
    invalid(
        tag,
        scales_name,
        " must have the shape of ",
        w_name,
        " ",
        w.shape(),
        " with one scale per ",
        q.group_size,
        " values of ",
        q.bits,
        " bits in the last dimension but got shape ",
        scales.shape(),
        ".");
  }
}

std::pair<int, int>
matmul_dims(const array& w, const Quantization& q, bool transpose) {
  int rows = w.shape(-2);
  int columns = int64_t(w.shape(-1)) * 32 / q.bits;
  return transpose ? std::pair{columns, rows} : std::pair{rows, columns};
}

Dtype matmul_type(
    const std::string& tag,
    const array& x,
    const std::string& x_name,
    const std::vector<QuantizedOperand>& operands,
    const Quantization& q) {
  auto dtype = x.dtype();
  if (q.affine()) {
    for (auto& operand : operands) {
      dtype = promote_types(dtype, operand.scales.dtype());
      dtype = promote_types(dtype, operand.biases->dtype());
    }
  }
  if (dtype != float32 && dtype != float16 && dtype != bfloat16) {
    invalid(
        tag,
        x_name,
        " and the scales must give a result of type float32, float16 or "
        "bfloat16 but ",
        x_name,
        " of type ",
        x.dtype(),
        " gives ",
        dtype,
        ".");
  }
  return dtype;
}

} // namespace mlx::core::fused
