// Copyright © 2026 The mlx-fork authors
//
// Vectors of AVX2 with FMA and F16C. To be included where the compiler's target
// has them.

#pragma once

#include <immintrin.h>

#include "mlx/fused/backend/cpu/simd/e2m1.h"
#include "mlx/fused/backend/cpu/simd/fields.h"

namespace mlx::core::fused::cpu::simd {

struct Avx2 {
  static constexpr const char* name = "avx2";
  static constexpr int lanes = 8;
  /** Whether two rows of a matrix gain by sharing what they load of x. */
  static constexpr bool in_pairs = false;
  using F = __m256;
  using I = __m256i;
  using Index = __m256i;

  static F zero() {
    return _mm256_setzero_ps();
  }
  static F set(float v) {
    return _mm256_set1_ps(v);
  }
  static F load(const float* p) {
    return _mm256_loadu_ps(p);
  }
  /** Makes one load of what is used several times. */
  static void keep(F& v) {
    asm("" : "+x"(v));
  }
  static void store(float* p, F v) {
    _mm256_storeu_ps(p, v);
  }
  static F add(F a, F b) {
    return _mm256_add_ps(a, b);
  }
  static F sub(F a, F b) {
    return _mm256_sub_ps(a, b);
  }
  static F mul(F a, F b) {
    return _mm256_mul_ps(a, b);
  }
  static F div(F a, F b) {
    return _mm256_div_ps(a, b);
  }
  static F fma(F a, F b, F c) {
    return _mm256_fmadd_ps(a, b, c);
  }
  /** a * b + c, rounded once or twice, whichever is faster. */
  static F sum(F a, F b, F c) {
    return fma(a, b, c);
  }
  /** a * b, never fused with a sum that follows. */
  static F product(F a, F b) {
    F v = _mm256_mul_ps(a, b);
    asm("" : "+x"(v));
    return v;
  }
  static F abs(F a) {
    return _mm256_andnot_ps(set(-0.0f), a);
  }
  /** The smaller, or b if one is NaN. */
  static F min(F a, F b) {
    return _mm256_min_ps(a, b);
  }
  static F if_negative(F v, F a, F b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(v, zero(), _CMP_LT_OQ));
  }

  static I words(const uint32_t* p) {
    return _mm256_loadu_si256((const __m256i*)p);
  }
  /** The first n words, zeros after them; n < lanes. */
  static I words(const uint32_t* p, int n) {
    const I index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_epi32(
        (const int*)p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), index));
  }
  static I and_(I a, uint32_t mask) {
    return _mm256_and_si256(a, bits(mask));
  }
  static F and_(F a, F b) {
    return _mm256_and_ps(a, b);
  }
  static I add(I a, uint32_t b) {
    return _mm256_add_epi32(a, bits(b));
  }
  static I add(I a, I b) {
    return _mm256_add_epi32(a, b);
  }
  static I subtract(I a, I b) {
    return _mm256_sub_epi32(a, b);
  }
  static I bits(uint32_t v) {
    return _mm256_set1_epi32(v);
  }
  template <int n>
  static I right(I a) {
    return n == 0 ? a : _mm256_srli_epi32(a, n);
  }
  template <int n>
  static I left(I a) {
    return n == 0 ? a : _mm256_slli_epi32(a, n);
  }
  static F to_float(I a) {
    return _mm256_cvtepi32_ps(a);
  }
  static I to_int(F a) {
    return _mm256_cvtps_epi32(a);
  }
  static F as_float(I a) {
    return _mm256_castsi256_ps(a);
  }
  static I as_int(F a) {
    return _mm256_castps_si256(a);
  }
  static F or_(F a, F b) {
    return _mm256_or_ps(a, b);
  }
  /** For values below 2^31. */
  static F if_less(I v, uint32_t limit, F a, F b) {
    return _mm256_blendv_ps(
        b, a, as_float(_mm256_cmpgt_epi32(_mm256_set1_epi32(limit), v)));
  }
  static F if_nan(F v, F a, F b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  }

  /** Lane l takes value l >> shift of those at p; reads `lanes` of them. */
  static Index spread(int shift) {
    return _mm256_srlv_epi32(
        _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(shift));
  }
  static F spread(const float* p, Index index) {
    return _mm256_permutevar8x32_ps(load(p), index);
  }

  /** The first n lanes, zeros after them; n < lanes. */
  static F first(F v, int n) {
    const I index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return and_(v, as_float(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), index)));
  }

  /** The value that nibble j of each word stands for in e2m1. */
  template <int j>
  static F e2m1(I w) {
    const F table = load(e2m1_values);
    I sign = and_(left<28 - 4 * j>(w), 0x80000000);
    return or_(
        _mm256_permutevar8x32_ps(table, right<4 * j>(w)), as_float(sign));
  }

  /** Values first, first + 1, ... of a run of 32 integers of some bits. */
  template <int bits, int first>
  static F fields(const uint32_t* run) {
    using P = FieldPlan<bits, first, lanes>;
    const I index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    I w = _mm256_maskload_epi32(
        (const int*)run, _mm256_cmpgt_epi32(_mm256_set1_epi32(bits), index));
    I low = _mm256_permutevar8x32_epi32(w, words(P::plan.word));
    I high = _mm256_permutevar8x32_epi32(w, words(P::plan.next));
    I shift = words(P::plan.shift);
    I v = _mm256_or_si256(
        _mm256_srlv_epi32(low, shift),
        _mm256_sllv_epi32(
            high, _mm256_sub_epi32(_mm256_set1_epi32(32), shift)));
    return to_float(and_(v, (1u << bits) - 1));
  }

  /** The sums of the lanes of four vectors, each by the same tree. */
  static void sums(const F v[4], float out[4]) {
    __m128 q[4];
    for (int i = 0; i < 4; ++i) {
      q[i] = _mm_add_ps(
          _mm256_castps256_ps128(v[i]), _mm256_extractf128_ps(v[i], 1));
    }
    _MM_TRANSPOSE4_PS(q[0], q[1], q[2], q[3]);
    _mm_storeu_ps(
        out, _mm_add_ps(_mm_add_ps(q[0], q[1]), _mm_add_ps(q[2], q[3])));
  }

  static F from_half(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p));
  }
  static void to_half(F v, uint16_t* p) {
    _mm_storeu_si128(
        (__m128i*)p,
        _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static F round_half(F v) {
    return _mm256_cvtph_ps(
        _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static F from_bfloat(const uint16_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(
        _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p)), 16));
  }
  /** The upper half of each word. */
  static void store_high(I v, uint16_t* p) {
    I high = _mm256_srli_epi32(v, 16);
    _mm_storeu_si128(
        (__m128i*)p,
        _mm_packus_epi32(
            _mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1)));
  }
  static I widen(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p));
  }
};

} // namespace mlx::core::fused::cpu::simd
