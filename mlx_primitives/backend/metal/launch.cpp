// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <functional>
#include <numeric>

#include "mlx/fused/backend/metal/launch.h"

namespace mlx::core::fused {

namespace {

using mlx::fused::QuantizedFormat;
using Dims = std::vector<int64_t>;

// These are constants of the kernels too (fused/dots.h).
constexpr int64_t simd_size = 32;
constexpr int64_t rows_per_simd_group = 4;
constexpr int64_t columns_per_group = 64;
constexpr int64_t max_simd_groups = 8;

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

int64_t product(const Dims& shape) {
  return std::accumulate(
      shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
}

/** The shape without its last `n` dimensions. */
Dims leading(const Dims& dims, size_t n) {
  return Dims(dims.begin(), dims.end() - std::min(n, dims.size()));
}

Dims row_major_strides(const Dims& shape) {
  Dims strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * shape[i];
  }
  return strides;
}

Dims broadcast_shape(const Dims& a, const Dims& b) {
  auto& longer = a.size() > b.size() ? a : b;
  auto& shorter = a.size() > b.size() ? b : a;
  Dims shape = longer;
  auto offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    if (shape[offset + i] == 1) {
      shape[offset + i] = shorter[i];
    }
  }
  return shape;
}

Dims broadcast_strides(const Dims& from, const Dims& strides, const Dims& to) {
  Dims out(to.size(), 0);
  auto offset = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    out[offset + i] = from[i] == 1 ? 0 : strides[i];
  }
  return out;
}

/** Several strided arrays of one shape. */
struct Walk {
  Dims shape;
  std::vector<Dims> strides;

  /** The same walk in as few dimensions as will do. */
  Walk collapsed() const {
    Walk out;
    out.strides.resize(strides.size());
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] == 1) {
        continue;
      }
      bool joins = !out.shape.empty();
      for (size_t a = 0; joins && a < strides.size(); ++a) {
        joins = out.strides[a].back() == strides[a][d] * shape[d];
      }
      if (joins) {
        out.shape.back() *= shape[d];
      } else {
        out.shape.push_back(shape[d]);
      }
      for (size_t a = 0; a < strides.size(); ++a) {
        if (joins) {
          out.strides[a].back() = strides[a][d];
        } else {
          out.strides[a].push_back(strides[a][d]);
        }
      }
    }
    return out;
  }

  void append_to(Dims& dims) const {
    dims.insert(dims.end(), shape.begin(), shape.end());
    for (auto& s : strides) {
      dims.insert(dims.end(), s.begin(), s.end());
    }
  }
};

mlx::fused::Strides2 matrix_strides(const Layout& a) {
  auto n = a.strides.size();
  // The stride of a dimension of size 1 means nothing.
  return {
      n < 2 ? 0 : a.strides[n - 2], a.shape[n - 1] == 1 ? 1 : a.strides[n - 1]};
}

mlx::fused::MatrixStrides matrix_strides(const QuantizedLayout& m) {
  return {
      matrix_strides(m.w),
      matrix_strides(m.scales),
      m.biases.shape.empty() ? mlx::fused::Strides2{0, 0}
                             : matrix_strides(m.biases)};
}

bool contiguous_rows(const mlx::fused::MatrixStrides& strides, bool biases) {
  return strides.w.column == 1 && strides.scales.column == 1 &&
      (!biases || strides.biases.column == 1);
}

Dims index_strides(const IndexLayout& index, const Dims& shape) {
  auto& from = index.indices.shape;
  return broadcast_strides(
      from,
      index.given ? index.indices.strides : row_major_strides(from),
      shape);
}

/** The batch of matrices, walked by all of their arrays. */
Walk matrices_walk(const std::vector<const QuantizedLayout*>& matrices) {
  Walk walk;
  walk.shape = leading(matrices[0]->w.shape, 2);
  for (auto m : matrices) {
    for (auto a : {&m->w, &m->scales, &m->biases}) {
      walk.strides.push_back(
          a->shape.empty() ? Dims(walk.shape.size(), 0)
                           : leading(a->strides, 2));
    }
  }
  return walk;
}

