//! mlx-fork keeps a fork of Apple's MLX as a pinned upstream commit, a small
//! patch series and our own source files, builds it beside stock MLX and proves
//! that it is right.
//!
//! This library does the work. It prints nothing and parses no command line:
//! `xtask` does both. See `docs/architecture.md`.

pub mod bench;
pub mod build;
pub mod bump;
pub mod composed;
pub mod config;
pub mod device;
pub mod emulator;
pub mod env;
pub mod error;
pub mod git;
pub mod kernel_tests;
pub mod layout;
pub mod lock;
pub mod macos;
pub mod manager;
pub mod mutants;
pub mod parity;
pub mod probe;
pub mod process;
pub mod run;
pub mod sanitize;
pub mod series;
pub mod setup;
pub mod side;
pub mod simd;
pub mod source;
pub mod suites;
pub mod ui;
pub mod upstream;

pub use error::{Error, Kind, Result};
