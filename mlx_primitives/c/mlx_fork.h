/* The C API of mlx-fork: the fused primitives, and as many of MLX's own
 * operations as it takes to compute the same results from them. Not a general C
 * API: that is mlx-c, whose handles these are.
 *
 * With mlx-c: include mlx-c's headers before this one. A handle made by either
 * can be given to the other as long as both use the same libmlx.
 *
 * Results: every function that returns int returns 0 when it succeeded.
 * Otherwise the error handler was called, mlx_fork_last_error() is the text,
 * and `*result` is as it was.
 *
 * Ownership: `result` points to an empty handle ({NULL}), which becomes a new
 * array for mlx_fork_array_free(), or to a live one, which is replaced.
 * Arguments stay the caller's. An optional array is absent when its handle is
 * empty. An optional number is absent when 0.
 *
 * Computation is lazy as everywhere in MLX: wrong shapes, types and modes are
 * reported by the operation, failures while computing by mlx_fork_array_eval().
 *
 * A library holds only the functions whose features the MLX has against which
 * it was built: to serve all builds, look functions up at run time (dlsym).
 */

#ifndef MLX_FORK_H
#define MLX_FORK_H

#include <stdbool.h>
#include <stddef.h>

#if defined(_WIN32)
#define MLX_FORK_API
#else
#define MLX_FORK_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* mlx-c's header guards tell whether it has declared these. */
#ifndef MLX_ARRAY_H
/** An array: `ctx` is a mlx::core::array*. */
typedef struct mlx_array_ {
  void* ctx;
} mlx_array;
#endif

#ifndef MLX_STREAM_H
/** A stream: `ctx` is a mlx::core::Stream*; NULL is the default stream. */
typedef struct mlx_stream_ {
  void* ctx;
} mlx_stream;
#endif

/** Types of elements; the numbers are those of mlx::core::Dtype::Val. */
typedef enum mlx_fork_dtype_ {
  MLX_FORK_BOOL = 0,
  MLX_FORK_UINT8 = 1,
  MLX_FORK_UINT16 = 2,
  MLX_FORK_UINT32 = 3,
  MLX_FORK_UINT64 = 4,
  MLX_FORK_INT8 = 5,
  MLX_FORK_INT16 = 6,
  MLX_FORK_INT32 = 7,
  MLX_FORK_INT64 = 8,
  MLX_FORK_FLOAT16 = 9,
  MLX_FORK_FLOAT32 = 10,
  MLX_FORK_FLOAT64 = 11,
  MLX_FORK_BFLOAT16 = 12,
  MLX_FORK_COMPLEX64 = 13
} mlx_fork_dtype;

/** Kinds of devices. */
typedef enum mlx_fork_device_ {
  MLX_FORK_CPU = 0,
  MLX_FORK_GPU = 1
} mlx_fork_device;

/** How the last evaluation of a fused primitive was done. */
typedef enum mlx_fork_path_ {
  /** It has not been evaluated in this process. */
  MLX_FORK_PATH_NONE = 0,
  /** By the kernel made for these shapes, types and this processor. */
  MLX_FORK_PATH_FAST = 1,
  /** By the kernel that takes everything. */
  MLX_FORK_PATH_GENERAL = 2,
  /** As a composition of MLX's own operations. */
  MLX_FORK_PATH_COMPOSITION = 3
} mlx_fork_path;

/* --- The library --------------------------------------------------------- */

/** The id of the fork (or, on stock MLX, of the commit) this was built for. */
MLX_FORK_API const char* mlx_fork_id(void);

/** The version of the libmlx that is loaded, such as "0.31.2". */
MLX_FORK_API const char* mlx_fork_mlx_version(void);

/**
 * Checks that the libmlx that is loaded is the one this was built for: its
 * version is that of the headers, and its fork id is mlx_fork_id(). On any
 * difference every function that computes fails with the same error.
 */
MLX_FORK_API int mlx_fork_check(void);

/** The text of the last error on this thread; "" when there was none. */
MLX_FORK_API const char* mlx_fork_last_error(void);

/** Receives the text of each error, on the thread where it happens. */
typedef void (*mlx_fork_error_handler)(const char* message, void* data);

/** Sets the error handler of the process; NULL (as at the start) is none. */
MLX_FORK_API void mlx_fork_set_error_handler(
    mlx_fork_error_handler handler,
    void* data);

