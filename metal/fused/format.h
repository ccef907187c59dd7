// Copyright © 2026 The mlx-fork authors
//
// Quantized elements: 16 at a time from memory to floats. 16 is the smallest
// group, and 16 elements are a whole number of 16-bit words with any number of
// bits, so nothing here knows about the ends of rows.

#pragma once

#include "mlx/backend/metal/kernels/fused/params.h"
#include "mlx/backend/metal/kernels/utils.h"

namespace mlx::fused {

static constant constexpr const int CHUNK = 16;

// The most 32-bit words that a chunk takes.
static constant constexpr const int CHUNK_WORDS = 4;

/** A format that is known when the kernel is compiled. */
template <int mode_, int group_size_, int bits_>
struct FixedFormat {
  static constexpr int mode() {
    return mode_;
  }
  static constexpr int group_size() {
    return group_size_;
  }
  static constexpr int bits() {
    return bits_;
  }
};

/** The i-th code of a chunk, which begins at the lowest bit of w[0]. */
METAL_FUNC uint code(const thread uint* w, int bits, int i) {
  int word = i * bits / 32;
  int shift = i * bits % 32;
  uint v = w[word] >> shift;
  if (shift + bits > 32) {
    v |= w[word + 1] << (32 - shift);
  }
  return v & ((1u << bits) - 1);
}

/**
 * Codes of 4 or 8 bits as halves, two at a time: shifted to where a half has
 * its sign, the low bits of its exponent and the top of its fraction, and
 * multiplied by what the two exponents' biases differ. Exact, subnormal codes
 * included.
 */
METAL_FUNC void e2m1(uint w, thread float* values) {
  MLX_MTL_PRAGMA_UNROLL
  for (int i = 0; i < 4; i++) {
    uint magnitude = i < 3 ? w << (9 - 4 * i) : w >> 3;
    uint sign = w << (12 - 4 * i);
    half2 v = as_type<half2>((magnitude & 0x0e000e00u) | (sign & 0x80008000u)) *
        half(16384);
    values[i] = v.x;
    values[i + 4] = v.y;
  }
}

METAL_FUNC void e4m3(uint w, thread float* values) {
  MLX_MTL_PRAGMA_UNROLL
  for (int i = 0; i < 2; i++) {
    uint magnitude = i == 0 ? w << 7 : w >> 1;
    uint sign = i == 0 ? w << 8 : w;
    half2 v = as_type<half2>((magnitude & 0x3f803f80u) | (sign & 0x80008000u)) *
        half(256);
    values[i] = v.x;
    values[i + 2] = v.y;
  }
}

/** The elements of a chunk before scale and bias. */
template <typename Format>
METAL_FUNC void decode(const thread uint* w, thread float* values) {
  if (Format::mode() == Mxfp4 || Format::mode() == Nvfp4) {
    e2m1(w[0], values);
    e2m1(w[1], values + 8);
  } else if (Format::mode() == Mxfp8) {
    MLX_MTL_PRAGMA_UNROLL
    for (int i = 0; i < 4; i++) {
      e4m3(w[i], values + 4 * i);
    }
  } else {
    MLX_MTL_PRAGMA_UNROLL
    for (int i = 0; i < CHUNK; i++) {
      values[i] = code(w, Format::bits(), i);
    }
  }
}

/** The scale at an index. */
template <typename T, typename Format>
METAL_FUNC float scale_at(const device uint8_t* scales, int64_t i) {
  if (Format::mode() == Affine) {
    return reinterpret_cast<const device T*>(scales)[i];
  }
  uint s = scales[i];
  if (Format::mode() == Nvfp4) {
    half magnitude = as_type<half>(uint16_t((s & 127) << 7)) * half(256);
    return s & 128 ? -magnitude : magnitude;
  }
  return as_type<float>(s == 0 ? 0x400000u : s << 23);
}

/** Where elements follow one another in memory. */
struct Contiguous {
  /** Where element i is. */
  static int64_t at(int64_t i, int64_t) {
    return i;
  }

