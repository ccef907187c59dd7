// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <cmath>
#include <limits>

#include "mlx/allocator.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/fused/backend/cpu/pool.h"
#include "mlx/fused/backend/cpu/qmm.h"
#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_swiglu.h"
#include "mlx/fused/gather_qmm_swiglu_operands.h"
#include "mlx/fused/path.h"

namespace mlx::core {

namespace {

using namespace fused::cpu;

/** v rounded to T, to nearest even. */
template <typename T>
float round_to(float v) {
  return static_cast<float>(static_cast<T>(v));
}

/** v, in a way that keeps the compiler from fusing v's product into a sum. */
float uncontracted(float v) {
#if defined(__GNUC__) && defined(__x86_64__)
  asm("" : "+x"(v));
  return v;
#elif defined(__GNUC__) && defined(__aarch64__)
  asm("" : "+w"(v));
  return v;
#else
  volatile float stored = v;
  return stored;
#endif
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
void gelu_gate(const float* gate, const float* up, int n, T* out) {
  for (int i = 0; i < n; ++i) {
    float a = gelu_approx<T>(round_to<T>(gate[i]));
    out[i] = static_cast<T>(a * round_to<T>(up[i]));
  }
}

struct Job {
  RowBatch x;
  QuantizedBatch gate;
  QuantizedBatch up;
  IndexReader lhs;
  IndexReader rhs;
  QMM qmm;
  GateActivation activation;
  Stored type; // of the result
  int64_t batch;
  int rows;
};

// The products of a job. Rows of the result without one become NaN.
template <typename T>
std::vector<Product> products(const Job& job, T* out) {
  std::vector<Product> all;
  for (int64_t i = 0; i < job.batch; ++i) {
    auto lhs = job.lhs[i];
    auto rhs = job.rhs[i];
    for (int64_t r = 0; r < job.rows; ++r) {
      auto to = i * job.rows + r;
      if (lhs >= 0 && rhs >= 0) {
        all.push_back({rhs, lhs * job.rows + r, to});
      } else {
        std::fill_n(
            out + to * job.qmm.outer(),
            job.qmm.outer(),
            static_cast<T>(std::numeric_limits<float>::quiet_NaN()));
      }
    }
  }
  return all;
}

template <typename T>
void run(const Job& job, std::vector<Product> some, T* out) {
  int outer = job.qmm.outer();
  PreparedRows rows(job.qmm, job.x, std::move(some));
  // Matrices beside columns are the tasks: all tiles of one read it at once.
  std::vector<size_t> first;
  auto& tiles = rows.tiles();
  for (size_t t = 0; t < tiles.size(); ++t) {
    if (t == 0 || tiles[t].matrix != tiles[t - 1].matrix) {
      first.push_back(t);
    }
  }
  int64_t matrices = first.size();
  if (matrices == 0) {
    return;
  }
  first.push_back(tiles.size());
  int columns = job.qmm.columns(matrices);
  int64_t parts = (outer + columns - 1) / columns;
  parallel_for(matrices * parts, [&](int64_t task) {
    thread_local AlignedFloats buffer;
    auto matrix = task / parts;
    int begin = task % parts * columns;
    int end = std::min(begin + columns, outer);
    int n = end - begin;
    int64_t stride = (n + 15) / 16 * 16;
    float* gate = buffer.resize(2 * max_tile * stride);
    float* up = gate + max_tile * stride;
    for (auto t = first[matrix]; t < first[matrix + 1]; ++t) {
      auto& tile = tiles[t];
      auto gate_w = job.gate[tile.matrix];
      auto up_w = job.up[tile.matrix];
      rows.multiply(tile, gate_w, &up_w, begin, end, gate, stride);
      rows.multiply(tile, up_w, nullptr, begin, end, up, stride);
      for (int m = 0; m < tile.size; ++m) {
        auto to = out + rows.products()[tile.first + m].to * outer + begin;
        auto g = gate + m * stride;
        auto u = up + m * stride;
        if (job.activation == GateActivation::Silu) {
          kernels().silu(job.type, g, u, n, to);
        } else {
          gelu_gate(g, u, n, to);
        }
      }
    }
  });
}

template <typename T>
void run(const Job& job, T* out) {
  auto all = products(job, out);
  int64_t most = products_at_once(job.qmm);
  if (static_cast<int64_t>(all.size()) <= most) {
    run(job, std::move(all), out);
    return;
  }
  std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) {
    return a.matrix < b.matrix;
  });
  for (auto p = all.begin(); p != all.end();) {
    auto end = p + std::min<int64_t>(most, all.end() - p);
    run(job, {p, end}, out);
    p = end;
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

  Operands ops(*this, inputs);
  fused::cpu::QMM qmm(
      {group_size_, bits_, mode_},
      transpose_,
      ops.x.shape(-1),
      out.shape(-1),
      fused::cpu::stored_as(out.dtype()));
  fused::record_path(
      "gather_qmm_swiglu",
      qmm.fast() ? fused::Path::fast : fused::Path::general);
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  Shape batch(
      out.shape().begin(), out.shape().end() - std::min<int>(2, out.ndim()));
  int rows = ops.x.ndim() > 1 ? ops.x.shape(-2) : 1;
  Job job{
      fused::cpu::RowBatch(ops.x),
      fused::cpu::QuantizedBatch(ops.gate.w, ops.gate.scales, ops.gate.biases),
      fused::cpu::QuantizedBatch(ops.up.w, ops.up.scales, ops.up.biases),
      fused::cpu::IndexReader(ops.lhs_indices, ops.lhs_batch(), batch),
      fused::cpu::IndexReader(ops.rhs_indices, ops.rhs_batch(), batch),
      std::move(qmm),
      activation_,
      fused::cpu::stored_as(out.dtype()),
      static_cast<int64_t>(out.size()) / rows / out.shape(-1),
      rows};

  fused::cpu::pool_wake();
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
