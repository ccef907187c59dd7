//! From a tree to builds: the tools, the third-party sources, and cmake.
//!
//! Knows nothing of git: trees come as folders and ids.

pub mod bindings;
mod checks;
pub mod declared;
pub mod doctor;
mod fetch;
mod files;
pub mod install;
pub mod libclang;
mod machine;
pub mod options;
pub mod python;
pub mod search;
mod sources;
pub mod system;
pub mod third_party;
pub mod tools;
pub mod venv;
mod wheels;

pub use options::{LauncherChoice, Options};
pub use third_party::ThirdParty;
pub use tools::{Origin, Tool, Tools};
