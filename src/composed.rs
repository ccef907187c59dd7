//! The record of the fork that was composed last, and from what: what needn't be composed
//! again, and whether a build is still one of the sources on disk.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::build::files;
use crate::error::{Error, Result};
use crate::git::compose::Fork;
use crate::layout::Layout;
use crate::series::{self, Series};

/// The record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Composed {
    /// The key of the series and its overlay.
    pub series: String,
    /// What was made of them.
    pub fork: Fork,
}

impl Composed {
    /// The last one; `None` before the first.
    pub fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path(layout)).ok()?).ok()
    }

    /// Records that this series made this fork.
    pub fn write(layout: &Layout, series: &Series, fork: &Fork) -> Result<()> {
        let composed = Composed {
            series: series.content_key(),
            fork: fork.clone(),
        };
        let text = serde_json::to_string(&composed).map_err(|e| Error::bug(e.to_string()))?;
        files::replace(&path(layout), &text)
    }

    /// The features that went into it, in order.
    pub fn features(&self) -> Vec<String> {
        let commits = self.fork.commits.iter();
        commits.map(|commit| commit.feature.clone()).collect()
    }

    /// The series on disk, with the features of the last fork: all where there was none.
    pub fn series_on_disk(layout: &Layout) -> Result<Series> {
        let series = series::load(layout)?;
        match Self::read(layout) {
            Some(last) => series.select(&last.features()),
            None => Ok(series),
        }
    }

    /// True when overlay and patches on disk are still what this fork was made from.
    pub fn is_current(&self, layout: &Layout) -> Result<bool> {
        let series = series::load(layout)?.select(&self.features())?;
        Ok(series.content_key() == self.series)
    }
}

fn path(layout: &Layout) -> PathBuf {
    layout.stamps().join("composed.json")
}
