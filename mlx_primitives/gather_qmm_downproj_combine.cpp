// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <limits>
#include <sstream>

#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_downproj_combine.h"
#include "mlx/fused/indexing.h"
#include "mlx/fused/quantization.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

const char* combine_tag = "gather_qmm_downproj_combine";

// The shape (..., k) of one product each, from those of h, rhs_indices and
// weights.
Shape product_shape(
    const array& h,
    const array& rhs_indices,
    const array& weights) {
  Shape shape(h.shape().begin(), h.shape().end() - 1);
  shape = broadcast_shapes(shape, rhs_indices.shape());
  return broadcast_shapes(shape, weights.shape());
}

} // namespace

array gather_qmm_downproj_combine(
    const array& h,
    const array& w,
    const array& scales,
    const std::optional<array>& biases,
    const array& rhs_indices,
    const array& weights,
    bool transpose /* = true */,
    std::optional<int> group_size /* = std::nullopt */,
    std::optional<int> bits /* = std::nullopt */,
    const std::string& mode /* = "affine" */,
    const std::string& accumulate /* = "exact" */,
    StreamOrDevice s_ /* = {} */) {
  auto acc = fused::accumulate_from_string(combine_tag, accumulate);
  auto q = fused::resolve_quantization(combine_tag, mode, group_size, bits);
  std::vector<fused::QuantizedOperand> operands{
      {w, scales, biases, "w", "scales", "biases"}};
  fused::check_operand(combine_tag, operands[0], q);

  auto check_ndim = [](const array& a, const char* name, int ndim) {
    if (static_cast<int>(a.ndim()) < ndim) {
      std::ostringstream msg;
      msg << "[" << combine_tag << "] " << name << " must have at least "
          << ndim << " dimension(s) but got shape " << a.shape() << ".";
      throw std::invalid_argument(msg.str());
    }
  };
  check_ndim(h, "h", 2);
  check_ndim(rhs_indices, "rhs_indices", 1);
  check_ndim(weights, "weights", 1);

  auto [inner, outer] = fused::matmul_dims(w, q, transpose);
  if (h.shape(-1) != inner) {
    std::ostringstream msg;
    msg << "[" << combine_tag << "] The last dimension of h must be " << inner
        << " to fit w of shape " << w.shape() << " with bits=" << q.bits
        << " and transpose=" << std::boolalpha << transpose
        << " but got h of shape " << h.shape() << ".";
    throw std::invalid_argument(msg.str());
  }
  auto dtype = fused::matmul_type(combine_tag, h, "h", operands, q);
  fused::check_index_type(combine_tag, rhs_indices, "rhs_indices");
  if (weights.dtype() != dtype && weights.dtype() != float32) {
    std::ostringstream msg;
    msg << "[" << combine_tag
        << "] weights must have the type of the products, " << dtype
        << ", or float32 but got " << weights.dtype() << ".";
    throw std::invalid_argument(msg.str());
  }

  auto s = to_stream(s_);
  auto primitive = std::make_shared<GatherQMMDownprojCombine>(
      s, q.group_size, q.bits, q.mode, transpose, acc);
  std::vector<array> inputs{astype(h, dtype, s), w};
  if (q.affine()) {
    inputs.push_back(astype(scales, dtype, s));
    inputs.push_back(astype(*biases, dtype, s));
  } else {
    inputs.push_back(scales);
  }
  inputs.push_back(rhs_indices);
  inputs.push_back(weights);

  Shape shape;
  try {
    shape = primitive->output_shapes(inputs)[0];
  } catch (const std::invalid_argument&) {
    std::ostringstream msg;
    msg << "[" << combine_tag
        << "] h (..., k, K), rhs_indices (..., k) and weights "
        << "(..., k) must broadcast but got shapes " << h.shape() << ", "
        << rhs_indices.shape() << " and " << weights.shape() << ".";
    throw std::invalid_argument(msg.str());
  }
  return array(
      std::move(shape),
      fused::weighted_sum_type(acc, dtype, weights.dtype()),
      std::move(primitive),
      std::move(inputs));
}

std::vector<Shape> GatherQMMDownprojCombine::output_shapes(
    const std::vector<array>& inputs) {
  auto shape = product_shape(
      inputs[0], inputs[inputs.size() - 2], inputs[inputs.size() - 1]);
  shape.back() =
      fused::matmul_dims(inputs[1], {group_size_, bits_, mode_}, transpose_)
          .second;
  return {shape};
}

bool GatherQMMDownprojCombine::is_equivalent(const Primitive& other) const {
  return state() == static_cast<const GatherQMMDownprojCombine&>(other).state();
}

