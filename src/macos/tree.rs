//! The fork's tree in a folder of its own, and what of it is ours or patched: the builds for
//! macOS must not depend on which side the other builds show at the moment.

use std::path::PathBuf;
use std::time::Duration;

use crate::build::wheel;
use crate::composed::Composed;
use crate::error::{Error, Result};
use crate::git::checkout;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::series::Series;
use crate::ui::Ui;

/// How long another run may hold the checkout.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The tree, shown in a folder.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The folder.
    pub folder: PathBuf,
    /// The fork id.
    pub id: String,
    /// The release of MLX that it says it is.
    pub release: String,
    /// The series that it was made with.
    pub series: Series,
}

impl Tree {
    /// Shows the fork that was composed last, writing only files that differ.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`] where none was composed yet.
    pub fn show(layout: &Layout, ui: &dyn Ui) -> Result<Self> {
        let Some(composed) = Composed::read(layout) else {
            return Err(Error::environment("no fork has been composed yet")
                .doing("showing the fork's tree for macOS")
                .hint("`cargo xtask setup-mlx --until fork` composes it"));
        };
        let _lock = Lock::acquire(layout, PATIENCE, |holder| {
            ui.note(&format!("waiting for another run: {holder}"));
        })?;
        let own = Layout::at(layout.root(), layout.target().join("macos"));
        checkout::materialize(&own, &composed.fork.tree)?;
        let folder = own.build_source();
        Ok(Tree {
            release: wheel::release_of(&folder)?,
            id: composed.fork.id,
            series: Composed::series_on_disk(layout)?,
            folder,
        })
    }

    /// MLX's own sources that the series patches and a Mac compiles, by their paths in the
    /// tree. Not those of the Python module, which needs a Python for macOS.
    pub fn patched_sources(&self) -> Vec<&str> {
        let features = self.series.selected();
        let paths = features.flat_map(|feature| &feature.patch.files);
        let mut paths: Vec<&str> = paths
            .map(|file| file.path.as_str())
            .filter(|path| path.starts_with("mlx/") && is_compiled_on_macos(path))
            .collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// Our kernels, by their names in the metallib's list: those of their .metal files.
    pub fn kernels(&self) -> Vec<&str> {
        let features = self.series.selected();
        let files = features.flat_map(|feature| &feature.overlay);
        files
            .filter_map(|file| file.target.strip_prefix("mlx/backend/metal/kernels/"))
            .filter_map(|path| path.strip_suffix(".metal"))
            .filter_map(|path| path.rsplit('/').next())
            .collect()
    }

    /// Our own sources that a Mac must compile into the library, by their paths in the tree.
    /// Not those that backends share: whether Metal uses them is for cmake to say.
    pub fn own_sources(&self) -> Vec<&str> {
        let features = self.series.selected();
        let files = features.flat_map(|feature| &feature.overlay);
        files
            .map(|file| file.target.as_str())
            .filter(|path| path.starts_with("mlx/") && is_compiled_on_macos(path))
            .filter(|path| !path.contains("/backend/gpu/"))
            .collect()
    }
}

/// True for a C++ source of no other backend.
fn is_compiled_on_macos(path: &str) -> bool {
    let elsewhere = ["/cuda/", "/no_cpu/", "/no_gpu/"];
    path.ends_with(".cpp") && !elsewhere.iter().any(|part| path.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_other_backends_and_headers_are_not_compiled_on_a_mac() {
        for path in ["mlx/export.cpp", "mlx/fused/backend/metal/x.cpp"] {
            assert!(is_compiled_on_macos(path), "{path}");
        }
        for path in [
            "mlx/fused/backend/cuda/x.cpp",
            "mlx/fused/backend/no_gpu/x.cpp",
            "mlx/fused/path.h",
        ] {
            assert!(!is_compiled_on_macos(path), "{path}");
        }
    }
}
