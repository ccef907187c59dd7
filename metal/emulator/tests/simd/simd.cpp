// Copyright © 2026 The mlx-fork authors
//
// A kernel that judges the functions of SIMD groups itself: each lane knows
// what every lane brings, and so what each function must give. Its library is
// run by tests/emulator_types.rs through the emulator's driver, for whole and
// partial groups and for every order of reductions.
//
// Results, of each thread: checks passed, checks failed, line of the first
// failure, 0.

#include "emulator/metal.h"

using namespace metal;

namespace {

struct Judge {
  uint passed = 0;
  uint failed = 0;
  uint line = 0;

  void check(bool ok, uint at) {
    passed += ok;
    failed += !ok;
    line = !ok && line == 0 ? at : line;
  }
};

#define CHECK(...) judge.check(__VA_ARGS__, __LINE__)

constexpr float nan_value = numeric_limits<float>::quiet_NaN();

// What lane `lane` brings: numbers whose sums round differently in each order.
float brought(uint lane) {
  const float scale = lane % 5 == 0 ? 60.0f : lane % 3 == 0 ? 0.01f : 1.0f;
  return scale * float(lane * 9 % 101 + 1) / 7.0f;
}

template <typename T>
bool same_bits(T a, T b) {
  return as_type<uint>(float(a)) == as_type<uint>(float(b));
}

// The sum over all 32 lanes as a GPU's lanes would make it, each with its own.
template <typename T>
T sum_by_order(emu::Reduction order) {
  T v[32];
  for (uint i = 0; i < 32; ++i) {
    v[i] = T(brought(i));
  }
  const uint down[] = {16, 8, 4, 2, 1};
  const uint up[] = {1, 2, 4, 8, 16};
  T sum = T(0);
  switch (order) {
    case emu::butterfly_down:
    case emu::butterfly_up:
      for (int step = 0; step < 5; ++step) {
        const uint d = order == emu::butterfly_down ? down[step] : up[step];
        T next[32];
        for (uint i = 0; i < 32; ++i) {
          next[i] = T(v[i] + v[i ^ d]);
        }
        for (uint i = 0; i < 32; ++i) {
          v[i] = next[i];
        }
      }
      return v[7];
    case emu::forward:
      sum = v[0];
      for (uint i = 1; i < 32; ++i) {
        sum = T(sum + v[i]);
      }
      return sum;
    default:
      sum = v[31];
      for (uint i = 31; i > 0; --i) {
        sum = T(sum + v[i - 1]);
      }
      return sum;
  }
}

void sums_in_order(Judge& judge, uint lane) {
  const emu::Reduction order = emu::reduction_order();
  CHECK(same_bits(simd_sum(brought(lane)), sum_by_order<float>(order)));
  CHECK(same_bits(simd_sum(half(brought(lane))), sum_by_order<half>(order)));
  CHECK(
      same_bits(simd_sum(bfloat(brought(lane))), sum_by_order<bfloat>(order)));
  for (uint other = 0; other < 4; ++other) {
    const emu::Reduction reduction = emu::Reduction(other);
    CHECK(
        reduction == order ||
        !same_bits(sum_by_order<float>(reduction), sum_by_order<float>(order)));
  }
  const float2 sums = simd_sum(float2(brought(lane), 1));
  CHECK(same_bits(sums.x, sum_by_order<float>(order)) && sums.y == 32);
}

void reductions(Judge& judge, uint lane, uint lanes) {
  int sum = 0;
  uint product = 1;
  uint ands = ~0u;
  uint ors = 0;
  uint xors = 0;
  int before = 0;
  uint product_before = 1;
  for (uint i = 0; i < lanes; ++i) {
    before = i == lane ? sum : before;
    product_before = i == lane ? product : product_before;
    sum += int(i) - 5;
    product *= i % 2 + 1;
    ands &= i | 64;
    ors |= i;
    xors ^= i * 3;
  }
  const int mine = int(lane) - 5;
  CHECK(simd_sum(mine) == sum);
  CHECK(simd_product(lane % 2 + 1) == product);
  CHECK(simd_min(mine) == -5 && simd_max(mine) == int(lanes) - 6);
  CHECK(simd_max(float(lane)) == lanes - 1);
  CHECK(simd_min(lane == 0 ? nan_value : float(lane)) == 1);
  CHECK(simd_and(lane | 64) == ands && simd_or(lane) == ors);
  CHECK(simd_xor(lane * 3) == xors);
  CHECK(simd_prefix_inclusive_sum(mine) == before + mine);
  CHECK(simd_prefix_exclusive_sum(mine) == before);
  CHECK(simd_prefix_exclusive_product(lane % 2 + 1) == product_before);
  CHECK(
      simd_prefix_inclusive_product(lane % 2 + 1) ==
      product_before * (lane % 2 + 1));
  CHECK(simd_sum(long(mine) << 33) == long(sum) * (1l << 33));
  CHECK(
      all(simd_sum(long4(mine, 1, 2, 3)) ==
          long4(sum, lanes, 2 * lanes, 3 * lanes)));
}

void shuffles(Judge& judge, uint lane, uint lanes) {
  const uint v = lane * 11 + 3;
  const auto of = [lanes](uint from) {
    return from < lanes ? from * 11 + 3 : ~0u;
  };
  for (ushort i = 0; i < 32; ++i) {
    CHECK(simd_broadcast(v, i) == of(i));
    CHECK(simd_shuffle(v, (lane + i) % 32) == of((lane + i) % 32));
    CHECK(simd_shuffle_xor(v, i) == of(lane ^ i));
    CHECK(simd_shuffle_down(v, i) == of(lane + i < 32 ? lane + i : lane));
    CHECK(simd_shuffle_up(v, i) == of(lane >= i ? lane - i : lane));
    CHECK(simd_shuffle_rotate_down(v, i) == of((lane + i) % 32));
    CHECK(simd_shuffle_rotate_up(v, i) == of((lane + 32 - i) % 32));
  }
  CHECK(simd_broadcast_first(v) == 3);
  CHECK(all(simd_shuffle_xor(uint2(v, lane), 0) == uint2(v, lane)));
  CHECK(simd_broadcast(half(lane), 0) == 0);
  CHECK(isnan(simd_shuffle(1.0f, 31)) == (lanes < 32));
  CHECK(all(simd_broadcast(ulong3(lane, 7, 8), 0) == ulong3(0, 7, 8)));
}

void fills(Judge& judge, uint lane) {
  const uint v = lane + 100;
  const uint fill = lane + 200;
  for (ushort modulo = 2; modulo <= 32; modulo *= 2) {
    for (ushort delta = 0; delta < modulo; ++delta) {
      const uint start = lane / modulo * modulo;
      const uint at = lane % modulo;
      const uint up = at >= delta ? start + at - delta + 100
                                  : start + at + modulo - delta + 200;
      const uint down = at + delta < modulo ? start + at + delta + 100
                                            : start + at + delta - modulo + 200;
      CHECK(simd_shuffle_and_fill_up(v, fill, delta, modulo) == up);
      CHECK(simd_shuffle_and_fill_down(v, fill, delta, modulo) == down);
      CHECK(
          simd_shuffle_and_fill_up(ulong2(v), ulong2(fill), delta, modulo).y ==
          up);
    }
  }
  CHECK(simd_shuffle_and_fill_up(v, fill, 1) == (lane ? v - 1 : 231));
  CHECK(simd_shuffle_and_fill_down(v, fill, 1) == (lane < 31 ? v + 1 : 200));
}

void votes(Judge& judge, uint lane, uint lanes) {
  const uint active = lanes == 32 ? ~0u : (1u << lanes) - 1;
  CHECK(
      simd_vote::vote_t(simd_ballot(lane % 3 == 0)) == (0x49249249u & active));
  CHECK(simd_vote::vote_t(simd_active_threads_mask()) == active);
  CHECK(simd_all(lane < 32) && !simd_all(lane > 0) && simd_any(lane == 0));
  CHECK(!simd_any(lane > 31) && simd_is_first() == (lane == 0));
  CHECK(simd_ballot(true).any() && simd_ballot(true).all() == (lanes == 32));
}

void quads(Judge& judge, uint lane) {
  const uint first = lane / 4 * 4;
  const uint at = lane % 4;
  CHECK(quad_sum(lane) == 4 * first + 6 && quad_max(lane) == first + 3);
  CHECK(quad_min(lane) == first && quad_product(at + 1) == 24);
  CHECK(quad_prefix_inclusive_sum(at) == at * (at + 1) / 2);
  CHECK(quad_prefix_exclusive_sum(at) == at * (at + 1) / 2 - at);
  for (ushort i = 0; i < 4; ++i) {
    CHECK(quad_broadcast(lane, i) == first + i);
    CHECK(quad_shuffle_xor(lane, i) == first + (at ^ i));
    CHECK(quad_shuffle_rotate_down(lane, i) == first + (at + i) % 4);
    CHECK(quad_shuffle_rotate_up(lane, i) == first + (at + 4 - i) % 4);
    CHECK(quad_shuffle_down(lane, i) == (at + i < 4 ? lane + i : lane));
    CHECK(quad_shuffle_up(lane, i) == (at >= i ? lane - i : lane));
  }
  CHECK(quad_all(lane / 4 == first / 4) && !quad_all(at > 0));
  CHECK(quad_any(at == 3) && quad_vote::vote_t(quad_ballot(at == 2)) == 4);
}

// Every element of the product, for matrices whose entries are small integers.
template <typename D, typename A, typename B>
void matrices(Judge& judge, uint lane, const A* a, const B* b, D* out) {
  simdgroup_matrix<A, 8, 8> left;
  simdgroup_matrix<B, 8, 8> right;
  simdgroup_matrix<D, 8, 8> sum(D(1));
  simdgroup_load(left, a, 10, ulong2(1, 1));
  simdgroup_load(right, b, 8, ulong2(0, 0), true);
  simdgroup_multiply_accumulate(sum, left, right, sum);
  simdgroup_store(sum, out);
  threadgroup_barrier(mem_flags::mem_device);
  for (uint row = 0; row < 8; ++row) {
    for (uint column = 0; column < 8; ++column) {
      float wanted = row == column;
      for (uint k = 0; k < 8; ++k) {
        wanted += float(a[(row + 1) * 10 + k + 1]) * float(b[column * 8 + k]);
      }
      CHECK(float(out[row * 8 + column]) == wanted);
    }
  }
  // Where a lane's elements are.
  const uint quad = lane / 4;
  const uint row = (quad & 4) + (lane / 2) % 4;
  const uint column = (quad & 2) * 2 + (lane % 2) * 2;
  CHECK(sum.thread_elements()[0] == out[row * 8 + column]);
  CHECK(sum.thread_elements()[1] == out[row * 8 + column + 1]);

  simdgroup_multiply(sum, left, right);
  CHECK(
      float(sum.thread_elements()[0]) ==
      float(out[row * 8 + column]) - (row == column));
  sum = make_filled_simdgroup_matrix<D, 8, 8>(D(3));
  CHECK(sum.thread_elements().x == 3 && sum.thread_elements().y == 3);
  threadgroup_barrier(mem_flags::mem_device);
}

// Buffers: results, numbers of the matrices, their product.
void judge_simd(
    uint4* results,
    const float* a,
    const half* b,
    const bfloat* c,
    float* product,
    half* half_product,
    uint lane,
    uint lanes) {
  Judge judge;
  reductions(judge, lane, lanes);
  shuffles(judge, lane, lanes);
  votes(judge, lane, lanes);
  if (lanes == 32) {
    sums_in_order(judge, lane);
    fills(judge, lane);
    quads(judge, lane);
    matrices(judge, lane, a, b, product);
    matrices(judge, lane, b, c, product);
    matrices(judge, lane, a, b, half_product);
  }
  results[lane] = uint4(judge.passed, judge.failed, judge.line, 0);
}

void entry(const emu::Thread& t) {
  using S = emu::Signature<decltype(&judge_simd)>;
  judge_simd(
      emu::buffer<S::arg<0>>(t, 0),
      emu::buffer<S::arg<1>>(t, 1),
      emu::buffer<S::arg<2>>(t, 2),
      emu::buffer<S::arg<3>>(t, 3),
      emu::buffer<S::arg<4>>(t, 4),
      emu::buffer<S::arg<5>>(t, 5),
      emu::attribute<uint>(t.thread_index_in_threadgroup),
      emu::attribute<uint>(t.threads_per_threadgroup));
}

using S = emu::Signature<decltype(&judge_simd)>;
const emu::Argument arguments[] = {
    emu::describe<S::arg<0>>(
        emu::Kind::buffer,
        0,
        "results",
        emu::Space::device),
    emu::describe<S::arg<1>>(emu::Kind::buffer, 1, "a", emu::Space::device),
    emu::describe<S::arg<2>>(emu::Kind::buffer, 2, "b", emu::Space::device),
    emu::describe<S::arg<3>>(emu::Kind::buffer, 3, "c", emu::Space::device),
    emu::describe<S::arg<4>>(
        emu::Kind::buffer,
        4,
        "product",
        emu::Space::device),
    emu::describe<S::arg<5>>(
        emu::Kind::buffer,
        5,
        "half_product",
        emu::Space::device)};

} // namespace

extern "C" __attribute__((visibility("default")))
const emu::Kernel emu_kernels[] = {{"simd", entry, arguments, 6, 0}};
extern "C" __attribute__((visibility("default")))
const unsigned emu_kernel_count = 1;
