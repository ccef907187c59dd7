//! Parity: both builds compute the same inputs, each in its own process, and the fork is
//! judged against a float64 oracle with a derived bound (docs/parity.md).
//!
//! From the bottom up: `float`, `tensor`, `random` (numbers and bytes); `quant`, `dot`,
//! `arithmetic`, `bound`, `chain`, `combine` (the oracle: what a result must be); `judge` (is it);
//! `inputs`, `indices`, `twist`, `case`, `ops` (the cases); `engine`, `worker` (one build computing them); `plan`,
//! `arm` (workers and what comes of them), `verdict`, `run`, `report` (all of it together). The oracle shares nothing with MLX or our kernels.

pub mod arithmetic;
mod arm;
pub mod bound;
pub mod case;
pub mod chain;
pub mod combine;
pub mod dot;
pub mod engine;
#[cfg(test)]
mod faults;
pub mod float;
pub mod indices;
pub mod inputs;
pub mod judge;
pub mod ops;
pub mod plan;
pub mod quant;
pub mod random;
pub mod report;
pub mod run;
pub mod tensor;
pub mod twist;
mod verdict;
pub mod worker;

pub use plan::{Plan, select};
pub use report::Report;
pub use run::run;
