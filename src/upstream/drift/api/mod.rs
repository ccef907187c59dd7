//! Beyond text: what the overlay uses of MLX's headers, and whether other commits declare it.
//!
//! A scan of declarations, no compiler: it names what a build would miss, and can't promise
//! that a build works. See docs/drift.md for what it can't see.

mod compare;
mod declared;
mod headers;
mod used;

pub use compare::{Api, Miss, Missing, Needs, Span};

use crate::layout::Layout;
use crate::macos::quick;
use crate::probe::binary;
use crate::run;
use crate::side::Side;

/// What the builds of the extension take from libmlx: this machine's and the one for macOS,
/// those of them that are there. `None` without any.
pub fn imports(layout: &Layout) -> Option<Vec<String>> {
    let own = run::installed(layout, Side::Extension).and_then(|b| binary::imports(&b.library));
    let macos = binary::imports(&quick::extension(layout));
    let mut all: Option<Vec<String>> = None;
    for names in [own, macos].into_iter().flatten() {
        all.get_or_insert_default().extend(names);
    }
    all
}
