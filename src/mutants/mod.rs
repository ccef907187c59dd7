//! Deliberate faults in the overlay, to prove the gate: each is built and run by parity, which
//! must notice. From the bottom up: `lexer`, `syntax`, `operators` (changes found in the
//! sources mechanically); `file` (mutants.toml: faults with a name, and changes that change
//! nothing); `catalogue` (all of them); `run`, `report`. docs/mutants.md describes it.

pub mod catalogue;
pub mod file;
pub mod lexer;
pub mod operators;
pub mod report;
pub mod run;
pub mod syntax;

pub use catalogue::{Mutant, Selection};
pub use report::{Report, Verdict};
pub use run::run;
