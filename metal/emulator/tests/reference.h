// Copyright © 2026 The mlx-fork authors
//
// Rounding to the 16-bit formats by another way than the library's: in double,
// to a multiple of the format's spacing at that magnitude. <cmath> is used here
// and only here; it and the library's names live in different files on purpose.

#pragma once

#include <cstdint>

namespace reference {

// A format of `digits` significant bits whose smallest normal number is
// 2^lowest and whose numbers lie below 2^limit.
struct Format {
  int digits;
  int lowest;
  int limit;
};

constexpr Format half{11, -14, 16};
constexpr Format bfloat{8, -126, 128};

// The nearest number of the format, ties to even; NaN and infinities as they
// are. Exact for every double that is not itself rounded.
double nearest(Format format, double v);

// The value of a bit pattern of the format, by its definition.
double value(Format format, uint16_t bits);

// The nearest number to an integer, ties to even.
double nearest(Format format, bool negative, uint64_t magnitude);

// The bits of a number of the format.
uint16_t bits(Format format, double v);

double square_root(double v);
bool is_nan(double v);

} // namespace reference
