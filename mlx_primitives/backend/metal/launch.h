// Copyright © 2026 The mlx-fork authors
//
// Which kernel a primitive launches on Metal, with which grid and arguments,
// from nothing but shapes and strides. No type of Metal or of MLX here: what
// the host decides is tested where there is neither.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "mlx/backend/metal/kernels/fused/params.h"

namespace mlx::core::fused {

/** An array without its data; strides in elements. */
struct Layout {
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;

  int64_t size() const;
};

/** A quantized matrix, or a batch of them. */
struct QuantizedLayout {
  Layout w;
  Layout scales;
  Layout biases; // of the affine mode, else without dimensions
};

/** An array of indices, or the default for one that was not given. */
struct IndexLayout {
  bool given;
  Layout indices; // the shape of the default, if not given
  int type; // log2 of the bytes of an index, 4 more if it is signed
};

/** What the kernels are instantiated for. */
struct KernelFormat {
  std::string type; // float, float16_t or bfloat16_t
  mlx::fused::QuantizedFormat format;
  int group_size;
  int bits;
  bool transpose;
};

struct FunctionConstant {
  int index;
  bool is_bool; // else a 32-bit integer
  int value;
};

struct Launch {
  std::string kernel;
  std::vector<FunctionConstant> constants;
  mlx::fused::GatherQMMParams params;
  std::vector<int64_t> dims;
  std::array<uint32_t, 3> grid; // threadgroups
  uint32_t threads; // of a threadgroup
  bool fast;

  // Buffer indices: of the primitive's inputs in their order, and of the rest.
  std::vector<int> inputs;
  int out;
  int params_index;
  int dims_index;

  /** The kernel and its constants in one word. */
  std::string specialized_name() const;
};

struct SwiGLULayout {
  KernelFormat format;
  mlx::fused::Activation activation;
  bool sorted_indices;
  Layout x; // (..., M, K), or (K)
  QuantizedLayout gate;
  QuantizedLayout up;
  IndexLayout lhs;
  IndexLayout rhs;
};

/**
 * Whether unfused operations are faster: where they multiply tiles of rows with
 * a matrix that is read once, and ours reads it for each row.
 */
bool prefers_composition(const SwiGLULayout& op);

Launch launch(const SwiGLULayout& op);

struct DownprojCombineLayout {
  KernelFormat format;
  mlx::fused::StepRounding rounding;
  bool float_weights; // float32 even if the type is not
  bool float_result;
  Layout h; // (..., k, K)
  QuantizedLayout w;
  IndexLayout rhs;
  Layout weights;
};

Launch launch(const DownprojCombineLayout& op);

} // namespace mlx::core::fused