array GatherQMMDownprojCombine::composition(
    const std::vector<array>& inputs,
    Dtype dtype,
    bool smooth) {
  auto& s = stream();
  auto& h = inputs[0];
  auto& w = inputs[1];
  auto& indices = inputs[inputs.size() - 2];
  auto& weights = inputs[inputs.size() - 1];

  int64_t experts = 1;
  for (auto n : fused::batch_shape(w)) {
    experts *= n;
  }
  if (experts == 0 && indices.size() > 0) {
    return full(
        output_shapes(inputs)[0],
        array(std::numeric_limits<float>::quiet_NaN(), dtype),
        dtype,
        s);
  }
  // gather_qmm reads wherever an index points.
  auto [safe, valid] =
      fused::check_indices(indices, std::max<int64_t>(experts, 1), s);
  std::optional<array> biases;
  if (mode_ == QuantizationMode::Affine) {
    biases = inputs[3];
  }
  auto y = fused::unfused_matmul(
      expand_dims(h, -2, s),
      {w, inputs[2], biases, {group_size_, bits_, mode_}, transpose_},
      std::nullopt,
      safe,
      false,
      !smooth,
      s);
  y = squeeze(y, -2, s);
  y = where(
      expand_dims(valid, -1, s),
      y,
      array(std::numeric_limits<float>::quiet_NaN(), y.dtype()),
      s);
  return astype(
      fused::weighted_sum(
          y, weights, smooth ? fused::Accumulate::Native : accumulate_, s),
      dtype,
      s);
}

std::vector<array> GatherQMMDownprojCombine::vjp(
    const std::vector<array>& primals,
    const std::vector<array>& cotangents,
    const std::vector<int>& argnums,
    const std::vector<array>& outputs) {
  int weights = primals.size() - 1;
  std::vector<array> wanted;
  for (auto arg : argnums) {
    if (arg != 0 && arg != weights) {
      throw std::invalid_argument(
          "[gather_qmm_downproj_combine] There is no gradient with respect to "
          "the quantized weights, scales, biases or indices, only to h and "
          "weights.");
    }
    wanted.push_back(primals[arg]);
  }
  auto fun = [&](const std::vector<array>& args) -> std::vector<array> {
    auto inputs = primals;
    for (size_t i = 0; i < args.size(); ++i) {
      inputs[argnums[i]] = args[i];
    }
    return {composition(inputs, outputs[0].dtype(), true)};
  };
  return mlx::core::vjp(fun, wanted, cotangents).second;
}

std::vector<array> GatherQMMDownprojCombine::jvp(
    const std::vector<array>& primals,
    const std::vector<array>& tangents,
    const std::vector<int>& argnums) {
  // It is linear in h and in weights.
  int weights = primals.size() - 1;
  auto dtype = fused::weighted_sum_type(
      accumulate_, primals[0].dtype(), primals[weights].dtype());
  std::optional<array> out;
  for (size_t i = 0; i < argnums.size(); ++i) {
    if (argnums[i] != 0 && argnums[i] != weights) {
      throw std::invalid_argument(
          "[gather_qmm_downproj_combine] There is no jvp with respect to the "
          "quantized weights, scales, biases or indices, only to h and "
          "weights.");
    }
    auto inputs = primals;
    inputs[argnums[i]] = tangents[i];
    auto part = composition(inputs, dtype, true);
    out = out ? add(*out, part, stream()) : part;
  }
  return {*out};
}

std::pair<std::vector<array>, std::vector<int>> GatherQMMDownprojCombine::vmap(
    const std::vector<array>& inputs,
    const std::vector<int>& axes) {
  auto& s = stream();
  size_t indices = inputs.size() - 2;
  size_t weights = inputs.size() - 1;
  for (size_t i = 1; i < indices; ++i) {
    if (axes[i] >= 0) {
      throw std::invalid_argument(
          "[gather_qmm_downproj_combine] vmap goes over h, the indices and the "
          "weights, not over the quantized weights, scales or biases.");
    }
  }

  // The dimensions of (..., k) that one entry of the batch sees.
  int ndim = std::max(
      {static_cast<int>(inputs[0].ndim()) - 1 - (axes[0] >= 0),
       static_cast<int>(inputs[indices].ndim()) - (axes[indices] >= 0),
       static_cast<int>(inputs[weights].ndim()) - (axes[weights] >= 0)});
  auto new_inputs = inputs;
  for (auto i : {size_t{0}, indices, weights}) {
    if (axes[i] >= 0) {
      new_inputs[i] =
          fused::batch_first(inputs[i], axes[i], ndim + (i == 0), s);
    }
  }
  auto shape = output_shapes(new_inputs)[0];
  auto dtype = fused::weighted_sum_type(
      accumulate_, inputs[0].dtype(), inputs[weights].dtype());
  auto primitive = std::make_shared<GatherQMMDownprojCombine>(
      s, group_size_, bits_, mode_, transpose_, accumulate_);
  return {
      {array(std::move(shape), dtype, std::move(primitive), new_inputs)}, {0}};
}

} // namespace mlx::core
