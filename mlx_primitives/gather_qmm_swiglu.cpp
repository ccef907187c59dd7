// Copyright © 2026 The mlx-fork authors

// Required for using M_PI in MSVC.
#define _USE_MATH_DEFINES
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>

#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_swiglu.h"
#include "mlx/fused/gather_qmm_swiglu_operands.h"
#include "mlx/fused/indexing.h"
#include "mlx/fused/quantization.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

const char* swiglu_tag = "gather_qmm_swiglu";

GateActivation activation_from_string(const std::string& activation) {
  if (activation == "silu") {
    return GateActivation::Silu;
  }
  if (activation == "gelu_approx") {
    return GateActivation::GeluApprox;
  }
  std::ostringstream msg;
  msg << "[" << swiglu_tag
      << "] activation must be 'silu' or 'gelu_approx' but got '" << activation
      << "'.";
  throw std::invalid_argument(msg.str());
}

// Every operation rounds to the type of g.
array act_in_steps(GateActivation activation, const array& g, Stream s) {
  auto constant = [&](float v) { return array(v, g.dtype()); };
  if (activation == GateActivation::Silu) {
    auto one = constant(1.0f);
    auto e = exp(abs(g, s), s);
    auto y = divide(one, add(one, e, s), s);
    auto sigmoid_g =
        where(less(g, constant(0.0f), s), y, subtract(one, y, s), s);
    return multiply(g, sigmoid_g, s);
  }
  auto cube = power(g, constant(3.0f), s);
  auto inner = add(g, multiply(constant(0.044715f), cube, s), s);
  auto scaled =
      multiply(constant(static_cast<float>(std::sqrt(2 / M_PI))), inner, s);
  auto factor = add(constant(1.0f), tanh(scaled, s), s);
  return multiply(multiply(constant(0.5f), g, s), factor, s);
}

// For derivatives: finite for every g.
array act_smooth(GateActivation activation, const array& g, Stream s) {
  if (activation == GateActivation::Silu) {
    return multiply(g, sigmoid(g, s), s);
  }
  return act_in_steps(activation, g, s);
}

int64_t size_of_shape(const Shape& shape) {
  return std::accumulate(
      shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
}

} // namespace

GatherQMMSwiGLU::Operands::Operands(
    const GatherQMMSwiGLU& primitive,
    const std::vector<array>& inputs)
    : Operands(
          primitive,
          inputs,
          primitive.mode_ == QuantizationMode::Affine ? 3 : 2) {}

GatherQMMSwiGLU::Operands::Operands(
    const GatherQMMSwiGLU& primitive,
    const std::vector<array>& inputs,
    int per_matrix)
    : x(inputs[0]),
      gate{inputs[1], inputs[2], std::nullopt},
      up{inputs[1 + per_matrix], inputs[2 + per_matrix], std::nullopt} {
  if (per_matrix == 3) {
    gate.biases = inputs[3];
    up.biases = inputs[6];
  }
  size_t next = 1 + 2 * per_matrix;
  if (primitive.has_lhs_indices_) {
    lhs_indices = inputs[next++];
  }
  if (primitive.has_rhs_indices_) {
    rhs_indices = inputs[next++];
  }
}

Shape GatherQMMSwiGLU::Operands::lhs_batch() const {
  return fused::batch_shape(x);
}

Shape GatherQMMSwiGLU::Operands::rhs_batch() const {
  if (!lhs_indices && !rhs_indices && x.ndim() <= 2) {
    return {};
  }
  return fused::batch_shape(gate.w);
}

Shape GatherQMMSwiGLU::Operands::lhs_shape() const {
  return lhs_indices ? lhs_indices->shape() : lhs_batch();
}

Shape GatherQMMSwiGLU::Operands::rhs_shape() const {
  return rhs_indices ? rhs_indices->shape() : rhs_batch();
}

