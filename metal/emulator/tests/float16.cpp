// Copyright © 2026 The mlx-fork authors
//
// half and bfloat against the reference: every value, every tie, conversions
// from integers, the four operations, and both ways a half is rounded.

#include <cstring>

#include "check.h"
#include "emulator/metal.h"
#include "reference.h"
#include "tests.h"

namespace {

uint32_t state = 0x12345678;

uint32_t next_random() {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

float from_bits(uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}

uint32_t to_bits(float v) {
  return __builtin_bit_cast(uint32_t, v);
}

template <typename F>
constexpr reference::Format format_of = reference::half;
template <>
constexpr reference::Format format_of<emu::BfloatFormat> = reference::bfloat;

// The rounded bits are those of the reference; a NaN is some NaN of its sign.
template <typename F>
bool rounds(float v, uint16_t got) {
  if (v != v) {
    const bool is_nan = (got & 0x7fff) > F::infinity;
    return is_nan && (got >> 15) == (to_bits(v) >> 31);
  }
  const double wanted = reference::nearest(format_of<F>, v);
  const float got_value = F::widen(got);
  return got_value == wanted &&
      (to_bits(got_value) >> 31) == (to_bits(v) >> 31);
}

template <typename F>
void values() {
  for (uint32_t i = 0; i < 0x10000; ++i) {
    const uint16_t bits = static_cast<uint16_t>(i);
    const float wide = F::widen(bits);
    const double wanted = reference::value(format_of<F>, bits);
    if (reference::is_nan(wanted)) {
      CHECK(wide != wide);
      CHECK(rounds<F>(wide, F::round(wide)));
      continue;
    }
    CHECK(wide == wanted && (to_bits(wide) >> 31) == (bits >> 15));
    CHECK(F::round(wide) == bits);
    // Half way to the next, and the floats beside it.
    const float after = F::widen(static_cast<uint16_t>(bits + 1));
    if (!(after - after == 0) || wide - wide != 0) {
      continue;
    }
    const float middle =
        static_cast<float>((static_cast<double>(wide) + after) / 2);
    CHECK(rounds<F>(middle, F::round(middle)));
    for (int step = -1; step <= 1; step += 2) {
      const float beside = from_bits(to_bits(middle) + step);
      CHECK(rounds<F>(beside, F::round(beside)));
    }
  }
  const float edges[] = {
      65504.0f,
      65519.996f,
      65520.0f,
      0x1.fep127f,
      0x1.fefffep127f,
      0x1.ffp127f};
  for (float edge : edges) {
    CHECK(rounds<F>(edge, F::round(edge)));
    CHECK(rounds<F>(-edge, F::round(-edge)));
  }
  for (int i = 0; i < 2000000; ++i) {
    const float v = from_bits(next_random());
    CHECK(rounds<F>(v, F::round(v)));
  }
}

void both_ways_of_half() {
  typedef emu::HalfFormat F;
  for (uint32_t i = 0; i < 0x10000; ++i) {
    const uint16_t bits = static_cast<uint16_t>(i);
    CHECK(to_bits(F::widen(bits)) == to_bits(F::widen_in_integers(bits)));
  }
  for (int i = 0; i < 2000000; ++i) {
    const float v = from_bits(next_random());
    CHECK(F::round(v) == F::round_in_integers(v));
  }
}

template <typename T, typename F, typename I>
void integer(I v) {
  const bool negative = v < 0;
  const uint64_t magnitude =
      negative ? ~static_cast<uint64_t>(v) + 1 : static_cast<uint64_t>(v);
  const double wanted = reference::nearest(format_of<F>, negative, magnitude);
  const T converted = v;
  CHECK(static_cast<float>(converted) == wanted);
}

template <typename T, typename F>
void integers() {
  for (int i = -70000; i <= 70000; ++i) {
    integer<T, F>(i);
  }
  for (int i = 0; i < 200000; ++i) {
    const uint64_t wide =
        (static_cast<uint64_t>(next_random()) << 32) | next_random();
    const uint64_t v = wide >> (next_random() % 64);
    integer<T, F>(v);
    integer<T, F>(static_cast<int64_t>(v));
    integer<T, F>(static_cast<int32_t>(v));
    integer<T, F>(static_cast<uint32_t>(v));
    integer<T, F>(static_cast<int16_t>(v));
    integer<T, F>(static_cast<uint8_t>(v));
  }
}

// What the operation must give: in double the result of two halves is exact,
// or (quotients) far enough from a tie; of two bfloats it is that of float,
// rounded again.
template <typename F>
double wanted(double exact, float in_float) {
  return reference::nearest(
      format_of<F>,
      std::is_same_v<F, emu::HalfFormat> ? exact : double(in_float));
}

template <typename T, typename F>
void operations(uint16_t a_bits, uint16_t b_bits) {
  const T a = T::emu_from_bits(a_bits);
  const T b = T::emu_from_bits(b_bits);
  const double x = reference::value(format_of<F>, a_bits);
  const double y = reference::value(format_of<F>, b_bits);
  const float fx = float(x);
  const float fy = float(y);
  const T results[] = {a + b, a - b, a * b, a / b};
  const double references[] = {
      wanted<F>(x + y, fx + fy),
      wanted<F>(x - y, fx - fy),
      wanted<F>(x * y, fx * fy),
      wanted<F>(x / y, fx / fy)};
  for (int i = 0; i < 4; ++i) {
    const float got = results[i];
    CHECK(
        got == references[i] ||
        (got != got && reference::is_nan(references[i])));
  }
  CHECK((a < b) == (x < y));
  CHECK((a == b) == (x == y));
  CHECK((a >= b) == (x >= y));
}

template <typename T, typename F>
void arithmetic() {
  const uint16_t chosen[] = {0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400,
                             0x1400, 0x3555, 0x3bff, 0x3c00, 0x3c01, 0xbc00,
                             0x3f80, 0x3f81, 0x4248, 0x7bff, 0xfbff, 0x7c00,
                             0x7f7f, 0x7f80, 0x7e01, 0xff80};
  for (uint16_t a : chosen) {
    for (uint32_t i = 0; i < 0x10000; i += 7) {
      operations<T, F>(a, static_cast<uint16_t>(i));
    }
  }
  for (int i = 0; i < 300000; ++i) {
    const uint32_t r = next_random();
    operations<T, F>(static_cast<uint16_t>(r), static_cast<uint16_t>(r >> 16));
  }
}

template <typename T>
void conversions() {
  const T v = T(2.75f);
  CHECK(int(v) == 2 && uint8_t(v) == 2 && long(v) == 2 && bool(v));
  const int as_int = v;
  const uint32_t as_uint = v;
  CHECK(as_int == 2 && as_uint == 2);
  CHECK(!bool(T(0)) && !T(0) && (v && true) && float(-v) == -2.75f);
  T w = 1;
  w += 2;
  w *= v;
  w -= 0.25f;
  w /= 2;
  CHECK(w == 4.0f);
  CHECK(w++ == 4 && w == 5 && --w == 4 && w-- == 4 && ++w == 4);
  float f = 1;
  f += v;
  f *= v;
  CHECK(f == 3.75f * 2.75f);
  CHECK(T(-0.0f).emu_bits == 0x8000 && (-T(0)).emu_bits == 0x8000);
  T copy;
  std::memcpy(&copy, &w, sizeof(T));
  CHECK(copy == w && sizeof(T) == 2 && alignof(T) == 2);
}

} // namespace

void test_float16() {
  values<emu::HalfFormat>();
  values<emu::BfloatFormat>();
  both_ways_of_half();
  integers<half, emu::HalfFormat>();
  integers<bfloat, emu::BfloatFormat>();
  arithmetic<half, emu::HalfFormat>();
  arithmetic<bfloat, emu::BfloatFormat>();
  conversions<half>();
  conversions<bfloat>();
}
