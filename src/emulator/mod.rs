//! Metal kernels on a CPU.

pub mod tokens;
pub mod translate;
