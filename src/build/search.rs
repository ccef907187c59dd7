//! Looks for each tool, and runs what it finds to see whether it is fit. What the system
//! lacks comes from PyPI (`venv`); what nothing brings is a lack, with what would mend it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::libclang;
use super::options::{LauncherChoice, Options};
use super::system::{Need, System};
use super::tools::{Origin, Tool, Tools, file_key};
use super::wheels::{CMAKE_WHEEL, LIBCLANG_WHEEL, NINJA_WHEEL, TEST_WHEELS, Wheels};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::process::Command;
use crate::ui::Ui;

/// The oldest cmake that MLX accepts.
const CMAKE_LEAST: &str = "3.25";
/// Something that a build needs and this machine has not.
#[derive(Debug, Clone)]
pub struct Lack {
    /// What was found instead.
    pub why: String,
    /// What would mend it.
    pub needs: BTreeSet<Need>,
}

impl Lack {
    /// A lack that one thing mends.
    pub fn of(need: Need, why: impl Into<String>) -> Self {
        Lack {
            why: why.into(),
            needs: BTreeSet::from([need]),
        }
    }
}

/// A tool, or why there is none.
pub type Found = Result<Tool, Lack>;

/// Everything that was looked for.
#[derive(Debug)]
pub struct Survey {
    /// cmake.
    pub cmake: Found,
    /// ninja.
    pub ninja: Found,
    /// The C compiler.
    pub cc: Found,
    /// The C++ compiler.
    pub cxx: Found,
    /// The launcher; `None` where none is wanted, or there is none and none is needed.
    pub launcher: Option<Found>,
    /// The private environment's Python, and nanobind's folder in it.
    pub python: Option<(Found, Found)>,
    /// libclang.
    pub libclang: Found,
    /// Why PyPI brought nothing, where it was asked and failed.
    pub pypi: Option<Error>,
    /// What was found on the system and is not fit: the tool's name, and why.
    pub passed_over: Vec<(String, String)>,
}

impl Survey {
    /// The tools, or all that is lacking at once.
    pub fn into_tools(self, system: &System) -> Result<Tools> {
        if let Some(error) = self.pypi {
            return Err(error);
        }
        let mut lacks = Vec::new();
        let mut take = |name: &str, found: Found| {
            found
                .map_err(|lack| lacks.push((name.to_string(), lack)))
                .ok()
        };
        let cmake = take("cmake", self.cmake);
        let ninja = take("ninja", self.ninja);
        let cc = take("C compiler", self.cc);
        let cxx = take("C++ compiler", self.cxx);
        let launcher = self.launcher.and_then(|found| take("launcher", found));
        let (python, nanobind) = match self.python {
            Some((python, nanobind)) => (take("python", python), take("nanobind", nanobind)),
            None => (None, None),
        };
        let libclang = take("libclang", self.libclang);
        match (cmake, ninja, cc, cxx, libclang) {
            (Some(cmake), Some(ninja), Some(cc), Some(cxx), Some(libclang)) if lacks.is_empty() => {
                Ok(Tools {
                    cmake,
                    ninja,
                    cc,
                    cxx,
                    launcher,
                    python,
                    nanobind,
                    libclang: libclang.path,
                    libclang_version: libclang.version,
                })
            }
            _ => Err(lacking("finding the build's tools", &lacks, system)),
        }
    }
}

/// The error for everything that is lacking: each with its reason, and one mending command.
pub fn lacking(doing: &str, lacks: &[(String, Lack)], system: &System) -> Error {
    let lines: Vec<String> = lacks
        .iter()
        .map(|(name, lack)| format!("\n    {name}: {}", lack.why))
        .collect();
    let error = Error::environment(format!("lacking:{}", lines.concat())).doing(doing);
    let needs = lacks.iter().flat_map(|(_, lack)| &lack.needs).copied();
    match system.mend_line(&needs.collect()) {
        Some(line) => error.hint(format!(
            "run `{line}`, or let `cargo xtask setup-mlx --install-deps` do it"
        )),
        None => error.hint("`cargo xtask doctor` shows each of them"),
    }
}

