//! The small real things that doctor does with each tool: compile, link and run ten lines,
//! configure and build a project of one file. A tool that answers `--version` may still be
//! unable to do its work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tools::Tool;
use crate::process::{Command, Output, last_lines};

/// Nothing, or why the check failed.
pub type Checked = Result<(), String>;

const LIMIT: Duration = Duration::from_secs(120);

/// C++20 and not less: concepts, a library header that only 20 has, and a thread.
const CXX_SOURCE: &str = "\
#include <concepts>
#include <span>
#include <string>
#include <thread>
#include <vector>
template <std::integral T> T sum(std::span<const T> values) {
  T total = 0;
  for (T value : values) total += value;
  return total;
}
int main() {
  std::vector<int> values{20, 22};
  int total = 0;
  std::thread([&] { total = sum<int>(values); }).join();
  return std::to_string(total) == \"42\" ? 0 : 1;
}
";

const C_SOURCE: &str = "\
#include <stdlib.h>
#include <string.h>
int main(void) {
  char* text = malloc(3);
  if (!text) return 1;
  memcpy(text, \"ok\", 3);
  int same = strcmp(text, \"ok\") == 0;
  free(text);
  return same ? 0 : 1;
}
";

/// What BLAS and LAPACK are for in MLX: one matrix product and one factorisation, found and
/// linked as MLX's own cmake does.
const LINEAR_CMAKE: &str = "
find_package(LAPACK REQUIRED)
find_package(BLAS REQUIRED)
find_path(LAPACK_INCLUDE_DIRS lapacke.h REQUIRED)
find_path(BLAS_INCLUDE_DIRS cblas.h REQUIRED)
target_include_directories(doctor PRIVATE ${LAPACK_INCLUDE_DIRS} ${BLAS_INCLUDE_DIRS})
target_link_libraries(doctor PRIVATE ${LAPACK_LIBRARIES} ${BLAS_LIBRARIES})
";

const LINEAR_SOURCE: &str = "\
#include <complex>
#define lapack_complex_float std::complex<float>
#define lapack_complex_double std::complex<double>
#include <cblas.h>
#include <lapack.h>
int main() {
  double a[4] = {2, 0, 0, 4}, c[4] = {0, 0, 0, 0};
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 2, 1.0, a, 2, a, 2, 0.0, c, 2);
  int n = 2, info = 1, pivots[2];
  LAPACK_dgetrf(&n, &n, c, &n, pivots, &info);
  return info == 0 && c[0] == 4 && c[3] == 16 ? 0 : 1;
}
";

/// Compiles, links and runs a C++20 program.
pub fn cxx(compiler: &Tool, scratch: &Path) -> Checked {
    program(compiler, true, CXX_SOURCE, &[], scratch)
}

/// Compiles, links and runs a C program.
pub fn cc(compiler: &Tool, scratch: &Path) -> Checked {
    program(compiler, false, C_SOURCE, &[], scratch)
}

/// Compiles this C++ program with these folders for headers, links and runs it.
pub fn headers(compiler: &Tool, source: &str, includes: &[PathBuf], scratch: &Path) -> Checked {
    program(compiler, true, source, includes, scratch)
}

const CROSS_PROGRAM: &str = "doctor-cross";

/// Compiles and links a C++20 program for another processor.
pub fn cross(compiler: &Tool, scratch: &Path) -> Checked {
    let file = scratch.join("cross.cpp");
    write(&file, CXX_SOURCE)?;
    let command = Command::new(&compiler.path)
        .args(["-std=c++20", "-static", "-pthread", "-o"])
        .arg(scratch.join(CROSS_PROGRAM))
        .arg(&file);
    ran("it can't compile and link", command)
}

/// Has the emulator run what [`cross`] compiled.
pub fn emulator(emulator: &Tool, scratch: &Path) -> Checked {
    let command = Command::new(&emulator.path).arg(scratch.join(CROSS_PROGRAM));
    ran("it can't run a program of that compiler", command)
}

fn program(
    compiler: &Tool,
    cpp: bool,
    source: &str,
    includes: &[PathBuf],
    scratch: &Path,
) -> Checked {
    let file = scratch.join(if cpp { "doctor.cpp" } else { "doctor.c" });
    let program = scratch.join(if cpp { "doctor-cxx" } else { "doctor-c" });
    write(&file, source)?;
    let flags = flags(compiler, cpp, scratch)?;
    let mut command = Command::new(&compiler.path).args(&flags);
    for folder in includes {
        command = command.arg("-I").arg(folder);
    }
    let command =
        command
            .arg(&file)
            .args(["-pthread".as_ref(), "-o".as_ref(), program.as_os_str()]);
    ran("it can't compile and link", command)?;
    ran("what it compiled does not run", Command::new(&program))
}

/// Compiles a source against headers and links nothing: an extension module's one file.
pub fn object(compiler: &Tool, source: &str, includes: &[PathBuf], scratch: &Path) -> Checked {
    let file = scratch.join("object.cpp");
    write(&file, source)?;
    let mut command = Command::new(&compiler.path).args(flags(compiler, true, scratch)?);
    for folder in includes {
        command = command.arg("-I").arg(folder);
    }
    let object = scratch.join("object.o");
    let command = command
        .arg("-c")
        .arg(&file)
        .args(["-o".as_ref(), object.as_os_str()]);
    ran("it does not compile", command)
}

/// Has this Python import nanobind, and say that it is of this version.
pub fn nanobind(python: &Tool, version: &str) -> Checked {
    let ask = "import nanobind, numpy, sys; sys.exit(nanobind.__version__ != sys.argv[1])";
    let command = Command::new(&python.path).args(["-I", "-c", ask, version]);
    ran(&format!("importing nanobind {version} fails"), command)
}

/// The flags that this family of compiler wants for C++20 on this machine, as cc knows them.
fn flags(compiler: &Tool, cpp: bool, scratch: &Path) -> Result<Vec<std::ffi::OsString>, String> {
    let machine = format!("{}-{}", std::env::consts::ARCH, target_os());
    let tool = cc::Build::new()
        .cargo_metadata(false)
        .cargo_warnings(false)
        .cpp(cpp)
        .std(if cpp { "c++20" } else { "c11" })
        .compiler(&compiler.path)
        .target(&machine)
        .host(&machine)
        .opt_level(0)
        .out_dir(scratch)
        .try_get_compiler()
        .map_err(|e| format!("it is no compiler: {e}"))?;
    Ok(tool.args().to_vec())
}

fn target_os() -> &'static str {
    if cfg!(target_os = "macos") {
        "apple-darwin"
    } else {
        "unknown-linux-gnu"
    }
}

