//! Using a build from other programs: what their environment needs, and that the build is
//! the one that was recorded. It builds nothing and changes nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::build::extension::MLX_PYTHON;
use crate::build::sides::INTERPRETER;
use crate::build::stamp::Stamp;
use crate::composed::Composed;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::probe::{Interpreter, Subject};
use crate::side::Side;

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
    /// For an extension: the folder of the Python package of the MLX that it is for.
    pub mlx: Option<PathBuf>,
    /// Its Python, where it was built with one.
    pub python: Option<PathBuf>,
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
    let stamp = Stamp::at(layout.stamps().join(format!("{}.json", side.name())));
    if let Some(why) = stamp.altered() {
        return Err(lacking(why));
    }
    // The C API is a step of its own, and may not have been wanted; once made, it is as made.
    let c_api = layout.stamps().join(format!("{}-c.json", side.name()));
    if c_api.exists()
        && let Some(why) = Stamp::at(c_api).altered()
    {
        return Err(lacking(why));
    }
    let inputs = stamp.inputs().unwrap_or_default();
    if side != Side::Stock
        && let Some(last) = Composed::read(layout)
        && (inputs.get("fork id") != Some(&last.fork.id) || !last.is_current(layout)?)
    {
        return Err(lacking(
            "the overlay or the series has changed since it was built".into(),
        ));
    }
    let library = match side {
        Side::Stock | Side::Fork => "mlx",
        Side::Extension => "mlx_fused",
    };
    let recorded = |name: &str| {
        let value = inputs.get(name).map(String::from);
        value.filter(|value| !value.is_empty())
    };
    let python = recorded(INTERPRETER).map(PathBuf::from);
    if let Some(gone) = python.as_ref().filter(|python| !python.is_file()) {
        return Err(lacking(format!("its Python, {}, is gone", gone.display())));
    }
    Ok(Installed {
        side,
        library: library_in(&prefix, library),
        c_api: library_in(&prefix, "mlx_fork_c"),
        id: recorded("fork id"),
        mlx: recorded(MLX_PYTHON).map(PathBuf::from),
        python,
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
            let mut modules = vec![self.prefix.join("python")];
            modules.extend(self.mlx.clone());
            list.push(("PYTHONPATH", modules, true));
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
                module: match self.side {
                    Side::Extension => "mlx_fork",
                    Side::Stock | Side::Fork => "",
                },
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
    python_of(layout, &installed(layout, side)?, args)
}

/// The same, of a build that was found.
pub(crate) fn python_of(
    layout: &Layout,
    build: &Installed,
    args: &[OsString],
) -> Result<crate::process::Command> {
    let Some(python) = &build.python else {
        let (name, maker) = (build.side.name(), build.side.maker());
        return Err(
            Error::environment(format!("the {name} build has no Python module"))
                .doing("starting Python")
                .hint(format!("{maker} without --no-python makes it")),
        );
    };
    let mut command = crate::process::Command::new(python).args(args);
    for (name, value) in build.environment(layout, |name| std::env::var_os(name))? {
        command = command.env(name, value);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::stamp::Inputs;

    /// A finished build of one side: a file, and the stamp that records it.
    fn finished(side: Side) -> (tempfile::TempDir, Layout) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), dir.path().join("target/mlx"));
        let library = library_in(&layout.prefix(side.name()), "mlx");
        std::fs::create_dir_all(library.parent().unwrap()).unwrap();
        std::fs::write(&library, "as built").unwrap();
        let stamp = Stamp::at(layout.stamps().join(format!("{}.json", side.name())));
        let inputs = Inputs::default().with("fork id", "abc");
        stamp.save(&inputs, &[library]).unwrap();
        (dir, layout)
    }

    fn refused(layout: &Layout, side: Side, what: &str) {
        let error = installed(layout, side).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Environment);
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.hints()[0].contains("cargo xtask setup-mlx"));
    }

    #[test]
    fn a_finished_build_is_used_and_one_that_is_missing_changed_or_half_done_is_not() {
        let (_dir, layout) = finished(Side::Fork);
        let build = installed(&layout, Side::Fork).unwrap();
        assert_eq!(build.id.as_deref(), Some("abc"));
        refused(&layout, Side::Stock, "there is none");
        let bytes = std::fs::read(&build.library).unwrap();
        std::fs::write(&build.library, "another, of another size").unwrap();
        refused(&layout, Side::Fork, "has changed");
        // The same bytes again, but written later.
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&build.library, bytes).unwrap();
        refused(&layout, Side::Fork, "has changed");
        std::fs::remove_file(&build.library).unwrap();
        refused(&layout, Side::Fork, "is gone");
        let stamp = layout.stamps().join("fork.json");
        std::fs::write(&stamp, "{\"inputs\"").unwrap();
        refused(&layout, Side::Fork, "no record of it");
        std::fs::remove_file(&stamp).unwrap();
        refused(&layout, Side::Fork, "no record of it");
    }

    #[test]
    fn the_build_comes_before_the_users_own_and_replaces_the_other_side() {
        let (_dir, layout) = finished(Side::Fork);
        let mut build = installed(&layout, Side::Fork).unwrap();
        build.python = Some(layout.venv().join("bin/python"));
        let stock = layout.prefix("stock").join("python");
        let users = format!("{}:/users/own", stock.display());
        let list = build
            .environment(&layout, |name| {
                (name == "PYTHONPATH").then(|| users.clone().into())
            })
            .unwrap();
        let value = |name: &str| &list.iter().find(|(n, _)| n == name).unwrap().1;
        let expected = format!("{}:/users/own", build.prefix.join("python").display());
        assert_eq!(*value("PYTHONPATH"), expected);
        assert_eq!(
            *value("MLX_FORK_PREFIX"),
            build.prefix.display().to_string()
        );
        assert_eq!(
            *value("PATH"),
            layout.venv().join("bin").display().to_string()
        );
    }

    #[test]
    fn an_export_line_survives_any_value() {
        let value = "a b'c\"$(false)`false`\\ \n*";
        let script = format!("{}\nprintf %s \"$X\"", export_line("X", value));
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(script)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
    }
}