/// Says what a search would see, by looking at files only: the same text, the same result.
pub fn fingerprint(system: &System, options: &Options, nanobind: Option<&str>) -> String {
    let names = [
        "cmake", "ninja", "cc", "gcc", "clang", "c++", "g++", "clang++", "ccache", "sccache",
        "python3",
    ];
    let programs = names.iter().flat_map(|name| system.programs(name));
    // The folders' times, and not what is in them: listing /usr/lib takes longer than all the rest.
    let folders = libclang::folders(system);
    let files: Vec<String> = programs.chain(folders).map(|p| file_key(&p)).collect();
    format!(
        "{:?} {nanobind:?} {:?} {:?} {:?} {CMAKE_WHEEL} {NINJA_WHEEL} {LIBCLANG_WHEEL} {}",
        options.launcher,
        system.cc,
        system.cxx,
        system.libclang,
        files.join(" ")
    )
}

/// Looks for everything. `nanobind` is the version that MLX wants, with Python.
pub fn survey(
    system: &System,
    layout: &Layout,
    options: &Options,
    nanobind: Option<&str>,
    ui: &dyn Ui,
) -> Survey {
    let mut over = Vec::new();
    let cmake = on_path(system, "cmake", Some(CMAKE_LEAST), &mut over);
    let ninja = on_path(system, "ninja", None, &mut over);
    let clang =
        libclang::candidates(system)
            .into_iter()
            .find_map(|path| match libclang::examine(&path) {
                Ok(version) => Some(Tool {
                    name: "libclang".into(),
                    origin: match &system.libclang {
                        Some(named) if path.starts_with(named) => Origin::Override,
                        _ => Origin::System,
                    },
                    version,
                    path,
                }),
                Err(why) => {
                    over.push(("libclang".into(), why));
                    None
                }
            });
    let mut wheels: Vec<String> = Vec::new();
    wheels.extend(cmake.is_none().then(|| CMAKE_WHEEL.into()));
    wheels.extend(ninja.is_none().then(|| NINJA_WHEEL.into()));
    wheels.extend(clang.is_none().then(|| LIBCLANG_WHEEL.into()));
    if let Some(version) = nanobind {
        wheels.push(format!("nanobind=={version}"));
        wheels.extend(TEST_WHEELS.map(str::to_string));
    }
    let brought = Wheels::open(system, layout, &wheels, nanobind.is_some(), ui);
    Survey {
        cmake: cmake.map_or_else(
            || brought.program("cmake", "cmake/data/bin/cmake", Need::Cmake),
            Ok,
        ),
        ninja: ninja.map_or_else(|| brought.program("ninja", "", Need::Ninja), Ok),
        libclang: clang.map_or_else(|| brought.libclang(), Ok),
        python: nanobind.map(|version| (brought.python(), brought.nanobind(version))),
        cc: compiler(
            system,
            "C compiler",
            ("CC", &system.cc),
            ["cc", "gcc", "clang"],
        ),
        cxx: compiler(
            system,
            "C++ compiler",
            ("CXX", &system.cxx),
            ["c++", "g++", "clang++"],
        ),
        launcher: launcher(system, &options.launcher, &mut over),
        pypi: brought.failed,
        passed_over: over,
    }
}

/// The first program of this name on `PATH` that runs and is new enough.
pub fn on_path(
    system: &System,
    name: &str,
    least: Option<&str>,
    over: &mut Vec<(String, String)>,
) -> Option<Tool> {
    system.programs(name).into_iter().find_map(|path| {
        match version_of(&path) {
            Ok(version) if least.is_none_or(|least| at_least(&version, least)) => {
                return Some(Tool {
                    name: name.into(),
                    path,
                    version,
                    origin: Origin::System,
                });
            }
            Ok(version) => {
                let least = least.unwrap_or_default();
                let why = format!("{} is {version}, older than {least}", path.display());
                over.push((name.into(), why));
            }
            Err(why) => over.push((name.into(), why)),
        }
        None
    })
}

