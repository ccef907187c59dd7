// Copyright © 2026 The mlx-fork authors
//
// The types that expressions of half, bfloat, float and integers have, and
// where they round under the two habits.

#include "check.h"
#include "emulator/metal.h"
#include "emulator_macros"
#include "tests.h"

using namespace metal;

namespace {

#if EMU_HALF_EXCESS
constexpr bool excess = true;
typedef Excess<emu::HalfFormat> HalfResult;
typedef Excess<emu::BfloatFormat> BfloatResult;
#else
constexpr bool excess = false;
typedef half HalfResult;
typedef bfloat BfloatResult;
#endif

template <typename A, typename B>
using sum_t = decltype(std::declval<A>() + std::declval<B>());

static_assert(std::is_same_v<sum_t<half, half>, HalfResult>);
static_assert(std::is_same_v<sum_t<half, int>, HalfResult>);
static_assert(std::is_same_v<sum_t<bool, half>, HalfResult>);
static_assert(std::is_same_v<sum_t<half, float>, float>);
static_assert(std::is_same_v<sum_t<bfloat, bfloat>, BfloatResult>);
static_assert(std::is_same_v<sum_t<ulong, bfloat>, BfloatResult>);
static_assert(std::is_same_v<sum_t<float, bfloat>, float>);
static_assert(std::is_same_v<sum_t<half, bfloat>, float>);
static_assert(std::is_same_v<sum_t<HalfResult, float>, float>);
static_assert(std::is_same_v<sum_t<HalfResult, half>, HalfResult>);

// As in Metal: what converts without being asked.
static_assert(std::is_convertible_v<half, float>);
static_assert(std::is_convertible_v<float, half>);
static_assert(std::is_convertible_v<bfloat, float>);
static_assert(!std::is_convertible_v<float, bfloat>);
static_assert(!std::is_convertible_v<half, bfloat>);
static_assert(!std::is_convertible_v<bfloat, half>);
static_assert(std::is_convertible_v<int, bfloat>);
static_assert(std::is_constructible_v<bfloat, float>);
static_assert(std::is_constructible_v<half, bfloat>);
static_assert(std::is_trivially_copyable_v<half>);
static_assert(std::is_trivially_default_constructible_v<bfloat>);

// Constants.
constexpr half table[] = {half(1.0f), half(2), 3.0f, -half(4)};
static_assert(table[2].emu_bits == 0x4200 && table[3].emu_bits == 0xc400);
static_assert(emu::half_literal(1.0).emu_bits == 0x3c00);
static_assert(emu::bfloat_literal(1.0).emu_bits == 0x3f80);
static_assert(half(half(1.0f) + half(0.5f)).emu_bits == 0x3e00);
static_assert(numeric_limits<half>::infinity().emu_bits == 0x7c00);
static_assert((-numeric_limits<bfloat>::infinity()).emu_bits == 0xff80);
static_assert(numeric_limits<half>::max() == 65504.0f);
static_assert(numeric_limits<half>::min() == 0x1p-14f);
static_assert(numeric_limits<half>::lowest() == -65504.0f);
static_assert(numeric_limits<half>::epsilon() == 0x1p-10f);
static_assert(numeric_limits<half>::denorm_min() == 0x1p-24f);
static_assert(numeric_limits<bfloat>::max() == 0x1.fep127f);
static_assert(numeric_limits<bfloat>::min() == 0x1p-126f);
static_assert(numeric_limits<bfloat>::epsilon() == 0x1p-7f);
static_assert(numeric_limits<const int>::max() == 2147483647);
static_assert(is_floating_point_v<half> && is_floating_point_v<bfloat>);
static_assert(is_signed_v<half> && !is_integral_v<half>);
static_assert(is_arithmetic_v<bfloat> && !is_signed_v<uint>);
static_assert(_disjunction<is_same<int, float>, is_same<int, int>>::value);

// The macros of the preprocessor's headers.
static_assert(HALF_MAX == numeric_limits<half>::max());
static_assert(HALF_EPSILON == numeric_limits<half>::epsilon());
static_assert(HALF_MIN == numeric_limits<half>::min());
static_assert(BFLT_MAX == numeric_limits<bfloat>::max());
static_assert(BFLT_EPSILON == numeric_limits<bfloat>::epsilon());
static_assert(FLT_MAX == numeric_limits<float>::max());
static_assert(FLT_EPSILON == numeric_limits<float>::epsilon());
static_assert(FLT_MIN == numeric_limits<float>::min());
static_assert(FLT_DENORM_MIN == numeric_limits<float>::denorm_min());
static_assert(INT_MIN == numeric_limits<int>::min());
static_assert(LONG_MAX == numeric_limits<long>::max());
static_assert(ULONG_MAX == numeric_limits<ulong>::max());
static_assert(M_PI_H.emu_bits == 0x4248 && M_PI_F == 3.14159274101257324f);
static_assert(INFINITY == numeric_limits<float>::infinity() && NAN != NAN);

// A kernel's template that deduces its type from an expression.
template <typename T>
T doubled(T x) {
  T two = 2;
  return T(max(x * two, x));
}

template <typename T>
void rounding(T step) {
  // step² is lost when the product is rounded to T, and kept otherwise.
  const T a = T(T(1) + step);
  const T once = T(T(1) + step + step);
  const float square = float(step) * float(step);
  const float kept = excess ? square : 0.0f;

  const float difference = a * a - once;
  CHECK(difference == kept);
  const T variable = a * a;
  CHECK(variable == once && variable - once == 0);
  auto expression = a * a;
  CHECK(float(expression - once) == kept);
  T sum = 0;
  sum += a * a;
  CHECK(sum == once);
  const T array[] = {T(a * a)};
  CHECK(array[0] == once);

  CHECK(float(max(a * a, a)) == float(once));
  CHECK(float(abs(a * a)) == float(once));
  CHECK(as_type<ushort>(a * a) == once.emu_bits);
  CHECK(T(true ? a * a : a) == once);
  CHECK(doubled(a) == T(2) * a);
  CHECK(T(doubled(a * a)) == T(T(2) * once));
  CHECK(a * a > once == excess);
  CHECK(int(a * a) == 1);
  CHECK(!(a * a == once) == excess);
}

void functions() {
  const half h = 2;
  const bfloat b = 2;
  static_assert(std::is_same_v<decltype(exp(h)), half>);
  static_assert(std::is_same_v<decltype(metal::precise::sqrt(h)), half>);
  static_assert(std::is_same_v<decltype(exp(b)), float>);
  static_assert(std::is_same_v<decltype(exp(h * h)), HalfResult>);
  static_assert(std::is_same_v<decltype(max(h, 1)), half>);
  static_assert(std::is_same_v<decltype(max(h, 1.0f)), float>);
  static_assert(std::is_same_v<decltype(max(1, 2u)), uint>);
  static_assert(std::is_same_v<decltype(min(char(1), char(2))), char>);
  static_assert(std::is_same_v<decltype(pow(2, 1.0f)), float>);
  static_assert(std::is_same_v<decltype(sqrt(2.0)), float>);
  CHECK(metal::sqrt(h * h) == 2);
  CHECK(float(fma(h, h, h)) == 6);
  CHECK(sqrt(b * b) == 2);
}

} // namespace

