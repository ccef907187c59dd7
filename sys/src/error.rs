//! What can go wrong between Rust and the C API.

use std::path::PathBuf;

/// An error of the library or of MLX.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The system's loader refused the library.
    #[error("can't load {}: {reason}", path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The library that is there is of another fork than the one that was asked for.
    #[error("{} is of fork {found}, not {expected}: it must be built again", path.display())]
    WrongId {
        /// The library.
        path: PathBuf,
        /// The id that was asked for.
        expected: String,
        /// The id that it has.
        found: String,
    },
    /// The library lacks a function: what it was built against has no such feature.
    #[error("this build of the C API has no {symbol}")]
    Unavailable {
        /// The function.
        symbol: &'static str,
    },
    /// A function failed; `message` is what MLX says.
    #[error("{function}: {message}")]
    Call {
        /// The function.
        function: &'static str,
        /// The text of the error.
        message: String,
    },
    /// A text for C has a zero byte inside.
    #[error("{text:?} has a zero byte inside")]
    ZeroByte {
        /// The text.
        text: String,
    },
}

/// The result of everything fallible here.
pub type Result<T, E = Error> = std::result::Result<T, E>;
