//! What stands in for Xcode: PyPI's ziglang, the macOS wheel of MLX, and the project's own
//! headers, library lists and programs (metal/macos), laid out in one folder. Not the builds
//! that are made with it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::build::environment::Variables;
use crate::build::files::{self, files_below, link, remove};
use crate::build::stamp::Inputs;
use crate::build::system::System;
use crate::build::{Origin, Tool, Tools, python, venv};
use crate::env;
use crate::error::{Doing, Error, Result, reading, writing};
use crate::layout::Layout;
use crate::ui::Ui;

use super::wheel::{self, Wheel};

/// A C++ compiler for macOS, with the headers of its system, and a linker.
pub const ZIGLANG: &str = "ziglang==0.17.1";

/// All of it, ready to be used.
#[derive(Debug, Clone)]
pub struct Kit {
    /// The stand-ins.
    folder: PathBuf,
    /// MLX for macOS.
    pub wheel: Wheel,
}

impl Kit {
    /// Brings it up to date: fetches what is not there, and copies metal/macos. `release` is
    /// what the tree of MLX says it is.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`] without a Python that is fit or where pip fails,
    /// [`crate::Kind::Mirror`] where the wheel can't be had.
    pub fn prepare(layout: &Layout, release: &str, ui: &dyn Ui) -> Result<Self> {
        let doing = || "getting what stands in for Xcode".into();
        let system = System::detect();
        let base = python::find(&system, false).map_err(|unfit| {
            let error = Error::environment(unfit.why).doing(doing());
            match system.mend_line(&unfit.needs) {
                Some(line) => error.hint(format!("run `{line}`")),
                None => error,
            }
        })?;
        let venv = venv::ensure(layout, &base, &[ZIGLANG.into()], ui).doing(doing)?;
        let wheel = wheel::fetch(layout, &venv.python(), release, ui).doing(doing)?;
        let Some(ziglang) = venv.file("ziglang/zig") else {
            venv.distrust();
            let what = format!("{ZIGLANG} brought no compiler; run again to get it anew");
            return Err(Error::environment(what).doing(doing()));
        };
        let kit = Kit {
            folder: layout.target().join("macos/kit"),
            wheel,
        };
        kit.lay_out(&layout.root().join("metal/macos"), &ziglang)
            .doing(doing)?;
        Ok(kit)
    }

    fn lay_out(&self, stand_ins: &Path, zig: &Path) -> Result<()> {
        let names = |folder: &Path| -> Result<Vec<PathBuf>> {
            let below = files_below(folder)?.into_iter();
            Ok(below
                .filter_map(|file| file.strip_prefix(folder).ok().map(Path::to_path_buf))
                .collect())
        };
        let wanted = names(stand_ins)?;
        let made = [PathBuf::from("bin/clang++"), PathBuf::from("ziglang")];
        std::fs::create_dir_all(&self.folder).doing(writing(&self.folder))?;
        for name in names(&self.folder)? {
            if !wanted.contains(&name) && !made.contains(&name) {
                remove(&self.folder.join(name))?;
            }
        }
        for name in &wanted {
            let (from, to) = (stand_ins.join(name), self.folder.join(name));
            let text = std::fs::read_to_string(&from).doing(reading(&from))?;
            // A compiler cache keys a compiler by its bytes, and this one by its version.
            files::replace(&to, &text.replace("@ZIGLANG@", ZIGLANG))?;
            if name.starts_with("bin") {
                let mode = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(&to, mode).doing(writing(&to))?;
            }
        }
        link(Path::new("clang"), &self.folder.join(&made[0]))?;
        link(zig.parent().unwrap_or(zig), &self.folder.join(&made[1]))
    }

    /// The folder: a cmake project is in it, and what it needs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The tools of a build, with the compilers replaced.
    pub fn tools(&self, tools: &Tools) -> Tools {
        let compiler = |name: &str| Tool {
            name: name.into(),
            path: self.folder.join("bin").join(name),
            version: ZIGLANG.into(),
            origin: Origin::Pypi,
        };
        Tools {
            cc: compiler("clang"),
            cxx: compiler("clang++"),
            ..tools.clone()
        }
    }

    /// What cmake has to be told of it. Nothing is optimised: errors are what is wanted, and
    /// soon, and a call that is inlined away would hide a function that is missing.
    pub fn args(&self, deployment_target: &str) -> Vec<String> {
        let toolchain = self.folder.join("toolchain.cmake");
        vec![
            format!("-DCMAKE_TOOLCHAIN_FILE={}", toolchain.display()),
            format!("-DCMAKE_OSX_DEPLOYMENT_TARGET={deployment_target}"),
            "-DCMAKE_C_FLAGS_RELEASE=-O0".into(),
            "-DCMAKE_CXX_FLAGS_RELEASE=-O0".into(),
        ]
    }

    /// The variables that a build with it needs: our xcrun and zsh come before any other.
    pub fn environment(&self) -> Variables {
        let mut path = self.folder.join("bin").into_os_string();
        if let Some(rest) = env::PATH.get_os() {
            path.push(":");
            path.push(rest);
        }
        vec![("PATH", path), ("CCACHE_COMPILERCHECK", "content".into())]
    }

    /// Changes when any of it does.
    pub fn key(&self) -> Result<Inputs> {
        let mut inputs = Inputs::default()
            .with("ziglang", ZIGLANG)
            .with("macOS wheel", self.wheel.version.as_str());
        for file in files_below(&self.folder)? {
            let name = file.strip_prefix(&self.folder).unwrap_or(&file);
            if !file.is_symlink() {
                let text = std::fs::read_to_string(&file).doing(reading(&file))?;
                inputs = inputs.with(&name.to_string_lossy(), text);
            }
        }
        Ok(Inputs::default().with("what stands in for Xcode", inputs.key()))
    }
}
