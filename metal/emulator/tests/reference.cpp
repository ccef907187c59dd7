// Copyright © 2026 The mlx-fork authors

#include "reference.h"

#include <cmath>

namespace reference {

double nearest(Format format, double v) {
  if (std::isnan(v) || std::isinf(v) || v == 0) {
    return v;
  }
  int exponent;
  std::frexp(v, &exponent); // v in [2^(exponent-1), 2^exponent)
  const int top = exponent - 1 < format.lowest ? format.lowest : exponent - 1;
  const double spacing = std::ldexp(1.0, top - (format.digits - 1));
  const double rounded = std::nearbyint(v / spacing) * spacing;
  return std::fabs(rounded) >= std::ldexp(1.0, format.limit)
      ? std::copysign(INFINITY, v)
      : std::copysign(rounded, v);
}

double value(Format format, uint16_t bits) {
  const int fraction_bits = format.digits - 1;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const int exponent = (bits & 0x7fff) >> fraction_bits;
  const int ones = 0x7fff >> fraction_bits;
  double magnitude;
  if (exponent == ones) {
    magnitude = fraction ? NAN : INFINITY;
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, format.lowest - fraction_bits);
  } else {
    magnitude = std::ldexp(
        fraction + (1 << fraction_bits),
        format.lowest + exponent - 1 - fraction_bits);
  }
  return std::copysign(magnitude, bits & 0x8000 ? -1.0 : 1.0);
}

double nearest(Format format, bool negative, uint64_t magnitude) {
  int shift = 0;
  while ((magnitude >> shift) >> format.digits) {
    ++shift;
  }
  uint64_t kept = magnitude >> shift;
  if (shift) {
    const uint64_t lost = magnitude & ((uint64_t(1) << shift) - 1);
    const uint64_t tie = uint64_t(1) << (shift - 1);
    kept += lost > tie || (lost == tie && (kept & 1));
  }
  const double rounded = std::ldexp(static_cast<double>(kept), shift);
  const double limited =
      rounded >= std::ldexp(1.0, format.limit) ? INFINITY : rounded;
  return negative ? -limited : limited;
}

uint16_t bits(Format format, double v) {
  const uint16_t sign = std::signbit(v) ? 0x8000 : 0;
  const double magnitude = std::fabs(v);
  uint16_t low = 0;
  uint16_t high = 0x7fff;
  // The patterns ascend with the values; the last ones are NaN.
  while (low < high) {
    const uint16_t middle = static_cast<uint16_t>((low + high) / 2);
    if (value(format, middle) < magnitude) {
      low = static_cast<uint16_t>(middle + 1);
    } else {
      high = middle;
    }
  }
  return sign | low;
}

double square_root(double v) {
  return std::sqrt(v);
}

bool is_nan(double v) {
  return std::isnan(v);
}

} // namespace reference
