//! Generated from mlx_primitives/c/mlx_fork.h by `cargo xtask bindings`; do not edit.

/// An array: `ctx` is a mlx::core::array*.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct mlx_array_ {
    pub ctx: *mut ::std::os::raw::c_void,
}
/// An array: `ctx` is a mlx::core::array*.
pub type mlx_array = mlx_array_;
/// A stream: `ctx` is a mlx::core::Stream*; NULL is the default stream.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct mlx_stream_ {
    pub ctx: *mut ::std::os::raw::c_void,
}
/// A stream: `ctx` is a mlx::core::Stream*; NULL is the default stream.
pub type mlx_stream = mlx_stream_;
pub const MLX_FORK_BOOL: mlx_fork_dtype_ = 0;
pub const MLX_FORK_UINT8: mlx_fork_dtype_ = 1;
pub const MLX_FORK_UINT16: mlx_fork_dtype_ = 2;
pub const MLX_FORK_UINT32: mlx_fork_dtype_ = 3;
pub const MLX_FORK_UINT64: mlx_fork_dtype_ = 4;
pub const MLX_FORK_INT8: mlx_fork_dtype_ = 5;
pub const MLX_FORK_INT16: mlx_fork_dtype_ = 6;
pub const MLX_FORK_INT32: mlx_fork_dtype_ = 7;
pub const MLX_FORK_INT64: mlx_fork_dtype_ = 8;
pub const MLX_FORK_FLOAT16: mlx_fork_dtype_ = 9;
pub const MLX_FORK_FLOAT32: mlx_fork_dtype_ = 10;
pub const MLX_FORK_FLOAT64: mlx_fork_dtype_ = 11;
pub const MLX_FORK_BFLOAT16: mlx_fork_dtype_ = 12;
pub const MLX_FORK_COMPLEX64: mlx_fork_dtype_ = 13;
/// Types of elements; the numbers are those of mlx::core::Dtype::Val.
pub type mlx_fork_dtype_ = ::std::os::raw::c_uint;
/// Types of elements; the numbers are those of mlx::core::Dtype::Val.
pub use self::mlx_fork_dtype_ as mlx_fork_dtype;
pub const MLX_FORK_CPU: mlx_fork_device_ = 0;
pub const MLX_FORK_GPU: mlx_fork_device_ = 1;
/// Kinds of devices.
pub type mlx_fork_device_ = ::std::os::raw::c_uint;
/// Kinds of devices.
pub use self::mlx_fork_device_ as mlx_fork_device;
/// It has not been evaluated in this process.
pub const MLX_FORK_PATH_NONE: mlx_fork_path_ = 0;
/// By the kernel made for these shapes, types and this processor.
pub const MLX_FORK_PATH_FAST: mlx_fork_path_ = 1;
/// By the kernel that takes everything.
pub const MLX_FORK_PATH_GENERAL: mlx_fork_path_ = 2;
/// As a composition of MLX's own operations.
pub const MLX_FORK_PATH_COMPOSITION: mlx_fork_path_ = 3;
/// How the last evaluation of a fused primitive was done.
pub type mlx_fork_path_ = ::std::os::raw::c_uint;
/// How the last evaluation of a fused primitive was done.
pub use self::mlx_fork_path_ as mlx_fork_path;
/// Receives the text of each error, on the thread where it happens.
pub type mlx_fork_error_handler = ::std::option::Option<
    unsafe extern "C" fn(
        message: *const ::std::os::raw::c_char,
        data: *mut ::std::os::raw::c_void,
    ),
