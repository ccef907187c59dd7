//! What a person chooses about a build. Not how a choice is carried out: `tools`,
//! `third_party` and the builds themselves do that.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The compiler launcher (`--launcher`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LauncherChoice {
    /// ccache or sccache where one is there, else none.
    #[default]
    Auto,
    /// No launcher.
    None,
    /// This program.
    Path(PathBuf),
}

impl FromStr for LauncherChoice {
    type Err = Error;

    /// `auto`, `none`, or a program by name or path.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" => Err(Error::usage("the launcher is empty").hint("auto, none, or a program")),
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            program => Ok(Self::Path(program.into())),
        }
    }
}

/// The choices.
#[derive(Debug, Clone)]
pub struct Options {
    /// Build the Python extension too.
    pub python: bool,
    /// What runs the compilers.
    pub launcher: LauncherChoice,
    /// How many compilers at once; `None` lets ninja choose.
    pub jobs: Option<usize>,
    /// Folders named by the user (`--third-party NAME=DIR`), before fork.toml's.
    pub third_party: BTreeMap<String, PathBuf>,
    /// MLX's tree, whose CMake files say which nanobind fits; `None` is `mlx_local`.
    pub source: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            python: true,
            launcher: LauncherChoice::default(),
            jobs: None,
            third_party: BTreeMap::new(),
            source: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launcher_is_auto_none_or_a_program() {
        let parse = |text: &str| text.parse::<LauncherChoice>();
        assert_eq!(parse("auto").unwrap(), LauncherChoice::Auto);
        assert_eq!(parse("none").unwrap(), LauncherChoice::None);
        let program = LauncherChoice::Path("sccache".into());
        assert_eq!(parse("sccache").unwrap(), program);
        assert_eq!(parse("").unwrap_err().kind(), crate::Kind::Usage);
    }
}
