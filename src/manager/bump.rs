//! Makes the series for another pin: the part of `cargo xtask bump` that changes the project.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::manager::plan::Work;
use crate::manager::project::{self, Write};
use crate::manager::{Manager, id};

/// Where the series goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onto {
    /// The pin's name.
    pub pin: String,
    /// Its commit.
    pub commit: String,
    /// Files of the project that make it a pin, and the one that is used.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Puts the features of a plan onto the pin.
pub fn apply(manager: &Manager<'_>, work: &mut Work, onto: &Onto) -> Result<()> {
    work.base = (id(&onto.commit)?, onto.pin.clone());
    for (path, content) in &onto.files {
        let before = project::read(manager.layout, path)?;
        if before.as_ref() != Some(content) {
            let write = Write::new(before, content.clone());
            work.extra.insert(path.clone(), write);
        }
    }
    Ok(())
}