const char* mode_name(QuantizedFormat format) {
  switch (format) {
    case QuantizedFormat::Affine:
      return "affine";
    case QuantizedFormat::Mxfp4:
      return "mxfp4";
    case QuantizedFormat::Mxfp8:
      return "mxfp8";
    default:
      return "nvfp4";
  }
}

/** The kernel by name, and the constants that are the same for all ops. */
void set_kernel(Launch& l, const std::string& op, const KernelFormat& f) {
  bool biases = f.format == QuantizedFormat::Affine;
  l.fast = f.transpose && l.params.x.column == 1;
  for (auto& m : l.params.matrices) {
    l.fast = l.fast && contiguous_rows(m, biases);
  }
  if (l.fast) {
    l.kernel = std::string(mode_name(f.format)) + "_" + op + "_fast_" + f.type +
        "_gs_" + std::to_string(f.group_size) + "_b_" + std::to_string(f.bits);
  } else {
    l.kernel = op + "_general_" + (f.transpose ? "t_" : "n_") + f.type;
    l.constants.push_back({407, false, f.format});
    l.constants.push_back({408, false, f.group_size});
    l.constants.push_back({409, false, f.bits});
  }
  l.constants.push_back({400, true, biases});
}

void set_dims(
    Launch& l,
    const Walk& batch,
    const Walk& x,
    const Walk& matrices) {
  auto b = batch.collapsed();
  auto xs = x.collapsed();
  auto ms = matrices.collapsed();
  l.params.batch_ndim = b.shape.size();
  l.params.x_ndim = xs.shape.size();
  l.params.w_ndim = ms.shape.size();
  b.append_to(l.dims);
  xs.append_to(l.dims);
  ms.append_to(l.dims);
  if (l.dims.empty()) {
    l.dims.push_back(0); // no buffer is empty
  }
}

int outer_size(const QuantizedLayout& m, const KernelFormat& f) {
  auto n = m.w.shape.size();
  return f.transpose ? m.w.shape[n - 2] : m.w.shape[n - 1] * 32 / f.bits;
}

} // namespace

int64_t Layout::size() const {
  return product(shape);
}

std::string Launch::specialized_name() const {
  auto name = kernel;
  for (auto& c : constants) {
    name += "_" + std::to_string(c.index) + "_" + std::to_string(c.value);
  }
  return name;
}

bool prefers_composition(const SwiGLULayout& op) {
  // GatherQMM's kernels for rows read the matrix for each row as ours do; what
  // it has tiles for, and from where on, is its own choice
  // (GatherQMM::eval_gpu), which differs with the GPU: from 6 rows on at the
  // earliest, 12 for most shapes; for columns from 4. Pairs sorted by matrix,
  // from 16 pairs and 4 a matrix on, have tiles over pairs.
  int64_t rows = op.x.shape.size() > 1 ? op.x.shape[op.x.shape.size() - 2] : 1;
  if (rows >= (op.format.transpose ? 12 : 4)) {
    return true;
  }
  auto pairs =
      product(broadcast_shape(op.lhs.indices.shape, op.rhs.indices.shape));
  auto matrices = product(leading(op.gate.w.shape, 2));
  bool sorted = op.sorted_indices && op.rhs.given && !op.lhs.given;
  return rows == 1 && sorted && pairs >= 16 && pairs >= 4 * matrices;
}

