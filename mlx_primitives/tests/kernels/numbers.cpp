// Copyright © 2026 The mlx-fork authors

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "numbers.h"

namespace kernel_tests {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/** A type as IEEE 754 makes them: a sign, an exponent, a fraction. */
struct Ieee {
  int exponent_bits;
  int fraction_bits;

  int bias() const {
    return (1 << (exponent_bits - 1)) - 1;
  }

  double value(uint32_t code) const {
    int fraction = code & ((1u << fraction_bits) - 1);
    int all = (1 << exponent_bits) - 1;
    int exponent = (code >> fraction_bits) & all;
    bool negative = code >> (exponent_bits + fraction_bits) & 1;
    double v;
    if (exponent == all) {
      v = fraction ? nan : infinity;
    } else if (exponent == 0) {
      v = std::ldexp(fraction, 1 - bias() - fraction_bits);
    } else {
      v = std::ldexp(
          fraction + (1 << fraction_bits), exponent - bias() - fraction_bits);
    }
    return negative ? -v : v;
  }

  double round(double v) const {
    if (v == 0 || !std::isfinite(v)) {
      return v;
    }
    int exponent = std::max(std::ilogb(v), 1 - bias());
    double step = std::ldexp(1.0, exponent - fraction_bits);
    // To nearest even: what the processor does with doubles.
    double r = std::nearbyint(v / step) * step;
    return std::abs(r) < std::ldexp(1.0, bias() + 1)
        ? r
        : std::copysign(infinity, v);
  }

  uint32_t code(double v) const {
    uint32_t sign = uint32_t{std::signbit(v)}
        << (exponent_bits + fraction_bits);
    uint32_t all = (1u << exponent_bits) - 1;
    v = std::abs(v);
    if (std::isnan(v)) {
      return sign | all << fraction_bits | 1u << (fraction_bits - 1);
    }
    if (v == infinity) {
      return sign | all << fraction_bits;
    }
    if (v < std::ldexp(1.0, 1 - bias())) {
      return sign | uint32_t(std::ldexp(v, bias() + fraction_bits - 1));
    }
    int exponent = std::ilogb(v);
    auto whole = uint32_t(std::ldexp(v, fraction_bits - exponent));
    uint32_t fraction = whole - (1u << fraction_bits);
    return sign | uint32_t(exponent + bias()) << fraction_bits | fraction;
  }
};

constexpr Ieee ieee(Stored type) {
  return type == Stored::F32 ? Ieee{8, 23}
      : type == Stored::F16  ? Ieee{5, 10}
                             : Ieee{8, 7};
}

} // namespace

double value_of(Stored type, uint32_t code) {
  if (type == Stored::E8M0) {
    return code == 255 ? infinity : std::ldexp(1.0, int(code) - 127);
  }
  if (type == Stored::E4M3) {
    // As elsewhere in MLX: the largest exponent is one like the others.
    int exponent = code >> 3 & 15, fraction = code & 7;
    double v = exponent ? std::ldexp(8 + fraction, exponent - 10)
                        : std::ldexp(fraction, -9);
    return code & 128 ? -v : v;
  }
  return ieee(type).value(code);
}

double rounded(Stored type, double v) {
  return ieee(type).round(v);
}

uint32_t code_of(Stored type, double value) {
  return ieee(type).code(value);
}

uint32_t read_code(Stored type, const void* p, int64_t i) {
  uint32_t code = 0;
  // The lowest bytes come first.
  std::memcpy(
      &code, static_cast<const char*>(p) + i * size_of(type), size_of(type));
  return code;
}

void write_code(Stored type, void* p, int64_t i, uint32_t code) {
  std::memcpy(static_cast<char*>(p) + i * size_of(type), &code, size_of(type));
}

bool same(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) {
    return std::isnan(a) && std::isnan(b);
  }
  return a == b && std::signbit(a) == std::signbit(b);
}

} // namespace kernel_tests
