// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

#include "mlx/fused/backend/cpu/qmm.h"
#include "mlx/fused/indexing.h"

namespace mlx::core::fused::cpu {

namespace {

// The sum of a row is kept in this many parts.
constexpr int lanes = 8;

float fp4_e2m1(int code) {
  static const float magnitudes[] = {
      0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  float v = magnitudes[code & 7];
  return code & 8 ? -v : v;
}

// As stock has it: no NaN, the largest code is 480.
float fp8_e4m3(int code) {
  int exponent = (code >> 3) & 15;
  float mantissa = static_cast<float>(code & 7);
  float v = exponent == 0 ? std::ldexp(mantissa, -9)
                          : std::ldexp(8.0f + mantissa, exponent - 10);
  return code & 128 ? -v : v;
}

// A power of two; 255 stands for infinity in stock.
float fp8_e8m0(int code) {
  return code == 255 ? INFINITY : std::ldexp(1.0f, code - 127);
}

// The values in each byte of packed weights.
template <int bits, bool fp>
struct ByteValues {
  static constexpr int per_byte = 8 / bits;
  float values[256][per_byte];

  ByteValues() {
    for (int byte = 0; byte < 256; ++byte) {
      for (int i = 0; i < per_byte; ++i) {
        int code = (byte >> (bits * i)) & ((1 << bits) - 1);
        if constexpr (!fp) {
          values[byte][i] = static_cast<float>(code);
        } else if constexpr (bits == 4) {
          values[byte][i] = fp4_e2m1(code);
        } else {
          values[byte][i] = fp8_e4m3(code);
        }
      }
    }
  }

  static const ByteValues& table() {
    static const ByteValues table_;
    return table_;
  }
};

// The values of the formats that come apart within bytes, and of those that
// don't, `unit` at a time.
template <int bits_, bool fp_, int unit_>
struct Format {
  static constexpr int bits = bits_;
  static constexpr bool fp = fp_;
  static constexpr int unit = unit_;
  static constexpr int words = unit * bits / 32;
  static constexpr bool in_bytes = 8 % bits == 0;

  static void unpack(const uint32_t* w, float* out) {
    if constexpr (in_bytes) {
      using Table = ByteValues<bits, fp>;
      static const auto& table = Table::table();
      for (int i = 0; i < words; ++i) {
        for (int b = 0; b < 4; ++b) {
          std::memcpy(
              out + (4 * i + b) * Table::per_byte,
              table.values[(w[i] >> (8 * b)) & 255],
              sizeof(float) * Table::per_byte);
        }
      }
    } else {
      for (int i = 0; i < unit; ++i) {
        int word = i * bits / 32;
        int shift = i * bits % 32;
        uint64_t two = w[word];
        if (shift + bits > 32) {
          two |= static_cast<uint64_t>(w[word + 1]) << 32;
        }
        out[i] = static_cast<float>((two >> shift) & ((1u << bits) - 1));
      }
    }
  }
};

template <typename T>
void to_floats(const char* in, int64_t stride, int n, float* out) {
  auto p = reinterpret_cast<const T*>(in);
  for (int i = 0; i < n; ++i) {
    out[i] = static_cast<float>(p[i * stride]);
  }
}

// n floating values of an array.
void load_floats(
    const char* in,
    Dtype type,
    int64_t stride,
    int n,
    float* out) {
  if (type == float32) {
    to_floats<float>(in, stride, n, out);
  } else if (type == float16) {
    to_floats<float16_t>(in, stride, n, out);
  } else {
    to_floats<bfloat16_t>(in, stride, n, out);
  }
}

// A row of a quantized matrix: its words in one piece, its scales and biases as
// float32.
template <typename Format>
struct Row {
  Row(const QuantizedMatrix& m, int64_t row, int values, QMMScratch& scratch) {
    words = m.w.data + row * m.w.row_stride;
    if (m.w.stride != 1) {
      int n = static_cast<int64_t>(values) * Format::bits / 32;
      for (int i = 0; i < n; ++i) {
        scratch.words[i] = words[i * m.w.stride];
      }
      words = scratch.words.data();
    }
    int groups = values / scratch.group_size;
    auto at = [&](const Matrix<char>& a) {
      return a.data + row * a.row_stride * size_of(m.type);
    };
    if constexpr (Format::fp) {
      auto codes = reinterpret_cast<const uint8_t*>(at(m.scales));
      for (int i = 0; i < groups; ++i) {
        int code = codes[i * m.scales.stride];
        scratch.scales[i] =
            scratch.group_size == 16 ? fp8_e4m3(code) : fp8_e8m0(code);
      }
    } else {
      load_floats(
          at(m.scales), m.type, m.scales.stride, groups, scratch.scales.data());
      load_floats(
          at(m.biases), m.type, m.biases.stride, groups, scratch.biases.data());
    }
  }

  // The next `unit` values, of group g.
  void next(const QMMScratch& scratch, int g, float* out) {
    Format::unpack(words, out);
    words += Format::words;
    float scale = scratch.scales[g];
    if constexpr (Format::fp) {
      for (int i = 0; i < Format::unit; ++i) {
        out[i] *= scale;
      }
    } else {
      float bias = scratch.biases[g];
      for (int i = 0; i < Format::unit; ++i) {
        out[i] = out[i] * scale + bias;
      }
    }
  }

  const uint32_t* words;
};

// Rows of the matrix along the sum: one dot product for each.
template <typename Format>
void qmm_t(
    const float* x,
    int rows,
    const QuantizedMatrix& w,
    QMMScratch& scratch,
    float* out) {
  int inner = scratch.inner;
  float values[Format::unit];
  float acc[qmm_rows][lanes];
  for (int n = 0; n < scratch.outer; ++n) {
    Row<Format> row(w, n, inner, scratch);
    std::fill(&acc[0][0], &acc[0][0] + rows * lanes, 0.0f);
    for (int k = 0; k < inner; k += Format::unit) {
      row.next(scratch, k / scratch.group_size, values);
      for (int m = 0; m < rows; ++m) {
        const float* xm = x + static_cast<int64_t>(m) * inner + k;
        for (int i = 0; i < Format::unit; i += lanes) {
          for (int l = 0; l < lanes; ++l) {
            acc[m][l] += xm[i + l] * values[i + l];
          }
        }
      }
    }
    for (int m = 0; m < rows; ++m) {
      float sum = 0.0f;
      for (int l = 0; l < lanes; ++l) {
        sum += acc[m][l];
      }
      out[static_cast<int64_t>(m) * scratch.outer + n] = sum;
    }
  }
}

// Rows of the matrix across the sum: each is added to all results.
template <typename Format>
void qmm_n(
    const float* x,
    int rows,
    const QuantizedMatrix& w,
    QMMScratch& scratch,
    float* out) {
  int inner = scratch.inner;
  int outer = scratch.outer;
  float values[Format::unit];
  std::fill(out, out + static_cast<int64_t>(rows) * outer, 0.0f);
  for (int k = 0; k < inner; ++k) {
    Row<Format> row(w, k, outer, scratch);
    for (int n = 0; n < outer; n += Format::unit) {
      row.next(scratch, n / scratch.group_size, values);
      for (int m = 0; m < rows; ++m) {
        float xm = x[static_cast<int64_t>(m) * inner + k];
        float* om = out + static_cast<int64_t>(m) * outer + n;
        for (int i = 0; i < Format::unit; ++i) {
          om[i] += xm * values[i];
        }
      }
    }
  }
}

template <typename Format>
QMMKernel kernel_of(bool transpose) {
  return transpose ? qmm_t<Format> : qmm_n<Format>;
}

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
              : Matrix<char>{nullptr, 0, 0},
      scales_.dtype()};
}

RowBatch::RowBatch(const array& x)
    : x_(array::unsafe_weak_copy(x)), batch_(batch_shape(x)) {}

void RowBatch::load(int64_t i, int row, int rows, float* out) const {
  auto loc = locate(i, batch_, batch_strides(x_, batch_.size()));
  int64_t row_stride = x_.ndim() > 1 ? x_.strides(-2) : 0;
  int n = x_.shape(-1);
  for (int m = 0; m < rows; ++m) {
    load_floats(
        x_.data<char>() + (loc + (row + m) * row_stride) * x_.itemsize(),
        x_.dtype(),
        x_.strides(-1),
        n,
        out + static_cast<int64_t>(m) * n);
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

QMMScratch::QMMScratch(
    int inner,
    int outer,
    const Quantization& q,
    bool transpose)
    : inner(inner),
      outer(outer),
      group_size(q.group_size),
      words(static_cast<int64_t>(transpose ? inner : outer) * q.bits / 32),
      scales((transpose ? inner : outer) / q.group_size),
      biases(scales.size()) {}

QMMKernel select_qmm_kernel(const Quantization& q, bool transpose) {
  if (!q.affine()) {
    return q.bits == 4 ? kernel_of<Format<4, true, 16>>(transpose)
                       : kernel_of<Format<8, true, 32>>(transpose);
  }
  switch (q.bits) {
    case 2:
      return kernel_of<Format<2, false, 32>>(transpose);
    case 3:
      return kernel_of<Format<3, false, 32>>(transpose);
    case 4:
      return kernel_of<Format<4, false, 32>>(transpose);
    case 5:
      return kernel_of<Format<5, false, 32>>(transpose);
    case 6:
      return kernel_of<Format<6, false, 32>>(transpose);
    case 8:
      return kernel_of<Format<8, false, 32>>(transpose);
    default:
      throw std::invalid_argument("[select_qmm_kernel] No such quantization.");
  }
}

} // namespace mlx::core::fused::cpu
