// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <limits>

#include "mlx/allocator.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/fused/backend/cpu/pool.h"
#include "mlx/fused/backend/cpu/qmm.h"
#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_downproj_combine.h"
#include "mlx/fused/indexing.h"
#include "mlx/fused/path.h"

namespace mlx::core {

namespace {

using fused::Accumulate;
using namespace fused::cpu;

// The weights, float32 or of the type of the products, as if broadcast.
class WeightReader {
 public:
  WeightReader(const array& weights, const Shape& shape)
      : weights_(array::unsafe_weak_copy(weights)),
        shape_(shape),
        strides_(
            fused::broadcast_strides(
                weights.shape(),
                weights.strides(),
                shape)) {}

  float operator[](int64_t i) const {
    auto loc = fused::cpu::locate(i, shape_, strides_);
    switch (weights_.dtype()) {
      case float32:
        return weights_.data<float>()[loc];
      case float16:
        return static_cast<float>(weights_.data<float16_t>()[loc]);
      default:
        return static_cast<float>(weights_.data<bfloat16_t>()[loc]);
    }
  }

 private:
  array weights_;
  Shape shape_;
  Strides strides_;
};

Rounding rounding_of(Accumulate accumulate) {
  switch (accumulate) {
    case Accumulate::Fma:
    case Accumulate::Fp32:
      return Rounding::Fused;
    case Accumulate::NoFma:
    case Accumulate::Fp32NoFma:
      return Rounding::Float;
    default:
      return Rounding::Storage;
  }
}

struct Job {
  RowBatch h;
  QuantizedBatch w;
  IndexReader lhs;
  IndexReader rhs;
  WeightReader weights;
  QMM qmm;
  Accumulate accumulate;
  Stored type; // of the products
  int64_t rows; // of the result
  int k;
};

// Rows [first, first + count) of the result, or of the products if that is what
// is wanted.
void run(const Job& job, int64_t first, int64_t count, array& out) {
  // A product's place is where its sum takes it from; -1 stands for NaN.
  std::vector<Product> some;
  for (int64_t i = 0; i < count * job.k; ++i) {
    auto lhs = job.lhs[first * job.k + i];
    auto rhs = job.rhs[first * job.k + i];
    if (lhs >= 0 && rhs >= 0) {
      some.push_back({rhs, lhs, i});
    }
  }
  PreparedRows rows(job.qmm, job.h, std::move(some));
  std::vector<int64_t> place(count * job.k, -1);
  for (size_t p = 0; p < rows.products().size(); ++p) {
    place[rows.products()[p].to] = p;
  }

  auto result = stored_as(out.dtype());
  int outer = job.qmm.outer();
  int columns = job.qmm.columns(1);
  parallel_for((outer + columns - 1) / columns, [&](int64_t task) {
    thread_local AlignedFloats buffer;
    int begin = task * columns;
    int end = std::min(begin + columns, outer);
    int n = end - begin;
    int64_t stride = (n + 15) / 16 * 16;
    int64_t products = rows.products().size();
    float* y = buffer.resize((products + 2) * stride);
    float* acc = y + products * stride;
    float* nan = acc + stride;
    std::fill_n(nan, n, std::numeric_limits<float>::quiet_NaN());
    auto& tiles = rows.tiles();
    for (size_t t = 0; t < tiles.size(); ++t) {
      auto w = job.w[tiles[t].matrix];
      auto next = job.w[tiles[t + 1 < tiles.size() ? t + 1 : t].matrix];
      rows.multiply(
          tiles[t], w, &next, begin, end, y + tiles[t].first * stride, stride);
    }
    kernels().round(job.type, y, products * stride);
    auto store = [&](int64_t row, const float* v) {
      auto to = (row * outer + begin) * out.itemsize();
      kernels().store(result, v, n, out.data<char>() + to);
    };
    for (int64_t row = 0; row < count; ++row) {
      std::fill_n(acc, n, 0.0f);
      for (int64_t i = row * job.k; i < (row + 1) * job.k; ++i) {
        const float* v = place[i] < 0 ? nan : y + place[i] * stride;
        if (job.accumulate == Accumulate::Native) {
          store(first * job.k + i, v);
        } else {
          kernels().weighted_step(
              job.type,
              rounding_of(job.accumulate),
              v,
              job.weights[first * job.k + i],
              n,
              acc);
        }
      }
      if (job.accumulate != Accumulate::Native) {
        store(first + row, acc);
      }
    }
  });
}

// Room for all products: (..., k, N) of type T.
array products_array(Shape shape, int outer, Dtype dtype) {
  shape.push_back(outer);
  size_t size = size_of(dtype);
  for (auto n : shape) {
    size *= n;
  }
  return array(allocator::malloc(size), std::move(shape), dtype);
}

void run(const Job& job, array& out) {
  int64_t at_once =
      std::max<int64_t>(1, products_at_once(job.qmm) / std::max(1, job.k));
  for (int64_t row = 0; row < job.rows; row += at_once) {
    run(job, row, std::min(at_once, job.rows - row), out);
  }
}

} // namespace

void GatherQMMDownprojCombine::eval_cpu(
    const std::vector<array>& inputs,
    array& out) {
  auto& s = stream();
  if (fused::composition_forced()) {
    fused::eval_composition(composition(inputs, out.dtype(), false), out, s);
    fused::record_path("gather_qmm_downproj_combine", fused::Path::composition);
    return;
  }
  auto& h = inputs[0];
  auto& w = inputs[1];
  auto& rhs_indices = inputs[inputs.size() - 2];
  auto& weights = inputs[inputs.size() - 1];
  std::optional<array> biases;
  if (mode_ == QuantizationMode::Affine) {
    biases = inputs[3];
  }
  Shape lhs_batch(h.shape().begin(), h.shape().end() - 1);
  auto shape = broadcast_shapes(
      broadcast_shapes(lhs_batch, rhs_indices.shape()), weights.shape());
  int k = shape.back();
  int outer = out.shape(-1);
  int64_t rows = outer == 0 ? 0 : out.size() / outer;
  fused::cpu::QMM qmm(
      {group_size_, bits_, mode_},
      transpose_,
      h.shape(-1),
      outer,
      fused::cpu::stored_as(h.dtype()));
  fused::record_path(
      "gather_qmm_downproj_combine",
      qmm.fast() ? fused::Path::fast : fused::Path::general);
  Job job{
      fused::cpu::RowBatch(h),
      fused::cpu::QuantizedBatch(w, inputs[2], biases),
      fused::cpu::IndexReader(std::nullopt, lhs_batch, shape),
      fused::cpu::IndexReader(rhs_indices, fused::batch_shape(w), shape),
      WeightReader(weights, shape),
      std::move(qmm),
      accumulate_,
      fused::cpu::stored_as(h.dtype()),
      rows,
      k};

  // Native: the products, which other operations then sum.
  bool native = accumulate_ == Accumulate::Native;
  auto result = native ? products_array(shape, outer, h.dtype()) : out;
  if (!native) {
    result.set_data(allocator::malloc(out.nbytes()));
  }
  fused::cpu::pool_wake();
  auto& encoder = cpu::get_command_encoder(s);
  for (auto& in : inputs) {
    encoder.set_input_array(in);
  }
  encoder.set_output_array(result);
  encoder.dispatch([job = std::move(job),
                    result = array::unsafe_weak_copy(result)]() mutable {
    run(job, result);
  });
  if (native) {
    encoder.add_temporary(result);
    fused::eval_composition(
        fused::weighted_sum(result, weights, accumulate_, s), out, s);
  }
}

} // namespace mlx::core
