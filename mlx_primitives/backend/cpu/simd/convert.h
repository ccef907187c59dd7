// Copyright © 2026 The mlx-fork authors
//
// Between float32 and the types in which floats are stored, a vector or a run
// at a time. S is one of the vector classes of this folder.

#pragma once

#include <cstring>

#include "mlx/fused/backend/cpu/kernels.h"

namespace mlx::core::fused::cpu::simd {

/** e4m3 in byte j of each word, as elsewhere in MLX: no NaN, up to 480. */
template <typename S, int j>
typename S::F e4m3(typename S::I w) {
  typename S::I v, sign;
  if constexpr (j == 3) {
    v = S::template right<4>(w);
    sign = w;
  } else {
    v = S::template left<20 - 8 * j>(w);
    sign = S::template left<24 - 8 * j>(w);
  }
  v = S::and_(v, 0x07f00000);
  // Below 2^-6 there is no leading one: it is put there and taken off again.
  auto normal = S::as_float(S::add(v, 120u << 23));
  auto low = S::sub(S::as_float(S::add(v, 121u << 23)), S::set(0.015625f));
  return S::or_(
      S::if_less(v, 0x00800000, low, normal),
      S::as_float(S::and_(sign, 0x80000000)));
}

/** A power of two; 255 stands for infinity. */
template <typename S>
typename S::F e8m0(typename S::I b) {
  return S::if_less(
      b,
      1,
      S::as_float(S::add(b, 0x00400000)),
      S::as_float(S::template left<23>(b)));
}

template <typename S, Stored type>
typename S::F load_as_float(const char* p) {
  if constexpr (type == Stored::F32) {
    return S::load(reinterpret_cast<const float*>(p));
  } else if constexpr (type == Stored::F16) {
    return S::from_half(reinterpret_cast<const uint16_t*>(p));
  } else if constexpr (type == Stored::BF16) {
    return S::from_bfloat(reinterpret_cast<const uint16_t*>(p));
  } else {
    auto b = S::widen(reinterpret_cast<const uint8_t*>(p));
    if constexpr (type == Stored::E8M0) {
      return e8m0<S>(b);
    } else {
      return e4m3<S, 0>(b);
    }
  }
}

/** Words whose upper halves are v in bfloat16, to nearest even. */
template <typename S>
typename S::I bfloat_words(typename S::F v) {
  auto w = S::as_int(v);
  auto odd = S::and_(S::template right<16>(w), 1);
  auto rounded = S::add(S::add(w, odd), 0x7fff);
  return S::as_int(
      S::if_nan(v, S::as_float(S::bits(0x7fc00000)), S::as_float(rounded)));
}

template <typename S, Stored type>
typename S::F round_to(typename S::F v) {
  if constexpr (type == Stored::F32) {
    return v;
  } else if constexpr (type == Stored::F16) {
    return S::round_half(v);
  } else {
    return S::as_float(S::and_(bfloat_words<S>(v), 0xffff0000));
  }
}

template <typename S, Stored type>
void store_rounded(typename S::F v, char* p) {
  if constexpr (type == Stored::F32) {
    S::store(reinterpret_cast<float*>(p), v);
  } else if constexpr (type == Stored::F16) {
    S::to_half(v, reinterpret_cast<uint16_t*>(p));
  } else {
    S::store_high(bfloat_words<S>(v), reinterpret_cast<uint16_t*>(p));
  }
}

/**
 * Calls f(offset, n) for n = S::lanes at a time, and once for a rest that is
 * smaller.
 */
template <typename S, typename F>
void in_vectors(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + S::lanes <= n; i += S::lanes) {
    f(i, S::lanes);
  }
  if (i < n) {
    f(i, static_cast<int>(n - i));
  }
}

/** The next vector of n floats, zeros after them. */
template <typename S>
typename S::F load_some(const float* p, int n) {
  if (n == S::lanes) {
    return S::load(p);
  }
  float buffer[S::lanes] = {};
  for (int i = 0; i < n; ++i) {
    buffer[i] = p[i];
  }
  return S::load(buffer);
}

template <typename S>
void store_some(float* p, typename S::F v, int n) {
  if (n == S::lanes) {
    return S::store(p, v);
  }
  float buffer[S::lanes];
  S::store(buffer, v);
  for (int i = 0; i < n; ++i) {
    p[i] = buffer[i];
  }
}

template <typename S, Stored type>
void load_run(const char* in, int64_t n, float* out) {
  constexpr int size = size_of(type);
  in_vectors<S>(n, [&](int64_t i, int m) {
    if (m == S::lanes) {
      S::store(out + i, load_as_float<S, type>(in + i * size));
    } else {
      char buffer[S::lanes * size] = {};
      std::memcpy(buffer, in + i * size, m * size);
      store_some<S>(out + i, load_as_float<S, type>(buffer), m);
    }
  });
}

template <typename S, Stored type>
void store_run(const float* in, int64_t n, char* out) {
  constexpr int size = size_of(type);
  in_vectors<S>(n, [&](int64_t i, int m) {
    if (m == S::lanes) {
      store_rounded<S, type>(S::load(in + i), out + i * size);
    } else {
      char buffer[S::lanes * size];
      store_rounded<S, type>(load_some<S>(in + i, m), buffer);
      std::memcpy(out + i * size, buffer, m * size);
    }
  });
}

/** n values of any stored type to float32. */
template <typename S>
void load(Stored type, const void* in, int64_t n, float* out) {
  auto p = static_cast<const char*>(in);
  switch (type) {
    case Stored::F32:
      return load_run<S, Stored::F32>(p, n, out);
    case Stored::F16:
      return load_run<S, Stored::F16>(p, n, out);
    case Stored::BF16:
      return load_run<S, Stored::BF16>(p, n, out);
    case Stored::E8M0:
      return load_run<S, Stored::E8M0>(p, n, out);
    case Stored::E4M3:
      return load_run<S, Stored::E4M3>(p, n, out);
  }
}

template <typename S>
void store(Stored type, const float* in, int64_t n, void* out) {
  auto p = static_cast<char*>(out);
  switch (type) {
    case Stored::F16:
      return store_run<S, Stored::F16>(in, n, p);
    case Stored::BF16:
      return store_run<S, Stored::BF16>(in, n, p);
    default:
      return store_run<S, Stored::F32>(in, n, p);
  }
}

} // namespace mlx::core::fused::cpu::simd
