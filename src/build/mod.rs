//! From a tree to builds: the tools, the third-party sources, and cmake.
//!
//! Knows nothing of git: trees come as folders and ids.

pub mod bindings;
pub mod c_api;
mod checks;
pub mod clang;
pub mod declared;
pub mod diagnosis;
pub mod doctor;
pub mod emulation;
pub mod environment;
pub mod extension;
mod fetch;
pub mod files;
pub mod hold;
pub mod install;
pub mod jobs;
pub mod launcher;
pub mod libclang;
mod machine;
pub mod ninja;
pub mod options;
pub mod prefix;
pub mod project;
pub mod python;
pub mod search;
pub mod sides;
mod sources;
pub mod stamp;
pub mod system;
pub mod third_party;
pub mod tools;
pub mod variant;
pub mod venv;
pub mod wheel;
mod wheels;

pub use c_api::{Step, c_api};
pub use extension::{Against, Installed, extension};
pub use options::{LauncherChoice, Options};
pub use sides::{Build, SideInput, Sides, stock_and_fork};
pub use third_party::ThirdParty;
pub use tools::{Origin, Tool, Tools};
pub use variant::{Recipe, Variant};
