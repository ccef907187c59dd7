// Copyright © 2026 The mlx-fork authors
//
// Vectors of AVX-512 (F, BW, DQ, VL). To be included where the compiler's
// target has them.

#pragma once

#include <immintrin.h>

#include "mlx/fused/backend/cpu/simd/e2m1.h"
#include "mlx/fused/backend/cpu/simd/fields.h"

namespace mlx::core::fused::cpu::simd {

struct Avx512 {
  static constexpr const char* name = "avx512";
  static constexpr int lanes = 16;
  /** Whether two rows of a matrix gain by sharing what they load of x. */
  static constexpr bool in_pairs = true;
  using F = __m512;
  using I = __m512i;
  using Index = __m512i;

  static F zero() {
    return _mm512_setzero_ps();
  }
  static F set(float v) {
    return _mm512_set1_ps(v);
  }
  static F load(const float* p) {
    return _mm512_loadu_ps(p);
  }
  /** Makes one load of what is used several times. */
  static void keep(F& v) {
    asm("" : "+v"(v));
  }
  static void store(float* p, F v) {
    _mm512_storeu_ps(p, v);
  }
  static F add(F a, F b) {
    return _mm512_add_ps(a, b);
  }
  static F sub(F a, F b) {
    return _mm512_sub_ps(a, b);
  }
  static F mul(F a, F b) {
    return _mm512_mul_ps(a, b);
  }
  static F div(F a, F b) {
    return _mm512_div_ps(a, b);
  }
  static F fma(F a, F b, F c) {
    return _mm512_fmadd_ps(a, b, c);
  }
  /** a * b + c, rounded once or twice, whichever is faster. */
  static F sum(F a, F b, F c) {
    return fma(a, b, c);
  }
  /** a * b, never fused with a sum that follows. */
  static F product(F a, F b) {
    F v = _mm512_mul_ps(a, b);
    asm("" : "+v"(v));
    return v;
  }
  static F abs(F a) {
    return _mm512_andnot_ps(set(-0.0f), a);
  }
  /** The smaller, or b if one is NaN. */
  static F min(F a, F b) {
    return _mm512_min_ps(a, b);
  }
  static F if_negative(F v, F a, F b) {
    return _mm512_mask_blend_ps(
        _mm512_cmp_ps_mask(v, zero(), _CMP_LT_OQ), b, a);
  }

  static I words(const uint32_t* p) {
    return _mm512_loadu_si512(p);
  }
  /** The first n words, zeros after them; n < lanes. */
  static I words(const uint32_t* p, int n) {
    return _mm512_maskz_loadu_epi32((1u << n) - 1, p);
  }
  static I and_(I a, uint32_t mask) {
    return _mm512_and_si512(a, bits(mask));
  }
  static F and_(F a, F b) {
    return _mm512_and_ps(a, b);
  }
  static I add(I a, uint32_t b) {
    return _mm512_add_epi32(a, bits(b));
  }
  static I add(I a, I b) {
    return _mm512_add_epi32(a, b);
  }
  static I subtract(I a, I b) {
    return _mm512_sub_epi32(a, b);
  }
  static I bits(uint32_t v) {
    return _mm512_set1_epi32(v);
  }
  template <int n>
  static I right(I a) {
    return n == 0 ? a : _mm512_srli_epi32(a, n);
  }
  template <int n>
  static I left(I a) {
    return n == 0 ? a : _mm512_slli_epi32(a, n);
  }
  static F to_float(I a) {
    return _mm512_cvtepi32_ps(a);
  }
  static I to_int(F a) {
    return _mm512_cvtps_epi32(a);
  }
  static F as_float(I a) {
    return _mm512_castsi512_ps(a);
  }
  static I as_int(F a) {
    return _mm512_castps_si512(a);
  }
  static F or_(F a, F b) {
    return _mm512_or_ps(a, b);
  }
  static F if_less(I v, uint32_t limit, F a, F b) {
    return _mm512_mask_blend_ps(
        _mm512_cmplt_epu32_mask(v, _mm512_set1_epi32(limit)), b, a);
  }
  static F if_nan(F v, F a, F b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), b, a);
  }

  /** Lane l takes value l >> shift of those at p; reads `lanes` of them. */
  static Index spread(int shift) {
    return _mm512_srlv_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        _mm512_set1_epi32(shift));
  }
  static F spread(const float* p, Index index) {
    return _mm512_permutexvar_ps(index, load(p));
  }

  /** The first n lanes, zeros after them; n < lanes. */
  static F first(F v, int n) {
    return _mm512_maskz_mov_ps((1u << n) - 1, v);
  }

  /** The value that nibble j of each word stands for in e2m1. */
  template <int j>
  static F e2m1(I w) {
    const F table = load(e2m1_values);
    return _mm512_permutexvar_ps(right<4 * j>(w), table);
  }

  /** Values first, first + 1, ... of a run of 32 integers of some bits. */
  template <int bits, int first>
  static F fields(const uint32_t* run) {
    using P = FieldPlan<bits, first, lanes>;
    I w = _mm512_maskz_loadu_epi32((1u << bits) - 1, run);
    I low = _mm512_permutexvar_epi32(_mm512_loadu_si512(P::plan.word), w);
    I high = _mm512_permutexvar_epi32(_mm512_loadu_si512(P::plan.next), w);
    I shift = _mm512_loadu_si512(P::plan.shift);
    I v = _mm512_or_si512(
        _mm512_srlv_epi32(low, shift),
        _mm512_sllv_epi32(
            high, _mm512_sub_epi32(_mm512_set1_epi32(32), shift)));
    return to_float(and_(v, (1u << bits) - 1));
  }

  /** The sums of the lanes of four vectors, each by the same tree. */
  static void sums(const F v[4], float out[4]) {
    __m128 q[4];
    for (int i = 0; i < 4; ++i) {
      __m256 h = _mm256_add_ps(
          _mm512_castps512_ps256(v[i]), _mm512_extractf32x8_ps(v[i], 1));
      q[i] = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    }
    _MM_TRANSPOSE4_PS(q[0], q[1], q[2], q[3]);
    _mm_storeu_ps(
        out, _mm_add_ps(_mm_add_ps(q[0], q[1]), _mm_add_ps(q[2], q[3])));
  }

  static F from_half(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
  }
  static void to_half(F v, uint16_t* p) {
    _mm256_storeu_si256(
        (__m256i*)p,
        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static F round_half(F v) {
    return _mm512_cvtph_ps(
        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static F from_bfloat(const uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
  }
  /** The upper half of each word. */
  static void store_high(I v, uint16_t* p) {
    _mm256_storeu_si256(
        (__m256i*)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(v, 16)));
  }
  static I widen(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p));
  }
};

} // namespace mlx::core::fused::cpu::simd