  /** A chunk of x, 16-bit types. */
  template <typename T>
  static metal::enable_if_t<sizeof(T) == 2>
  load(const device T* x, int64_t, thread float* values) {
    // Four at a time, aligned as one.
    auto x4 = reinterpret_cast<const device packed_ushort4*>(x);
    MLX_MTL_PRAGMA_UNROLL
    for (int i = 0; i < CHUNK / 4; i++) {
      ushort4 v = x4[i];
      values[4 * i] = as_type<T>(v.x);
      values[4 * i + 1] = as_type<T>(v.y);
      values[4 * i + 2] = as_type<T>(v.z);
      values[4 * i + 3] = as_type<T>(v.w);
    }
  }

  static void load(const device float* x, int64_t, thread float* values) {
    auto x4 = reinterpret_cast<const device packed_float4*>(x);
    MLX_MTL_PRAGMA_UNROLL
    for (int i = 0; i < CHUNK / 4; i++) {
      float4 v = x4[i];
      values[4 * i] = v.x;
      values[4 * i + 1] = v.y;
      values[4 * i + 2] = v.z;
      values[4 * i + 3] = v.w;
    }
  }

  /** Chunk i of a row, in as few loads as there are. */
  template <typename Format>
  static void
  codes(const device uint32_t* row, int64_t, int i, thread uint* w) {
    auto p = reinterpret_cast<const device uint16_t*>(row) +
        int64_t(i) * Format::bits();
    if (Format::bits() == 2) {
      w[0] = *reinterpret_cast<const device uint32_t*>(p);
    } else if (Format::bits() == 3) {
      ushort3 v = *reinterpret_cast<const device packed_ushort3*>(p);
      w[0] = v.x | uint(v.y) << 16;
      w[1] = v.z;
    } else if (Format::bits() == 4) {
      uint2 v = *reinterpret_cast<const device packed_uint2*>(p);
      w[0] = v.x;
      w[1] = v.y;
    } else if (Format::bits() == 5) {
      ushort4 v = *reinterpret_cast<const device packed_ushort4*>(p);
      w[0] = v.x | uint(v.y) << 16;
      w[1] = v.z | uint(v.w) << 16;
      w[2] = p[4];
    } else if (Format::bits() == 6) {
      uint3 v = *reinterpret_cast<const device packed_uint3*>(p);
      w[0] = v.x;
      w[1] = v.y;
      w[2] = v.z;
    } else {
      uint4 v = *reinterpret_cast<const device packed_uint4*>(p);
      w[0] = v.x;
      w[1] = v.y;
      w[2] = v.z;
      w[3] = v.w;
    }
  }
};

/** Where they are a stride apart. */
struct Strided {
  static int64_t at(int64_t i, int64_t stride) {
    return i * stride;
  }

  template <typename T>
  static void load(const device T* x, int64_t stride, thread float* values) {
    MLX_MTL_PRAGMA_UNROLL
    for (int i = 0; i < CHUNK; i++) {
      values[i] = x[i * stride];
    }
  }

  template <typename Format>
  static void
  codes(const device uint32_t* row, int64_t stride, int i, thread uint* w) {
    int first = i * Format::bits() / 2;
    int n = (Format::bits() + 1) / 2;
    MLX_MTL_PRAGMA_UNROLL
    for (int j = 0; j < CHUNK_WORDS; j++) {
      w[j] = j < n ? row[(first + j) * stride] : 0;
    }
    // Every second chunk of 3 or 5 bits begins in the middle of a word.
    if ((i * Format::bits()) % 2 != 0) {
      MLX_MTL_PRAGMA_UNROLL
      for (int j = 0; j < CHUNK_WORDS - 1; j++) {
        w[j] = w[j] >> 16 | w[j + 1] << 16;
      }
    }
  }
};

} // namespace mlx::fused
