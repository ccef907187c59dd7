//! clang's part: .metal text to preprocessed text, C++ to libraries, the runtime to the driver
//! program. Not the translation between the two, nor how what was made is kept.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::build::clang;
use crate::build::files::{content_key, hex};
use crate::build::system::System;
use crate::build::tools::Tool;
use crate::error::{Doing, Error, Result, reading, writing};
use crate::layout::Layout;
use crate::process::{Command, Output};

use super::cache::Cache;
use super::program::Program;
use super::roots::Roots;

/// A Metal source.
#[derive(Debug, Clone)]
pub enum Text {
    /// A file; a relative name is looked for in the folder, in the project and in MLX's tree.
    File(PathBuf),
    /// A text, as MLX's JIT makes them, and the name that messages give it.
    Inline {
        /// What messages call it.
        name: String,
        /// The text.
        text: String,
    },
}

impl From<&str> for Text {
    fn from(path: &str) -> Self {
        Text::File(path.into())
    }
}

impl From<&Path> for Text {
    fn from(path: &Path) -> Self {
        Text::File(path.into())
    }
}

/// How a kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Build {
    /// For speed: no access is looked at.
    Plain,
    /// Each access is looked at and counted.
    Checked,
}

/// How 16-bit arithmetic rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Habit {
    /// Each operation rounds.
    Each,
    /// An expression keeps float32; a variable rounds.
    Excess,
}

/// What a compiler may choose about arithmetic, and a test must not depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Numerics {
    /// True where `a * b + c` may become one operation, pragmas of the kernel allowing.
    pub contract: bool,
    /// How 16-bit arithmetic rounds.
    pub habit: Habit,
}

impl Default for Numerics {
    fn default() -> Self {
        Numerics {
            contract: true,
            habit: Habit::Each,
        }
    }
}

/// No kernel takes as long; a clang that hangs is ended.
const LIMIT: Duration = Duration::from_secs(1200);

/// The version of Metal that sources are told.
const METAL_VERSION: u32 = 320;

/// Translates, compiles and keeps.
#[derive(Debug)]
pub struct Emulator {
    clang: Tool,
    /// metal/emulator of the project.
    home: PathBuf,
    cache: Cache,
    /// Folders in which sources and their headers are looked for, after a source's own.
    includes: Vec<PathBuf>,
    headers: OnceLock<Result<String>>,
    driver: OnceLock<Result<PathBuf>>,
}

impl Emulator {
    /// The emulator of this project; headers of MLX come from `mlx_local`, or where there is
    /// none from the tree that the builds use.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`] without clang.
    pub fn new(layout: &Layout) -> Result<Self> {
        let clang = clang::needed(&System::detect())?;
        let trees = [layout.mlx_local(), layout.build_source()];
        let tree = trees.into_iter().find(|tree| tree.join("mlx").is_dir());
        let mut includes = vec![layout.root().to_path_buf()];
        includes.extend(tree);
        Ok(Emulator {
            clang,
            home: layout.root().join("metal/emulator"),
            cache: Cache::new(layout.target().join("emulator")),
            includes,
            headers: OnceLock::new(),
            driver: OnceLock::new(),
        })
    }

    /// Looks in this folder before all others: another tree of MLX, mostly.
    #[must_use]
    pub fn include(mut self, folder: impl Into<PathBuf>) -> Self {
        self.includes.insert(0, folder.into());
        self
    }

