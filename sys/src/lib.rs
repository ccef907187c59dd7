//! Rust FFI to the C API of the fork.
