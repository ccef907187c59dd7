// Copyright © 2026 The mlx-fork authors
//
// The mathematics where its values are known: exact points, special values,
// half functions against the reference, NaN rules.

#include "check.h"
#include "emulator/metal.h"
#include "reference.h"
#include "tests.h"

using namespace metal;

namespace {

constexpr float infinity = numeric_limits<float>::infinity();
constexpr float nan_value = numeric_limits<float>::quiet_NaN();

bool negative_zero(float v) {
  return v == 0 && as_type<uint>(v) == 0x80000000;
}

void rounding_functions() {
  struct Row {
    float x, rint, round, floor, ceil, trunc;
  };
  const Row rows[] = {
      {0.5f, 0, 1, 0, 1, 0},
      {1.5f, 2, 2, 1, 2, 1},
      {2.5f, 2, 3, 2, 3, 2},
      {-0.5f, -0.0f, -1, -1, -0.0f, -0.0f},
      {-2.5f, -2, -3, -3, -2, -2},
      {2.25f, 2, 2, 2, 3, 2},
      {8388609.0f, 8388609, 8388609, 8388609, 8388609, 8388609}};
  for (const Row& r : rows) {
    CHECK(rint(r.x) == r.rint && round(r.x) == r.round);
    CHECK(
        floor(r.x) == r.floor && ceil(r.x) == r.ceil && trunc(r.x) == r.trunc);
    CHECK(rint(half(r.x)) == half(r.rint));
  }
  CHECK(negative_zero(rint(-0.5f)) && negative_zero(ceil(-0.5f)));
  CHECK(fract(2.75f) == 0.75f && fract(-0.25f) == 0.75f);
  CHECK(fract(-0x1p-30f) < 1.0f && fract(infinity) == 0);
}

void exact_points() {
  CHECK(exp(0.0f) == 1 && exp2(10.0f) == 1024 && exp10(3.0f) == 1000);
  CHECK(exp10(-2.0f) == 0.01f && log2(8.0f) == 3 && log10(1000.0f) == 3);
  CHECK(log(1.0f) == 0 && sqrt(144.0f) == 12 && rsqrt(16.0f) == 0.25f);
  CHECK(pow(2.0f, 10.0f) == 1024 && powr(2.0f, 0.5f) == sqrt(2.0f));
  CHECK(isnan(powr(-1.0f, 2.0f)) && pow(-1.0f, 2.0f) == 1);
  const float sines[] = {0, 1, 0, -1};
  for (int i = -8; i <= 8; ++i) {
    CHECK(sinpi(i * 0.5f) == sines[i & 3]);
    CHECK(cospi(i * 0.5f) == sines[(i + 1) & 3]);
  }
  CHECK(sinpi(0.25f) == sin(0.785398163f) && abs(tanpi(0.25f) - 1) < 1e-6f);
  CHECK(sinpi(16777216.0f) == 0 && cospi(16777217.0f) == 1);
  CHECK(negative_zero(sinpi(-0.0f)));
  CHECK(fmod(7.5f, 2.0f) == 1.5f && fmod(-7.5f, 2.0f) == -1.5f);
  CHECK(atan2(1.0f, 0.0f) == 1.57079637f && atan2(0.0f, -1.0f) == 3.14159274f);
  CHECK(copysign(2.0f, -0.0f) == -2 && fdim(3.0f, 5.0f) == 0);
  CHECK(ldexp(0.75f, 4) == 12 && ldexp(half(1), -3) == 0.125f);
  int exponent;
  CHECK(frexp(12.0f, exponent) == 0.75f && exponent == 4);
  float whole;
  CHECK(modf(-2.75f, whole) == -0.75f && whole == -2);
  CHECK(modf(infinity, whole) == 0 && whole == infinity);
  float cosine;
  CHECK(sincos(0.0f, cosine) == 0 && cosine == 1);
  CHECK(ilogb(12.0f) == 3 && nextafter(1.0f, 2.0f) == 0x1.000002p0f);
  CHECK(all(exp2(float3(1, 2, 3)) == float3(2, 4, 8)));
  CHECK(all(pow(float2(2, 3), 2) == float2(4, 9)));
  CHECK(fma(0x1.000002p0f, 0x1.000002p0f, -1.0f) == 0x1.000001p-22f);
}

void extremes() {
  CHECK(max(1.0f, nan_value) == 1 && max(nan_value, 1.0f) == 1);
  CHECK(min(1.0f, nan_value) == 1 && isnan(max(nan_value, nan_value)));
  CHECK(fmax(half(1), numeric_limits<half>::quiet_NaN()) == 1);
  CHECK(max(-1, 2u) == 4294967295u && max(-1, 2) == 2);
  CHECK(
      max3(1, 5, 3) == 5 && min3(1.0f, 5.0f, 3.0f) == 1 &&
      median3(1, 5, 3) == 3);
  CHECK(clamp(5, 0, 3) == 3 && clamp(-1.0f, 0.0f, 1.0f) == 0);
  CHECK(
      saturate(2.0f) == 1 && saturate(-1.0f) == 0 && saturate(nan_value) == 0);
  CHECK(abs(-3) == 3 && abs(INT32_MIN) == INT32_MIN && abs(-2.5f) == 2.5f);
  CHECK(
      sign(-2.0f) == -1 && sign(nan_value) == 0 && negative_zero(sign(-0.0f)));
  CHECK(step(1.0f, 0.5f) == 0 && step(1.0f, 1.0f) == 1);
  CHECK(mix(1.0f, 3.0f, 0.25f) == 1.5f && smoothstep(0.0f, 2.0f, 1.0f) == 0.5f);
  CHECK(all(max(float3(1, 5, 3), 2) == float3(2, 5, 3)));
  CHECK(all(clamp(int2(-5, 5), int2(0), int2(3)) == int2(0, 3)));
  CHECK(all(mix(float2(0), float2(2, 4), 0.5f) == float2(1, 2)));
}

void classification() {
  CHECK(isnan(nan_value) && !isnan(infinity) && isinf(-infinity));
  CHECK(isfinite(1.0f) && !isfinite(nan_value) && signbit(-0.0f));
  CHECK(isnormal(0x1p-126f) && !isnormal(0x1p-127f));
  CHECK(isnormal(half(0x1p-14f)) && !isnormal(half(0x1p-15f)));
  CHECK(isunordered(1.0f, nan_value) && isordered(1.0f, 2.0f));
  CHECK(isinf(half(65520.0f)) && isnan(bfloat(nan_value)));
  CHECK(all(isnan(float2(nan_value, 1)) == bool2(true, false)));
  CHECK(select(1, 2, true) == 2 && select(1.0f, 2.0f, false) == 1);
}

// A function of half is that of float, rounded once.
void half_functions() {
  for (uint32_t i = 0; i < 0x10000; ++i) {
    const half h = half::emu_from_bits(static_cast<uint16_t>(i));
    const double v = reference::value(reference::half, h.emu_bits);
    const double wanted =
        reference::nearest(reference::half, reference::square_root(v));
    const half root = metal::sqrt(h);
    CHECK(root == wanted || (isnan(root) && reference::is_nan(wanted)));
    const half power = metal::exp(h);
    const half of_float = metal::exp(float(h));
    CHECK(power.emu_bits == of_float.emu_bits);
  }
}

// A finite half times 2^48, and a product of two: whole numbers.
__int128 scaled(half h) {
  return static_cast<__int128>(
             static_cast<double>(static_cast<float>(h)) * 0x1p24)
      << 24;
}
__int128 scaled_product(half x, half y) {
  return (scaled(x) >> 24) * (scaled(y) >> 24);
}

// No other half is nearer to x * y + z, and none as near has an even last bit.
bool is_nearest_fma(half r, half x, half y, half z) {
  const auto distance = [&](half other) {
    const __int128 d = scaled(other) - scaled_product(x, y) - scaled(z);
    return d < 0 ? -d : d;
  };
  bool nearest = true;
  for (half other :
       {nextafter(r, half(-65504.0f)), nextafter(r, half(65504.0f))}) {
    nearest = nearest &&
        (distance(r) < distance(other) || other.emu_bits == r.emu_bits ||
         (distance(r) == distance(other) && r.emu_bits % 2 == 0));
  }
  return nearest;
}

// Those that a float's result, rounded, would get wrong.
void functions_of_half_alone() {
  uint32_t state = 1;
  const auto random_half = [&] {
    state = state * 1664525 + 1013904223;
    const auto bits = static_cast<uint16_t>(state >> 16);
    return half::emu_from_bits(
        (bits & 0x7c00) == 0x7c00 ? bits & 0xbfff : bits);
  };
  for (uint32_t i = 0; i < 0x7c00; ++i) {
    const half h = half::emu_from_bits(static_cast<uint16_t>(i));
    const half up = nextafter(h, half(infinity));
    CHECK(
        up.emu_bits == i + 1 &&
        nextafter(-up, half(0.0f)).emu_bits == (i | 0x8000));
    CHECK(fract(-h) >= half(0.0f) && fract(-h) < half(1.0f));
  }
  CHECK(nextafter(half(0.0f), half(-1.0f)).emu_bits == 0x8001);
  CHECK(isnan(nextafter(half(1.0f), half(nan_value))));
  CHECK(
      fma(half(1.5f), half(683.0f / 1024), half(0x1p-24f)) ==
      half(1.0009765625f));
  for (int i = 0; i < 400000; ++i) {
    const half x = random_half(), y = random_half(), z = random_half();
    const half r = fma(x, y, z);
    CHECK(isinf(r) || is_nearest_fma(r, x, y, z));
  }
}

// Close to the exact value throughout, not only at known points.
void accuracy() {
  float worst = 0;
  for (int i = -2000; i <= 2000; ++i) {
    const float x = i / 250.0f;
    const double exact = __builtin_exp(x);
    const double error = (exp(x) - exact) / exact;
    worst = max(worst, float(error < 0 ? -error : error));
    CHECK(abs(tanh(x) - float(__builtin_tanh(x))) <= 0x1p-23f);
    CHECK(
        abs(sinpi(x) - float(__builtin_sin(x * 3.14159265358979323846L))) <=
        0x1p-22f);
  }
  CHECK(worst <= 0x1p-23f);
}

} // namespace

void test_mathematics() {
  rounding_functions();
  exact_points();
  extremes();
  classification();
  half_functions();
  functions_of_half_alone();
  accuracy();
}
