//! The table of third-party sources: for each, where the system keeps it and how MLX's cmake
//! is pointed there. What has no form that FetchContent takes gets a small wrapper folder.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::files::{link, replace};
use super::options::Options;
use super::search::{Lack, at_least};
use super::system::{Need, System};
use super::tools::Tools;
use crate::error::{Error, Result};
use crate::layout::Layout;

/// A source that was found.
#[derive(Debug)]
pub struct Located {
    /// Where.
    pub folder: PathBuf,
    /// Its version, where its files say.
    pub version: String,
    /// By which rule.
    pub rule: &'static str,
    /// What cmake has to be told.
    pub cmake_args: Vec<String>,
    /// Folders for the compiler to find its headers.
    pub includes: Vec<PathBuf>,
    /// The file whose change means that the source changed.
    pub evidence: PathBuf,
}

/// How a source gets into the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fmt,
    Json,
    Doctest,
    Nanobind,
    MetalCpp,
    Gguf,
    /// BLAS and LAPACK: the header that MLX looks for, and libraries any of which will do.
    Library {
        variable: &'static str,
        names: &'static [&'static str],
    },
}

/// One row of the table.
#[derive(Debug)]
pub struct Source {
    /// FetchContent's name, or ours where FetchContent has none.
    pub name: &'static str,
    /// The file by which a folder is recognised as this source.
    pub marker: &'static str,
    /// The header that the system's form is found by.
    header: &'static str,
    /// Under the folder, where headers are.
    include: &'static str,
    /// The oldest version that MLX's sources compile with.
    least: &'static str,
    /// How it gets into the build.
    kind: Kind,
    /// What brings it; `None` where no package does.
    pub need: Option<Need>,
}

/// The table.
pub const SOURCES: &[Source] = &[
    Source {
        name: "fmt",
        marker: "include/fmt/format.h",
        header: "fmt/format.h",
        include: "include",
        least: "8.1",
        kind: Kind::Fmt,
        need: Some(Need::Fmt),
    },
    Source {
        name: "json",
        marker: "single_include/nlohmann/json.hpp",
        header: "nlohmann/json.hpp",
        include: "single_include/nlohmann",
        least: "3.10",
        kind: Kind::Json,
        need: Some(Need::Json),
    },
    Source {
        name: "doctest",
        marker: "scripts/cmake/doctest.cmake",
        header: "doctest/doctest.h",
        include: "",
        least: "2.4.6",
        kind: Kind::Doctest,
        need: Some(Need::Doctest),
    },
    Source {
        name: "nanobind",
        marker: "cmake/nanobind-config.cmake",
        header: "",
        include: "include",
        least: "",
        kind: Kind::Nanobind,
        need: None,
    },
    Source {
        name: "metal_cpp",
        marker: "Metal/Metal.hpp",
        header: "",
        include: "",
        least: "",
        kind: Kind::MetalCpp,
        need: None,
    },
    Source {
        name: "gguflib",
        marker: "gguflib.h",
        header: "",
        include: "",
        least: "",
        kind: Kind::Gguf,
        need: None,
    },
    Source {
        name: "blas",
        marker: "include/cblas.h",
        header: "cblas.h",
        include: "include",
        least: "",
        kind: Kind::Library {
            variable: "BLAS",
            names: &["openblas", "flexiblas", "cblas", "mkl_rt"],
        },
        need: Some(Need::Blas),
    },
    Source {
        name: "lapack",
        marker: "include/lapacke.h",
        header: "lapacke.h",
        include: "include",
        least: "",
        kind: Kind::Library {
            variable: "LAPACK",
            names: &["openblas", "flexiblas", "lapack", "mkl_rt"],
        },
        need: Some(Need::Lapack),
    },
];

impl Source {
    /// True where a build on this system with these options uses it.
    pub fn applies(&self, system: &System, options: &Options) -> bool {
        match self.kind {
            Kind::Nanobind => options.python,
            Kind::MetalCpp => system.macos,
            // macOS has Accelerate.
            Kind::Library { .. } => !system.macos,
            _ => true,
        }
    }

    /// True where upstream's FetchContent declaration is a last resort.
    pub fn can_be_fetched(&self) -> bool {
        !matches!(self.kind, Kind::Library { .. } | Kind::Gguf)
    }

