// What MLX's CPU backend uses of Accelerate, with ACCELERATE_NEW_LAPACK: names
// that end in $NEWLAPACK, standard complex numbers, 32-bit integers.
// Declarations only; the arguments' order is the BLAS' and LAPACK's own.

#pragma once

#include <cstddef>
#include <cstdint>

#include <complex>

extern "C" {

// BLAS

enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 };
enum CBLAS_TRANSPOSE {
  CblasNoTrans = 111,
  CblasTrans = 112,
  CblasConjTrans = 113
};

#define BLAS_GEMM(NAME, SCALAR, ELEMENT) \
  void NAME(                             \
      CBLAS_ORDER,                       \
      CBLAS_TRANSPOSE a,                 \
      CBLAS_TRANSPOSE b,                 \
      int m,                             \
      int n,                             \
      int k,                             \
      SCALAR alpha,                      \
      const ELEMENT* A,                  \
      int lda,                           \
      const ELEMENT* B,                  \
      int ldb,                           \
      SCALAR beta,                       \
      ELEMENT* C,                        \
      int ldc) __asm("_" #NAME "$NEWLAPACK")
BLAS_GEMM(cblas_sgemm, float, float);
BLAS_GEMM(cblas_dgemm, double, double);
BLAS_GEMM(cblas_cgemm, const void*, void);
BLAS_GEMM(cblas_zgemm, const void*, void);
#undef BLAS_GEMM

// LAPACK

#define LAPACK(NAME, ...) int NAME##_(__VA_ARGS__) __asm("_" #NAME "$NEWLAPACK")
#define LAPACK_REAL(P, T)                                                      \
  LAPACK(                                                                      \
      P##geqrf,                                                                \
      const int*,                                                              \
      const int*,                                                              \
      T*,                                                                      \
      const int*,                                                              \
      T*,                                                                      \
      T*,                                                                      \
      const int*,                                                              \
      int*);                                                                   \
  LAPACK(                                                                      \
      P##orgqr,                                                                \
      const int*,                                                              \
      const int*,                                                              \
      const int*,                                                              \
      T*,                                                                      \
      const int*,                                                              \
      const T*,                                                                \
      T*,                                                                      \
      const int*,                                                              \
      int*);                                                                   \
  LAPACK(                                                                      \
      P##syevd,                                                                \
      const char*,                                                             \
      const char*,                                                             \
      const int*,                                                              \
      T*,                                                                      \
      const int*,                                                              \
      T*,                                                                      \
      T*,                                                                      \
      const int*,                                                              \
      int*,                                                                    \
      const int*,                                                              \
      int*);                                                                   \
  LAPACK(                                                                      \
      P##geev,                                                                 \
      const char*,                                                             \
      const char*,                                                             \
      const int*,                                                              \
      T*,                                                                      \
      const int*,                                                              \
      T*,                                                                      \
      T*,                                                                      \
      T*,                                                                      \
      const int*,                                                              \
      T*,                                                                      \
      const int*,                                                              \
      T*,                                                                      \
      const int*,                                                              \
      int*);                                                                   \
  LAPACK(                                                                      \
      P##gesdd,                                                                \
      const char*,                                                             \
      const int*,                                                              \
      const int*,                                                              \
      T*,                                                                      \
      const int*,                                                              \
      T*,                                                                      \
      T*,                                                                      \
      const int*,                                                              \
      T*,                                                                      \
      const int*,                                                              \
      T*,                                                                      \
      const int*,                                                              \
      int*,                                                                    \
      int*);                                                                   \
  LAPACK(P##potrf, const char*, const int*, T*, const int*, int*);             \
  LAPACK(P##getrf, const int*, const int*, T*, const int*, int*, int*);        \
  LAPACK(                                                                      \
      P##getri, const int*, T*, const int*, const int*, T*, const int*, int*); \
  LAPACK(P##trtri, const char*, const char*, const int*, T*, const int*, int*)
LAPACK_REAL(s, float);
LAPACK_REAL(d, double);
#undef LAPACK_REAL

#define LAPACK_COMPLEX(P, T) \
  LAPACK(                    \
      P##geev,               \
      const char*,           \
      const char*,           \
      const int*,            \
      std::complex<T>*,      \
      const int*,            \
      std::complex<T>*,      \
      std::complex<T>*,      \
      const int*,            \
      std::complex<T>*,      \
      const int*,            \
      std::complex<T>*,      \
      const int*,            \
      T*,                    \
      int*);                 \
  LAPACK(                    \
      P##heevd,              \
      const char*,           \
      const char*,           \
      const int*,            \
      std::complex<T>*,      \
      const int*,            \
      T*,                    \
      std::complex<T>*,      \
      const int*,            \
      T*,                    \
      const int*,            \
      int*,                  \
      const int*,            \
      int*);                 \
  LAPACK(                    \
      P##gesdd,              \
      const char*,           \
      const int*,            \
      const int*,            \
      std::complex<T>*,      \
      const int*,            \
      T*,                    \
      std::complex<T>*,      \
      const int*,            \
      std::complex<T>*,      \
      const int*,            \
      std::complex<T>*,      \
      const int*,            \
      T*,                    \
      int*,                  \
      int*)
LAPACK_COMPLEX(c, float);
LAPACK_COMPLEX(z, double);
#undef LAPACK_COMPLEX
#undef LAPACK

// BNNS: one batched product of matrices

typedef enum : uint32_t {
  BNNSDataTypeFloatBit = 0x10000,
  BNNSDataTypeBFloat16 = 0x10000 | 0x8000 | 16,
} BNNSDataType;

typedef enum : uint32_t {
  BNNSDataLayoutRowMajorMatrix = 0x20000
} BNNSDataLayout;
typedef enum : uint32_t { BNNSNDArrayFlagBackpropSet = 0 } BNNSNDArrayFlags;

typedef struct {
  BNNSNDArrayFlags flags;
  BNNSDataLayout layout;
  size_t size[8];
  size_t stride[8];
  void* data;
  BNNSDataType data_type;
  void* table_data;
  BNNSDataType table_data_type;
  float data_scale;
  float data_bias;
} BNNSNDArrayDescriptor;

typedef struct {
  float alpha;
  float beta;
  bool transA;
  bool transB;
  bool quadratic;
  bool a_is_weights;
  bool b_is_weights;
  BNNSNDArrayDescriptor iA_desc;
  BNNSNDArrayDescriptor iB_desc;
  BNNSNDArrayDescriptor o_desc;
} BNNSLayerParametersBroadcastMatMul;

struct BNNSFilterParameters;
typedef void* BNNSFilter;

BNNSFilter BNNSFilterCreateLayerBroadcastMatMul(
    const BNNSLayerParametersBroadcastMatMul*,
    const BNNSFilterParameters*);
int BNNSFilterApplyTwoInput(
    BNNSFilter,
    const void* a,
    const void* b,
    void* out);
void BNNSFilterDestroy(BNNSFilter);
}
