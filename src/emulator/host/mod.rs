//! MLX's own Metal backend on this machine: libmlx with it, against the framework of
//! metal/emulator/host, whose device runs kernels by the emulator. `build` makes the prefix
//! `emulated`; `library` finds a kernel in what MLX takes for a metallib; `kernel` is what the
//! framework asks this program for while MLX runs; `python` starts a program on the build.
//! docs/emulated-mlx.md describes it. Not the framework, which is C++.

mod build;
mod kernel;
mod library;
mod python;

pub use build::{Emulated, build};
pub use kernel::{compile, explain};
pub use python::python;