array gather_qmm_swiglu(
    const array& x,
    const array& gate_w,
    const array& gate_scales,
    const std::optional<array>& gate_biases,
    const array& up_w,
    const array& up_scales,
    const std::optional<array>& up_biases,
    std::optional<array> lhs_indices /* = std::nullopt */,
    std::optional<array> rhs_indices /* = std::nullopt */,
    bool transpose /* = true */,
    std::optional<int> group_size /* = std::nullopt */,
    std::optional<int> bits /* = std::nullopt */,
    const std::string& mode /* = "affine" */,
    const std::string& activation /* = "silu" */,
    bool sorted_indices /* = false */,
    StreamOrDevice s_ /* = {} */) {
  auto act = activation_from_string(activation);
  auto q = fused::resolve_quantization(swiglu_tag, mode, group_size, bits);
  std::vector<fused::QuantizedOperand> operands{
      {gate_w,
       gate_scales,
       gate_biases,
       "gate_w",
       "gate_scales",
       "gate_biases"},
      {up_w, up_scales, up_biases, "up_w", "up_scales", "up_biases"}};
  for (auto& operand : operands) {
    fused::check_operand(swiglu_tag, operand, q);
  }
  if (gate_w.shape() != up_w.shape()) {
    std::ostringstream msg;
    msg << "[" << swiglu_tag << "] up_w must have the shape of gate_w "
        << gate_w.shape() << " but got shape " << up_w.shape() << ".";
    throw std::invalid_argument(msg.str());
  }

  bool gather = lhs_indices || rhs_indices;
  int min_ndim = gather ? 2 : 1;
  if (static_cast<int>(x.ndim()) < min_ndim) {
    std::ostringstream msg;
    msg << "[" << swiglu_tag << "] x must have at least " << min_ndim
        << " dimension(s) " << (gather ? "with" : "without")
        << " indices but got shape " << x.shape() << ".";
    throw std::invalid_argument(msg.str());
  }
  auto [inner, outer] = fused::matmul_dims(gate_w, q, transpose);
  if (x.shape(-1) != inner) {
    std::ostringstream msg;
    msg << "[" << swiglu_tag << "] The last dimension of x must be " << inner
        << " to fit gate_w of shape " << gate_w.shape()
        << " with bits=" << q.bits << " and transpose=" << std::boolalpha
        << transpose << " but got x of shape " << x.shape() << ".";
    throw std::invalid_argument(msg.str());
  }
  auto dtype = fused::matmul_type(swiglu_tag, x, "x", operands, q);
  for (auto [indices, name] :
       {std::pair{&lhs_indices, "lhs_indices"},
        std::pair{&rhs_indices, "rhs_indices"}}) {
    if (*indices) {
      fused::check_index_type(swiglu_tag, **indices, name);
    }
  }

  auto s = to_stream(s_);
  auto primitive = std::make_shared<GatherQMMSwiGLU>(
      s,
      q.group_size,
      q.bits,
      q.mode,
      transpose,
      act,
      sorted_indices,
      lhs_indices.has_value(),
      rhs_indices.has_value());

  std::vector<array> inputs{astype(x, dtype, s)};
  for (auto& operand : operands) {
    inputs.push_back(operand.w);
    if (q.affine()) {
      inputs.push_back(astype(operand.scales, dtype, s));
      inputs.push_back(astype(*operand.biases, dtype, s));
    } else {
      inputs.push_back(operand.scales);
    }
  }
  for (auto& indices : {lhs_indices, rhs_indices}) {
    if (indices) {
      inputs.push_back(*indices);
    }
  }

  Shape shape;
  try {
    shape = primitive->output_shapes(inputs)[0];
  } catch (const std::invalid_argument&) {
    std::ostringstream msg;
    msg << "[" << swiglu_tag << "] ";
    if (gather) {
      msg << "lhs_indices and rhs_indices, or the batch dimensions that stand "
          << "for those not given, must broadcast";
    } else {
      msg << "The batch dimensions of x and gate_w must broadcast";
    }
    msg << " but got x of shape " << x.shape() << ", gate_w of shape "
        << gate_w.shape();
    for (auto [indices, name] :
         {std::pair{&lhs_indices, "lhs_indices"},
          std::pair{&rhs_indices, "rhs_indices"}}) {
      if (*indices) {
        msg << ", " << name << " of shape " << (*indices)->shape();
      }
    }
    msg << ".";
    throw std::invalid_argument(msg.str());
  }
  return array(
      std::move(shape), dtype, std::move(primitive), std::move(inputs));
}

std::vector<Shape> GatherQMMSwiGLU::output_shapes(
    const std::vector<array>& inputs) {
  Operands ops(*this, inputs);
  auto [inner, outer] =
      fused::matmul_dims(ops.gate.w, {group_size_, bits_, mode_}, transpose_);
  auto shape = broadcast_shapes(ops.lhs_shape(), ops.rhs_shape());
  if (ops.x.ndim() > 1) {
    shape.push_back(ops.x.shape(-2));
  }
  shape.push_back(outer);
  return {shape};
}

