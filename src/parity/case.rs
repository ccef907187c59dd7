//! What a case is to the machinery around it: a name, inputs, how each side computes it, what
//! the result must be. Which cases there are stands in `ops`.

use mlx_fork_sys::Array;

use super::engine::Engine;
use super::judge::Expected;
use super::tensor::Tensors;
use crate::Result;

/// How the fork is meant to compute a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// By a kernel of ours, fast or general: a composition of stock's ops is a failure.
    Kernel,
    /// By whatever path: there is nothing to compute, or the composition is the definition.
    Any,
}

/// One case of an op.
pub trait Case: Send + Sync {
    /// The op: also the name of its feature in the series.
    fn op(&self) -> &'static str;

    /// `OP/FORMAT/TYPE/…`, unique.
    fn name(&self) -> &str;

    /// True for the quick ones that run after every build.
    fn smoke(&self) -> bool;

    /// The inputs of a seed: the same bits in every process.
    fn inputs(&self, seed: u64) -> Tensors;

    /// What the result must be, from the inputs alone.
    fn expected(&self, inputs: &Tensors) -> Expected;

    /// Why stock can't compute it; none where it can.
    fn not_on_stock(&self) -> Option<&'static str>;

    /// How the fork is meant to compute it.
    fn wanted(&self) -> Wanted;

    /// The same result from stock's ops.
    fn composition<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>>;

    /// The result of our op.
    fn primitive<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>>;
}

/// A computation whose inputs are on the device: each call makes the result anew, unevaluated.
pub type Computation<'a> = Box<dyn Fn() -> Result<Array> + 'a>;
