//! The features of this machine's CPU that kernels may use, as the running system allows them.

/// Names as Linux and the compilers know them, and whether this CPU has them. Features of
/// another architecture are not listed.
#[cfg(target_arch = "x86_64")]
pub fn features() -> Vec<(&'static str, bool)> {
    macro_rules! detect {
        ($($name:tt)*) => { vec![$(($name, std::arch::is_x86_feature_detected!($name))),*] };
    }
    detect!("avx" "f16c" "fma" "avx2" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni" "avx512bf16")
}

/// Names as Linux and the compilers know them, and whether this CPU has them. Features of
/// another architecture are not listed.
#[cfg(target_arch = "aarch64")]
pub fn features() -> Vec<(&'static str, bool)> {
    macro_rules! detect {
        ($($name:tt)*) => { vec![$(($name, std::arch::is_aarch64_feature_detected!($name))),*] };
    }
    detect!("neon" "fp16" "fhm" "dotprod" "bf16" "i8mm" "sve" "sve2")
}

/// No features are known of this architecture.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn the_features_are_those_that_the_kernel_lists() {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let line = text.lines().find(|l| l.starts_with("flags")).unwrap();
        let flags: Vec<&str> = line.split_whitespace().collect();
        for (name, here) in super::features() {
            let linux = match name {
                "avx512vnni" => "avx512_vnni",
                "avx512bf16" => "avx512_bf16",
                other => other,
            };
            assert_eq!(flags.contains(&linux), here, "{name}");
        }
    }
}
