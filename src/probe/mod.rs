//! What a build can do.
pub mod binary;
pub mod cpu;
