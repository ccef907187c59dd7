// Copyright © 2026 The mlx-fork authors
//
// What follows the products, element by element, with the roundings that the
// operations promise.

#pragma once

#include "mlx/fused/backend/cpu/simd/convert.h"

namespace mlx::core::fused::cpu::simd {

template <typename S>
typename S::F power_of_two(typename S::I n) {
  return S::as_float(S::template left<23>(S::add(n, 127u)));
}

/** exp(x) for x >= 0 or NaN, within an ulp. */
template <typename S>
typename S::F exp(typename S::F x) {
  using F = typename S::F;
  // Beyond 89 all is infinity; NaN passes.
  x = S::min(S::set(89.0f), x);
  auto n = S::to_int(S::mul(x, S::set(1.44269504f)));
  F k = S::to_float(n);
  // ln 2 in two parts, the first so short that its product with k is exact.
  F r = S::sum(k, S::set(-0.693359375f), x);
  r = S::sum(k, S::set(2.12194440e-4f), r);
  F p = S::set(1.0f / 5040);
  p = S::sum(p, r, S::set(1.0f / 720));
  p = S::sum(p, r, S::set(1.0f / 120));
  p = S::sum(p, r, S::set(1.0f / 24));
  p = S::sum(p, r, S::set(1.0f / 6));
  p = S::sum(p, r, S::set(0.5f));
  p = S::sum(p, r, S::set(1.0f));
  p = S::sum(p, r, S::set(1.0f));
  // 2^n in two factors: n may be 128.
  auto half = S::template right<1>(n);
  p = S::mul(p, power_of_two<S>(half));
  return S::mul(p, power_of_two<S>(S::subtract(n, half)));
}

/** silu(r(gate)) * r(up), each operation rounded, as if unfused. */
template <typename S, Stored type>
typename S::F silu_times(typename S::F gate, typename S::F up) {
  using F = typename S::F;
  F one = S::set(1.0f);
  F g = round_to<S, type>(gate);
  F u = round_to<S, type>(up);
  F e = round_to<S, type>(exp<S>(S::abs(g)));
  F d = round_to<S, type>(S::add(one, e));
  F y = round_to<S, type>(S::div(one, d));
  F s = S::if_negative(g, y, round_to<S, type>(S::sub(one, y)));
  F a = round_to<S, type>(S::mul(g, s));
  return S::mul(a, u);
}

template <typename S, Stored type>
void silu_run(const float* gate, const float* up, int64_t n, char* out) {
  constexpr int size = size_of(type);
  in_vectors<S>(n, [&](int64_t i, int m) {
    auto v =
        silu_times<S, type>(load_some<S>(gate + i, m), load_some<S>(up + i, m));
    if (m == S::lanes) {
      store_rounded<S, type>(v, out + i * size);
    } else {
      char buffer[S::lanes * size];
      store_rounded<S, type>(v, buffer);
      std::memcpy(out + i * size, buffer, m * size);
    }
  });
}

template <typename S>
void silu(
    Stored type,
    const float* gate,
    const float* up,
    int64_t n,
    void* out) {
  auto p = static_cast<char*>(out);
  switch (type) {
    case Stored::F16:
      return silu_run<S, Stored::F16>(gate, up, n, p);
    case Stored::BF16:
      return silu_run<S, Stored::BF16>(gate, up, n, p);
    default:
      return silu_run<S, Stored::F32>(gate, up, n, p);
  }
}

template <typename S, Stored type>
void round_run(float* v, int64_t n) {
  in_vectors<S>(n, [&](int64_t i, int m) {
    store_some<S>(v + i, round_to<S, type>(load_some<S>(v + i, m)), m);
  });
}

template <typename S>
void round(Stored type, float* v, int64_t n) {
  if (type == Stored::F16) {
    round_run<S, Stored::F16>(v, n);
  } else if (type == Stored::BF16) {
    round_run<S, Stored::BF16>(v, n);
  }
}

template <typename S, Stored type>
void weighted_run(
    Rounding rounding,
    const float* y,
    float weight,
    int64_t n,
    float* acc) {
  auto w = S::set(weight);
  auto step = [&](auto&& next) {
    in_vectors<S>(n, [&](int64_t i, int m) {
      auto v = next(load_some<S>(y + i, m), load_some<S>(acc + i, m));
      store_some<S>(acc + i, v, m);
    });
  };
  using F = typename S::F;
  switch (rounding) {
    case Rounding::Fused:
      return step([&](F v, F sum) { return S::fma(v, w, sum); });
    case Rounding::Float:
      return step([&](F v, F sum) { return S::add(sum, S::product(v, w)); });
    case Rounding::Storage:
      w = round_to<S, type>(w);
      return step([&](F v, F sum) {
        auto p = round_to<S, type>(S::product(v, w));
        return round_to<S, type>(S::add(sum, p));
      });
  }
}

template <typename S>
void weighted_step(
    Stored type,
    Rounding rounding,
    const float* y,
    float weight,
    int64_t n,
    float* acc) {
  switch (type) {
    case Stored::F16:
      return weighted_run<S, Stored::F16>(rounding, y, weight, n, acc);
    case Stored::BF16:
      return weighted_run<S, Stored::BF16>(rounding, y, weight, n, acc);
    default:
      return weighted_run<S, Stored::F32>(rounding, y, weight, n, acc);
  }
}

} // namespace mlx::core::fused::cpu::simd
