//! Where things are: the project's folder, the fork's checkout, the builds.

use std::path::{Path, PathBuf};

use crate::env;
use crate::error::{Doing, Error, Result};

/// The folders of one checkout of the project.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    target: PathBuf,
}

impl Layout {
    /// Finds the project: `MLX_FORK_ROOT`, or the nearest folder above the current
    /// one that holds a `fork.toml`.
    pub fn discover() -> Result<Self> {
        let root = match env::MLX_FORK_ROOT.get_os() {
            Some(root) => PathBuf::from(root),
            None => {
                let here = std::env::current_dir().doing(|| "finding the project".into())?;
                here.ancestors()
                    .find(|folder| folder.join("fork.toml").is_file())
                    .map(Path::to_path_buf)
                    .ok_or_else(|| {
                        Error::usage(format!(
                            "no fork.toml in {} or any folder above it",
                            here.display()
                        ))
                        .doing("finding the project")
                        .hint("run inside the project, or set MLX_FORK_ROOT to its folder")
                    })?
            }
        };
        let root = root
            .canonicalize()
            .doing(|| format!("finding the project at {}", root.display()))?;
        let target = match env::MLX_FORK_TARGET.get_os() {
            Some(target) => {
                std::path::absolute(target).doing(|| "reading MLX_FORK_TARGET".into())?
            }
            None => root.join("target/mlx"),
        };
        Ok(Layout { root, target })
    }

    /// A layout of the given root, its builds under `target`.
    pub fn at(root: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Layout {
            root: root.into(),
            target: target.into(),
        }
    }

    /// The project's folder, where fork.toml is.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// `fork.toml`.
    pub fn config(&self) -> PathBuf {
        self.root.join("fork.toml")
    }
    /// `patches/`, with series.toml and pins/.
    pub fn patches(&self) -> PathBuf {
        self.root.join("patches")
    }
    /// The raw commit object of a pin.
    pub fn pin_commit(&self, pin: &str) -> PathBuf {
        self.patches().join("pins").join(format!("{pin}.commit"))
    }
    /// Answers to conflicts of a port.
    pub fn resolutions(&self) -> PathBuf {
        self.patches().join("resolutions")
    }
    /// The files of a pin's tree, as `git ls-tree -r` lists them.
    pub fn pin_tree(&self, pin: &str) -> PathBuf {
        self.patches().join("pins").join(format!("{pin}.tree"))
    }
    /// `mlx_local`: the fork's checkout, a person's to look at and edit.
    pub fn mlx_local(&self) -> PathBuf {
        self.root.join("mlx_local")
    }
    /// Everything the tool makes besides `mlx_local`.
    pub fn target(&self) -> &Path {
        &self.target
    }
    /// The source tree that is built; the tool's own, never a person's.
    pub fn build_source(&self) -> PathBuf {
        self.target.join("src")
    }
    /// The index that belongs to [`Self::build_source`].
    pub fn build_index(&self) -> PathBuf {
        self.target.join("src.index")
    }
    /// The cmake build folder, shared by stock and fork.
    pub fn build_folder(&self) -> PathBuf {
        self.target.join("build")
    }
    /// The install prefix of `stock` or `fork`.
    pub fn prefix(&self, side: &str) -> PathBuf {
        self.target.join(side)
    }
    /// Full logs of child processes.
    pub fn logs(&self) -> PathBuf {
        self.target.join("logs")
    }
    /// What probe and parity found, whole, as they last ran in a setup.
    pub fn reports(&self) -> PathBuf {
        self.target.join("reports")
    }
    /// Records of setups on Macs.
    pub fn evidence(&self) -> PathBuf {
        self.target.join("evidence")
    }
    /// Stamps: what each finished step was made from.
    pub fn stamps(&self) -> PathBuf {
        self.target.join("stamps")
    }
    /// The private Python environment (cmake, ninja, nanobind where the system has none).
    pub fn venv(&self) -> PathBuf {
        self.target.join("venv")
    }
    /// Third-party sources as cmake wants them.
    pub fn third_party(&self) -> PathBuf {
        self.target.join("third-party")
    }
    /// Copies of upstream's history, one a URL.
    pub fn histories(&self) -> PathBuf {
        self.target.join("history")
    }
    /// Scratch folders of mirrors being read.
    pub fn scratch(&self) -> PathBuf {
        self.target.join("scratch")
    }
}
