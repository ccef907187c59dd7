//! What a case is to the machinery around it: a name, inputs, how each side computes it, what
//! the result must be. Which cases there are stands in `ops`.

use mlx_fork_sys::Array;

use super::arithmetic::Arithmetic;
use super::engine::Engine;
use super::float::Float;
use super::judge::Expected;
use super::ops::Storage;
use super::quant::Quant;
use super::tensor::Tensors;
use crate::Result;
use crate::device::Device;

/// How the fork is meant to compute a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// By a kernel made for its format; by the general one where the processor has, or is told
    /// to use, no SIMD instructions.
    Fast,
    /// By a kernel of ours, fast or general: a composition of stock's ops is a failure.
    Kernel,
    /// By the general kernel.
    General,
    /// By a composition of stock's ops, which does it better.
    Composition,
    /// By whatever path: there is nothing to compute, or the composition is the definition.
    Any,
}

impl Wanted {
    /// Whether the path that was taken will do, with these SIMD instructions; none: the build
    /// doesn't say which it has.
    pub fn admits(self, path: Option<&str>, simd: Option<&str>) -> bool {
        match (self, path) {
            (Wanted::Any, _) | (Wanted::Fast | Wanted::Kernel, Some("fast")) => true,
            (Wanted::Composition, Some("composition")) => true,
            (Wanted::Kernel | Wanted::General, Some("general")) => true,
            (Wanted::Fast, Some("general")) => matches!(simd, None | Some("portable")),
            _ => false,
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Wanted::Fast => "the fast path",
            Wanted::Kernel => "a kernel",
            Wanted::General => "the general path",
            Wanted::Composition => "the composition",
            Wanted::Any => "any path",
        })
    }
}

/// What an op with quantized weights is told beside its arrays, for who computes it without MLX.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The weights' format.
    pub quant: Quant,
    /// Weights as (N, K) rather than (K, N).
    pub transpose: bool,
    /// The type in which the op computes.
    pub float: Float,
    /// How the activations and the weights lie in memory.
    pub storage: Storage,
    /// The `activation` or `accumulate` of the op.
    pub word: &'static str,
    /// The `sorted_indices` of the op, where it has such an argument.
    pub sorted: bool,
}

/// One case of an op.
pub trait Case: Send + Sync {
    /// The op: also the name of its feature in the series.
    fn op(&self) -> &'static str;

    /// `OP/FORMAT/TYPE/…`, unique.
    fn name(&self) -> &str;

    /// True for the quick ones that run after every build.
    fn smoke(&self) -> bool;

    /// The op's arguments that are no arrays.
    fn call(&self) -> Call;

    /// The inputs of a seed: the same bits in every process.
    fn inputs(&self, seed: u64) -> Tensors;

    /// What the result must be, from the inputs alone, on a device whose arithmetic is such.
    fn expected_on(&self, arithmetic: Arithmetic, inputs: &Tensors) -> Expected;

    /// What it must be where subnormal numbers count.
    fn expected(&self, inputs: &Tensors) -> Expected {
        self.expected_on(Arithmetic::CPU, inputs)
    }

    /// Why stock can't compute it; none where it can.
    fn not_on_stock(&self) -> Option<&'static str>;

    /// How the fork is meant to compute it on a device: on a GPU, as the rules of
    /// `backend/metal/launch.cpp` have it.
    fn wanted(&self, device: Device) -> Wanted;

    /// The same result from stock's ops.
    fn composition<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>>;

    /// The result of our op.
    fn primitive<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>>;

    /// Our op's result again in other ways that promise the same bits: inputs that lie
    /// otherwise in memory, tokens alone instead of together. Most cases have none.
    fn same_bits(&self, _engine: &Engine, _inputs: &Tensors) -> Result<Vec<Again>> {
        Ok(Vec::new())
    }
}

/// A result once more, computed in another way.
pub struct Again {
    /// The way: `with x transposed in memory`.
    pub what: String,
    /// The result's bytes, in the order of the first one's.
    pub bytes: Vec<u8>,
}

/// A computation whose inputs are on the device: each call makes the result anew, unevaluated.
pub type Computation<'a> = Box<dyn Fn() -> Result<Array> + 'a>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_for_the_fast_path_admits_the_general_one_only_without_simd() {
        for (path, simd, fits) in [
            (Some("fast"), Some("avx2"), true),
            (Some("fast"), Some("portable"), true),
            (Some("general"), Some("avx2"), false),
            (Some("general"), Some("portable"), true),
            (Some("general"), None, true),
            (Some("composition"), Some("portable"), false),
            (None, Some("portable"), false),
        ] {
            assert_eq!(Wanted::Fast.admits(path, simd), fits, "{path:?} {simd:?}");
        }
        assert!(Wanted::Kernel.admits(Some("general"), Some("avx512")));
        assert!(!Wanted::Kernel.admits(Some("composition"), None));
        assert!(Wanted::Any.admits(Some("composition"), None));
        for (wanted, path) in [
            (Wanted::General, "general"),
            (Wanted::Composition, "composition"),
        ] {
            for took in ["fast", "general", "composition"] {
                assert_eq!(wanted.admits(Some(took), None), took == path);
            }
        }
    }
}
