//! What a Mac would say of the fork, as far as another system can tell: its host code compiled
//! and linked for arm64 macOS, without Xcode and without running any of it.
//!
//! Apple's Metal compiler has no stand-in: kernels are run by the emulator, not here.

pub mod kit;
mod listed;
pub mod machine;
pub mod quick;
pub mod report;
pub mod setting;
pub mod tree;
pub(crate) mod wheel;
mod whole;

pub use kit::Kit;
pub use machine::Machine;
pub use quick::Quick;
pub use report::{Check, Report};
pub use setting::Setting;
pub use tree::Tree;