>;
pub struct MlxForkC {
    __library: ::libloading::Library,
    pub mlx_fork_id: Result<
        unsafe extern "C" fn() -> *const ::std::os::raw::c_char,
        ::libloading::Error,
    >,
    pub mlx_fork_mlx_version: Result<
        unsafe extern "C" fn() -> *const ::std::os::raw::c_char,
        ::libloading::Error,
    >,
    pub mlx_fork_check: Result<
        unsafe extern "C" fn() -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_last_error: Result<
        unsafe extern "C" fn() -> *const ::std::os::raw::c_char,
        ::libloading::Error,
    >,
    pub mlx_fork_set_error_handler: Result<
        unsafe extern "C" fn(
            handler: mlx_fork_error_handler,
            data: *mut ::std::os::raw::c_void,
        ),
        ::libloading::Error,
    >,
    pub mlx_fork_device_count: Result<
        unsafe extern "C" fn(
            result: *mut ::std::os::raw::c_int,
            device: mlx_fork_device,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_default_device: Result<
        unsafe extern "C" fn(result: *mut mlx_fork_device) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_set_default_device: Result<
        unsafe extern "C" fn(device: mlx_fork_device) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_device_info: Result<
        unsafe extern "C" fn(
            result: *mut *const ::std::os::raw::c_char,
            device: mlx_fork_device,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_cpu_features: Result<
        unsafe extern "C" fn() -> *const ::std::os::raw::c_char,
        ::libloading::Error,
    >,
    pub mlx_fork_dtype_size: Result<
        unsafe extern "C" fn(dtype: mlx_fork_dtype) -> usize,
        ::libloading::Error,
    >,
    pub mlx_fork_array_from_bytes: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            bytes: *const ::std::os::raw::c_void,
            size: usize,
            shape: *const ::std::os::raw::c_int,
            ndim: usize,
            dtype: mlx_fork_dtype,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_array_free: Result<
        unsafe extern "C" fn(array: mlx_array) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_array_eval: Result<
        unsafe extern "C" fn(array: mlx_array) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_array_ndim: Result<
        unsafe extern "C" fn(
            result: *mut usize,
            array: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_array_shape: Result<
        unsafe extern "C" fn(
            result: *mut ::std::os::raw::c_int,
            ndim: usize,
            array: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_array_dtype: Result<
        unsafe extern "C" fn(
            result: *mut mlx_fork_dtype,
            array: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_array_nbytes: Result<
        unsafe extern "C" fn(
            result: *mut usize,
            array: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_array_to_bytes: Result<
        unsafe extern "C" fn(
            result: *mut ::std::os::raw::c_void,
            size: usize,
            array: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_abs: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_exp: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_negative: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_sigmoid: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_tanh: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_add: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            b: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_subtract: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            b: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_multiply: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            b: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_divide: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            b: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_power: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            b: mlx_array,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_astype: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            dtype: mlx_fork_dtype,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_sum: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            axis: ::std::os::raw::c_int,
            keepdims: bool,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_expand_dims: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            axis: ::std::os::raw::c_int,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_squeeze: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            axis: ::std::os::raw::c_int,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_reshape: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            shape: *const ::std::os::raw::c_int,
            ndim: usize,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_transpose: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            axes: *const ::std::os::raw::c_int,
            count: usize,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_broadcast_to: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            shape: *const ::std::os::raw::c_int,
            ndim: usize,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_take: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            a: mlx_array,
            indices: mlx_array,
            axis: ::std::os::raw::c_int,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_quantized_matmul: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            x: mlx_array,
            w: mlx_array,
            scales: mlx_array,
            biases: mlx_array,
            transpose: bool,
            group_size: ::std::os::raw::c_int,
            bits: ::std::os::raw::c_int,
            mode: *const ::std::os::raw::c_char,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_gather_qmm: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            x: mlx_array,
            w: mlx_array,
            scales: mlx_array,
            biases: mlx_array,
            lhs_indices: mlx_array,
            rhs_indices: mlx_array,
            transpose: bool,
            group_size: ::std::os::raw::c_int,
            bits: ::std::os::raw::c_int,
            mode: *const ::std::os::raw::c_char,
            sorted_indices: bool,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_cpu_simd: Result<
        unsafe extern "C" fn() -> *const ::std::os::raw::c_char,
        ::libloading::Error,
    >,
    pub mlx_fork_cpu_threads: Result<
        unsafe extern "C" fn() -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_last_path: Result<
        unsafe extern "C" fn(
            result: *mut mlx_fork_path,
            op: *const ::std::os::raw::c_char,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_gather_qmm_swiglu: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            x: mlx_array,
            gate_w: mlx_array,
            gate_scales: mlx_array,
            gate_biases: mlx_array,
            up_w: mlx_array,
            up_scales: mlx_array,
            up_biases: mlx_array,
            lhs_indices: mlx_array,
            rhs_indices: mlx_array,
            transpose: bool,
            group_size: ::std::os::raw::c_int,
            bits: ::std::os::raw::c_int,
            mode: *const ::std::os::raw::c_char,
            activation: *const ::std::os::raw::c_char,
            sorted_indices: bool,
            stream: mlx_stream,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
    pub mlx_fork_gather_qmm_downproj_combine: Result<
        unsafe extern "C" fn(
            result: *mut mlx_array,
            h: mlx_array,
            w: mlx_array,
            scales: mlx_array,
            biases: mlx_array,
            rhs_indices: mlx_array,
            weights: mlx_array,
            transpose: bool,
            group_size: ::std::os::raw::c_int,
            bits: ::std::os::raw::c_int,
            mode: *const ::std::os::raw::c_char,
            accumulate: *const ::std::os::raw::c_char,
            stream: mlx_stream,
        ) -> ::std::os::raw::c_int,
        ::libloading::Error,
    >,
}
impl MlxForkC {
    pub unsafe fn new<P>(path: P) -> Result<Self, ::libloading::Error>
    where
        P: AsRef<::std::ffi::OsStr>,
    {
        let path = path.as_ref();
        let library = unsafe { ::libloading::Library::new(path) }?;
        unsafe { Self::from_library(library) }
    }
    pub unsafe fn from_library<L>(library: L) -> Result<Self, ::libloading::Error>
    where
        L: Into<::libloading::Library>,
    {
        let __library = library.into();
        let mlx_fork_id = unsafe { __library.get(b"mlx_fork_id\0") }.map(|sym| *sym);
        let mlx_fork_mlx_version = unsafe { __library.get(b"mlx_fork_mlx_version\0") }
            .map(|sym| *sym);
        let mlx_fork_check = unsafe { __library.get(b"mlx_fork_check\0") }
            .map(|sym| *sym);
        let mlx_fork_last_error = unsafe { __library.get(b"mlx_fork_last_error\0") }
            .map(|sym| *sym);
        let mlx_fork_set_error_handler = unsafe {
            __library.get(b"mlx_fork_set_error_handler\0")
        }
            .map(|sym| *sym);
        let mlx_fork_device_count = unsafe { __library.get(b"mlx_fork_device_count\0") }
            .map(|sym| *sym);
        let mlx_fork_default_device = unsafe {
            __library.get(b"mlx_fork_default_device\0")
        }
            .map(|sym| *sym);
        let mlx_fork_set_default_device = unsafe {
            __library.get(b"mlx_fork_set_default_device\0")
        }
            .map(|sym| *sym);
        let mlx_fork_device_info = unsafe { __library.get(b"mlx_fork_device_info\0") }
            .map(|sym| *sym);
        let mlx_fork_cpu_features = unsafe { __library.get(b"mlx_fork_cpu_features\0") }
            .map(|sym| *sym);
        let mlx_fork_dtype_size = unsafe { __library.get(b"mlx_fork_dtype_size\0") }
            .map(|sym| *sym);
        let mlx_fork_array_from_bytes = unsafe {
            __library.get(b"mlx_fork_array_from_bytes\0")
        }
            .map(|sym| *sym);
        let mlx_fork_array_free = unsafe { __library.get(b"mlx_fork_array_free\0") }
            .map(|sym| *sym);
        let mlx_fork_array_eval = unsafe { __library.get(b"mlx_fork_array_eval\0") }
            .map(|sym| *sym);
        let mlx_fork_array_ndim = unsafe { __library.get(b"mlx_fork_array_ndim\0") }
            .map(|sym| *sym);
        let mlx_fork_array_shape = unsafe { __library.get(b"mlx_fork_array_shape\0") }
            .map(|sym| *sym);
        let mlx_fork_array_dtype = unsafe { __library.get(b"mlx_fork_array_dtype\0") }
            .map(|sym| *sym);
        let mlx_fork_array_nbytes = unsafe { __library.get(b"mlx_fork_array_nbytes\0") }
            .map(|sym| *sym);
        let mlx_fork_array_to_bytes = unsafe {
            __library.get(b"mlx_fork_array_to_bytes\0")
        }
            .map(|sym| *sym);
        let mlx_fork_abs = unsafe { __library.get(b"mlx_fork_abs\0") }.map(|sym| *sym);
        let mlx_fork_exp = unsafe { __library.get(b"mlx_fork_exp\0") }.map(|sym| *sym);
        let mlx_fork_negative = unsafe { __library.get(b"mlx_fork_negative\0") }
            .map(|sym| *sym);
        let mlx_fork_sigmoid = unsafe { __library.get(b"mlx_fork_sigmoid\0") }
            .map(|sym| *sym);
        let mlx_fork_tanh = unsafe { __library.get(b"mlx_fork_tanh\0") }.map(|sym| *sym);
        let mlx_fork_add = unsafe { __library.get(b"mlx_fork_add\0") }.map(|sym| *sym);
        let mlx_fork_subtract = unsafe { __library.get(b"mlx_fork_subtract\0") }
            .map(|sym| *sym);
        let mlx_fork_multiply = unsafe { __library.get(b"mlx_fork_multiply\0") }
            .map(|sym| *sym);
        let mlx_fork_divide = unsafe { __library.get(b"mlx_fork_divide\0") }
            .map(|sym| *sym);
        let mlx_fork_power = unsafe { __library.get(b"mlx_fork_power\0") }
            .map(|sym| *sym);
        let mlx_fork_astype = unsafe { __library.get(b"mlx_fork_astype\0") }
            .map(|sym| *sym);
        let mlx_fork_sum = unsafe { __library.get(b"mlx_fork_sum\0") }.map(|sym| *sym);
        let mlx_fork_expand_dims = unsafe { __library.get(b"mlx_fork_expand_dims\0") }
            .map(|sym| *sym);
        let mlx_fork_squeeze = unsafe { __library.get(b"mlx_fork_squeeze\0") }
            .map(|sym| *sym);
        let mlx_fork_reshape = unsafe { __library.get(b"mlx_fork_reshape\0") }
            .map(|sym| *sym);
        let mlx_fork_transpose = unsafe { __library.get(b"mlx_fork_transpose\0") }
            .map(|sym| *sym);
        let mlx_fork_broadcast_to = unsafe { __library.get(b"mlx_fork_broadcast_to\0") }
            .map(|sym| *sym);
        let mlx_fork_take = unsafe { __library.get(b"mlx_fork_take\0") }.map(|sym| *sym);
        let mlx_fork_quantized_matmul = unsafe {
            __library.get(b"mlx_fork_quantized_matmul\0")
        }
            .map(|sym| *sym);
        let mlx_fork_gather_qmm = unsafe { __library.get(b"mlx_fork_gather_qmm\0") }
            .map(|sym| *sym);
        let mlx_fork_cpu_simd = unsafe { __library.get(b"mlx_fork_cpu_simd\0") }
            .map(|sym| *sym);
        let mlx_fork_cpu_threads = unsafe { __library.get(b"mlx_fork_cpu_threads\0") }
            .map(|sym| *sym);
        let mlx_fork_last_path = unsafe { __library.get(b"mlx_fork_last_path\0") }
            .map(|sym| *sym);
        let mlx_fork_gather_qmm_swiglu = unsafe {
            __library.get(b"mlx_fork_gather_qmm_swiglu\0")
        }
            .map(|sym| *sym);
        let mlx_fork_gather_qmm_downproj_combine = unsafe {
            __library.get(b"mlx_fork_gather_qmm_downproj_combine\0")
        }
            .map(|sym| *sym);
        Ok(MlxForkC {
            __library,
            mlx_fork_id,
            mlx_fork_mlx_version,
            mlx_fork_check,
            mlx_fork_last_error,
            mlx_fork_set_error_handler,
            mlx_fork_device_count,
            mlx_fork_default_device,
            mlx_fork_set_default_device,
            mlx_fork_device_info,
            mlx_fork_cpu_features,
            mlx_fork_dtype_size,
            mlx_fork_array_from_bytes,
            mlx_fork_array_free,
            mlx_fork_array_eval,
            mlx_fork_array_ndim,
            mlx_fork_array_shape,
            mlx_fork_array_dtype,
            mlx_fork_array_nbytes,
            mlx_fork_array_to_bytes,
            mlx_fork_abs,
            mlx_fork_exp,
            mlx_fork_negative,
            mlx_fork_sigmoid,
            mlx_fork_tanh,
            mlx_fork_add,
            mlx_fork_subtract,
            mlx_fork_multiply,
            mlx_fork_divide,
            mlx_fork_power,
            mlx_fork_astype,
            mlx_fork_sum,
            mlx_fork_expand_dims,
            mlx_fork_squeeze,
            mlx_fork_reshape,
            mlx_fork_transpose,
            mlx_fork_broadcast_to,
            mlx_fork_take,
            mlx_fork_quantized_matmul,
            mlx_fork_gather_qmm,
            mlx_fork_cpu_simd,
            mlx_fork_cpu_threads,
            mlx_fork_last_path,
            mlx_fork_gather_qmm_swiglu,
            mlx_fork_gather_qmm_downproj_combine,
        })
    }
    /// The id of the fork (or, on stock MLX, of the commit) this was built for.
    pub unsafe fn mlx_fork_id(&self) -> *const ::std::os::raw::c_char {
        unsafe { (self.mlx_fork_id.as_ref().expect("Expected function, got error."))() }
    }
    /// The version of the libmlx that is loaded, such as "0.31.2".
    pub unsafe fn mlx_fork_mlx_version(&self) -> *const ::std::os::raw::c_char {
        unsafe {
            (self
                .mlx_fork_mlx_version
                .as_ref()
                .expect("Expected function, got error."))()
        }
    }
    /** Checks that the libmlx that is loaded is the one this was built for: its
 version is that of the headers, and its fork id is mlx_fork_id(). On any
 difference every function that computes fails with the same error.*/
    pub unsafe fn mlx_fork_check(&self) -> ::std::os::raw::c_int {
        unsafe {
            (self.mlx_fork_check.as_ref().expect("Expected function, got error."))()
        }
    }
    /// The text of the last error on this thread; "" when there was none.
    pub unsafe fn mlx_fork_last_error(&self) -> *const ::std::os::raw::c_char {
        unsafe {
            (self.mlx_fork_last_error.as_ref().expect("Expected function, got error."))()
        }
    }
    /// Sets the error handler of the process; NULL (as at the start) is none.
    pub unsafe fn mlx_fork_set_error_handler(
        &self,
        handler: mlx_fork_error_handler,
        data: *mut ::std::os::raw::c_void,
    ) {
        unsafe {
            (self
                .mlx_fork_set_error_handler
                .as_ref()
                .expect("Expected function, got error."))(handler, data)
        }
    }
    /// The number of devices of a kind; 0 where MLX was built without them.
    pub unsafe fn mlx_fork_device_count(
        &self,
        result: *mut ::std::os::raw::c_int,
        device: mlx_fork_device,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_device_count
                .as_ref()
                .expect("Expected function, got error."))(result, device)
        }
    }
    /// The device on which operations run.
    pub unsafe fn mlx_fork_default_device(
        &self,
        result: *mut mlx_fork_device,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_default_device
                .as_ref()
                .expect("Expected function, got error."))(result)
        }
    }
    /// Sets it; fails where there is no such device.
    pub unsafe fn mlx_fork_set_default_device(
        &self,
        device: mlx_fork_device,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_set_default_device
                .as_ref()
                .expect("Expected function, got error."))(device)
        }
    }
    /** What MLX tells of a device, one "key=value" a line, sorted by key. The text
 is valid until the next call on this thread.*/
    pub unsafe fn mlx_fork_device_info(
        &self,
        result: *mut *const ::std::os::raw::c_char,
        device: mlx_fork_device,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_device_info
                .as_ref()
                .expect("Expected function, got error."))(result, device)
        }
    }
    /** The vector extensions of this processor that a kernel may choose by, such as
 "sse4.2 avx avx2 fma f16c"; "" where none are known.*/
    pub unsafe fn mlx_fork_cpu_features(&self) -> *const ::std::os::raw::c_char {
        unsafe {
            (self
                .mlx_fork_cpu_features
                .as_ref()
                .expect("Expected function, got error."))()
        }
    }
    /// Bytes of one element; 0 for a number that is no type.
    pub unsafe fn mlx_fork_dtype_size(&self, dtype: mlx_fork_dtype) -> usize {
        unsafe {
            (self
                .mlx_fork_dtype_size
                .as_ref()
                .expect("Expected function, got error."))(dtype)
        }
    }
    /// An array from a copy of `size` bytes: its elements in row-major order.
    pub unsafe fn mlx_fork_array_from_bytes(
        &self,
        result: *mut mlx_array,
        bytes: *const ::std::os::raw::c_void,
        size: usize,
        shape: *const ::std::os::raw::c_int,
        ndim: usize,
        dtype: mlx_fork_dtype,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_array_from_bytes
                .as_ref()
                .expect(
                    "Expected function, got error.",
                ))(result, bytes, size, shape, ndim, dtype)
        }
    }
    /// Frees a handle; an empty one is left alone.
    pub unsafe fn mlx_fork_array_free(&self, array: mlx_array) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_array_free
                .as_ref()
                .expect("Expected function, got error."))(array)
        }
    }
    /// Computes the array, and waits for it.
    pub unsafe fn mlx_fork_array_eval(&self, array: mlx_array) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_array_eval
                .as_ref()
                .expect("Expected function, got error."))(array)
        }
    }
    /// The number of dimensions.
    pub unsafe fn mlx_fork_array_ndim(
        &self,
        result: *mut usize,
        array: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_array_ndim
                .as_ref()
                .expect("Expected function, got error."))(result, array)
        }
    }
    /// Writes the dimensions into `result`, which has room for `ndim` of them.
    pub unsafe fn mlx_fork_array_shape(
        &self,
        result: *mut ::std::os::raw::c_int,
        ndim: usize,
        array: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_array_shape
                .as_ref()
                .expect("Expected function, got error."))(result, ndim, array)
        }
    }
    /// The type of the elements.
    pub unsafe fn mlx_fork_array_dtype(
        &self,
        result: *mut mlx_fork_dtype,
        array: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_array_dtype
                .as_ref()
                .expect("Expected function, got error."))(result, array)
        }
    }
    /// Bytes of all elements.
    pub unsafe fn mlx_fork_array_nbytes(
        &self,
        result: *mut usize,
        array: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_array_nbytes
                .as_ref()
                .expect("Expected function, got error."))(result, array)
        }
    }
    /// Computes the array and copies its elements, row-major, into `size` bytes.
    pub unsafe fn mlx_fork_array_to_bytes(
        &self,
        result: *mut ::std::os::raw::c_void,
        size: usize,
        array: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_array_to_bytes
                .as_ref()
                .expect("Expected function, got error."))(result, size, array)
        }
    }
    pub unsafe fn mlx_fork_abs(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_abs
                .as_ref()
                .expect("Expected function, got error."))(result, a)
        }
    }
    pub unsafe fn mlx_fork_exp(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_exp
                .as_ref()
                .expect("Expected function, got error."))(result, a)
        }
    }
    pub unsafe fn mlx_fork_negative(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_negative
                .as_ref()
                .expect("Expected function, got error."))(result, a)
        }
    }
    pub unsafe fn mlx_fork_sigmoid(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_sigmoid
                .as_ref()
                .expect("Expected function, got error."))(result, a)
        }
    }
    pub unsafe fn mlx_fork_tanh(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_tanh
                .as_ref()
                .expect("Expected function, got error."))(result, a)
        }
    }
    pub unsafe fn mlx_fork_add(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        b: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_add
                .as_ref()
                .expect("Expected function, got error."))(result, a, b)
        }
    }
    pub unsafe fn mlx_fork_subtract(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        b: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_subtract
                .as_ref()
                .expect("Expected function, got error."))(result, a, b)
        }
    }
    pub unsafe fn mlx_fork_multiply(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        b: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_multiply
                .as_ref()
                .expect("Expected function, got error."))(result, a, b)
        }
    }
    pub unsafe fn mlx_fork_divide(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        b: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_divide
                .as_ref()
                .expect("Expected function, got error."))(result, a, b)
        }
    }
    pub unsafe fn mlx_fork_power(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        b: mlx_array,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_power
                .as_ref()
                .expect("Expected function, got error."))(result, a, b)
        }
    }
    /// Conversion to another type.
    pub unsafe fn mlx_fork_astype(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        dtype: mlx_fork_dtype,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_astype
                .as_ref()
                .expect("Expected function, got error."))(result, a, dtype)
        }
    }
    /// The sum over one axis; negative axes count from the end.
    pub unsafe fn mlx_fork_sum(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        axis: ::std::os::raw::c_int,
        keepdims: bool,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_sum
                .as_ref()
                .expect("Expected function, got error."))(result, a, axis, keepdims)
        }
    }
    /// Inserts an axis of length 1.
    pub unsafe fn mlx_fork_expand_dims(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        axis: ::std::os::raw::c_int,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_expand_dims
                .as_ref()
                .expect("Expected function, got error."))(result, a, axis)
        }
    }
    /// Removes an axis of length 1.
    pub unsafe fn mlx_fork_squeeze(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        axis: ::std::os::raw::c_int,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_squeeze
                .as_ref()
                .expect("Expected function, got error."))(result, a, axis)
        }
    }
    /// The same elements in another shape; one dimension may be -1.
    pub unsafe fn mlx_fork_reshape(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        shape: *const ::std::os::raw::c_int,
        ndim: usize,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_reshape
                .as_ref()
                .expect("Expected function, got error."))(result, a, shape, ndim)
        }
    }
    /// The same elements with their axes in the order `axes`, not copied.
    pub unsafe fn mlx_fork_transpose(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        axes: *const ::std::os::raw::c_int,
        count: usize,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_transpose
                .as_ref()
                .expect("Expected function, got error."))(result, a, axes, count)
        }
    }
    /// The array repeated up to a shape, not copied.
    pub unsafe fn mlx_fork_broadcast_to(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        shape: *const ::std::os::raw::c_int,
        ndim: usize,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_broadcast_to
                .as_ref()
                .expect("Expected function, got error."))(result, a, shape, ndim)
        }
    }
    /// The slices at `indices` along one axis.
    pub unsafe fn mlx_fork_take(
        &self,
        result: *mut mlx_array,
        a: mlx_array,
        indices: mlx_array,
        axis: ::std::os::raw::c_int,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_take
                .as_ref()
                .expect("Expected function, got error."))(result, a, indices, axis)
        }
    }
    /** mlx::core::quantized_matmul; `biases` is optional, so are `group_size` and
 `bits`.*/
    pub unsafe fn mlx_fork_quantized_matmul(
        &self,
        result: *mut mlx_array,
        x: mlx_array,
        w: mlx_array,
        scales: mlx_array,
        biases: mlx_array,
        transpose: bool,
        group_size: ::std::os::raw::c_int,
        bits: ::std::os::raw::c_int,
        mode: *const ::std::os::raw::c_char,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_quantized_matmul
                .as_ref()
                .expect(
                    "Expected function, got error.",
                ))(result, x, w, scales, biases, transpose, group_size, bits, mode)
        }
    }
    /** mlx::core::gather_qmm; `biases` and both `indices` are optional, so are the
 numbers.*/
    pub unsafe fn mlx_fork_gather_qmm(
        &self,
        result: *mut mlx_array,
        x: mlx_array,
        w: mlx_array,
        scales: mlx_array,
        biases: mlx_array,
        lhs_indices: mlx_array,
        rhs_indices: mlx_array,
        transpose: bool,
        group_size: ::std::os::raw::c_int,
        bits: ::std::os::raw::c_int,
        mode: *const ::std::os::raw::c_char,
        sorted_indices: bool,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_gather_qmm
                .as_ref()
                .expect(
                    "Expected function, got error.",
                ))(
                result,
                x,
                w,
                scales,
                biases,
                lhs_indices,
                rhs_indices,
                transpose,
                group_size,
                bits,
                mode,
                sorted_indices,
            )
        }
    }
    /** The vector instructions that the primitives' kernels for the CPU make use of:
 "portable", "neon", "avx2", "avx512" or "avx512_bf16"; "none" without MLX's
 CPU backend. Null if MLX_FUSED_CPU_SIMD names some that this processor lacks:
 the primitives fail then, and say so. Valid as long as the library is loaded.*/
    pub unsafe fn mlx_fork_cpu_simd(&self) -> *const ::std::os::raw::c_char {
        unsafe {
            (self.mlx_fork_cpu_simd.as_ref().expect("Expected function, got error."))()
        }
    }
    /** The threads that share an evaluation of a primitive on the CPU. 0 without
 MLX's CPU backend, -1 if MLX_FUSED_CPU_THREADS is not a number of threads.*/
    pub unsafe fn mlx_fork_cpu_threads(&self) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_cpu_threads
                .as_ref()
                .expect("Expected function, got error."))()
        }
    }
    /** The path that the last evaluation of a primitive took, by the primitive's
 name such as "gather_qmm_swiglu".*/
    pub unsafe fn mlx_fork_last_path(
        &self,
        result: *mut mlx_fork_path,
        op: *const ::std::os::raw::c_char,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_last_path
                .as_ref()
                .expect("Expected function, got error."))(result, op)
        }
    }
    /** activation(x @ gate) * (x @ up), with the experts' quantized weights chosen
 by indices. Shapes, types and defaults as for mlx::core::gather_qmm: weights
 (E, N, K*bits/32) uint32 with `transpose`, (E, K, N*bits/32) without; result
 (..., M, N). Optional: both `biases` (mode "affine" needs them), both
 `indices`, the numbers. `mode`: "affine", "mxfp4", "mxfp8", "nvfp4".
 `activation`: "silu", "gelu_approx".*/
    pub unsafe fn mlx_fork_gather_qmm_swiglu(
        &self,
        result: *mut mlx_array,
        x: mlx_array,
        gate_w: mlx_array,
        gate_scales: mlx_array,
        gate_biases: mlx_array,
        up_w: mlx_array,
        up_scales: mlx_array,
        up_biases: mlx_array,
        lhs_indices: mlx_array,
        rhs_indices: mlx_array,
        transpose: bool,
        group_size: ::std::os::raw::c_int,
        bits: ::std::os::raw::c_int,
        mode: *const ::std::os::raw::c_char,
        activation: *const ::std::os::raw::c_char,
        sorted_indices: bool,
        stream: mlx_stream,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_gather_qmm_swiglu
                .as_ref()
                .expect(
                    "Expected function, got error.",
                ))(
                result,
                x,
                gate_w,
                gate_scales,
                gate_biases,
                up_w,
                up_scales,
                up_biases,
                lhs_indices,
                rhs_indices,
                transpose,
                group_size,
                bits,
                mode,
                activation,
                sorted_indices,
                stream,
            )
        }
    }
    /** Each of k chosen experts' products, weighted and summed: h (..., k, K),
 rhs_indices
 (..., k), weights (..., k) -> (..., N); quantized weights as for gather_qmm.
 Optional: `biases` (mode "affine" needs them), the numbers.
 `accumulate`: "exact", "fma", "no_fma", "fp32", "fp32_no_fma", "native".*/
    pub unsafe fn mlx_fork_gather_qmm_downproj_combine(
        &self,
        result: *mut mlx_array,
        h: mlx_array,
        w: mlx_array,
        scales: mlx_array,
        biases: mlx_array,
        rhs_indices: mlx_array,
        weights: mlx_array,
        transpose: bool,
        group_size: ::std::os::raw::c_int,
        bits: ::std::os::raw::c_int,
        mode: *const ::std::os::raw::c_char,
        accumulate: *const ::std::os::raw::c_char,
        stream: mlx_stream,
    ) -> ::std::os::raw::c_int {
        unsafe {
            (self
                .mlx_fork_gather_qmm_downproj_combine
                .as_ref()
                .expect(
                    "Expected function, got error.",
                ))(
                result,
                h,
                w,
                scales,
                biases,
                rhs_indices,
                weights,
                transpose,
                group_size,
                bits,
                mode,
                accumulate,
                stream,
            )
        }
    }
}
/// The functions of the header.
pub const FUNCTIONS: &[&str] = &[
    "mlx_fork_id",
    "mlx_fork_mlx_version",
    "mlx_fork_check",
    "mlx_fork_last_error",
    "mlx_fork_set_error_handler",
    "mlx_fork_device_count",
    "mlx_fork_default_device",
    "mlx_fork_set_default_device",
    "mlx_fork_device_info",
    "mlx_fork_cpu_features",
    "mlx_fork_dtype_size",
    "mlx_fork_array_from_bytes",
    "mlx_fork_array_free",
    "mlx_fork_array_eval",
    "mlx_fork_array_ndim",
    "mlx_fork_array_shape",
    "mlx_fork_array_dtype",
    "mlx_fork_array_nbytes",
    "mlx_fork_array_to_bytes",
    "mlx_fork_abs",
    "mlx_fork_exp",
    "mlx_fork_negative",
    "mlx_fork_sigmoid",
    "mlx_fork_tanh",
    "mlx_fork_add",
    "mlx_fork_subtract",
    "mlx_fork_multiply",
    "mlx_fork_divide",
    "mlx_fork_power",
    "mlx_fork_astype",
    "mlx_fork_sum",
    "mlx_fork_expand_dims",
    "mlx_fork_squeeze",
    "mlx_fork_reshape",
    "mlx_fork_transpose",
    "mlx_fork_broadcast_to",
    "mlx_fork_take",
    "mlx_fork_quantized_matmul",
    "mlx_fork_gather_qmm",
    "mlx_fork_cpu_simd",
    "mlx_fork_cpu_threads",
    "mlx_fork_last_path",
    "mlx_fork_gather_qmm_swiglu",
    "mlx_fork_gather_qmm_downproj_combine",
];