    /// In a folder that the user named.
    pub fn named(&self, folder: &Path) -> Result<Located> {
        if folder.join(self.marker).is_file() {
            return Ok(self.in_folder(folder, "override"));
        }
        Err(Error::usage(format!(
            "{} is not {}: it has no {}",
            folder.display(),
            self.name,
            self.marker
        ))
        .doing(format!("using the folder named for {}", self.name)))
    }

    /// In a folder that has the form upstream's own copy has.
    pub fn in_folder(&self, folder: &Path, rule: &'static str) -> Located {
        let shown = folder.display();
        let include = folder.join(self.include);
        let cmake_args = match self.kind {
            Kind::Library { variable, .. } => vec![
                format!("-D{variable}_ROOT={shown}"),
                format!("-D{variable}_INCLUDE_DIRS={}", include.display()),
            ],
            Kind::Fmt => vec![self.source_dir(folder), "-DUSE_SYSTEM_FMT=OFF".into()],
            Kind::Gguf => vec![self.source_dir(folder), "-DMLX_BUILD_GGUF=ON".into()],
            _ => vec![self.source_dir(folder)],
        };
        Located {
            version: self.version(&include),
            cmake_args,
            rule,
            evidence: folder.join(self.marker),
            includes: vec![include],
            folder: folder.to_path_buf(),
        }
    }

    /// On the system or from PyPI; else what is lacking.
    pub fn found(
        &self,
        system: &System,
        layout: &Layout,
        tools: &Tools,
    ) -> Result<Result<Located, Lack>> {
        let wrapper = layout.third_party().join(self.name);
        match self.kind {
            Kind::Nanobind => return nanobind(self, &wrapper, tools).map(Ok),
            Kind::Gguf => return Ok(Ok(left_out())),
            Kind::MetalCpp => return Ok(Err(self.lack("it comes with no package".into()))),
            _ => {}
        }
        let Some(include) = system.header(self.header) else {
            return Ok(Err(self.no_header(system)));
        };
        let version = self.version(&include);
        if !self.least.is_empty() && !version.is_empty() && !at_least(&version, self.least) {
            let why = format!("{version} is older than {}", self.least);
            return Ok(Err(self.lack(why)));
        }
        let evidence = include.join(self.header);
        let mut includes = vec![include.clone()];
        let cmake_args = match self.kind {
            Kind::Fmt => {
                let Some(package) = system.cmake_package("fmt", "fmt-config.cmake") else {
                    return Ok(Err(self.lack("its cmake package is not there".into())));
                };
                let package = package.display();
                vec!["-DUSE_SYSTEM_FMT=ON".into(), format!("-Dfmt_DIR={package}")]
            }
            Kind::Json => {
                // Upstream's copy is one file; the system's includes its parts by <nlohmann/..>.
                let headers = wrapper.join(self.include);
                link(&include.join("nlohmann"), &headers.join("nlohmann"))?;
                link(&evidence, &headers.join("json.hpp"))?;
                replace(&wrapper.join("CMakeLists.txt"), "# Headers only.\n")?;
                includes = vec![headers];
                vec![self.source_dir(&wrapper)]
            }
            Kind::Doctest => {
                let Some(package) = system.cmake_package("doctest", "doctest.cmake") else {
                    return Ok(Err(self.lack("its doctest.cmake is not there".into())));
                };
                let target = format!(
                    "add_library(doctest INTERFACE)\n\
                     target_include_directories(doctest INTERFACE {})\n",
                    quoted(&include)
                );
                let script = format!("include({})\n", quoted(&package.join("doctest.cmake")));
                replace(&wrapper.join("CMakeLists.txt"), &target)?;
                replace(&wrapper.join(self.marker), &script)?;
                vec![self.source_dir(&wrapper)]
            }
            Kind::Library { variable, names } => {
                if !names.iter().any(|name| has_library(system, name)) {
                    let why = format!("{} is there, but no lib{}.so", self.header, names[0]);
                    return Ok(Err(self.lack(why)));
                }
                vec![format!("-D{variable}_INCLUDE_DIRS={}", include.display())]
            }
            Kind::Nanobind | Kind::Gguf | Kind::MetalCpp => Vec::new(),
        };
        Ok(Ok(Located {
            folder: include,
            version,
            rule: "system",
            cmake_args,
            includes,
            evidence,
        }))
    }

