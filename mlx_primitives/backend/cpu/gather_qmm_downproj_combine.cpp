// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <limits>

#include "mlx/allocator.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/fused/backend/cpu/qmm.h"
#include "mlx/fused/backend/cpu/weighted_sum.h"
#include "mlx/fused/composition.h"
#include "mlx/fused/gather_qmm_downproj_combine.h"
#include "mlx/fused/indexing.h"
#include "mlx/fused/path.h"

namespace mlx::core {

namespace {

using fused::Accumulate;

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

struct Job {
  fused::cpu::RowBatch h;
  fused::cpu::QuantizedBatch w;
  fused::cpu::IndexReader lhs;
  fused::cpu::IndexReader rhs;
  WeightReader weights;
  fused::cpu::QMMKernel kernel;
  fused::Quantization q;
  bool transpose;
  Accumulate accumulate;
  int64_t rows; // of the result
  int k;
  int lhs_rows; // of each matrix of h
  int inner;
  int outer;
};

// Multiplies h with experts.
class Experts {
 public:
  explicit Experts(const Job& job)
      : job_(job),
        scratch_(job.inner, job.outer, job.q, job.transpose),
        h_(job.inner) {}

  // The product at position i, rounded to T; NaN if its index is out of range.
  template <typename T>
  void multiply(int64_t i, float* out) {
    auto lhs = job_.lhs[i];
    auto rhs = job_.rhs[i];
    if (lhs < 0 || rhs < 0) {
      std::fill(out, out + job_.outer, std::numeric_limits<float>::quiet_NaN());
      return;
    }
    job_.h.load(lhs / job_.lhs_rows, lhs % job_.lhs_rows, 1, h_.data());
    job_.kernel(h_.data(), 1, job_.w[rhs], scratch_, out);
    for (int n = 0; n < job_.outer; ++n) {
      out[n] = fused::cpu::round_to<T>(out[n]);
    }
  }

 private:
  const Job& job_;
  fused::cpu::QMMScratch scratch_;
  std::vector<float> h_;
};

template <typename T, typename U>
void combine(const Job& job, U* out) {
  Experts experts(job);
  std::vector<float> y(job.outer);
  std::vector<float> acc(job.outer);
  for (int64_t row = 0; row < job.rows; ++row) {
    std::fill(acc.begin(), acc.end(), 0.0f);
    for (int j = 0; j < job.k; ++j) {
      auto i = row * job.k + j;
      experts.multiply<T>(i, y.data());
      fused::cpu::weighted_step<T>(
          job.accumulate, y.data(), job.weights[i], job.outer, acc.data());
    }
    for (int n = 0; n < job.outer; ++n) {
      *out++ = static_cast<U>(acc[n]);
    }
  }
}

template <typename T>
void products(const Job& job, T* out) {
  Experts experts(job);
  std::vector<float> y(job.outer);
  for (int64_t i = 0; i < job.rows * job.k; ++i) {
    experts.multiply<T>(i, y.data());
    for (int n = 0; n < job.outer; ++n) {
      *out++ = static_cast<T>(y[n]);
    }
  }
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

template <typename T>
void run(const Job& job, array& out) {
  if (job.accumulate == Accumulate::Native) {
    products(job, out.data<T>());
  } else if (out.dtype() == float32) {
    combine<T>(job, out.data<float>());
  } else {
    combine<T>(job, out.data<T>());
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
  fused::record_path("gather_qmm_downproj_combine", fused::Path::general);

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
  fused::Quantization q{group_size_, bits_, mode_};
  Job job{
      fused::cpu::RowBatch(h),
      fused::cpu::QuantizedBatch(w, inputs[2], biases),
      fused::cpu::IndexReader(std::nullopt, lhs_batch, shape),
      fused::cpu::IndexReader(rhs_indices, fused::batch_shape(w), shape),
      WeightReader(weights, shape),
      fused::cpu::select_qmm_kernel(q, transpose_),
      q,
      transpose_,
      accumulate_,
      rows,
      k,
      lhs_batch.back(),
      h.shape(-1),
      outer};

  // Native: the products, which stock operations then sum.
  bool native = accumulate_ == Accumulate::Native;
  auto result = native ? products_array(shape, outer, h.dtype()) : out;
  if (!native) {
    result.set_data(allocator::malloc(out.nbytes()));
  }
  auto& encoder = cpu::get_command_encoder(s);
  for (auto& in : inputs) {
    encoder.set_input_array(in);
  }
  encoder.set_output_array(result);
  encoder.dispatch([job = std::move(job),
                    type = h.dtype(),
                    result = array::unsafe_weak_copy(result)]() mutable {
    switch (type) {
      case float32:
        run<float>(job, result);
        break;
      case float16:
        run<float16_t>(job, result);
        break;
      default:
        run<bfloat16_t>(job, result);
        break;
    }
  });
  if (native) {
    encoder.add_temporary(result);
    fused::eval_composition(
        fused::weighted_sum(result, weights, accumulate_, s), out, s);
  }
}

} // namespace mlx::core
