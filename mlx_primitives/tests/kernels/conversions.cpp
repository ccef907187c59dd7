// Copyright © 2026 The mlx-fork authors
//
// load, store and round: every 16-bit and 8-bit pattern; for rounding every
// value of a type, every midpoint between two, and the float32 on either side.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "checks.h"
#include "guarded.h"
#include "numbers.h"

namespace kernel_tests {

namespace {

constexpr int longest_tail = 40;

const char* name_of(Stored type) {
  const char* names[] = {"f32", "f16", "bf16", "e8m0", "e4m3"};
  return names[static_cast<int>(type)];
}

std::string differs(const char* what, uint32_t in, double got, double want) {
  char text[160];
  std::snprintf(
      text, sizeof(text), "%s of %#x is %a, not %a", what, in, got, want);
  return text;
}

/** Float32s of every kind: zeros, subnormals, integers, infinities, NaN. */
std::vector<uint32_t> float_patterns() {
  std::vector<uint32_t> all;
  for (uint32_t upper = 0; upper < 1 << 16; upper += 5) {
    all.push_back(upper << 16 | (upper * 2654435761u) >> 16);
  }
  return all;
}

void check_load(const Kernels& k, Stored type, Checks& checks) {
  checks.begin(std::string(k.name) + " load " + name_of(type));
  std::vector<uint32_t> codes;
  if (type == Stored::F32) {
    codes = float_patterns();
  } else {
    for (uint32_t code = 0; code < 1u << 8 * size_of(type); ++code) {
      codes.push_back(code);
    }
  }
  int64_t n = codes.size();
  Guarded in(n * size_of(type)), out(n * sizeof(float));
  auto run = [&](int64_t first, int64_t count) {
    auto p = in.place<uint8_t>(count * size_of(type));
    for (int64_t i = 0; i < count; ++i) {
      write_code(type, p, i, codes[first + i]);
    }
    auto v = out.place<float>(count);
    k.load(type, p, count, v);
    std::string wrong = out.intact() ? "" : "writes before its results";
    for (int64_t i = 0; i < count && wrong.empty(); ++i) {
      double want = value_of(type, codes[first + i]);
      if (!same(v[i], want)) {
        wrong = differs("load", codes[first + i], v[i], want);
      }
    }
    checks.expect(wrong);
  };
  run(0, n);
  for (int count = 0; count <= longest_tail; ++count) {
    run(100, count);
  }
}

/** Every value of a type, every midpoint, and their neighbours in float32. */
std::vector<float> values_around(Stored type) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> all;
  auto with_neighbours = [&](double v) {
    float f = static_cast<float>(v);
    all.insert(
        all.end(),
        {f, std::nextafter(f, infinity), std::nextafter(f, -infinity)});
  };
  for (uint32_t code = 0; code < 1 << 16; ++code) {
    double here = value_of(type, code);
    with_neighbours(here);
    double next = value_of(type, code + 1);
    if (std::isfinite(here) && std::isfinite(next)) {
      with_neighbours((here + next) / 2);
    } else if (std::isinf(next)) {
      // Where rounding to infinity begins: half a step above the largest.
      double below = value_of(type, code - 1);
      with_neighbours(here + (here - below) / 2);
    }
  }
  for (uint32_t pattern : float_patterns()) {
    all.push_back(static_cast<float>(value_of(Stored::F32, pattern)));
  }
  return all;
}

/** store and round do the same, into an array and in place. */
void check_rounding(
    const Kernels& k,
    Stored type,
    const std::vector<float>& values,
    const std::vector<double>& wanted,
    Checks& checks) {
  checks.begin(std::string(k.name) + " store and round " + name_of(type));
  int64_t n = values.size();
  Guarded in(n * sizeof(float)), out(n * sizeof(float));
  auto run = [&](int64_t first, int64_t count) {
    auto v = in.place<float>(count);
    std::copy_n(values.begin() + first, count, v);
    auto p = out.place<uint8_t>(count * size_of(type));
    k.store(type, v, count, p);
    k.round(type, v, count);
    bool within = out.intact() && in.intact();
    std::string wrong = within ? "" : "writes before its results";
    for (int64_t i = 0; i < count && wrong.empty(); ++i) {
      auto bits = code_of(Stored::F32, values[first + i]);
      double want = wanted[first + i];
      double stored = value_of(type, read_code(type, p, i));
      if (!same(stored, want)) {
        wrong = differs("store", bits, stored, want);
      } else if (!same(v[i], want)) {
        wrong = differs("round", bits, v[i], want);
      }
    }
    checks.expect(wrong);
  };
  run(0, n);
  for (int count = 0; count <= longest_tail; ++count) {
    // From the middle, where neighbours differ.
    run(n / 3, count);
  }
}

} // namespace

void check_conversions(const Tables& tables, Checks& checks) {
  for (auto type :
       {Stored::F32, Stored::F16, Stored::BF16, Stored::E8M0, Stored::E4M3}) {
    for (auto k : tables) {
      check_load(*k, type, checks);
    }
  }
  for (auto type : {Stored::F32, Stored::F16, Stored::BF16}) {
    auto values = values_around(type == Stored::F32 ? Stored::BF16 : type);
    std::vector<double> wanted;
    for (float v : values) {
      wanted.push_back(type == Stored::F32 ? v : rounded(type, v));
    }
    for (auto k : tables) {
      check_rounding(*k, type, values, wanted, checks);
    }
  }
}

} // namespace kernel_tests
