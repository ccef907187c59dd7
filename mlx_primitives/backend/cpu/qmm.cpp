// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "mlx/fused/backend/cpu/pool.h"
#include "mlx/fused/backend/cpu/qmm.h"
#include "mlx/fused/indexing.h"

namespace mlx::core::fused::cpu {

namespace {

template <typename T>
int64_t read(const array& a, int64_t loc) {
  return static_cast<int64_t>(a.data<T>()[loc]);
}

int64_t read_index(const array& a, int64_t loc) {
  switch (a.dtype()) {
    case uint8:
      return read<uint8_t>(a, loc);
    case uint16:
      return read<uint16_t>(a, loc);
    case uint32:
      return read<uint32_t>(a, loc);
    case uint64:
      // Too large for int64 becomes negative: out of range as well.
      return read<uint64_t>(a, loc);
    case int8:
      return read<int8_t>(a, loc);
    case int16:
      return read<int16_t>(a, loc);
    case int32:
      return read<int32_t>(a, loc);
    default:
      return read<int64_t>(a, loc);
  }
}

Strides batch_strides(const array& a, size_t ndim) {
  return Strides(a.strides().begin(), a.strides().begin() + ndim);
}

} // namespace

Stored stored_as(Dtype type) {
  return type == float32 ? Stored::F32
      : type == float16  ? Stored::F16
                         : Stored::BF16;
}

QuantizedBatch::QuantizedBatch(
    const array& w,
    const array& scales,
    const std::optional<array>& biases)
    : w_(array::unsafe_weak_copy(w)),
      scales_(array::unsafe_weak_copy(scales)),
      batch_(batch_shape(w)) {
  if (biases) {
    biases_ = array::unsafe_weak_copy(*biases);
  }
}

QuantizedMatrix QuantizedBatch::operator[](int64_t i) const {
  auto matrix = [&](const array& a, auto* data, int64_t itemsize) {
    auto loc = locate(i, batch_, batch_strides(a, batch_.size()));
    return Matrix{data + loc * itemsize, a.strides(-2), a.strides(-1)};
  };
  return {
      matrix(w_, w_.data<uint32_t>(), 1),
      matrix(scales_, scales_.data<char>(), scales_.itemsize()),
      biases_ ? matrix(*biases_, biases_->data<char>(), biases_->itemsize())
              : Matrix<char>{nullptr, 0, 0}};
}

RowBatch::RowBatch(const array& x)
    : x_(array::unsafe_weak_copy(x)),
      rows_(x.shape().begin(), x.shape().end() - 1),
      strides_(batch_strides(x, rows_.size())) {}

void RowBatch::load(int64_t i, float* out) const {
  auto p = x_.data<char>() + locate(i, rows_, strides_) * x_.itemsize();
  auto type = stored_as(x_.dtype());
  int n = x_.shape(-1);
  if (x_.strides(-1) == 1 || n == 1) {
    kernels().load(type, p, n, out);
    return;
  }
  for (int k = 0; k < n; ++k) {
    kernels().load(type, p + k * x_.strides(-1) * x_.itemsize(), 1, out + k);
  }
}

IndexReader::IndexReader(
    const std::optional<array>& indices,
    const Shape& batch,
    const Shape& shape)
    : shape_(shape), size_(1) {
  for (auto n : batch) {
    size_ *= n;
  }
  if (indices) {
    indices_ = array::unsafe_weak_copy(*indices);
    strides_ = broadcast_strides(indices->shape(), indices->strides(), shape);
  } else {
    strides_ = broadcast_strides(batch, row_major_strides(batch), shape);
  }
}

int64_t IndexReader::operator[](int64_t i) const {
  auto loc = locate(i, shape_, strides_);
  auto index = indices_ ? read_index(*indices_, loc) : loc;
  return index >= 0 && index < size_ ? index : -1;
}

QMM::QMM(
    const Quantization& q,
    bool transpose,
    int inner,
    int outer,
    Stored type)
    : kernel_(kernels().qmm(q.bits, !q.affine(), transpose, type)),
      q_(q),
      transpose_(transpose),
      inner_(inner),
      outer_(outer),
      type_(
          q.affine()               ? type
              : q.group_size == 16 ? Stored::E4M3
                                   : Stored::E8M0) {}

int QMM::columns(int64_t others) const {
  constexpr int64_t tasks_per_thread = 8;
  constexpr int64_t least = 32;
  constexpr int64_t most = 256;
  auto tasks = std::max<int64_t>(1, pool_threads() * tasks_per_thread / others);
  auto n = std::clamp((outer_ + tasks - 1) / tasks, least, most);
  int64_t unit = transpose_ ? 4 : std::max(kernel_.columns, q_.group_size);
  return (n + unit - 1) / unit * unit;
}

void QMM::gather(
    const QuantizedMatrix& m,
    int begin,
    int end,
    QMMArgs& args,
    std::vector<char>& copy) const {
  // The part in rows and columns of the stored matrix.
  int row = transpose_ ? begin : 0;
  int rows = transpose_ ? end - begin : inner_;
  int column = transpose_ ? 0 : begin;
  int columns = transpose_ ? inner_ : end - begin;
  int words = static_cast<int64_t>(columns) * q_.bits / 32;
  int groups = columns / q_.group_size;

  auto first = [&](const auto& a, int64_t column, int64_t itemsize) {
    return reinterpret_cast<const char*>(a.data) +
        (row * a.row_stride + column * a.stride) * itemsize;
  };
  auto w = first(m.w, static_cast<int64_t>(column) * q_.bits / 32, 4);
  int size = size_of(type_);
  args.w = reinterpret_cast<const uint32_t*>(w);
  args.w_stride = m.w.row_stride;
  args.scales = first(m.scales, column / q_.group_size, size);
  args.scales_stride = m.scales.row_stride * size;
  args.biases =
      m.biases.data ? first(m.biases, column / q_.group_size, size) : nullptr;
  args.biases_stride = m.biases.row_stride * size;

  bool in_pieces = m.w.stride == 1 && m.scales.stride == 1 &&
      (!m.biases.data || m.biases.stride == 1);
  if (in_pieces) {
    return;
  }
  int64_t w_bytes = 4 * words;
  int64_t group_bytes = static_cast<int64_t>(size) * groups;
  copy.resize(rows * (w_bytes + 2 * group_bytes));
  auto to = copy.data();
  auto take = [&](const char* from,
                  int64_t row_stride,
                  int64_t stride,
                  int n,
                  int itemsize) {
    auto begin = to;
    for (int r = 0; r < rows; ++r) {
      for (int i = 0; i < n; ++i, to += itemsize) {
        std::memcpy(
            to, from + (r * row_stride + i * stride) * itemsize, itemsize);
      }
    }
    return begin;
  };
  args.w = reinterpret_cast<const uint32_t*>(
      take(w, m.w.row_stride, m.w.stride, words, 4));
  args.w_stride = words;
  args.scales =
      take(args.scales, m.scales.row_stride, m.scales.stride, groups, size);
  args.scales_stride = group_bytes;
  if (args.biases) {
    args.biases =
        take(args.biases, m.biases.row_stride, m.biases.stride, groups, size);
    args.biases_stride = group_bytes;
  }
}

PreparedRows::PreparedRows(
    const QMM& qmm,
    const RowBatch& x,
    std::vector<Product> products)
    : qmm_(qmm),
      products_(std::move(products)),
      row_size_(qmm.kernel_.prepared(qmm.inner_, qmm.q_.group_size)) {
  std::stable_sort(
      products_.begin(), products_.end(), [](const auto& a, const auto& b) {
        return a.matrix < b.matrix;
      });
  for (int64_t i = 0; i < static_cast<int64_t>(products_.size()); ++i) {
    if (tiles_.empty() || tiles_.back().size == max_tile ||
        tiles_.back().matrix != products_[i].matrix) {
      tiles_.push_back({products_[i].matrix, i, 0});
    }
    tiles_.back().size++;
  }

  std::unordered_map<int64_t, int64_t> seen;
  std::vector<int64_t> rows;
  for (auto& p : products_) {
    auto [it, added] = seen.try_emplace(p.row, rows.size());
    if (added) {
      rows.push_back(p.row);
    }
    slots_.push_back(it->second);
  }
  row_size_ = (row_size_ + 15) / 16 * 16;
  rows_.resize(rows.size() * row_size_);
  in_range_.resize(rows.size());
  parallel_for(rows.size(), [&](int64_t i) {
    thread_local AlignedFloats buffer;
    auto row = buffer.resize(qmm.inner_);
    x.load(rows[i], row);
    in_range_[i] = qmm.kernel_.prepare(
        row, qmm.inner_, qmm.q_.group_size, rows_.data() + i * row_size_);
  });
}

void PreparedRows::multiply(
    const Tile& tile,
    const QuantizedMatrix& w,
    const QuantizedMatrix* next,
    int begin,
    int end,
    float* out,
    int64_t out_stride) const {
  thread_local AlignedFloats scratch;
  thread_local std::vector<char> copy;
  const float* x[max_tile];
  QMMArgs args;
  args.out_of_range = 0;
  for (int m = 0; m < tile.size; ++m) {
    auto slot = slots_[tile.first + m];
    x[m] = rows_.data() + slot * row_size_;
    args.out_of_range |= static_cast<uint32_t>(!in_range_[slot]) << m;
  }
  args.x = x;
  args.tile = tile.size;
  qmm_.gather(w, begin, end, args, copy);
  args.next_w = nullptr;
  if (next && qmm_.transpose_) {
    auto row = [&](const auto& a, int64_t itemsize) {
      return reinterpret_cast<const char*>(a.data) +
          begin * a.row_stride * itemsize;
    };
    args.next_w = next->w.data + begin * next->w.row_stride;
    args.next_scales = row(next->scales, size_of(qmm_.type_));
    args.next_biases = row(next->biases, size_of(qmm_.type_));
  }
  args.type = qmm_.type_;
  args.group_size = qmm_.q_.group_size;
  args.inner = qmm_.inner_;
  args.outer = end - begin;
  args.scratch = scratch.resize(
      qmm_.kernel_.scratch(args.inner, args.outer, args.group_size));
  args.out = out;
  args.out_stride = out_stride;
  qmm_.kernel_.run(args);
}

int64_t products_at_once(const QMM& qmm) {
  constexpr int64_t floats = 16 << 20;
  return std::clamp<int64_t>(floats / std::max(1, qmm.inner()), 16, 1024);
}

} // namespace mlx::core::fused::cpu