Launch launch(const SwiGLULayout& op) {
  Launch l{};
  auto& p = l.params;
  p.K = op.x.shape.back();
  p.N = outer_size(op.gate, op.format);
  p.k = 1;
  p.lhs_type = op.lhs.type;
  p.rhs_type = op.rhs.type;
  auto x_batch = leading(op.x.shape, 2);
  p.lhs_size = product(x_batch);
  p.rhs_size = product(leading(op.gate.w.shape, 2));
  p.x = matrix_strides(op.x);
  p.matrices[0] = matrix_strides(op.gate);
  p.matrices[1] = matrix_strides(op.up);

  auto shape = broadcast_shape(op.lhs.indices.shape, op.rhs.indices.shape);
  Walk batch{
      shape, {index_strides(op.lhs, shape), index_strides(op.rhs, shape), {}}};
  batch.strides[2].resize(shape.size(), 0);
  set_dims(
      l,
      batch,
      {x_batch, {leading(op.x.strides, 2)}},
      matrices_walk({&op.gate, &op.up}));

  set_kernel(l, "gather_qmm_swiglu", op.format);
  l.constants.push_back({401, true, op.lhs.given});
  l.constants.push_back({402, true, op.rhs.given});
  l.constants.push_back({403, false, op.activation});

  // Two SIMD groups as in gather_qmm's kernels for one row: many small
  // threadgroups, which nothing but their launch ties together, fill a GPU
  // evenly.
  int64_t simd_groups = op.format.transpose ? 2 : max_simd_groups;
  int64_t columns = op.format.transpose ? simd_groups * rows_per_simd_group
                                        : columns_per_group;
  int64_t rows = op.x.shape.size() > 1 ? op.x.shape[op.x.shape.size() - 2] : 1;
  l.threads = simd_groups * simd_size;
  l.grid = {
      static_cast<uint32_t>(ceil_div(p.N, columns)),
      static_cast<uint32_t>(rows),
      static_cast<uint32_t>(product(shape))};

  l.inputs = {0};
  bool biases = op.format.format == QuantizedFormat::Affine;
  for (int matrix : {1, 4}) {
    l.inputs.push_back(matrix);
    l.inputs.push_back(matrix + 1);
    if (biases) {
      l.inputs.push_back(matrix + 2);
    }
  }
  if (op.lhs.given) {
    l.inputs.push_back(7);
  }
  if (op.rhs.given) {
    l.inputs.push_back(8);
  }
  l.out = 9;
  l.params_index = 10;
  l.dims_index = 11;
  return l;
}

Launch launch(const DownprojCombineLayout& op) {
  Launch l{};
  auto& p = l.params;
  auto h_batch = leading(op.h.shape, 1);
  auto shape = broadcast_shape(
      broadcast_shape(h_batch, op.rhs.indices.shape), op.weights.shape);
  p.K = op.h.shape.back();
  p.N = outer_size(op.w, op.format);
  p.k = shape.back();
  p.rhs_type = op.rhs.type;
  p.lhs_size = product(h_batch);
  p.rhs_size = product(leading(op.w.w.shape, 2));
  p.x = {0, matrix_strides(op.h).column};
  p.matrices[0] = matrix_strides(op.w);
  p.matrices[1] = p.matrices[0];

  Walk batch{
      shape,
      {broadcast_strides(h_batch, row_major_strides(h_batch), shape),
       index_strides(op.rhs, shape),
       broadcast_strides(op.weights.shape, op.weights.strides, shape)}};
  set_dims(
      l, batch, {h_batch, {leading(op.h.strides, 1)}}, matrices_walk({&op.w}));

  set_kernel(l, "gather_qmm_downproj_combine", op.format);
  l.constants.push_back({404, false, op.rounding});
  l.constants.push_back({405, true, op.float_weights});
  l.constants.push_back({406, true, op.float_result});

  // A SIMD group for each expert, so that the products of a column meet in one
  // threadgroup.
  int64_t simd_groups = op.format.transpose
      ? std::clamp<int64_t>(p.k, 1, max_simd_groups)
      : max_simd_groups;
  int64_t columns =
      op.format.transpose ? rows_per_simd_group : columns_per_group;
  l.threads = simd_groups * simd_size;
  l.grid = {
      static_cast<uint32_t>(ceil_div(p.N, columns)),
      1,
      static_cast<uint32_t>(product(leading(shape, 1)))};

  l.inputs = {0, 1, 2};
  if (op.format.format == QuantizedFormat::Affine) {
    l.inputs.push_back(3);
  }
  l.inputs.push_back(4);
  l.inputs.push_back(5);
  l.out = 6;
  l.params_index = 7;
  l.dims_index = 8;
  return l;
}

} // namespace mlx::core::fused