    /// Reads a source: its kernels, and how they become C++.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] where there is none, or for Metal that the emulator has not;
    /// [`crate::Kind::Gate`] for what Apple's compiler would reject too.
    pub fn read(&self, source: impl Into<Text>) -> Result<Program<'_>> {
        let source = source.into();
        let (name, text, roots) = self.preprocess(&source)?;
        Program::new(self, &name, text, roots).doing(|| format!("translating {name}"))
    }

    /// The file of a name that may be relative.
    fn locate(&self, path: &Path) -> Result<PathBuf> {
        let beside = std::iter::once(path.to_path_buf());
        let folders = self.includes.iter().map(|folder| folder.join(path));
        let tried: Vec<PathBuf> = beside.chain(folders).collect();
        tried
            .iter()
            .find(|path| path.is_file())
            .cloned()
            .ok_or_else(|| {
                let places: Vec<String> = tried.iter().map(|p| p.display().to_string()).collect();
                Error::usage(format!("there is no file {}", path.display()))
                    .hint(format!("looked for {}", places.join(", ")))
            })
    }

    fn preprocess(&self, source: &Text) -> Result<(String, String, Roots)> {
        let (path, name) = match source {
            Text::File(file) => {
                let path = self.locate(file)?;
                let name = path.display().to_string();
                (path, name)
            }
            Text::Inline { name, text } => {
                let marked = format!("#line 1 {name:?}\n{text}\n");
                // Under the same path each time: the path is in what clang prints.
                let key = self.key(&[&marked]);
                let path = self.cache.kept("texts", &key, "source.metal", |folder| {
                    let path = folder.join("source.metal");
                    std::fs::write(&path, &marked).doing(writing(&path))
                })?;
                (path, name.clone())
            }
        };
        let mut command = Command::new(&self.clang.path).args([
            "-E",
            "-x",
            "c++",
            "-std=c++17",
            "-nostdinc",
            "-nostdinc++",
            "-fno-color-diagnostics",
            "-D__METAL__=1",
        ]);
        command = command.arg(format!("-D__METAL_VERSION__={METAL_VERSION}"));
        command = command.arg("-I").arg(self.home.join("preprocess"));
        for folder in &self.includes {
            command = command.arg("-I").arg(folder);
        }
        let output = command
            .arg(&path)
            .env("LC_ALL", "C")
            .limit(LIMIT)
            .output()?;
        if !output.success() {
            return Err(diagnosis(&output, "preprocess", &name, &Roots::default()));
        }
        let roots = Roots::new(&self.includes, &path);
        Ok((name, output.stdout, roots))
    }

    /// The library of a C++ text, compiled unless it is there.
    pub(super) fn library(
        &self,
        (name, roots): (&str, &Roots),
        text: &str,
        build: Build,
        numerics: Numerics,
    ) -> Result<PathBuf> {
        let flags = flags(build, numerics);
        let headers = self.headers()?;
        let text = roots.numbered(text);
        let key = self.key(&[&text, &headers, &flags.join(" "), &LINK.join(" ")]);
        let include = self.home.join("include");
        self.cache.kept("kernels", &key, "kernel.so", |folder| {
            let cpp = folder.join("kernel.cpp");
            std::fs::write(&cpp, &text).doing(writing(&cpp))?;
            let object = folder.join("kernel.o");
            let compile = Command::new(&self.clang.path)
                .args(&flags)
                .arg("-I")
                .arg(&include)
                .arg("-c")
                .arg(&cpp)
                .arg("-o")
                .arg(&object);
            self.clang_runs(compile, "compile", name, roots)?;
            let link = Command::new(&self.clang.path)
                .args(LINK)
                .arg(&object)
                .arg("-o")
                .arg(folder.join("kernel.so"));
            self.clang_runs(link, "link", name, roots)?;
            std::fs::remove_file(&object).doing(writing(&object))
        })
    }

    /// Whether a C++ text compiles, all its entries instantiated; makes no code.
    pub(super) fn accepts(
        &self,
        (name, roots): (&str, &Roots),
        text: &str,
        numerics: Numerics,
    ) -> Result<()> {
        let folder = tempfile::tempdir().doing(|| "making a folder".into())?;
        let cpp = folder.path().join("kernel.cpp");
        std::fs::write(&cpp, roots.numbered(text)).doing(writing(&cpp))?;
        let command = Command::new(&self.clang.path)
            .args(flags(Build::Plain, numerics))
            .arg("-fsyntax-only")
            .arg("-I")
            .arg(self.home.join("include"))
            .arg(&cpp);
        self.clang_runs(command, "compile", name, roots)
    }

    /// The program that runs launches.
    pub(super) fn driver(&self) -> Result<PathBuf> {
        self.driver.get_or_init(|| self.make_driver()).clone()
    }

    fn make_driver(&self) -> Result<PathBuf> {
        let runtime = self.home.join("runtime");
        let sources = content_key(&runtime)?;
        let headers = self.headers()?;
        let flags = [DRIVER, DRIVER_LIBRARIES].concat().join(" ");
        let key = self.key(&[&sources, &headers, &flags]);
        self.cache.kept("driver", &key, "mlx-emulate", |folder| {
            let mut files: Vec<PathBuf> = std::fs::read_dir(&runtime)
                .doing(reading(&runtime))?
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|e| e == "cpp"))
                .collect();
            files.sort();
            let command = Command::new(&self.clang.path)
                .args(DRIVER)
                .arg("-I")
                .arg(self.home.join("include"))
                .args(&files)
                .arg("-o")
                .arg(folder.join("mlx-emulate"))
                .args(DRIVER_LIBRARIES);
            command
                .limit(LIMIT)
                .run()
                .doing(|| "compiling the emulator's driver".into())?;
            Ok(())
        })
    }

    fn headers(&self) -> Result<String> {
        let include = self.home.join("include");
        self.headers.get_or_init(|| content_key(&include)).clone()
    }

    fn key(&self, parts: &[&str]) -> String {
        let mut digest = Sha256::new();
        for part in parts.iter().copied().chain([self.clang.key().as_str()]) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        hex(&digest.finalize())[..32].to_string()
    }

    fn clang_runs(&self, command: Command, doing: &str, name: &str, roots: &Roots) -> Result<()> {
        let output = command.env("LC_ALL", "C").limit(LIMIT).output()?;
        match output.success() {
            true => Ok(()),
            false => Err(diagnosis(&output, doing, name, roots)),
        }
    }
}