/// Has ninja run one rule.
pub fn ninja(program: &Tool, scratch: &Path) -> Checked {
    let folder = scratch.join("ninja");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    write(&folder.join("in"), "one rule\n")?;
    let rules = "rule copy\n  command = cp $in $out\nbuild out: copy in\n";
    write(&folder.join("build.ninja"), rules)?;
    let command = Command::new(&program.path).arg("-C").arg(&folder);
    ran("it can't run a rule", command)?;
    match folder.join("out").is_file() {
        true => Ok(()),
        false => Err("it says that it ran a rule, and did not".into()),
    }
}

/// The programs of a cmake check.
#[derive(Debug, Clone, Copy)]
pub struct Cmake<'a> {
    /// cmake.
    pub cmake: &'a Path,
    /// ninja.
    pub ninja: &'a Path,
    /// The C compiler.
    pub cc: &'a Path,
    /// The C++ compiler.
    pub cxx: &'a Path,
    /// The launcher.
    pub launcher: Option<&'a Path>,
}

impl Cmake<'_> {
    /// Configures, builds and runs a project of one file.
    pub fn project(self, scratch: &Path) -> Checked {
        self.build("", CXX_SOURCE, &[], &scratch.join("project"))
    }

    /// The same with BLAS and LAPACK in it.
    pub fn linear_algebra(self, args: &[String], scratch: &Path) -> Checked {
        self.build(LINEAR_CMAKE, LINEAR_SOURCE, args, &scratch.join("linear"))
    }

    fn build(self, more: &str, source: &str, args: &[String], folder: &Path) -> Checked {
        let text = format!(
            "cmake_minimum_required(VERSION 3.25)\nproject(doctor LANGUAGES C CXX)\n\
             set(CMAKE_CXX_STANDARD 20)\nfind_package(Threads REQUIRED)\n\
             add_executable(doctor doctor.cpp)\n\
             target_link_libraries(doctor PRIVATE Threads::Threads)\n{more}"
        );
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        write(&folder.join("CMakeLists.txt"), &text)?;
        write(&folder.join("doctor.cpp"), source)?;
        let build = folder.join("build");
        let define = |name: &str, path: &Path| format!("-D{name}={}", path.display());
        let mut configure = Command::new(self.cmake)
            .args(["-G", "Ninja", "-S"])
            .arg(folder)
            .arg("-B")
            .arg(&build)
            .arg(define("CMAKE_MAKE_PROGRAM", self.ninja))
            .arg(define("CMAKE_C_COMPILER", self.cc))
            .arg(define("CMAKE_CXX_COMPILER", self.cxx))
            .args(args);
        if let Some(launcher) = self.launcher {
            configure = configure.arg(define("CMAKE_CXX_COMPILER_LAUNCHER", launcher));
        }
        ran("it can't configure a project of one file", configure)?;
        let ninja = Command::new(self.ninja).arg("-C").arg(&build);
        ran("a project of one file does not build", ninja)?;
        ran(
            "what it built does not run",
            Command::new(build.join("doctor")),
        )
    }
}

