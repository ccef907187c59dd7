//! The SIMD paths of the overlay's CPU kernels, by the names that `MLX_FUSED_CPU_SIMD` takes,
//! and which of them this processor has. Not which one is taken: the overlay decides.

/// The variable of the overlay that chooses a path.
pub const VARIABLE: &str = "MLX_FUSED_CPU_SIMD";

/// The variable of the overlay that says how many threads it uses.
pub const THREADS: &str = "MLX_FUSED_CPU_THREADS";

/// All names, whatever the processor; `portable` is plain C++.
pub const NAMES: [&str; 5] = ["portable", "neon", "avx2", "avx512", "avx512_bf16"];

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
        let avx512 = avx2 && avx512;
        let bf16 = avx512
            && is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512vnni");
        paths.extend(avx512.then_some("avx512"));
        paths.extend(bf16.then_some("avx512_bf16"));
    }
    #[cfg(target_arch = "aarch64")]
    paths.push("neon");
    paths
}

/// The best path of this processor whose kernels serve all types alike: what it runs is
/// nearly all code that the paths share.
pub fn general() -> &'static str {
    let paths = available();
    let special = |path: &&&str| **path != "avx512_bf16";
    paths.iter().rfind(special).copied().unwrap_or("portable")
}

/// True where the kernels of path `base` are a part of those of `path`: AVX512_BF16's take
/// AVX-512's for all but 4-bit values and 16-bit floats.
pub fn includes(path: &str, base: &str) -> bool {
    path == base || (path == "avx512_bf16" && base == "avx512")
}

/// The path that a source of the overlay belongs to, by its name: `simd/avx2.h`,
/// `kernels_avx2.cpp`. None for code that paths share.
pub fn of_source(file: &str) -> Option<&'static str> {
    let name = file.rsplit('/').next()?;
    let stem = name.split('.').next()?;
    match stem.strip_prefix("kernels_").unwrap_or(stem) {
        "portable" => Some("portable"),
        "neon" => Some("neon"),
        "avx2" => Some("avx2"),
        "avx512" => Some("avx512"),
        "avx512_bf16" | "qmm_bf16" | "qmm_vnni" => Some("avx512_bf16"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_belongs_to_the_path_in_its_name() {
        assert_eq!(of_source("backend/cpu/simd/avx2.h"), Some("avx2"));
        assert_eq!(of_source("backend/cpu/kernels_avx512.cpp"), Some("avx512"));
        assert_eq!(
            of_source("backend/cpu/simd/qmm_bf16.h"),
            Some("avx512_bf16")
        );
        assert_eq!(of_source("backend/cpu/simd/qmm_t.h"), None);
        assert_eq!(of_source("backend/cpu/kernels.cpp"), None);
    }

    #[test]
    fn every_processor_has_the_portable_path_first_and_a_general_one() {
        let paths = available();
        assert_eq!(paths[0], "portable");
        assert!(paths.contains(&general()));
        assert!(paths.iter().all(|path| includes(path, path)));
    }
}