/// What the driver is compiled with; its functions are there for the kernels' libraries.
pub const DRIVER: &[&str] = &["-std=c++17", "-O2", "-g1", "-w", "-rdynamic"];
const DRIVER_LIBRARIES: &[&str] = &["-pthread", "-ldl"];

/// What a kernel's library is linked with.
#[cfg(target_os = "linux")]
pub const LINK: &[&str] = &["-shared", "-Wl,--wrap=memcpy,--wrap=memmove,--wrap=memset"];
/// What a kernel's library is linked with.
#[cfg(not(target_os = "linux"))]
pub const LINK: &[&str] = &["-shared", "-undefined", "dynamic_lookup"];

/// The folder that relative names in debug information are said to be in.
pub(super) const DEBUG_FOLDER: &str = "/mlx-emulator/";

/// What a kernel is compiled with.
pub fn flags(build: Build, numerics: Numerics) -> Vec<String> {
    let mut flags: Vec<&str> = vec![
        "-std=c++17",
        "-fPIC",
        "-fvisibility=hidden",
        "-fno-exceptions",
        "-fno-rtti",
        "-fno-strict-aliasing",
        "-gline-tables-only",
        // Relative names in debug information are the source's own, wherever this runs.
        "-fdebug-compilation-dir=/mlx-emulator",
        "-w",
        "-fno-color-diagnostics",
        "-fno-caret-diagnostics",
        "-ferror-limit=5",
        "-ftemplate-backtrace-limit=4",
    ];
    if cfg!(target_arch = "x86_64") {
        // Every processor with the one has the other.
        flags.extend(["-mfma", "-mf16c"]);
    }
    // Metal has no double: a number with a point in it is a float.
    flags.extend(["-Xclang", "-cl-single-precision-constant"]);
    // Past the driver: clang 14's doesn't know the value, its compiler does.
    flags.push("-Xclang");
    flags.push(match numerics.contract {
        true => "-ffp-contract=fast-honor-pragmas",
        false => "-ffp-contract=off",
    });
    flags.push(match numerics.habit {
        Habit::Each => "-DEMU_HALF_EXCESS=0",
        Habit::Excess => "-DEMU_HALF_EXCESS=1",
    });
    match build {
        Build::Plain => flags.push("-O2"),
        // The instrumentation calls our driver; no sanitizer's runtime is linked.
        Build::Checked => flags.extend([
            "-O1",
            "-DEMU_CHECKED=1",
            "-fsanitize=thread",
            "-mllvm",
            "-tsan-instrument-func-entry-exit=0",
            "-mllvm",
            "-tsan-instrument-read-before-write=1",
            "-fsanitize=bounds",
            "-fsanitize-coverage=bb,no-prune,trace-pc",
        ]),
    }
    flags.into_iter().map(str::to_string).collect()
}

/// What clang said, as it concerns the .metal file: line markers make it cite that.
fn diagnosis(output: &Output, doing: &str, name: &str, roots: &Roots) -> Error {
    if output.timed_out {
        return Error::environment(format!("clang took longer than {LIMIT:?} for {name}"));
    }
    let mut lines: Vec<&str> = Vec::new();
    let mut errors = 0;
    let printed = roots.cited(&output.stderr);
    for line in printed.lines() {
        let is_error = line.contains("error: ");
        errors += usize::from(is_error);
        if errors > 3 || lines.len() >= 12 {
            break;
        }
        if is_error || line.contains("note: ") || line.starts_with("In file included") {
            lines.push(line);
        }
    }
    if errors == 0 {
        let said = crate::process::last_lines(&printed, 10);
        return Error::environment(format!("clang ended with {}:\n{said}", output.ending()))
            .doing(format!("having clang {doing} {name}"));
    }
    let error = Error::gate(lines.join("\n")).doing(format!("having clang {doing} {name}"));
    let said = lines.join(" ");
    let constant = [
        "read-only variable",
        "const-qualified",
        "discards qualifiers",
        "drops 'const'",
    ];
    match constant.iter().any(|what| said.contains(what)) {
        true => error.hint(
            "what is in the constant address space can't be written: it is const here; \
             write through a device pointer",
        ),
        false if said.contains("EMU_") || said.contains("emulator/") => error.hint(
            "where Apple's compiler takes this, the emulator lacks something: \
             docs/emulator.md says how to report it",
        ),
        false => error,
    }
}
