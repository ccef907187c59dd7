//! The primitives as an extension of an MLX that is there already, a prefix or PyPI's wheel:
//! seconds instead of a build of MLX. Not the extension itself: mlx_primitives/extension.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::layout::Layout;
use crate::ui::Ui;

use super::files::{content_key, files_below};
use super::options::Options;
use super::project::Project;
use super::sides::{Build, INTERPRETER};
use super::stamp::{Inputs, Stamp};
use super::tools::{Tools, file_key};
use super::{prefix, wheel};
use crate::side::Side;

/// The MLX that the extension is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// An install prefix of MLX.
    Prefix(PathBuf),
    /// PyPI's wheel of this release.
    Wheel(String),
}

/// The input of the stamp that says where the MLX of the extension is imported from.
pub const MLX_PYTHON: &str = "the folder of MLX's Python package";

/// An MLX that is there.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Where its lib, include and share are.
    pub prefix: PathBuf,
    /// What Python needs in its path to import it.
    pub python: PathBuf,
}

impl Against {
    /// Where that MLX is; fetches the wheel where it is not there yet.
    pub fn find(&self, layout: &Layout, tools: &Tools, ui: &dyn Ui) -> Result<Installed> {
        let installed = match self {
            Against::Prefix(prefix) => Installed {
                prefix: prefix.clone(),
                python: prefix.join("python"),
            },
            Against::Wheel(version) => {
                let python = wheel::fetch(layout, tools, version, ui)?;
                Installed {
                    prefix: python.join("mlx"),
                    python,
                }
            }
        };
        let config = installed.prefix.join("share/cmake/MLX/MLXConfig.cmake");
        if !config.is_file() {
            return Err(Error::usage(format!(
                "{} is no prefix of MLX: it has no share/cmake/MLX/MLXConfig.cmake",
                installed.prefix.display()
            )));
        }
        Ok(installed)
    }
}

/// Builds the extension and installs it into the prefix `extension`, where it is not up to
/// date. `id` is the fork id whose sources these are.
///
/// # Errors
/// [`Kind::Gate`] where our sources don't compile, [`Kind::Usage`] where `against` is no MLX,
/// [`Kind::Mirror`] where the wheel can't be had, [`Kind::Environment`] where the machine is
/// to blame.
pub fn extension(
    layout: &Layout,
    options: &Options,
    tools: &Tools,
    against: &Against,
    id: &str,
    ui: &dyn Ui,
) -> Result<Build> {
    let start = Instant::now();
    let mlx = against.find(layout, tools, ui)?;
    let sources = layout.root().join("mlx_primitives");
    let side = Side::Extension;
    let name = side.name();
    let prefix = layout.prefix(name);
    let mut build = Build {
        side,
        prefix: prefix.clone(),
        id: id.into(),
        ours: 0,
        upstream: 0,
        seconds: 0.0,
        fresh: true,
    };
    let mut args = vec![
        format!("-DCMAKE_PREFIX_PATH={}", mlx.prefix.display()),
        format!("-DCMAKE_INSTALL_PREFIX={}", prefix.display()),
    ];
    let mut compiled_against = Inputs::default()
        .with("MLX", installed_key(&mlx.prefix)?)
        .with(MLX_PYTHON, mlx.python.to_string_lossy());
    match (options.python, &tools.python) {
        (true, Some(python)) => {
            args.push("-DMLX_FORK_PYTHON=ON".into());
            args.push(format!("-DPython_EXECUTABLE={}", python.path.display()));
            compiled_against = compiled_against
                .with("Python", python.key())
                .with(INTERPRETER, python.path.to_string_lossy());
        }
        _ => args.push("-DMLX_FORK_PYTHON=OFF".into()),
    }
    let project = Project {
        layout,
        tools,
        options,
        name: name.into(),
        source: sources.join("extension"),
        folder: layout.target().join("build-extension"),
        listed: sources.clone(),
        args,
        id: id.into(),
        against: compiled_against,
        read: Inputs::default(),
        environment: Vec::new(),
        failure: Kind::Gate,
    };
    let mut inputs = project.inputs().with("our sources", content_key(&sources)?);
    if cfg!(target_os = "macos") {
        // Its metallib is made of them.
        let kernels = layout.root().join("metal");
        inputs = inputs.with("our kernels", content_key(&kernels)?);
    }
    let stamp = Stamp::at(layout.stamps().join("extension.json"));
    if stamp.stale(&inputs).is_none() {
        return Ok(build);
    }
    stamp.remove()?;
    let held = project.hold(ui)?;
    held.configure(ui)?;
    let compiled = held.build(&["all"], ui)?;
    build.ours = compiled.iter().filter(|s| is_ours(&sources, s)).count();
    build.upstream = compiled.len() - build.ours;
    let made = prefix::replace(&held, &prefix, ui, |_| Ok(()))?;
    stamp.save(&inputs, &made)?;
    build.seconds = start.elapsed().as_secs_f64();
    build.fresh = false;
    ui.note(&format!(
        "{name}: compiled {} of our sources and {} of others in {:.1} s",
        build.ours, build.upstream, build.seconds
    ));
    Ok(build)
}

/// True for a source of mlx_primitives: an object outside the extension's own folder has its
/// source's whole path in its name, without the first slash.
fn is_ours(sources: &Path, compiled: &str) -> bool {
    Path::new("/").join(compiled).starts_with(sources)
        || sources.join("extension").join(compiled).exists()
        || sources.join(compiled).exists()
}

/// Changes when the library or a header of an installed MLX does.
pub(super) fn installed_key(prefix: &Path) -> Result<String> {
    let mut inputs = Inputs::default();
    for part in ["include/mlx", "share/cmake/MLX", "lib"] {
        let folder = prefix.join(part);
        // Links are named by where they lead; a lib may have things that are not MLX's.
        for file in files_below(&folder)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if part != "lib" || name.starts_with("libmlx.") {
                inputs = inputs.with(&file.to_string_lossy(), file_key(&file));
            }
        }
    }
    Ok(inputs.key())
}