// As MLX has them: functions of the kernel for bfloat, and one for float beside
// one for a class that converts from numbers.
namespace metal {
inline bfloat cosh(bfloat x) {
  return bfloat(float(x) + 100.0f);
}
} // namespace metal

namespace {

struct Complex {
  float real;
  template <
      typename T,
      typename =
          enable_if_t<!is_same_v<T, Complex> && is_convertible_v<T, float>>>
  constexpr Complex(T x) : real(x) {}
  template <
      typename T,
      typename = enable_if_t<
          !is_same_v<T, Complex> &&
          (is_convertible_v<float, T> || is_convertible_v<bfloat, T>)>>
  constexpr operator T() const {
    return static_cast<T>(real);
  }
};

struct Mask {
  constexpr operator bool() const {
    return true;
  }
};

struct Scale {
  operator float() {
    return 0.5f;
  }
  operator bfloat() {
    return bfloat(0.25f);
  }
};

} // namespace

float log1p(float x) {
  return x + 0.125f;
}

static Complex log1p(Complex) {
  return Complex(-1.0f);
}

namespace {

void classes_of_a_kernel() {
  const bfloat b = 3;
  CHECK(float(metal::cosh(b)) == 103.0f);
  CHECK(float(metal::cosh(b * b)) == 109.0f);
  const half h = 2;
  CHECK(float(log1p(h)) == 2.125f);
  CHECK(float(log1p(h * h)) == 4.125f);
  const half wide = 1024;
  const half once = true ? wide : wide + log1p(h);
  CHECK(once == wide);
  CHECK(half(wide + log1p(h)) == 1026.0f);

  const Complex c(h);
  CHECK(c.real == 2 && half(c) == h && float(static_cast<bfloat>(c)) == 2);
  const half from_complex = c;
  CHECK(from_complex == h);
  const half from_mask = Mask{};
  const bfloat masked = Mask{};
  CHECK(from_mask == 1 && float(masked) == 1);
  Scale scale;
  CHECK(half(scale) == 0.5f && float(bfloat(scale)) == 0.25f);
}

// The kernel's own word on contraction holds for types of the library too,
// whatever the setting that this was compiled with.
template <typename T>
__attribute__((noinline)) auto product_and_sum(T a, T b, T c) {
#pragma clang fp contract(off)
  return a * b + c;
}

void contraction() {
  const float a = 1 + 0x1p-12f;
  const float rounded = -(1 + 0x1p-11f);
  CHECK(product_and_sum(a, a, rounded) == 0);
  CHECK(all(product_and_sum(float4(a), float4(a), float4(rounded)) == 0));
#if EMU_HALF_EXCESS
  // Of two halves a product is exact in float; of these expressions it is not.
  typedef Excess<emu::HalfFormat> E;
  CHECK(float(product_and_sum(E(a), E(a), E(rounded))) == 0);
#endif
}

} // namespace

void test_expressions() {
  contraction();
  rounding<half>(half(0x1p-10f));
  rounding<bfloat>(bfloat(0x1p-7f));
  functions();
  classes_of_a_kernel();
}