bool GatherQMMSwiGLU::is_equivalent(const Primitive& other) const {
  return state() == static_cast<const GatherQMMSwiGLU&>(other).state();
}

struct GatherQMMSwiGLU::Products {
  array gate;
  array up;
  std::optional<array> valid;
};

GatherQMMSwiGLU::Products GatherQMMSwiGLU::products(
    const std::vector<array>& inputs,
    bool smooth) {
  Operands ops(*this, inputs);
  auto& s = stream();
  auto x = ops.x;
  auto lhs = ops.lhs_indices;
  auto rhs = ops.rhs_indices;

  // gather_qmm reads wherever an index points.
  std::optional<array> valid;
  auto check = [&](std::optional<array>& indices, const Shape& batch) {
    if (indices) {
      auto checked = fused::check_indices(*indices, size_of_shape(batch), s);
      auto ok = expand_dims(checked.valid, {-2, -1}, s);
      indices = checked.indices;
      valid = valid ? logical_and(*valid, ok, s) : ok;
    }
  };
  check(lhs, ops.lhs_batch());
  check(rhs, ops.rhs_batch());

  // Its gradient may take sorted indices to pair up with x one to one.
  bool sorted =
      sorted_indices_ && (!smooth || ops.lhs_shape() == ops.rhs_shape());
  if ((lhs || rhs) && x.ndim() == 2) {
    // Its gradient of a gathered x asks for a batch dimension.
    x = expand_dims(x, 0, s);
    lhs = lhs ? lhs : array(0u, uint32);
  }
  auto matmul = [&](const Operands::Quantized& m) {
    return fused::unfused_matmul(
        x,
        {m.w, m.scales, m.biases, {group_size_, bits_, mode_}, transpose_},
        lhs,
        rhs,
        sorted,
        !smooth,
        s);
  };
  return {matmul(ops.gate), matmul(ops.up), valid};
}

array GatherQMMSwiGLU::composition(
    const std::vector<array>& inputs,
    Dtype dtype,
    bool smooth) {
  Operands ops(*this, inputs);
  auto& s = stream();
  auto nan = array(std::numeric_limits<float>::quiet_NaN(), dtype);
  if ((ops.lhs_indices && size_of_shape(ops.lhs_batch()) == 0) ||
      (ops.rhs_indices && size_of_shape(ops.rhs_batch()) == 0)) {
    return full(output_shapes(inputs)[0], nan, dtype, s);
  }
  auto p = products(inputs, smooth);
  auto out = multiply(
      smooth ? act_smooth(activation_, p.gate, s)
             : act_in_steps(activation_, p.gate, s),
      p.up,
      s);
  out = astype(out, dtype, s);
  return p.valid ? where(*p.valid, out, nan, s) : out;
}

std::vector<array> GatherQMMSwiGLU::vjp(
    const std::vector<array>& primals,
    const std::vector<array>& cotangents,
    const std::vector<int>& argnums,
    const std::vector<array>& outputs) {
  for (auto arg : argnums) {
    if (arg != 0) {
      throw std::invalid_argument(
          "[gather_qmm_swiglu] There is no gradient with respect to the "
          "quantized weights, scales, biases or indices, only to x.");
    }
  }
  auto fun = [&](const std::vector<array>& x) -> std::vector<array> {
    auto inputs = primals;
    inputs[0] = x[0];
    return {composition(inputs, outputs[0].dtype(), true)};
  };
  return mlx::core::vjp(fun, {primals[0]}, cotangents).second;
}

std::vector<array> GatherQMMSwiGLU::jvp(
    const std::vector<array>& primals,
    const std::vector<array>& tangents,
    const std::vector<int>& argnums) {
  if (argnums.size() != 1 || argnums[0] != 0) {
    throw std::invalid_argument(
        "[gather_qmm_swiglu] There is no jvp with respect to the quantized "
        "weights, scales, biases or indices, only to x.");
  }
  // gather_qmm has no jvp; it is linear in x.
  auto& s = stream();
  auto dtype = primals[0].dtype();
  Operands ops(*this, primals);
  if ((ops.lhs_indices && size_of_shape(ops.lhs_batch()) == 0) ||
      (ops.rhs_indices && size_of_shape(ops.rhs_batch()) == 0)) {
    return {zeros(output_shapes(primals)[0], dtype, s)};
  }
  auto inputs = primals;
  auto at = products(inputs, true);
  inputs[0] = tangents[0];
  auto along = products(inputs, true);
  auto fun = [&](const std::vector<array>& gu) -> std::vector<array> {
    return {multiply(act_smooth(activation_, gu[0], s), gu[1], s)};
  };
  auto out =
      mlx::core::jvp(fun, {at.gate, at.up}, {along.gate, along.up}).second[0];
  out = astype(out, dtype, s);
  if (at.valid) {
    out = where(*at.valid, out, zeros_like(out, s), s);
  }
  return {out};
}

