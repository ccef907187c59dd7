//! Our features and upstream: what upstream's commits do to them, and what would go there, in
//! upstream's manner.

pub mod bundle;
pub mod check;
mod cpp;
pub mod drift;
pub mod format;
pub mod manifest;
pub mod mapping;
pub mod prepare;
pub mod rules;