/// The git program, which the sources are fetched with.
pub fn git(system: &System) -> Found {
    let mut over = Vec::new();
    on_path(system, "git", None, &mut over).ok_or_else(|| {
        let why = over.into_iter().next().map(|(_, why)| why);
        Lack::of(Need::Git, why.unwrap_or_else(|| "no git on PATH".into()))
    })
}

fn compiler(
    system: &System,
    name: &str,
    (variable, named): (&str, &Option<String>),
    usual: [&str; 3],
) -> Found {
    let lack = |why: String| Lack::of(Need::Compiler, why);
    let (path, origin) = match named {
        Some(named) => {
            let found = system.programs(named).into_iter().next().ok_or_else(|| {
                lack(format!(
                    "{variable} is \"{named}\", which is no program; it names a compiler \
                     alone (a launcher goes to --launcher)"
                ))
            })?;
            (found, Origin::Override)
        }
        None => {
            let found = usual
                .iter()
                .find_map(|name| system.programs(name).into_iter().next());
            let path =
                found.ok_or_else(|| lack(format!("none of {} is on PATH", usual.join(", "))))?;
            (path, Origin::System)
        }
    };
    Ok(Tool {
        name: name.into(),
        version: version_of(&path).map_err(lack)?,
        path,
        origin,
    })
}

fn launcher(
    system: &System,
    choice: &LauncherChoice,
    over: &mut Vec<(String, String)>,
) -> Option<Found> {
    match choice {
        LauncherChoice::None => None,
        LauncherChoice::Auto => ["ccache", "sccache"]
            .into_iter()
            .find_map(|name| on_path(system, name, None, over))
            .map(Ok),
        LauncherChoice::Path(program) => {
            let name = program.to_string_lossy().into_owned();
            let Some(path) = system.programs(&name).into_iter().next() else {
                let why = format!("--launcher names \"{name}\", which is no program");
                return Some(Err(Lack {
                    why,
                    needs: (name == "ccache")
                        .then_some(Need::Launcher)
                        .into_iter()
                        .collect(),
                }));
            };
            Some(match version_of(&path) {
                Ok(version) => Ok(Tool {
                    name: "launcher".into(),
                    path,
                    version,
                    origin: Origin::Override,
                }),
                Err(why) => Err(Lack::of(Need::Launcher, why)),
            })
        }
    }
}

/// Runs `PROGRAM --version` and takes the first version of what it says.
pub fn version_of(program: &Path) -> Result<String, String> {
    let output = Command::new(program)
        .arg("--version")
        .env("LC_ALL", "C")
        .limit(Duration::from_secs(20))
        .run()
        .map_err(|e| e.what().to_string())?;
    version_in(&output.stdout)
        .ok_or_else(|| format!("`{} --version` says no version", program.display()))
}

/// The first `1.2` or `1.2.3` that begins a word; what follows it (`.git`, `-14`) is no part.
pub fn version_in(text: &str) -> Option<String> {
    text.split_whitespace().find_map(|word| {
        let word = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        let numbers = word
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .next()?
            .trim_end_matches('.');
        let dotted = numbers.contains('.') && !numbers.contains("..");
        dotted.then(|| numbers.to_string())
    })
}

/// True where `version` is `least` or later, by numbers.
pub fn at_least(version: &str, least: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    numbers(version) >= numbers(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_programs_say_them() {
        let said = [
            ("cmake version 3.31.6\n\nCMake suite", "3.31.6"),
            ("1.11.1\n", "1.11.1"),
            ("1.13.0.git.kitware.jobserver-pipe-1\n", "1.13.0"),
            ("c++ (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright", "12.2.0"),
            ("Apple clang version 16.0.0 (clang-1600.0.26.6)", "16.0.0"),
            ("ccache version 4.8\nFeatures: http", "4.8"),
        ];
        for (text, version) in said {
            assert_eq!(version_in(text).as_deref(), Some(version));
        }
        assert_eq!(version_in("no such thing, 12"), None);
    }

    #[test]
    fn versions_compare_by_numbers() {
        assert!(at_least("3.25", "3.25") && at_least("3.25.1", "3.25") && at_least("4.0", "3.25"));
        assert!(!at_least("3.9.9", "3.25"));
    }
}