/* --- Devices -------------------------------------------------------------- */

/** The number of devices of a kind; 0 where MLX was built without them. */
MLX_FORK_API int mlx_fork_device_count(int* result, mlx_fork_device device);

/** The device on which operations run. */
MLX_FORK_API int mlx_fork_default_device(mlx_fork_device* result);

/** Sets it; fails where there is no such device. */
MLX_FORK_API int mlx_fork_set_default_device(mlx_fork_device device);

/**
 * What MLX tells of a device, one "key=value" a line, sorted by key. The text
 * is valid until the next call on this thread.
 */
MLX_FORK_API int mlx_fork_device_info(
    const char** result,
    mlx_fork_device device);

/**
 * The vector extensions of this processor that a kernel may choose by, such as
 * "sse4.2 avx avx2 fma f16c"; "" where none are known.
 */
MLX_FORK_API const char* mlx_fork_cpu_features(void);

/* --- Arrays --------------------------------------------------------------- */

/** Bytes of one element; 0 for a number that is no type. */
MLX_FORK_API size_t mlx_fork_dtype_size(mlx_fork_dtype dtype);

/** An array from a copy of `size` bytes: its elements in row-major order. */
MLX_FORK_API int mlx_fork_array_from_bytes(
    mlx_array* result,
    const void* bytes,
    size_t size,
    const int* shape,
    size_t ndim,
    mlx_fork_dtype dtype);

/** Frees a handle; an empty one is left alone. */
MLX_FORK_API int mlx_fork_array_free(mlx_array array);

/** Computes the array, and waits for it. */
MLX_FORK_API int mlx_fork_array_eval(mlx_array array);

/** The number of dimensions. */
MLX_FORK_API int mlx_fork_array_ndim(size_t* result, mlx_array array);

/** Writes the dimensions into `result`, which has room for `ndim` of them. */
MLX_FORK_API int
mlx_fork_array_shape(int* result, size_t ndim, mlx_array array);

/** The type of the elements. */
MLX_FORK_API int mlx_fork_array_dtype(mlx_fork_dtype* result, mlx_array array);

/** Bytes of all elements. */
MLX_FORK_API int mlx_fork_array_nbytes(size_t* result, mlx_array array);

/** Computes the array and copies its elements, row-major, into `size` bytes. */
MLX_FORK_API int
mlx_fork_array_to_bytes(void* result, size_t size, mlx_array array);

/* --- MLX's own operations, on the default device -------------------------- */

MLX_FORK_API int mlx_fork_abs(mlx_array* result, mlx_array a);
MLX_FORK_API int mlx_fork_exp(mlx_array* result, mlx_array a);
MLX_FORK_API int mlx_fork_negative(mlx_array* result, mlx_array a);
MLX_FORK_API int mlx_fork_sigmoid(mlx_array* result, mlx_array a);
MLX_FORK_API int mlx_fork_tanh(mlx_array* result, mlx_array a);

MLX_FORK_API int mlx_fork_add(mlx_array* result, mlx_array a, mlx_array b);
MLX_FORK_API int mlx_fork_subtract(mlx_array* result, mlx_array a, mlx_array b);
MLX_FORK_API int mlx_fork_multiply(mlx_array* result, mlx_array a, mlx_array b);
MLX_FORK_API int mlx_fork_divide(mlx_array* result, mlx_array a, mlx_array b);
MLX_FORK_API int mlx_fork_power(mlx_array* result, mlx_array a, mlx_array b);

/** Conversion to another type. */
MLX_FORK_API int
mlx_fork_astype(mlx_array* result, mlx_array a, mlx_fork_dtype dtype);

/** The sum over one axis; negative axes count from the end. */
MLX_FORK_API int
mlx_fork_sum(mlx_array* result, mlx_array a, int axis, bool keepdims);

/** Inserts an axis of length 1. */
MLX_FORK_API int mlx_fork_expand_dims(mlx_array* result, mlx_array a, int axis);

/** Removes an axis of length 1. */
MLX_FORK_API int mlx_fork_squeeze(mlx_array* result, mlx_array a, int axis);

/** The same elements in another shape; one dimension may be -1. */
MLX_FORK_API int
mlx_fork_reshape(mlx_array* result, mlx_array a, const int* shape, size_t ndim);