    /// The lack of the system's headers, if they are lacking.
    pub fn headers_missing(&self, system: &System) -> Option<Lack> {
        system
            .header(self.header)
            .is_none()
            .then(|| self.no_header(system))
    }

    fn no_header(&self, system: &System) -> Lack {
        let looked: Vec<String> = system
            .includes()
            .iter()
            .map(|folder| folder.display().to_string())
            .collect();
        self.lack(format!("no {} in {}", self.header, looked.join(", ")))
    }

    fn lack(&self, why: String) -> Lack {
        Lack {
            why,
            needs: self.need.into_iter().collect(),
        }
    }

    fn source_dir(&self, folder: &Path) -> String {
        let name = self.name.to_uppercase();
        format!("-DFETCHCONTENT_SOURCE_DIR_{name}={}", folder.display())
    }

    /// The version that headers say; empty where they don't.
    fn version(&self, include: &Path) -> String {
        let number = |file: &str, macro_name: &str| macro_number(&include.join(file), macro_name);
        let three = |file: &str, prefix: &str| {
            let parts = ["MAJOR", "MINOR", "PATCH"].map(|p| number(file, &format!("{prefix}{p}")));
            match parts {
                [Some(a), Some(b), Some(c)] => Some(format!("{a}.{b}.{c}")),
                _ => None,
            }
        };
        let version = match self.kind {
            Kind::Fmt => ["fmt/base.h", "fmt/core.h"]
                .iter()
                .find_map(|file| number(file, "FMT_VERSION"))
                .map(|n| format!("{}.{}.{}", n / 10000, n / 100 % 100, n % 100)),
            Kind::Json => [
                "nlohmann/detail/abi_macros.hpp",
                "nlohmann/json.hpp",
                "json.hpp",
            ]
            .iter()
            .find_map(|file| three(file, "NLOHMANN_JSON_VERSION_")),
            Kind::Doctest => three("doctest/doctest.h", "DOCTEST_VERSION_"),
            _ => None,
        };
        version.unwrap_or_default()
    }
}

fn nanobind(source: &Source, wrapper: &Path, tools: &Tools) -> Result<Located> {
    let tool = tools
        .nanobind
        .as_ref()
        .ok_or_else(|| Error::bug("nanobind is needed and was not looked for"))?;
    // The environment's folder has a name of its own in every checkout; compilers see this
    // one instead, and a compiler cache finds what another checkout compiled.
    let package = wrapper.join("package");
    link(&tool.path, &package)?;
    let text = format!(
        "find_package(nanobind CONFIG REQUIRED PATHS {} NO_DEFAULT_PATH)\n",
        quoted(&package.join("cmake"))
    );
    replace(&wrapper.join("CMakeLists.txt"), &text)?;
    Ok(Located {
        folder: tool.path.clone(),
        version: tool.version.clone(),
        rule: "PyPI",
        cmake_args: vec![source.source_dir(wrapper)],
        includes: vec![tool.path.join("include")],
        evidence: tool.path.join(source.marker),
    })
}

/// GGUF files are not what the fork is for; upstream builds without them.
fn left_out() -> Located {
    Located {
        folder: PathBuf::new(),
        version: String::new(),
        rule: "left out",
        cmake_args: vec!["-DMLX_BUILD_GGUF=OFF".into()],
        includes: Vec::new(),
        evidence: PathBuf::new(),
    }
}

fn has_library(system: &System, name: &str) -> bool {
    system.libraries().iter().any(|folder| {
        ["so", "dylib", "a"]
            .iter()
            .any(|end| folder.join(format!("lib{name}.{end}")).exists())
    })
}

/// Headers say their version in their first lines, and may be long.
const BEGINNING: u64 = 16 << 10;

/// The number that a header defines this macro as.
fn macro_number(header: &Path, name: &str) -> Option<u32> {
    let mut bytes = Vec::new();
    let mut beginning = std::fs::File::open(header).ok()?.take(BEGINNING);
    beginning.read_to_end(&mut bytes).ok()?;
    String::from_utf8_lossy(&bytes).lines().find_map(|line| {
        let mut words = line.trim_start().strip_prefix('#')?.split_whitespace();
        (words.next()? == "define" && words.next()? == name).then(|| words.next()?.parse().ok())?
    })
}

/// A path as cmake takes it whatever is in it.
pub fn quoted(path: &Path) -> String {
    format!("[==[{}]==]", path.display())
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
