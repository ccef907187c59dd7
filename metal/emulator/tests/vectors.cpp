// Copyright © 2026 The mlx-fork authors
//
// vec and packed_vec: layout, constructors, members, operators.

#include "check.h"
#include "emulator/metal.h"
#include "tests.h"

using namespace metal;

namespace {

#define LAYOUT(T, n, bytes, alignment) \
  static_assert(sizeof(vec<T, n>) == bytes && alignof(vec<T, n>) == alignment)

LAYOUT(bool, 2, 2, 2);
LAYOUT(bool, 3, 4, 4);
LAYOUT(char, 4, 4, 4);
LAYOUT(uchar, 3, 4, 4);
LAYOUT(short, 2, 4, 4);
LAYOUT(ushort, 3, 8, 8);
LAYOUT(half, 2, 4, 4);
LAYOUT(half, 3, 8, 8);
LAYOUT(bfloat, 4, 8, 8);
LAYOUT(int, 2, 8, 8);
LAYOUT(uint, 3, 16, 16);
LAYOUT(float, 3, 16, 16);
LAYOUT(float, 4, 16, 16);
LAYOUT(long, 2, 16, 16);
LAYOUT(ulong, 3, 32, 32);
LAYOUT(long, 4, 32, 32);
static_assert(sizeof(packed_float3) == 12 && alignof(packed_float3) == 4);
static_assert(sizeof(packed_half3) == 6 && alignof(packed_half3) == 2);
static_assert(sizeof(packed_uchar4) == 4 && alignof(packed_uchar4) == 1);
static_assert(std::is_trivially_default_constructible_v<float4>);

template <typename V>
bool same(const V& v, const V& w) {
  return all(v == w);
}

template <typename T>
void constructors() {
  typedef vec<T, 2> V2;
  typedef vec<T, 3> V3;
  typedef vec<T, 4> V4;
  const V4 v(T(1), T(2), T(3), T(4));
  CHECK(v.x == T(1) && v.y == T(2) && v.z == T(3) && v.w == T(4));
  CHECK(v.r == T(1) && v.g == T(2) && v.b == T(3) && v.a == T(4));
  CHECK(v[0] == T(1) && v[1] == T(2) && v[2] == T(3) && v[3] == T(4));
  CHECK(same(V4(T(7)), V4(T(7), T(7), T(7), T(7))));
  const V2 low(T(1), T(2));
  const V2 high(T(3), T(4));
  CHECK(same(V4(low, high), v));
  CHECK(same(V4(T(1), V2(T(2), T(3)), T(4)), v));
  CHECK(same(V4(low, T(3), T(4)), v));
  CHECK(same(V4(T(1), T(2), high), v));
  CHECK(same(V4(V3(T(1), T(2), T(3)), T(4)), v));
  CHECK(same(V4(T(1), v.yzw), v));
  const V4 listed = {T(1), T(2), T(3), T(4)};
  CHECK(same(listed, v));
  const V4 short_list = {T(1), T(2), T(3)};
  CHECK(same(short_list, V4(T(1), T(2), T(3), T(0))));
  CHECK(same(V4{}, V4(T(0))));
  V4 copy = v;
  copy[2] = T(9);
  CHECK(copy.z == T(9) && v.z == T(3));
  copy = v;
  CHECK(same(copy, v));
  V4 array[3] = {v, V4(T(5)), v};
  array[1] = array[2];
  CHECK(same(array[1], v));
}

template <typename T>
void swizzles() {
  typedef vec<T, 2> V2;
  typedef vec<T, 3> V3;
  typedef vec<T, 4> V4;
  const V4 v(T(1), T(2), T(3), T(4));
  CHECK(same(V2(v.xy), V2(T(1), T(2))) && same(V2(v.wx), V2(T(4), T(1))));
  CHECK(same(V3(v.zyx), V3(T(3), T(2), T(1))));
  CHECK(same(V3(v.xxw), V3(T(1), T(1), T(4))));
  CHECK(same(V4(v.wzyx), V4(T(4), T(3), T(2), T(1))));
  CHECK(same(V4(v.abgr), V4(v.wzyx)) && same(V2(v.ra), V2(v.xw)));
  const V3 t(T(1), T(2), T(3));
  CHECK(same(V4(t.zzyx), V4(T(3), T(3), T(2), T(1))));
  const V2 u(T(1), T(2));
  CHECK(same(V4(u.yxyx), V4(T(2), T(1), T(2), T(1))));

  V4 w = v;
  w.xy = V2(T(7), T(8));
  CHECK(same(w, V4(T(7), T(8), T(3), T(4))));
  w.zw = w.yx;
  CHECK(same(w, V4(T(7), T(8), T(8), T(7))));
  w = v;
  w.xyzw = w.wzyx;
  CHECK(same(w, V4(v.wzyx)));
  w = v;
  w.xz += V2(T(1), T(2));
  CHECK(same(w, V4(T(2), T(2), T(5), T(4))));
  w.zyx *= T(2);
  CHECK(same(w, V4(T(4), T(4), T(10), T(4))));
  w.yw = T(0);
  CHECK(same(w, V4(T(4), T(0), T(10), T(0))));
  w.xy = {T(1), T(2)};
  CHECK(w.x == T(1) && w.y == T(2));
  auto part = v.zw;
  CHECK(part.x == T(3) && part.y == T(4) && part[1] == T(4));
  CHECK(v.yzw.z == T(4));
  CHECK(same(V2(v.xy + v.zw), V2(T(4), T(6))));
  CHECK(same(V2(-v.xy), V2(T(-1), T(-2))));
}

template <typename T>
void arithmetic() {
  typedef vec<T, 3> V;
  const V a(T(6), T(8), T(10));
  const V b(T(2), T(4), T(5));
  static_assert(std::is_same_v<decltype(a + b), V>);
  CHECK(same(a + b, V(T(8), T(12), T(15))) && same(a - b, V(T(4), T(4), T(5))));
  CHECK(
      same(a * b, V(T(12), T(32), T(50))) && same(a / b, V(T(3), T(2), T(2))));
  CHECK(
      same(a + T(1), V(T(7), T(9), T(11))) &&
      same(2 * b, V(T(4), T(8), T(10))));
  V c = a;
  c += b;
  c -= T(2);
  c *= b;
  c /= V(T(2));
  CHECK(same(c, V(T(6), T(20), T(32.5f))) || same(c, V(T(6), T(20), T(32))));
  ++c;
  CHECK(c.x == T(7) && (c++).x == T(7) && c.x == T(8) && (--c).x == T(7));
  static_assert(std::is_same_v<decltype(a < b), bool3>);
  CHECK(!any(a < b) && all(a > b) && all(a >= a) && all(a != b) && all(a <= a));
  CHECK(any(a == V(T(6), T(0), T(0))) && !all(a == V(T(6), T(0), T(0))));
  CHECK(all(a > 5) && all(T(5) < a));
}

void integers_and_bools() {
  const uint4 a(0xf0, 1, 2, 7);
  CHECK(
      same(a & 0x30, uint4(0x30, 0, 0, 0)) &&
      same(a | 1u, uint4(0xf1, 1, 3, 7)));
  CHECK(same(a ^ a, uint4(0)) && same(~a, uint4(~0xf0u, ~1u, ~2u, ~7u)));
  CHECK(
      same(a << 1, uint4(0x1e0, 2, 4, 14)) &&
      same(a >> uint4(4, 0, 1, 2), uint4(15, 1, 1, 1)));
  CHECK(same(a % 4, uint4(0, 1, 2, 3)));
  // No promotion: elements wrap at their own width.
  CHECK(same(uchar2(200, 255) + uchar2(100, 1), uchar2(44, 0)));
  CHECK(same(short2(32767, -1) + short(1), short2(-32768, 0)));

  const bool4 t(true, false, true, false);
  const bool4 u(true, true, false, false);
  CHECK(same(t && u, bool4(true, false, false, false)));
  CHECK(same(t || u, bool4(true, true, true, false)));
  CHECK(
      same(!t, bool4(false, true, false, true)) &&
      same(t ^ u, bool4(false, true, true, false)));
  CHECK(any(t) && !all(t) && all(t || !t));
  CHECK(as_type<uint>(a == a) == 0x01010101 && as_type<uint>(!t) == 0x01000100);
  CHECK(
      same(int4(t), int4(1, 0, 1, 0)) &&
      same(bool4(uint4(0, 2, 256, 0)), bool4(false, true, true, false)));
  bool4 written(false);
  written[2] = true;
  CHECK(written.z && as_type<uint>(written) == 0x10000u);
  CHECK(same(select(float4(1), float4(2), t), float4(2, 1, 2, 1)));
}

void conversions() {
  CHECK(same(int3(float3(1.9f, -1.9f, 3)), int3(1, -1, 3)));
  CHECK(
      same(float2(half2(1, 2)), float2(1, 2)) &&
      same(half2(float2(1, 2)), half2(1, 2)));
  CHECK(same(bfloat2(float2(1, 2.01f)), bfloat2(bfloat(1), bfloat(2.01f))));
  CHECK(same(ushort2(uint2(65537, 3)), ushort2(1, 3)));
  CHECK(same(float3(uint4(1, 2, 3, 4).xyz), float3(1, 2, 3)));
  static_assert(!std::is_convertible_v<int2, float2>);
  static_assert(
      std::is_convertible_v<decltype(std::declval<float4&>().xy), float2>);

  CHECK(as_type<ulong>(uint2(1, 2)) == 0x200000001ul);
  CHECK(same(as_type<uint2>(0x200000001l), uint2(1, 2)));
  CHECK(same(as_type<half2>(0xc0003c00u), half2(1, -2)));
  CHECK(
      as_type<float>(0x3f800000) == 1.0f && as_type<half>(ushort(0x3c00)) == 1);
  CHECK(same(as_type<uchar4>(0x04030201), uchar4(1, 2, 3, 4)));
  CHECK(as_type<uint>(half4(1, 2, 3, 4).yx) == 0x3c004000u);

  packed_float3 p(float3(1, 2, 3));
  CHECK(p.x == 1 && p[2] == 3 && same(float3(p), float3(1, 2, 3)));
  p += float3(1);
  p = p * 2;
  CHECK(same(p + p, float3(8, 12, 16)) && all(p == float3(4, 6, 8)));
  packed_half4 q(half(1), half(2), half(3), half(4));
  const half4 from_packed = q;
  CHECK(same(from_packed, half4(1, 2, 3, 4)));
  packed_char2 r = char2(1, -1);
  CHECK(r.y == -1);
}

// Under both habits a vector's operation rounds each element.
void rounding() {
  const half h = half(half(1) + half(0x1p-10f));
  const half2 v(h, h);
  const half once = h * h;
  CHECK(same(v * v - half2(once), half2(0)));
  CHECK(dot(half2(h, 0), half2(h, 1)) == once);
}

void geometry() {
  const float3 a(1, 2, 3);
  const float3 b(4, 5, 6);
  CHECK(dot(a, b) == 32 && same(cross(a, b), float3(-3, 6, -3)));
  CHECK(length(float2(3, 4)) == 5 && length_squared(a) == 14);
  CHECK(distance(float2(1, 1), float2(4, 5)) == 5);
  CHECK(same(normalize(float2(0, 4)), float2(0, 1)));
  CHECK(same(reflect(float2(1, -1), float2(0, 1)), float2(1, 1)));
  CHECK(dot(a.xy, b.zx) == 14);
}

union Words {
  EMU_UNION(Words)
  uint2 words;
  uchar4 bytes[2];
};

Words filled() {
  Words w;
  w.words = uint2(0x04030201, 5);
  return w;
}

void shifts_take_the_low_bits_of_the_count() {
  CHECK(same(uint2(1) << uint2(33, 31), uint2(2, 0x80000000)));
  CHECK(same(short2(-8, 8) >> short2(17, 16), short2(-4, 8)));
  CHECK(same(ulong2(1) << ulong2(64, 65), ulong2(1, 2)));
  uchar4 bytes(1);
  bytes <<= uchar4(0, 7, 8, 9);
  CHECK(same(bytes, uchar4(1, 128, 1, 2)));
}

void unions_and_arrays() {
  Words w = filled();
  const Words copy = w;
  CHECK(copy.bytes[0].w == 4 && copy.bytes[1][0] == 5);
  array<int, 3> a = {1, 2, 3};
  a[1] += 5;
  int sum = 0;
  for (int v : a) {
    sum += v;
  }
  CHECK(sum == 11 && a.size() == 3);
  const uniform<int> u = make_uniform(4);
  CHECK(u / make_uniform(2) == 2);
}

} // namespace

void test_vectors() {
  constructors<float>();
  constructors<half>();
  constructors<bfloat>();
  constructors<char>();
  constructors<uint>();
  constructors<long>();
  swizzles<float>();
  swizzles<half>();
  swizzles<bfloat>();
  swizzles<short>();
  swizzles<long>();
  arithmetic<float>();
  arithmetic<half>();
  arithmetic<bfloat>();
  arithmetic<int>();
  arithmetic<ushort>();
  arithmetic<long>();
  integers_and_bools();
  conversions();
  rounding();
  geometry();
  shifts_take_the_low_bits_of_the_count();
  unions_and_arrays();
}
