// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <cmath>

#include "matrix.h"

namespace kernel_tests {

using mlx::core::fused::cpu::QMMArgs;

const std::vector<Format> formats = [] {
  std::vector<Format> all;
  const char* names[] = {"affine2", "affine3", "affine4", "affine5", "affine6"};
  for (int bits : {2, 3, 4, 5, 6, 8}) {
    for (int group : {32, 64, 128}) {
      all.push_back(
          {bits == 8 ? "affine8" : names[bits - 2], bits, false, group});
    }
  }
  all.push_back({"mxfp4", 4, true, 32});
  all.push_back({"mxfp8", 8, true, 32});
  all.push_back({"nvfp4", 4, true, 16});
  return all;
}();

namespace {

/** A word of float8s from 2^-2 to 3.75: sums of them stay exact. */
uint32_t middling_float8s(Random& random) {
  uint32_t word = 0;
  for (int b = 0; b < 4; ++b) {
    uint32_t sign = random.between(0, 1), exponent = random.between(5, 8);
    uint32_t fraction = random.between(0, 7);
    word |= (sign << 7 | exponent << 3 | fraction) << (8 * b);
  }
  return word;
}

double float4(uint32_t code) {
  const double sizes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return code & 8 ? -sizes[code & 7] : sizes[code & 7];
}

} // namespace

Matrix::Matrix(
    const Format& f,
    bool t,
    int rows_,
    int groups_,
    Draw draw,
    Random& random)
    : format(f), transpose(t), rows(rows_), groups(groups_) {
  const Stored any[] = {Stored::F32, Stored::F16, Stored::BF16};
  type = !f.fp        ? any[random.between(0, 2)]
      : f.group == 16 ? Stored::E4M3
                      : Stored::E8M0;
  x_type = any[random.between(0, 2)];
  // Half of the matrices have gaps between their rows.
  int gap = random.between(0, 1);
  w_stride = words() + 3 * gap;
  scales_stride = (groups + gap) * size_of(type);
  bool float8 = f.fp && f.bits == 8;
  w.resize(rows * w_stride);
  for (auto& word : w) {
    word = float8 && draw == Draw::Exact ? middling_float8s(random)
                                         : static_cast<uint32_t>(random.next());
  }
  draw_scales(draw, random);
}

void Matrix::draw_scales(Draw draw, Random& random) {
  int64_t n = rows * scales_stride / size_of(type);
  scales.resize(rows * scales_stride);
  biases.resize(format.fp ? 0 : scales.size());
  for (int64_t i = 0; i < n; ++i) {
    if (i % (scales_stride / size_of(type)) >= groups) {
      // Between rows, where no one may look: NaN, where the type has it.
      write_code(type, scales.data(), i, ~0u);
      if (!format.fp) {
        write_code(type, biases.data(), i, ~0u);
      }
      continue;
    }
    if (draw == Draw::Real) {
      if (format.fp) {
        int code = type == Stored::E8M0 ? random.between(100, 150)
                                        : random.between(0, 255);
        write_code(type, scales.data(), i, code);
        continue;
      }
      for (auto* all : {&scales, &biases}) {
        double v = rounded(type, random.signed_unit());
        write_code(type, all->data(), i, code_of(type, v));
      }
      continue;
    }
    int exponent = random.between(-1, draw == Draw::Exact ? 1 : 3);
    double scale = std::ldexp(1.0, exponent);
    if (type == Stored::E8M0) {
      write_code(type, scales.data(), i, 127 + exponent);
    } else if (type == Stored::E4M3) {
      write_code(type, scales.data(), i, (7 + exponent) << 3);
    } else {
      scale *= random.between(0, 1) ? 1 : -1;
      write_code(type, scales.data(), i, code_of(type, scale));
      double bias = random.between(-16, 16);
      write_code(type, biases.data(), i, code_of(type, bias));
    }
  }
}

uint32_t Matrix::code(int row, int column) const {
  int64_t bit = static_cast<int64_t>(column) * format.bits;
  const uint32_t* p = w.data() + row * w_stride + bit / 32;
  uint64_t two = *p;
  if (bit % 32 + format.bits > 32) {
    two |= static_cast<uint64_t>(p[1]) << 32;
  }
  return two >> (bit % 32) & ((1u << format.bits) - 1);
}

std::vector<double> Matrix::decode(bool magnitudes) const {
  std::vector<double> integers;
  for (uint32_t c = 0; c < 1u << format.bits; ++c) {
    integers.push_back(
        !format.fp             ? c
            : format.bits == 4 ? float4(c)
                               : value_of(Stored::E4M3, c));
  }
  std::vector<double> all;
  for (int row = 0; row < rows; ++row) {
    const uint8_t* s = scales.data() + row * scales_stride;
    for (int column = 0; column < columns(); column += format.group) {
      int group = column / format.group;
      double scale = value_of(type, read_code(type, s, group));
      double bias = format.fp
          ? 0
          : value_of(
                type,
                read_code(type, biases.data() + row * scales_stride, group));
      for (int c = column; c < column + format.group; ++c) {
        double product = scale * integers[code(row, c)];
        all.push_back(
            magnitudes ? std::abs(product) + std::abs(bias) : product + bias);
      }
    }
  }
  return all;
}

float Matrix::x_value(double v) const {
  return static_cast<float>(rounded(x_type, v));
}

std::string Matrix::text() const {
  return std::string(format.name) + " group " + std::to_string(format.group) +
      (transpose ? " transposed, " : ", ") + std::to_string(inner()) +
      " terms, " + std::to_string(outer()) + " results, scales of type " +
      std::to_string(static_cast<int>(type)) + ", x of type " +
      std::to_string(static_cast<int>(x_type));
}

int Multiplier::step(const Matrix& m) const {
  if (m.transpose) {
    return 1;
  }
  auto kernel = kernels_.qmm(m.format.bits, m.format.fp, false, m.x_type);
  // Powers of two, both of them.
  return std::max(kernel.columns, m.format.group);
}

std::vector<float> Multiplier::run(
    const Matrix& m,
    const Rows& x,
    const Part& part,
    uint8_t fill) {
  auto kernel = kernels_.qmm(m.format.bits, m.format.fp, m.transpose, m.x_type);
  int tile = x.size(), group = m.format.group;
  trespass_.clear();

  const float* prepared[4];
  uint32_t out_of_range = 0;
  for (int r = 0; r < tile; ++r) {
    auto p = rows_[r].place<float>(kernel.prepared(m.inner(), group), fill);
    if (!kernel.prepare(x_.copy(x[r]), m.inner(), group, p)) {
      out_of_range |= 1u << r;
    }
    prepared[r] = p;
  }

  // Each buffer holds the part and no more: from its first row's first element
  // to its last row's last.
  int rows = m.transpose ? part.count : m.rows;
  int first_row = m.transpose ? part.begin : 0;
  int first_group = m.transpose ? 0 : part.begin / group;
  int groups = m.transpose ? m.groups : part.count / group;
  int words = groups * group * m.format.bits / 32;
  auto w = m.w.data() + first_row * m.w_stride +
      static_cast<int64_t>(first_group) * group * m.format.bits / 32;
  int64_t n = (rows - 1) * m.w_stride + words;
  auto w_copy = w_.place<uint32_t>(n);
  std::copy_n(w, n, w_copy);
  int size = size_of(m.type);
  int64_t at = first_row * m.scales_stride + first_group * size;
  int64_t bytes = (rows - 1) * m.scales_stride + groups * size;
  auto scales = scales_.place<char>(bytes);
  std::copy_n(m.scales.data() + at, bytes, scales);
  char* biases = nullptr;
  if (!m.format.fp) {
    biases = biases_.place<char>(bytes);
    std::copy_n(m.biases.data() + at, bytes, biases);
  }

  int64_t scratch = kernel.scratch(m.inner(), part.count, group);
  int64_t out_stride = part.count + 3;
  auto out = out_.place<float>((tile - 1) * out_stride + part.count, 255);
  QMMArgs args{};
  args.x = prepared;
  args.tile = tile;
  args.out_of_range = out_of_range;
  args.w = w_copy;
  args.scales = scales;
  args.biases = biases;
  args.w_stride = m.w_stride;
  args.scales_stride = m.scales_stride;
  args.biases_stride = m.scales_stride;
  args.type = m.type;
  args.group_size = group;
  args.inner = m.inner();
  args.outer = part.count;
  if (tile % 2) {
    // What comes next is only asked for: anything will do.
    args.next_w = w_copy;
    args.next_scales = scales;
    args.next_biases = biases;
  }
  args.scratch = scratch_.place<float>(scratch, fill);
  args.out = out;
  args.out_stride = out_stride;
  kernel.run(args);

  std::vector<float> results;
  bool within = out_.intact() && scratch_.intact();
  for (int r = 0; r < tile; ++r) {
    within &= rows_[r].intact();
    results.insert(
        results.end(), out + r * out_stride, out + r * out_stride + part.count);
    for (int i = part.count; r + 1 < tile && i < out_stride; ++i) {
      within &= read_code(Stored::F32, out + r * out_stride, i) == ~0u;
    }
  }
  if (!within) {
    trespass_ = "writes outside its results";
  }
  return results;
}

} // namespace kernel_tests
