// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <cmath>
#include <limits>

#include "mlx/allocator.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/fused/backend/cpu/qmm.h"
#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_swiglu.h"
#include "mlx/fused/gather_qmm_swiglu_operands.h"
#include "mlx/fused/path.h"

namespace mlx::core {

namespace {

using fused::cpu::round_to;
using fused::cpu::uncontracted;

template <typename T>
float silu(float g) {
  float e = round_to<T>(std::exp(std::abs(g)));
  float d = round_to<T>(1.0f + e);
  float y = round_to<T>(1.0f / d);
  float s = g < 0 ? y : round_to<T>(1.0f - y);
  return round_to<T>(g * s);
}

template <typename T>
float gelu_approx(float g) {
  static const float half = round_to<T>(0.5f);
  static const float c3 = round_to<T>(0.044715f);
  static const float c1 = round_to<T>(0.7978845608028654f); // sqrt(2 / pi)
  float cube = round_to<T>(std::pow(g, 3.0f));
  float inner = round_to<T>(g + uncontracted(round_to<T>(c3 * cube)));
  float t = round_to<T>(std::tanh(round_to<T>(c1 * inner)));
  float factor = round_to<T>(1.0f + t);
  return round_to<T>(round_to<T>(half * g) * factor);
}

template <typename T>
void gate(
    const float* gate,
    const float* up,
    int64_t n,
    GateActivation activation,
    T* out) {
  for (int64_t i = 0; i < n; ++i) {
    float g = round_to<T>(gate[i]);
    float u = round_to<T>(up[i]);
    float a =
        activation == GateActivation::Silu ? silu<T>(g) : gelu_approx<T>(g);
    out[i] = static_cast<T>(a * u);
  }
}

struct Job {
  fused::cpu::RowBatch x;
  fused::cpu::QuantizedBatch gate;
  fused::cpu::QuantizedBatch up;
  fused::cpu::IndexReader lhs;
  fused::cpu::IndexReader rhs;
  fused::cpu::QMMKernel kernel;
  fused::Quantization q;
  bool transpose;
  GateActivation activation;
  int64_t batch;
  int rows;
  int inner;
  int outer;
};

template <typename T>
void run(const Job& job, T* out) {
  fused::cpu::QMMScratch scratch(job.inner, job.outer, job.q, job.transpose);
  int tile = std::min(job.rows, fused::cpu::qmm_rows);
  std::vector<float> x(static_cast<int64_t>(tile) * job.inner);
  std::vector<float> g(static_cast<int64_t>(tile) * job.outer);
  std::vector<float> u(g.size());
  int64_t matrix = static_cast<int64_t>(job.rows) * job.outer;
  for (int64_t i = 0; i < job.batch; ++i, out += matrix) {
    auto lhs = job.lhs[i];
    auto rhs = job.rhs[i];
    if (lhs < 0 || rhs < 0) {
      std::fill(
          out,
          out + matrix,
          static_cast<T>(std::numeric_limits<float>::quiet_NaN()));
      continue;
    }
    auto gate_w = job.gate[rhs];
    auto up_w = job.up[rhs];
    for (int row = 0; row < job.rows; row += tile) {
      int rows = std::min(tile, job.rows - row);
      job.x.load(lhs, row, rows, x.data());
      job.kernel(x.data(), rows, gate_w, scratch, g.data());
      job.kernel(x.data(), rows, up_w, scratch, u.data());
      gate(
          g.data(),
          u.data(),
          static_cast<int64_t>(rows) * job.outer,
          job.activation,
          out + static_cast<int64_t>(row) * job.outer);
    }
  }
}

} // namespace

void GatherQMMSwiGLU::eval_cpu(const std::vector<array>& inputs, array& out) {
  if (fused::composition_forced()) {
    fused::eval_composition(
        composition(inputs, out.dtype(), false), out, stream());
    fused::record_path("gather_qmm_swiglu", fused::Path::composition);
    return;
  }

  out.set_data(allocator::malloc(out.nbytes()));
  fused::record_path("gather_qmm_swiglu", fused::Path::general);
  if (out.size() == 0) {
    return;
  }

  Operands ops(*this, inputs);
  fused::Quantization q{group_size_, bits_, mode_};
  Shape batch(
      out.shape().begin(), out.shape().end() - std::min<int>(2, out.ndim()));
  int rows = ops.x.ndim() > 1 ? ops.x.shape(-2) : 1;
  Job job{
      fused::cpu::RowBatch(ops.x),
      fused::cpu::QuantizedBatch(ops.gate.w, ops.gate.scales, ops.gate.biases),
      fused::cpu::QuantizedBatch(ops.up.w, ops.up.scales, ops.up.biases),
      fused::cpu::IndexReader(ops.lhs_indices, ops.lhs_batch(), batch),
      fused::cpu::IndexReader(ops.rhs_indices, ops.rhs_batch(), batch),
      fused::cpu::select_qmm_kernel(q, transpose_),
      q,
      transpose_,
      activation_,
      static_cast<int64_t>(out.size()) / rows / out.shape(-1),
      rows,
      ops.x.shape(-1),
      out.shape(-1)};

  auto& encoder = cpu::get_command_encoder(stream());
  for (auto& in : inputs) {
    encoder.set_input_array(in);
  }
  encoder.set_output_array(out);
  encoder.dispatch(
      [job = std::move(job), out = array::unsafe_weak_copy(out)]() mutable {
        switch (out.dtype()) {
          case float32:
            run(job, out.data<float>());
            break;
          case float16:
            run(job, out.data<float16_t>());
            break;
          default:
            run(job, out.data<bfloat16_t>());
            break;
        }
      });
}

} // namespace mlx::core
