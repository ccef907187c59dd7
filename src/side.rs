//! The builds that live side by side.

use serde::{Deserialize, Serialize};

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// MLX as it is: the unpatched pin.
    Stock,
    /// The pin with overlay and series.
    Fork,
    /// Our primitives alone, beside an MLX that was there before.
    Extension,
}

impl Side {
    /// All of them.
    pub const ALL: [Side; 3] = [Side::Stock, Side::Fork, Side::Extension];

    /// `stock`, `fork`, `extension`: also the name of its prefix, its stamp and its logs.
    pub fn name(self) -> &'static str {
        match self {
            Side::Stock => "stock",
            Side::Fork => "fork",
            Side::Extension => "extension",
        }
    }

    /// The command that makes it.
    pub fn maker(self) -> &'static str {
        match self {
            Side::Stock | Side::Fork => "cargo xtask setup-mlx",
            Side::Extension => "cargo xtask setup-mlx --mode extension",
        }
    }
}
