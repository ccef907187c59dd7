//! Metal kernels on a CPU: a .metal file as it is, run thread by thread, with every fault named by
//! line and thread. From the bottom up: `tokens`, `translate` (Metal to C++), `compile` (clang),
//! `cache` and `roots` (what it made, kept wherever the sources are), `program` (the kernels of
//! one file), `launch`, `sound` and `bindings` (one run in a process of its own), `report` and `symbolize` (what came of
//! it), `check` and `agreement` (many runs, every pair of settings). The C++ side is in metal/emulator; docs/emulator.md describes both.
//! Not a model of a GPU's speed, nor of Apple's compiler.

mod agreement;
mod bindings;
mod cache;
pub mod check;
mod compile;
mod data;
mod flops;
pub mod host;
mod job;
mod launch;
mod program;
mod report;
mod roots;
mod sound;
pub mod spec;
mod symbolize;
mod tokens;
mod translate;

pub use agreement::Agreement;
pub use check::{Check, CheckReport};
pub use compile::{Build, DRIVER, Emulator, Habit, LINK, Numerics, Text, flags};
pub use data::{Data, Element};
pub use launch::{Launch, Outcome, Reduction, Schedule, Settings};
pub use program::{Kernel, Program};
pub use report::{Argument, BufferCounts, Counts, Fault, Frame, Load, Report};
pub use translate::{Constant, Export, POSITIONS, Parameter, Role, Space, Unit};
