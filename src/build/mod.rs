//! From a tree to builds: the tools, the third-party sources, and cmake.
//!
//! Knows nothing of git: trees come as folders and ids.

pub mod options;

pub use options::{LauncherChoice, Options};
