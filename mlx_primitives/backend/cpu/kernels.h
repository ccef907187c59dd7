// Copyright © 2026 The mlx-fork authors
//
// What a processor's kernels do, in plain types: the seam between the code that
// knows arrays and the code that knows registers. simd/ has the kernels.

#pragma once

#include <cstdint>

namespace mlx::core::fused::cpu {

/** How a float is stored. The last two are the scales of mxfp4, mxfp8 and of
 * nvfp4. */
enum class Stored : uint8_t { F32, F16, BF16, E8M0, E4M3 };

constexpr int size_of(Stored type) {
  return type == Stored::F32 ? 4 : type < Stored::E8M0 ? 2 : 1;
}

/** The most rows of x that a kernel multiplies at once. */
constexpr int max_tile = 4;

/** Rows of x, prepared, times a part of one quantized matrix. */
struct QMMArgs {
  const float* const* x; // `tile` rows as QMMKernel::prepare left them
  int tile;
  uint32_t out_of_range; // bit m: what QMMKernel::prepare said false of
  const uint32_t* w; // words of the first row; each row is in one piece
  const char* scales;
  const char* biases; // null where the format has none
  int64_t w_stride; // from row to row: words, and bytes
  int64_t scales_stride;
  int64_t biases_stride;
  Stored type; // of scales and biases
  int group_size;
  int inner; // terms in a sum
  int outer; // rows of a transposed matrix, else columns
  // Where what will be read after this part begins, or null.
  const uint32_t* next_w;
  const char* next_scales;
  const char* next_biases;
  float* scratch; // QMMKernel::scratch floats
  float* out; // tile x outer
  int64_t out_stride;
};

/**
 * The kernel for one format. Products and sums in float32; the bits of a result
 * depend on its row of x and of the matrix only: not on the tile, nor on where
 * the part begins.
 */
struct QMMKernel {
  bool fast; // made for this format and processor
  int columns; // parts of an untransposed matrix start at multiples of this

  /** Floats that a prepared row of x takes. */
  int64_t (*prepared)(int inner, int group_size);

  /**
   * Brings a row of x into the order in which the kernel meets it, with what
   * else it needs of it. False if some value of x is so small, so large or no
   * number that scales and biases can't be taken out of sums.
   */
  bool (*prepare)(const float* x, int inner, int group_size, float* out);

  /** Floats of scratch for parts of `outer` rows or columns. */
  int64_t (*scratch)(int inner, int outer, int group_size);

  void (*run)(const QMMArgs& args);
};

/** Ways to round a weighted sum's steps, see fused::Accumulate. */
enum class Rounding : uint8_t { Fused, Float, Storage };

/** Everything that is written for one kind of processor. */
struct Kernels {
  const char* name;

  /** For x of the given type. */
  QMMKernel (*qmm)(int bits, bool fp, bool transpose, Stored x);

  /** n floats in one piece to float32. */
  void (*load)(Stored type, const void* in, int64_t n, float* out);

  /** n float32 rounded to a type, to nearest even. */
  void (*store)(Stored type, const float* in, int64_t n, void* out);

  /** n float32 rounded to the values of a type, in place. */
  void (*round)(Stored type, float* v, int64_t n);

  /** silu(r(gate)) * r(up), each operation rounded to the type. */
  void (*silu)(
      Stored type,
      const float* gate,
      const float* up,
      int64_t n,
      void* out);

  /** acc += y * weight, rounded as told. */
  void (*weighted_step)(
      Stored type,
      Rounding rounding,
      const float* y,
      float weight,
      int64_t n,
      float* acc);
};

/** Null where the library was built for another processor. */
const Kernels* portable_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
const Kernels* avx512_bf16_kernels();
const Kernels* neon_kernels();

/**
 * The best kernels for this processor, or those that the environment variable
 * MLX_FUSED_CPU_SIMD names (portable, avx2, avx512, avx512_bf16,
 * neon). Throws
 * std::invalid_argument if it has no such kernels.
 */
const Kernels& kernels();

} // namespace mlx::core::fused::cpu
