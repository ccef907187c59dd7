//! The bench: how long a whole call takes in the fork and in stock, on the same inputs, each in
//! a process of its own, in one run with its own noise and the memory's speed (docs/bench.md).
//!
//! `shapes`, `case`: what is measured. `inputs`, `compute`, `read`: one call, in a worker.
//! `worker`, `arm`: a worker and the parent's end of it. `schedule`, `course`, `run`: who is
//! asked when. `stats`, `judge`: what the numbers say. `machine`, `report`, `plot`: what a
//! person sees. Whether results are right is parity's question, not this one's.

pub mod arm;
pub mod case;
pub mod compute;
pub mod course;
pub mod inputs;
pub mod judge;
pub mod machine;
pub mod plot;
pub mod read;
pub mod report;
pub mod run;
pub mod schedule;
pub mod shapes;
pub mod stats;
pub mod worker;

pub use report::Report;
pub use run::{Plan, run, select};
