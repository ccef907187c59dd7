// Copyright © 2026 The mlx-fork authors

#include <sstream>
#include <utility>

#include "mlx/fused/weighted_sum.h"
#include "mlx/ops.h"
#include "mlx/utils.h"

namespace mlx::core::fused {

namespace {

// a * b + c rounded once, from float32 operations that round each: the exact
// product and sums as pairs of floats, the tail rounded to odd before it is
// added (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums").
// Exact unless a * b comes near the ends of the float32 range.
array fma_in_steps(const array& a, const array& b, const array& c, Stream s) {
  auto two_sum = [&](const array& x, const array& y) {
    auto sum = add(x, y, s);
    auto y_part = subtract(sum, x, s);
    auto x_part = subtract(sum, y_part, s);
    auto error = add(subtract(x, x_part, s), subtract(y, y_part, s), s);
    return std::pair{sum, error};
  };
  // The upper 12 of 24 bits, and the rest.
  auto split = [&](const array& x) {
    auto high = view(
        bitwise_and(view(x, uint32, s), array(0xfffff000u, uint32), s),
        float32,
        s);
    return std::pair{high, subtract(x, high, s)};
  };
  auto [ah, al] = split(a);
  auto [bh, bl] = split(b);
  auto p = multiply(a, b, s);
  auto e = subtract(multiply(ah, bh, s), p, s);
  e = add(e, multiply(ah, bl, s), s);
  e = add(e, multiply(al, bh, s), s);
  e = add(e, multiply(al, bl, s), s);

  auto [th, tl] = two_sum(c, e);
  auto [vh, vl] = two_sum(p, th);
  auto [z, rest] = two_sum(tl, vl);
  auto zero = array(0.0f);
  auto bits = view(z, int32, s);
  auto even = equal(bitwise_and(bits, array(1, int32), s), array(0, int32), s);
  auto outward = equal(greater(rest, zero, s), greater(z, zero, s), s);
  auto odd = add(bits, where(outward, array(1), array(-1), s), s);
  auto to_odd = logical_and(not_equal(rest, zero, s), even, s);
  z = view(where(to_odd, odd, bits, s), float32, s);
  auto sum = add(vh, z, s);
  // Where a part is Inf or NaN the errors are NaN: there, plain steps.
  auto plain = add(p, c, s);
  return where(isfinite(sum, s), sum, plain, s);
}

} // namespace

Accumulate accumulate_from_string(
    const std::string& tag,
    const std::string& accumulate) {
  static const std::pair<const char*, Accumulate> names[] = {
      {"fma", Accumulate::Fma},
      {"no_fma", Accumulate::NoFma},
      {"exact", Accumulate::Exact},
      {"fp32", Accumulate::Fp32},
      {"fp32_no_fma", Accumulate::Fp32NoFma},
      {"native", Accumulate::Native}};
  for (auto& [name, value] : names) {
    if (accumulate == name) {
      return value;
    }
  }
  std::ostringstream msg;
  msg << "[" << tag << "] accumulate must be 'fma', 'no_fma', 'exact', 'fp32', "
      << "'fp32_no_fma' or 'native' but got '" << accumulate << "'.";
  throw std::invalid_argument(msg.str());
}

Dtype weighted_sum_type(Accumulate accumulate, Dtype dtype, Dtype weights) {
  switch (accumulate) {
    case Accumulate::Fp32:
    case Accumulate::Fp32NoFma:
      return float32;
    case Accumulate::Native:
      return promote_types(dtype, weights);
    default:
      return dtype;
  }
}

array weighted_sum(
    const array& y,
    const array& weights,
    Accumulate accumulate,
    Stream s) {
  auto w = expand_dims(weights, -1, s);
  if (accumulate == Accumulate::Native) {
    return sum(multiply(y, w, s), -2, false, s);
  }

  auto dtype = weighted_sum_type(accumulate, y.dtype(), weights.dtype());
  auto step_type = accumulate == Accumulate::Exact ? y.dtype() : float32;
  auto values = astype(y, step_type, s);
  w = astype(w, step_type, s);
  bool fused = accumulate == Accumulate::Fma || accumulate == Accumulate::Fp32;

  auto shape = broadcast_shapes(values.shape(), w.shape());
  int k = shape[shape.size() - 2];
  values = broadcast_to(values, shape, s);
  w = broadcast_to(w, shape, s);
  auto step = [&](const array& a, int j) {
    Shape start(shape.size(), 0);
    auto stop = shape;
    start[shape.size() - 2] = j;
    stop[shape.size() - 2] = j + 1;
    return squeeze(slice(a, start, stop, s), -2, s);
  };
  Shape out_shape(shape.begin(), shape.end() - 2);
  out_shape.push_back(shape.back());
  auto acc = zeros(out_shape, step_type, s);
  for (int j = 0; j < k; ++j) {
    auto y_j = step(values, j);
    auto w_j = step(w, j);
    acc = fused ? fma_in_steps(y_j, w_j, acc, s)
                : add(acc, multiply(y_j, w_j, s), s);
  }
  return astype(acc, dtype, s);
}

} // namespace mlx::core::fused
