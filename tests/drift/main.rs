//! `cargo xtask drift`: what becomes of each patch, commit by commit, on a small upstream with
//! a history that breaks, heals, takes and moves hooks; and on the real one.

mod api;
mod follows;
#[path = "../common/machine.rs"]
mod machine;
mod states;
mod upstream;
