//! The fused primitives on Metal, run on this machine by the emulator: launched as the host code
//! launches them, on the inputs of parity's cases, judged by parity's oracle. Needs clang, and
//! MLX's tree for its headers.

mod arrays;
mod broken;
mod elementwise;
mod faults;
mod host;
mod parity;
mod primitive;
mod rules;
mod stock;
mod traffic;
