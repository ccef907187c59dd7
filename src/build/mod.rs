//! Building: tools, third-party sources, cmake, the C API and its bindings.

pub mod bindings;
