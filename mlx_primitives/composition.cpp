// Copyright © 2026 The mlx-fork authors

#include <atomic>
#include <stdexcept>
#include <unordered_set>

#include "mlx/fused/composition.h"
#include "mlx/ops.h"

namespace mlx::core::fused {

namespace {

std::atomic<bool> force_composition_{false};

bool pending(const array& a) {
  return a.status() == array::Status::unscheduled;
}

// The unevaluated arrays of the graph, inputs before those who use them, one
// for each primitive.
std::vector<array> tape(const array& result) {
  std::vector<array> order;
  std::unordered_set<std::uintptr_t> seen{result.primitive_id()};
  std::vector<std::pair<array, size_t>> stack{{result, 0}};
  while (!stack.empty()) {
    auto& [a, next] = stack.back();
    if (next == a.inputs().size()) {
      order.push_back(a);
      stack.pop_back();
      continue;
    }
    auto in = a.inputs()[next++];
    if (!pending(in)) {
      continue;
    }
    if (!in.has_primitive()) {
      throw std::logic_error(
          "[fused::eval_composition] An input was never evaluated.");
    }
    if (seen.insert(in.primitive_id()).second) {
      stack.emplace_back(std::move(in), 0);
    }
  }
  return order;
}

} // namespace

void eval_composition(array result, array& out, Stream s) {
  if (pending(result)) {
    for (auto& a : tape(result)) {
      if (a.primitive().stream() != s) {
        throw std::logic_error(
            "[fused::eval_composition] A primitive is on another stream.");
      }
      auto outputs = a.outputs();
      auto used = a.inputs();
      if (s.device == Device::gpu) {
        a.primitive().eval_gpu(a.inputs(), outputs);
      } else {
        a.primitive().eval_cpu(a.inputs(), outputs);
      }
      for (auto& o : outputs) {
        o.set_status(array::Status::evaluated);
        used.push_back(o);
      }
      a.detach();
      if (s.device == Device::gpu) {
        gpu::add_temporaries(std::move(used), s);
      } else {
        cpu::add_temporaries(std::move(used), s);
      }
    }
  }
  out.copy_shared_buffer(result);
}

void force_composition(bool force) {
  force_composition_ = force;
}

bool composition_forced() {
  return force_composition_;
}

array unfused_matmul(
    const array& x,
    const UnfusedMatmul& m,
    const std::optional<array>& lhs_indices,
    const std::optional<array>& rhs_indices,
    bool sorted_indices,
    bool keep_type,
    Stream s) {
  // On the CPU the product sums in the type of its inputs, on GPUs in float32.
  bool widen = s.device == Device::cpu;
  auto wide = [&](const array& a) { return widen ? astype(a, float32, s) : a; };
  auto scales = m.q.affine() ? wide(m.scales) : m.scales;
  auto biases = m.biases ? std::optional<array>(wide(*m.biases)) : std::nullopt;
  auto out = gather_qmm(
      wide(x),
      m.w,
      scales,
      biases,
      lhs_indices,
      rhs_indices,
      m.transpose,
      m.q.group_size,
      m.q.bits,
      to_string(m.q.mode),
      sorted_indices,
      s);
  if (out.size() == 0 || x.shape(-1) == 0) {
    // Their kernels divide by these sizes, and gradients scatter nothing
    // into nothing. Not evaluated, the product above has only given its shape.
    out = zeros(out.shape(), out.dtype(), s);
  }
  return keep_type ? astype(out, x.dtype(), s) : out;
}

} // namespace mlx::core::fused