std::pair<std::vector<array>, std::vector<int>> GatherQMMSwiGLU::vmap(
    const std::vector<array>& inputs,
    const std::vector<int>& axes) {
  int n_indices = has_lhs_indices_ + has_rhs_indices_;
  int n_weights = inputs.size() - 1 - n_indices;
  for (int i = 1; i <= n_weights; ++i) {
    if (axes[i] >= 0) {
      throw std::invalid_argument(
          "[gather_qmm_swiglu] vmap goes over x and the indices, not over the "
          "quantized weights, scales or biases.");
    }
  }

  auto& s = stream();
  int lhs_axis = has_lhs_indices_ ? axes[1 + n_weights] : -1;
  int rhs_axis = has_rhs_indices_ ? axes.back() : -1;
  int x_axis = axes[0];

  // The shapes that one entry of the batch sees.
  auto entry = [&](const array& a, int axis) {
    auto shape = a.shape();
    if (axis >= 0) {
      shape.erase(shape.begin() + axis);
    }
    return shape;
  };
  Operands ops(*this, inputs);
  auto x_entry = entry(ops.x, x_axis);
  bool vector = x_entry.size() == 1;
  Shape lhs_batch(
      x_entry.begin(), x_entry.end() - std::min<int>(2, x_entry.size()));
  Shape rhs_batch;
  if (n_indices > 0 || x_entry.size() > 2) {
    rhs_batch = fused::batch_shape(ops.gate.w);
  }
  auto lhs_shape =
      has_lhs_indices_ ? entry(*ops.lhs_indices, lhs_axis) : lhs_batch;
  auto rhs_shape =
      has_rhs_indices_ ? entry(*ops.rhs_indices, rhs_axis) : rhs_batch;
  int ndim = std::max(lhs_shape.size(), rhs_shape.size());

  // With both indices given the batch is a batch of indices: into x as it is
  // or, where x has the axis, into one x after the other.
  auto lhs =
      ops.lhs_indices ? *ops.lhs_indices : fused::flat_indices(lhs_batch, s);
  auto rhs =
      ops.rhs_indices ? *ops.rhs_indices : fused::flat_indices(rhs_batch, s);
  if (rhs_axis >= 0) {
    rhs = fused::batch_first(rhs, rhs_axis, ndim, s);
  }
  if (lhs_axis >= 0) {
    lhs = fused::batch_first(lhs, lhs_axis, ndim, s);
  }
  auto x = ops.x;
  if (x_axis >= 0) {
    x = moveaxis(x, x_axis, 0, s);
    int n = x.shape(0);
    if (lhs_axis < 0) {
      auto shape = lhs.shape();
      shape.insert(shape.begin(), n);
      lhs = broadcast_to(lhs, shape, s);
      lhs = fused::batch_first(lhs, 0, ndim, s);
    }
    lhs = fused::offset_indices(lhs, size_of_shape(lhs_batch), s);
  }
  if (vector) {
    x = expand_dims(x, -2, s);
  }

  auto new_inputs =
      std::vector<array>(inputs.begin(), inputs.begin() + 1 + n_weights);
  new_inputs[0] = x;
  new_inputs.push_back(lhs);
  new_inputs.push_back(rhs);
  auto primitive = std::make_shared<GatherQMMSwiGLU>(
      s,
      group_size_,
      bits_,
      mode_,
      transpose_,
      activation_,
      /* sorted_indices = */ false,
      /* has_lhs_indices = */ true,
      /* has_rhs_indices = */ true);
  auto shape = primitive->output_shapes(new_inputs)[0];
  auto out =
      array(std::move(shape), ops.x.dtype(), std::move(primitive), new_inputs);
  if (vector) {
    out = squeeze(out, -2, s);
  }
  return {{out}, {0}};
}

} // namespace mlx::core
