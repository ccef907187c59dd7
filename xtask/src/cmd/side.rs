//! How commands name one of the builds.

use mlx_fork::side::Side;

/// One build; the fork where none is named.
#[derive(Debug, clap::Args)]
pub struct OneSide {
    /// Use stock MLX, the unpatched pin, instead of the fork.
    #[arg(long, conflicts_with = "extension")]
    stock: bool,
    /// Use the extension build instead of the fork.
    #[arg(long)]
    extension: bool,
}

impl OneSide {
    /// The build that was named.
    pub fn side(&self) -> Side {
        match (self.stock, self.extension) {
            (true, _) => Side::Stock,
            (_, true) => Side::Extension,
            _ => Side::Fork,
        }
    }
}