/** The same elements with their axes in the order `axes`, not copied. */
MLX_FORK_API int mlx_fork_transpose(
    mlx_array* result,
    mlx_array a,
    const int* axes,
    size_t count);

/** The array repeated up to a shape, not copied. */
MLX_FORK_API int mlx_fork_broadcast_to(
    mlx_array* result,
    mlx_array a,
    const int* shape,
    size_t ndim);

/** The slices at `indices` along one axis. */
MLX_FORK_API int
mlx_fork_take(mlx_array* result, mlx_array a, mlx_array indices, int axis);

/** mlx::core::quantized_matmul; `biases` is optional, so are `group_size` and
 * `bits`. */
MLX_FORK_API int mlx_fork_quantized_matmul(
    mlx_array* result,
    mlx_array x,
    mlx_array w,
    mlx_array scales,
    mlx_array biases,
    bool transpose,
    int group_size,
    int bits,
    const char* mode);

/** mlx::core::gather_qmm; `biases` and both `indices` are optional, so are the
 * numbers. */
MLX_FORK_API int mlx_fork_gather_qmm(
    mlx_array* result,
    mlx_array x,
    mlx_array w,
    mlx_array scales,
    mlx_array biases,
    mlx_array lhs_indices,
    mlx_array rhs_indices,
    bool transpose,
    int group_size,
    int bits,
    const char* mode,
    bool sorted_indices);

/* --- Fused primitives ------------------------------------------------------
 */

/**
 * The vector instructions that the primitives' kernels for the CPU make use of:
 * "portable", "neon", "avx2", "avx512" or "avx512_bf16"; "none" without MLX's
 * CPU backend. Null if MLX_FUSED_CPU_SIMD names some that this processor lacks:
 * the primitives fail then, and say so. Valid as long as the library is loaded.
 */
MLX_FORK_API const char* mlx_fork_cpu_simd(void);

/**
 * The threads that share an evaluation of a primitive on the CPU. 0 without
 * MLX's CPU backend, -1 if MLX_FUSED_CPU_THREADS is not a number of threads.
 */
MLX_FORK_API int mlx_fork_cpu_threads(void);

/**
 * The path that the last evaluation of a primitive took, by the primitive's
 * name such as "gather_qmm_swiglu".
 */
MLX_FORK_API int mlx_fork_last_path(mlx_fork_path* result, const char* op);

/**
 * activation(x @ gate) * (x @ up), with the experts' quantized weights chosen
 * by indices. Shapes, types and defaults as for mlx::core::gather_qmm: weights
 * (E, N, K*bits/32) uint32 with `transpose`, (E, K, N*bits/32) without; result
 * (..., M, N). Optional: both `biases` (mode "affine" needs them), both
 * `indices`, the numbers. `mode`: "affine", "mxfp4", "mxfp8", "nvfp4".
 * `activation`: "silu", "gelu_approx".
 */
MLX_FORK_API int mlx_fork_gather_qmm_swiglu(
    mlx_array* result,
    mlx_array x,
    mlx_array gate_w,
    mlx_array gate_scales,
    mlx_array gate_biases,
    mlx_array up_w,
    mlx_array up_scales,
    mlx_array up_biases,
    mlx_array lhs_indices,
    mlx_array rhs_indices,
    bool transpose,
    int group_size,
    int bits,
    const char* mode,
    const char* activation,
    bool sorted_indices,
    mlx_stream stream);

/**
 * Each of k chosen experts' products, weighted and summed: h (..., k, K),
 * rhs_indices
 * (..., k), weights (..., k) -> (..., N); quantized weights as for gather_qmm.
 * Optional: `biases` (mode "affine" needs them), the numbers.
 * `accumulate`: "exact", "fma", "no_fma", "fp32", "fp32_no_fma", "native".
 */
MLX_FORK_API int mlx_fork_gather_qmm_downproj_combine(
    mlx_array* result,
    mlx_array h,
    mlx_array w,
    mlx_array scales,
    mlx_array biases,
    mlx_array rhs_indices,
    mlx_array weights,
    bool transpose,
    int group_size,
    int bits,
    const char* mode,
    const char* accumulate,
    mlx_stream stream);

#ifdef __cplusplus
}
#endif

#endif