/// A source that uses a third-party header, by the name of the table.
pub fn source_for(name: &str) -> Option<&'static str> {
    Some(match name {
        "fmt" => {
            "#define FMT_HEADER_ONLY 1\n#include <fmt/format.h>\n\
             int main() { return fmt::format(\"{}-{}\", 4, 2) == \"4-2\" ? 0 : 1; }\n"
        }
        "json" => {
            "#include <json.hpp>\n\
             int main() { return nlohmann::json::parse(\"[4,2]\")[1] == 2 ? 0 : 1; }\n"
        }
        "doctest" => {
            "#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN\n#include \"doctest/doctest.h\"\n\
             TEST_CASE(\"one\") { CHECK(6 * 7 == 42); }\n"
        }
        _ => return None,
    })
}

fn write(path: &Path, text: &str) -> Checked {
    std::fs::write(path, text).map_err(|e| format!("writing {}: {e}", path.display()))
}

fn ran(problem: &str, command: Command) -> Checked {
    let output = command
        .env("LC_ALL", "C")
        .limit(LIMIT)
        .output()
        .map_err(|e| format!("{problem}: {e}"))?;
    match output.success() {
        true => Ok(()),
        false => Err(format!("{problem}: {}", first_error(&output))),
    }
}

/// The line that says why; compilers and cmake say much around it.
fn first_error(output: &Output) -> String {
    let said = format!("{}\n{}", output.stderr, output.stdout);
    let marks = [
        "error:",
        "CMake Error",
        "cannot find",
        "not found",
        "ndefined",
    ];
    let mut lines = said
        .lines()
        .skip_while(|l| !marks.iter().any(|mark| l.contains(mark)));
    match lines.next() {
        // cmake puts the reason on the lines after.
        Some(line) if line.contains("CMake Error") => {
            let reason = lines
                .find(|line| !line.trim().is_empty())
                .unwrap_or_default();
            format!("{} {}", line.trim(), reason.trim())
        }
        Some(line) => line.trim().to_string(),
        None => format!("{}\n{}", output.ending(), last_lines(&said, 3)),
    }
}
