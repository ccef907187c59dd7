//! Using a build from other programs: what their environment needs, and that the build is
//! the one that was recorded. It builds nothing and changes nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::probe::{Interpreter, Subject};

/// One of the builds that live side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The unpatched pin.
    Stock,
    /// The pin with overlay and series.
    Fork,
    /// Our primitives alone, beside an MLX that was there before.
    Extension,
}

impl Side {
    /// All of them.
    pub const ALL: [Side; 3] = [Side::Stock, Side::Fork, Side::Extension];

    /// `stock`, `fork`, `extension`: also the name of its prefix.
    pub fn name(self) -> &'static str {
        match self {
            Side::Stock => "stock",
            Side::Fork => "fork",
            Side::Extension => "extension",
        }
    }

    /// The command that makes it.
    fn maker(self) -> &'static str {
        match self {
            Side::Stock | Side::Fork => "cargo xtask setup-mlx",
            Side::Extension => "cargo xtask setup-mlx --mode extension",
        }
    }
}

/// A build as its stamp records it and as it is on disk.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Which.
    pub side: Side,
    /// Its install folder.
    pub prefix: PathBuf,
    /// libmlx; an extension's own library.
    pub library: PathBuf,
    /// libmlx_fork_c.
    pub c_api: PathBuf,
    /// What it was told to call itself: the fork id; `None` for stock, which says nothing.
    pub id: Option<String>,
    /// Its Python, where it was built with one.
    pub python: Option<PathBuf>,
}

/// What the stamp of a build says: what it was made from, and which files it made.
#[derive(Debug, Deserialize)]
struct Stamp {
    inputs: BTreeMap<String, String>,
    made: Vec<Made>,
}

#[derive(Debug, Deserialize)]
struct Made {
    path: PathBuf,
    size: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
}

impl Made {
    fn is_unchanged(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let now = self.path.symlink_metadata();
        now.is_ok_and(|now| {
            now.len() == self.size && (now.mtime(), now.mtime_nsec()) == self.modified
        })
    }
}

/// The build of this side, if it is there and its files are those that were recorded when it
/// was finished. Looks at sizes and times only, so it is quick enough for every command.
pub fn installed(layout: &Layout, side: Side) -> Result<Installed> {
    let prefix = layout.prefix(side.name());
    let lacking = |what: String| {
        Error::environment(what)
            .doing(format!("looking for the {} build", side.name()))
            .hint(format!("{} makes it", side.maker()))
    };
    if !prefix.is_dir() {
        return Err(lacking(format!("there is none in {}", prefix.display())));
    }
    let stamp = layout.stamps().join(format!("{}.json", side.name()));
    let Ok(text) = std::fs::read_to_string(&stamp) else {
        return Err(lacking(format!(
            "it was not finished: {} is missing",
            stamp.display()
        )));
    };
    let stamp: Stamp = serde_json::from_str(&text)
        .map_err(|e| lacking(format!("its record {} is damaged: {e}", stamp.display())))?;
    let changed = stamp.made.iter().find(|made| !made.is_unchanged());
    if let Some(changed) = changed {
        return Err(lacking(format!(
            "{} is not the file that was built",
            changed.path.display()
        )));
    }
    let library = match side {
        Side::Stock | Side::Fork => "mlx",
        Side::Extension => "mlx_fused",
    };
    let python = layout.venv().join("bin/python");
    let module = prefix.join("python");
    Ok(Installed {
        side,
        library: library_in(&prefix, library),
        c_api: library_in(&prefix, "mlx_fork_c"),
        id: stamp
            .inputs
            .get("fork id")
            .filter(|id| !id.is_empty())
            .cloned(),
        python: (module.is_dir() && python.exists()).then_some(python),
        prefix,
    })
}

fn library_in(prefix: &Path, name: &str) -> PathBuf {
    let file = format!(
        "{}{name}{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    prefix.join("lib").join(file)
}

/// What a program's environment needs to use this build, beside what it has: the build's
/// folders come before the user's own in each list. Libraries find each other by the run
/// paths in them, so nothing is said to the loader.
pub fn environment(layout: &Layout, side: Side) -> Result<Vec<(String, String)>> {
    let build = installed(layout, side)?;
    build.environment(layout, |name| std::env::var_os(name))
}

impl Installed {
    fn environment(
        &self,
        layout: &Layout,
        user: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Vec<(String, String)>> {
        let mut list = vec![
            ("MLX_FORK_PREFIX", vec![self.prefix.clone()], false),
            ("CMAKE_PREFIX_PATH", vec![self.prefix.clone()], true),
        ];
        if let Some(python) = &self.python {
            let programs = python.parent().map(Path::to_path_buf);
            list.push(("PATH", programs.into_iter().collect(), true));
            list.push(("PYTHONPATH", vec![self.prefix.join("python")], true));
        }
        let mut out = Vec::new();
        for (name, mut folders, extends) in list {
            if extends && let Some(users) = user(name) {
                // Ours from an earlier `env`, perhaps of the other side, would pile up.
                let others = std::env::split_paths(&users)
                    .filter(|folder| !folder.starts_with(layout.target()))
                    .filter(|folder| !folder.as_os_str().is_empty())
                    .collect::<Vec<_>>();
                folders.extend(others);
            }
            let value = std::env::join_paths(&folders).map_err(|_| {
                Error::usage(format!("a folder of {name} has a colon in its name"))
                    .doing("making the environment")
                    .hint("move the project, or set MLX_FORK_TARGET to a folder without one")
            })?;
            let value = value.into_string().map_err(|value| {
                Error::usage(format!("{name} is no UTF-8: {}", value.display()))
                    .doing("making the environment")
            })?;
            out.push((name.to_string(), value));
        }
        Ok(out)
    }

    /// The build as the probe wants it.
    pub fn subject(&self, layout: &Layout) -> Result<Subject> {
        let python = match &self.python {
            Some(program) => Some(Interpreter {
                program: program.clone(),
                environment: self.environment(layout, |name| std::env::var_os(name))?,
            }),
            None => None,
        };
        Ok(Subject {
            side: self.side,
            prefix: self.prefix.clone(),
            library: self.library.clone(),
            c_api: self.c_api.clone(),
            id: self.id.clone(),
            python,
        })
    }
}

/// `NAME=value` as a line for a POSIX shell that exports exactly this value.
pub fn export_line(name: &str, value: &str) -> String {
    format!("export {name}='{}'", value.replace('\'', r"'\''"))
}

/// The command that runs this build's Python with the given arguments.
pub fn python(layout: &Layout, side: Side, args: &[OsString]) -> Result<crate::process::Command> {
    let build = installed(layout, side)?;
    let Some(python) = &build.python else {
        return Err(
            Error::environment(format!("the {} build has no Python module", side.name()))
                .doing("starting Python")
                .hint(format!("{} without --no-python makes it", side.maker())),
        );
    };
    let mut command = crate::process::Command::new(python).args(args);
    for (name, value) in build.environment(layout, |name| std::env::var_os(name))? {
        command = command.env(name, value);
    }
    Ok(command)
}
