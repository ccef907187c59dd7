// Copyright © 2026 The mlx-fork authors
//
// Integer functions against arithmetic in wider integers, for every type, and
// the atomics of one thread.

#include "check.h"
#include "emulator/metal.h"
#include "tests.h"

using namespace metal;

namespace {

typedef __int128 Wide;

uint64_t state = 0x9e3779b97f4a7c15;

uint64_t next_random() {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

template <typename T>
Wide clamped(Wide v) {
  const Wide low = numeric_limits<T>::min();
  const Wide high = numeric_limits<T>::max();
  return v < low ? low : v > high ? high : v;
}

template <typename T>
void functions(T x, T y, T z) {
  typedef std::make_unsigned_t<T> U;
  const int width = 8 * sizeof(T);
  const U bits = static_cast<U>(x);
  int ones = 0;
  int leading = width;
  int trailing = width;
  U reversed = 0;
  for (int i = 0; i < width; ++i) {
    const bool set = (bits >> i) & 1;
    ones += set;
    if (set) {
      leading = width - 1 - i;
      trailing = trailing == width ? i : trailing;
      reversed = static_cast<U>(reversed | (U(1) << (width - 1 - i)));
    }
  }
  CHECK(popcount(x) == static_cast<T>(ones));
  CHECK(
      clz(x) == static_cast<T>(leading) && ctz(x) == static_cast<T>(trailing));
  CHECK(reverse_bits(x) == static_cast<T>(reversed));

  const int by = static_cast<int>(next_random() % width);
  U rotated = 0;
  for (int i = 0; i < width; ++i) {
    rotated =
        static_cast<U>(rotated | (U((bits >> i) & 1) << ((i + by) % width)));
  }
  CHECK(rotate(x, static_cast<T>(by)) == static_cast<T>(rotated));
  CHECK(rotate(x, static_cast<T>(width)) == x);

  const Wide a = x;
  const Wide b = y;
  const Wide c = z;
  CHECK(addsat(x, y) == clamped<T>(a + b) && subsat(x, y) == clamped<T>(a - b));
  CHECK(mulhi(x, y) == static_cast<T>((a * b) >> width));
  CHECK(madhi(x, y, z) == static_cast<T>(((a * b) >> width) + c));
  CHECK(absdiff(x, y) == static_cast<U>(a < b ? b - a : a - b));
  CHECK(hadd(x, y) == static_cast<T>((a + b) >> 1));
  CHECK(rhadd(x, y) == static_cast<T>((a + b + 1) >> 1));
  if (width < 64) {
    CHECK(madsat(x, y, z) == clamped<T>(a * b + c));
  }

  const uint offset = static_cast<uint>(next_random() % width);
  const uint count = static_cast<uint>(next_random() % (width - offset + 1));
  Wide field = 0;
  for (uint i = 0; i < count; ++i) {
    field |= Wide((bits >> (offset + i)) & 1) << i;
  }
  const bool sign =
      std::is_signed_v<T> && count && ((field >> (count - 1)) & 1);
  if (sign) {
    field -= Wide(1) << count;
  }
  CHECK(extract_bits(x, offset, count) == static_cast<T>(field));
  U inserted = bits;
  for (uint i = 0; i < count; ++i) {
    const U at = static_cast<U>(U(1) << (offset + i));
    inserted = static_cast<U>(
        (inserted & ~at) | ((static_cast<U>(y) >> i) & 1 ? at : U(0)));
  }
  CHECK(insert_bits(x, y, offset, count) == static_cast<T>(inserted));
}

template <typename T>
void type() {
  const T edges[] = {
      0,
      1,
      2,
      3,
      numeric_limits<T>::max(),
      numeric_limits<T>::min(),
      static_cast<T>(numeric_limits<T>::max() / 2),
      static_cast<T>(-1)};
  for (T x : edges) {
    for (T y : edges) {
      for (T z : edges) {
        functions(x, y, z);
      }
    }
  }
  for (int i = 0; i < 3000; ++i) {
    functions(
        static_cast<T>(next_random()),
        static_cast<T>(next_random() >> (next_random() % 64)),
        static_cast<T>(next_random()));
  }
}

void products_of_24_bits() {
  CHECK(mul24(0x1000003, 5) == 15 && mul24(-3, 7) == -21);
  CHECK(mul24(0xffffffu, 2u) == 0x1fffffeu && mad24(3, 4, 5) == 17);
}

void vectors() {
  CHECK(all(popcount(uint3(0, 7, ~0u)) == uint3(0, 3, 32)));
  CHECK(all(addsat(uchar2(200, 1), uchar2(100, 2)) == uchar2(255, 3)));
  CHECK(all(rotate(uint2(1, 2), 31u) == uint2(0x80000000, 1)));
  CHECK(all(extract_bits(uint2(0xf0, 0x1f), 4, 4) == uint2(15, 1)));
}

void atomics() {
  atomic_uint u{};
  atomic_store_explicit(&u, 5, memory_order_relaxed);
  CHECK(atomic_fetch_add_explicit(&u, 3, memory_order_relaxed) == 5);
  CHECK(atomic_fetch_sub_explicit(&u, 1, memory_order_relaxed) == 8);
  CHECK(atomic_fetch_max_explicit(&u, 100, memory_order_relaxed) == 7);
  CHECK(atomic_fetch_min_explicit(&u, 64, memory_order_relaxed) == 100);
  CHECK(atomic_fetch_or_explicit(&u, 3, memory_order_relaxed) == 64);
  CHECK(atomic_fetch_and_explicit(&u, 66, memory_order_relaxed) == 67);
  CHECK(atomic_fetch_xor_explicit(&u, 1, memory_order_relaxed) == 66);
  CHECK(atomic_exchange_explicit(&u, 9, memory_order_relaxed) == 67);
  uint expected = 8;
  CHECK(!atomic_compare_exchange_weak_explicit(
      &u, &expected, 1, memory_order_relaxed, memory_order_relaxed));
  CHECK(expected == 9);
  while (!atomic_compare_exchange_weak_explicit(
      &u, &expected, 1, memory_order_relaxed, memory_order_relaxed)) {
  }
  CHECK(atomic_load_explicit(&u, memory_order_relaxed) == 1);

  atomic_int i{};
  atomic_fetch_min_explicit(&i, -5, memory_order_relaxed);
  CHECK(atomic_load_explicit(&i, memory_order_relaxed) == -5);
  atomic_float f{};
  atomic_fetch_add_explicit(&f, 1.5f, memory_order_relaxed);
  atomic_fetch_sub_explicit(&f, 4, memory_order_relaxed);
  CHECK(atomic_load_explicit(&f, memory_order_relaxed) == -2.5f);
  atomic_ulong l{};
  atomic_max_explicit(&l, 1ul << 40, memory_order_relaxed);
  CHECK(atomic_load_explicit(&l, memory_order_relaxed) == 1ul << 40);
  atomic_bool b{};
  atomic_store_explicit(&b, true, memory_order_relaxed);
  CHECK(atomic_load_explicit(&b, memory_order_relaxed));
  static_assert(sizeof(atomic_uint) == 4 && sizeof(atomic_ulong) == 8);
}

} // namespace

void test_integers() {
  type<int8_t>();
  type<uint8_t>();
  type<int16_t>();
  type<uint16_t>();
  type<int32_t>();
  type<uint32_t>();
  type<int64_t>();
  type<uint64_t>();
  products_of_24_bits();
  vectors();
  atomics();
}
