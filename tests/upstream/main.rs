//! The way of a feature to upstream: its rules, each broken once; the mapping and the branch on
//! a small upstream; the real primitives on the real MLX.

mod branch;
mod bundle;
mod mapping;
mod real;
mod rules;
mod small;
#[path = "../common/series_upstream.rs"]
mod synthetic;
