//! The SIMD paths of the overlay's CPU kernels, by the names that `MLX_FUSED_CPU_SIMD` takes,
//! and which of them this processor has. Not which one is taken: the overlay decides.

/// The variable of the overlay that chooses a path.
pub const VARIABLE: &str = "MLX_FUSED_CPU_SIMD";

/// The variable of the overlay that says how many threads it uses.
pub const THREADS: &str = "MLX_FUSED_CPU_THREADS";

/// The paths that this processor has, the best last: that one is taken by default.
pub fn available() -> Vec<&'static str> {
    let mut paths = vec!["portable"];
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq");
        paths.extend(avx2.then_some("avx2"));
        paths.extend((avx2 && avx512).then_some("avx512"));
    }
    #[cfg(target_arch = "aarch64")]
    paths.push("neon");
    paths
}
