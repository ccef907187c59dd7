//! Our features and upstream: what upstream's commits do to them.

pub mod drift;
