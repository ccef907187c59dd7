//! The wheels: what PyPI is asked for where the system has none, and the tools in the private
//! environment that they are installed into.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::search::{Found, Lack, version_of};
use super::system::{Need, System};
use super::tools::{Origin, Tool};
use super::venv::{self, Venv};
use super::{libclang, python};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ui::Ui;

/// cmake, in a version known to build MLX.
pub const CMAKE_WHEEL: &str = "cmake==4.4.4";
/// ninja.
pub const NINJA_WHEEL: &str = "ninja==1.13.2";
/// libclang.
pub const LIBCLANG_WHEEL: &str = "libclang==18.1.1";
/// What MLX's own Python tests import.
pub const TEST_WHEELS: [&str; 2] = ["numpy>=2", "psutil>=5.9"];

/// The private environment, where one is needed and could be made.
pub struct Wheels {
    venv: Result<Venv, Lack>,
    python: Option<python::Python>,
    /// True where the system's packages can bring all that PyPI did not: nanobind they can't.
    replaceable: bool,
    /// Why PyPI brought nothing, where it was asked and failed.
    pub failed: Option<Error>,
}

impl Wheels {
    /// Makes the environment, unless nothing is wanted in it.
    pub fn open(
        system: &System,
        layout: &Layout,
        wheels: &[String],
        headers: bool,
        ui: &dyn Ui,
    ) -> Self {
        let replaceable = !headers;
        let nothing = |why: &str| Lack {
            why: why.into(),
            needs: BTreeSet::new(),
        };
        if wheels.is_empty() {
            return Wheels {
                venv: Err(nothing("nothing is needed from PyPI")),
                python: None,
                replaceable,
                failed: None,
            };
        }
        let base = match python::find(system, headers) {
            Ok(base) => base,
            Err(unfit) => {
                return Wheels {
                    venv: Err(Lack {
                        why: unfit.why,
                        needs: unfit.needs,
                    }),
                    python: None,
                    replaceable,
                    failed: None,
                };
            }
        };
        match venv::ensure(layout, &base, wheels, ui) {
            Ok(venv) => Wheels {
                venv: Ok(venv),
                python: Some(base),
                replaceable,
                failed: None,
            },
            Err(error) => Wheels {
                venv: Err(nothing("PyPI could not bring it")),
                python: Some(base),
                replaceable,
                failed: Some(error),
            },
        }
    }

    /// The environment; where PyPI could not make it, the system's package is what mends.
    fn venv_or(&self, need: Need) -> Result<Venv, Lack> {
        self.venv.clone().map_err(|mut lack| {
            if self.failed.is_some() && self.replaceable {
                lack.needs.insert(need);
            }
            lack
        })
    }

    /// A program of a wheel: the real one under site-packages, else the one in bin.
    pub fn program(&self, name: &str, real: &str, need: Need) -> Found {
        let venv = self.venv_or(need)?;
        // cmake's bin/cmake is a Python script: 100 ms each start that the program is spared.
        let path = (!real.is_empty())
            .then(|| venv.file(real))
            .flatten()
            .unwrap_or_else(|| venv.program(name));
        match version_of(&path) {
            Ok(version) => Ok(pypi(name, path, version)),
            Err(why) => {
                venv.distrust();
                Err(Lack::of(need, why))
            }
        }
    }

    /// libclang, once it has parsed a header.
    pub fn libclang(&self) -> Found {
        let venv = self.venv_or(Need::Libclang)?;
        let names = ["clang/native/libclang.so", "clang/native/libclang.dylib"];
        let found = names.iter().find_map(|name| venv.file(name));
        let examined = match &found {
            Some(path) => libclang::examine(path).map(|version| (path, version)),
            None => Err(format!("{LIBCLANG_WHEEL} brought no libclang")),
        };
        match examined {
            Ok((path, version)) => Ok(pypi("libclang", path.clone(), version)),
            Err(why) => {
                venv.distrust();
                Err(Lack::of(Need::Libclang, why))
            }
        }
    }

    /// The environment's interpreter.
    pub fn python(&self) -> Found {
        let venv = self.venv.clone()?;
        let version = self
            .python
            .as_ref()
            .map_or_else(String::new, |p| p.version());
        Ok(Tool {
            origin: Origin::System,
            ..pypi("python", venv.python(), version)
        })
    }

    /// nanobind's folder.
    pub fn nanobind(&self, version: &str) -> Found {
        let venv = self.venv.clone()?;
        match venv.file("nanobind/cmake/nanobind-config.cmake") {
            Some(file) => {
                let folder = file.ancestors().nth(2).unwrap_or(&file).to_path_buf();
                Ok(pypi("nanobind", folder, version.to_string()))
            }
            None => {
                venv.distrust();
                Err(Lack {
                    why: "the nanobind wheel is damaged; run again to get it anew".into(),
                    needs: BTreeSet::new(),
                })
            }
        }
    }
}

fn pypi(name: &str, path: PathBuf, version: String) -> Tool {
    Tool {
        name: name.into(),
        path,
        version,
        origin: Origin::Pypi,
    }
}
