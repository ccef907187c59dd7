//! The system that builds: where it keeps things, which package manager it has, and which
//! package mends which lack. Pure data: nothing is run here, so that a test can describe any
//! system and see what would be said there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::env;

/// The package managers whose package names are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// macOS, mostly.
    Brew,
    /// Fedora, Red Hat.
    Dnf,
    /// Arch.
    Pacman,
}

/// What a build can lack and a package can bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// The git program.
    Git,
    /// A C and a C++20 compiler with their libraries' headers.
    Compiler,
    /// cmake, where PyPI can't bring it.
    Cmake,
    /// ninja, where PyPI can't bring it.
    Ninja,
    /// Python itself, with the `venv` module.
    Python,
    /// Python's C headers.
    PythonHeaders,
    /// libclang, where PyPI can't bring it.
    Libclang,
    /// The fmt library.
    Fmt,
    /// nlohmann's json.
    Json,
    /// doctest.
    Doctest,
    /// A BLAS with cblas.h.
    Blas,
    /// A LAPACK with lapacke.h.
    Lapack,
    /// A compiler cache.
    Launcher,
    /// A C++ compiler for AArch64, where the machine is another.
    CrossCompiler,
    /// An emulator of AArch64.
    Emulator,
    /// clang, which compiles Metal kernels for the emulator.
    Clang,
    /// Apple's command line tools.
    Xcode,
    /// Apple's Metal compiler.
    Metal,
}

impl Need {
    /// The packages of one manager that bring it; none where it comes another way.
    fn packages(self, manager: Manager) -> &'static [&'static str] {
        // apt, brew, dnf, pacman
        type Names = &'static [&'static str];
        let row: [Names; 4] = match self {
            Need::Git => [&["git"], &["git"], &["git"], &["git"]],
            Need::Compiler => [&["g++"], &[], &["gcc-c++"], &["gcc"]],
            Need::Cmake => [&["cmake"], &["cmake"], &["cmake"], &["cmake"]],
            Need::Ninja => [&["ninja-build"], &["ninja"], &["ninja-build"], &["ninja"]],
            Need::Python => [
                &["python3", "python3-venv"],
                &["python"],
                &["python3", "python3-pip"],
                &["python"],
            ],
            Need::PythonHeaders => [
                &["python3-dev"],
                &["python"],
                &["python3-devel"],
                &["python"],
            ],
            Need::Libclang => [&["libclang-dev"], &["llvm"], &["clang-devel"], &["clang"]],
            Need::Fmt => [&["libfmt-dev"], &["fmt"], &["fmt-devel"], &["fmt"]],
            Need::Json => [
                &["nlohmann-json3-dev"],
                &["nlohmann-json"],
                &["json-devel"],
                &["nlohmann-json"],
            ],
            Need::Doctest => [
                &["doctest-dev"],
                &["doctest"],
                &["doctest-devel"],
                &["doctest"],
            ],
            Need::Blas => [
                &["libopenblas-dev"],
                &["openblas"],
                &["openblas-devel"],
                &["openblas"],
            ],
            Need::Lapack => [
                &["liblapacke-dev"],
                &["openblas"],
                &["lapack-devel"],
                &["lapacke"],
            ],
            Need::Launcher => [&["ccache"], &["ccache"], &["ccache"], &["ccache"]],
            // Fedora's has no C++ library.
            Need::CrossCompiler => [
                &["g++-aarch64-linux-gnu"],
                &[],
                &[],
                &["aarch64-linux-gnu-gcc"],
            ],
            Need::Emulator => [&["qemu-user"], &[], &["qemu-user"], &["qemu-user"]],
            Need::Clang => [&["clang"], &["llvm"], &["clang"], &["clang"]],
            Need::Xcode | Need::Metal => [&[], &[], &[], &[]],
        };
        match manager {
            Manager::Apt => row[0],
            Manager::Brew => row[1],
            Manager::Dnf => row[2],
            Manager::Pacman => row[3],
        }
    }
}

/// A command line that mends something, and the environment it runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    /// Program and arguments.
    pub argv: Vec<String>,
}

impl Mend {
    fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Mend {
            argv: argv.into_iter().map(Into::into).collect(),
        }
    }
}

impl std::fmt::Display for Mend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.argv.join(" "))
    }
}

/// One system.
#[derive(Debug, Clone)]
pub struct System {
    /// True on macOS.
    pub macos: bool,
    /// The package manager, where a known one is there.
    pub manager: Option<Manager>,
    /// True for the user root.
    pub root: bool,
    /// True where the sudo program is there.
    pub sudo: bool,
    /// True where apt has no package lists yet.
    pub apt_lists_missing: bool,
    /// `PATH`.
    pub path: OsString,
    /// `CC`.
    pub cc: Option<String>,
    /// `CXX`.
    pub cxx: Option<String>,
    /// `LIBCLANG_PATH`.
    pub libclang: Option<PathBuf>,
    /// Where `include`, `lib` and `share` are looked for, in order.
    pub prefixes: Vec<PathBuf>,
}

impl System {
    /// This machine and this process's environment.
    pub fn detect() -> Self {
        let path = env::PATH.get_os().unwrap_or_default();
        let has = |name: &str| which::which_in(name, Some(&path), "/").is_ok();
        let macos = cfg!(target_os = "macos");
        let managers = [
            ("apt-get", Manager::Apt),
            ("brew", Manager::Brew),
            ("dnf", Manager::Dnf),
            ("pacman", Manager::Pacman),
        ];
        let manager = managers
            .into_iter()
            .filter(|(_, manager)| !macos || *manager == Manager::Brew)
            .find(|(name, _)| has(name))
            .map(|(_, manager)| manager);
        let prefixes: &[&str] = if macos {
            &["/opt/homebrew", "/usr/local", "/opt/homebrew/opt/llvm"]
        } else {
            &["/usr/local", "/usr"]
        };
        System {
            macos,
            manager,
            // SAFETY: geteuid(2) has no failure and touches no memory.
            root: unsafe { libc::geteuid() } == 0,
            sudo: has("sudo"),
            apt_lists_missing: apt_lists_missing(Path::new("/var/lib/apt/lists")),
            cc: env::CC.get(),
            cxx: env::CXX.get(),
            libclang: env::LIBCLANG_PATH.get_os().map(PathBuf::from),
            prefixes: prefixes.iter().map(PathBuf::from).collect(),
            path,
        }
    }

    /// The commands that mend these lacks, in order: as few as possible. Empty where no known
    /// command does.
    pub fn mend(&self, needs: &BTreeSet<Need>) -> Vec<Mend> {
        let mut mends = Vec::new();
        if needs.contains(&Need::Xcode) || (self.macos && needs.contains(&Need::Compiler)) {
            mends.push(Mend::new(["xcode-select", "--install"]));
        }
        if needs.contains(&Need::Metal) {
            mends.push(Mend::new([
                "xcodebuild",
                "-downloadComponent",
                "MetalToolchain",
            ]));
        }
        let Some(manager) = self.manager else {
            return mends;
        };
        let mut packages: Vec<&str> = Vec::new();
        for package in needs.iter().flat_map(|need| need.packages(manager)) {
            if !packages.contains(package) {
                packages.push(package);
            }
        }
        if packages.is_empty() {
            return mends;
        }
        let (update, install): (Option<&[&str]>, &[&str]) = match manager {
            Manager::Apt => (
                self.apt_lists_missing.then_some(&["apt-get", "update"]),
                &["apt-get", "install", "-y", "--no-install-recommends"],
            ),
            Manager::Brew => (None, &["brew", "install"]),
            Manager::Dnf => (None, &["dnf", "install", "-y"]),
            Manager::Pacman => (None, &["pacman", "-S", "--needed", "--noconfirm"]),
        };
        mends.extend(update.map(|update| self.privileged(manager, update)));
        mends.push(self.privileged(manager, &[install, &packages].concat()));
        mends
    }

    /// The same as one line for a shell.
    pub fn mend_line(&self, needs: &BTreeSet<Need>) -> Option<String> {
        let commands: Vec<String> = self.mend(needs).iter().map(Mend::to_string).collect();
        (!commands.is_empty()).then(|| commands.join(" && "))
    }

    /// `apt-get update`, for a machine whose package lists are there but out of date.
    pub fn refresh(&self) -> Option<Mend> {
        (self.manager == Some(Manager::Apt) && !self.apt_lists_missing)
            .then(|| self.privileged(Manager::Apt, &["apt-get", "update"]))
    }

    fn privileged(&self, manager: Manager, argv: &[&str]) -> Mend {
        let mut words: Vec<&str> = Vec::new();
        if manager != Manager::Brew && !self.root && self.sudo {
            words.push("sudo");
        }
        if manager == Manager::Apt {
            // As an argument, not in our environment: sudo would drop it there.
            words.extend(["env", "DEBIAN_FRONTEND=noninteractive"]);
        }
        words.extend(argv);
        Mend::new(words)
    }

    /// Every program of this name on `PATH`, in order.
    pub fn programs(&self, name: &str) -> Vec<PathBuf> {
        which::which_in_all(name, Some(&self.path), "/")
            .map(Iterator::collect)
            .unwrap_or_default()
    }

    /// The folders that hold headers, Debian's per-architecture ones among them.
    pub fn includes(&self) -> Vec<PathBuf> {
        self.folders("include", &["openblas"])
    }

    /// The folders that hold libraries.
    pub fn libraries(&self) -> Vec<PathBuf> {
        let mut found = self.folders("lib", &[]);
        found.extend(self.prefixes.iter().map(|p| p.join("lib64")));
        found
    }

    /// The folder of an installed cmake package, by the file in it that is wanted.
    pub fn cmake_package(&self, name: &str, file: &str) -> Option<PathBuf> {
        let share = self.prefixes.iter().map(|p| p.join("share"));
        self.libraries()
            .into_iter()
            .chain(share)
            .map(|folder| folder.join("cmake").join(name))
            .find(|folder| folder.join(file).is_file())
    }

    /// The include folder in which this header is.
    pub fn header(&self, name: &str) -> Option<PathBuf> {
        self.includes()
            .into_iter()
            .find(|folder| folder.join(name).is_file())
    }

    fn folders(&self, under: &str, more: &[&str]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for prefix in &self.prefixes {
            let folder = prefix.join(under);
            found.extend(entries(&folder, |name| {
                name.contains("-linux-gnu") || more.contains(&name)
            }));
            found.push(folder);
        }
        found
    }
}

/// The folders in a folder, by name.
pub fn subfolders(folder: &Path) -> Vec<PathBuf> {
    entries(folder, |name| !name.is_empty())
        .into_iter()
        .filter(|path| path.is_dir())
        .collect()
}

/// What is in a folder and has a name that is wanted, by name. A system's folders have thousands
/// of entries, so nothing is done with one before its name is known.
pub fn entries(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(all) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let named = all.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(&wanted)
    });
    let mut found: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn apt_lists_missing(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return true;
    };
    !entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().contains("_Packages")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(manager: Manager) -> System {
        System {
            macos: manager == Manager::Brew,
            manager: Some(manager),
            root: false,
            sudo: true,
            apt_lists_missing: false,
            path: OsString::new(),
            cc: None,
            cxx: None,
            libclang: None,
            prefixes: Vec::new(),
        }
    }

    fn line(system: &System, needs: &[Need]) -> Option<String> {
        system.mend_line(&needs.iter().copied().collect())
    }

    #[test]
    fn each_manager_gets_one_command_for_all_lacks() {
        let needs = [Need::Fmt, Need::Json, Need::Doctest, Need::Launcher];
        let apt = "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y \
                   --no-install-recommends libfmt-dev nlohmann-json3-dev doctest-dev ccache";
        let expected = [
            (Manager::Apt, apt),
            (
                Manager::Brew,
                "brew install fmt nlohmann-json doctest ccache",
            ),
            (
                Manager::Dnf,
                "sudo dnf install -y fmt-devel json-devel doctest-devel ccache",
            ),
            (
                Manager::Pacman,
                "sudo pacman -S --needed --noconfirm fmt nlohmann-json doctest ccache",
            ),
        ];
        for (manager, command) in expected {
            assert_eq!(line(&system(manager), &needs).unwrap(), command);
        }
    }

    #[test]
    fn a_bare_debian_gets_python_and_its_headers_after_fresh_lists() {
        let bare = System {
            root: true,
            sudo: false,
            apt_lists_missing: true,
            ..system(Manager::Apt)
        };
        assert_eq!(
            line(&bare, &[Need::PythonHeaders, Need::Python]).unwrap(),
            "env DEBIAN_FRONTEND=noninteractive apt-get update && \
             env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
             python3 python3-venv python3-dev"
        );
        // Lists that are there and may be old are refreshed only when an install fails.
        assert!(bare.refresh().is_none());
        assert!(system(Manager::Apt).refresh().is_some());
    }

    #[test]
    fn macos_gets_apples_commands_and_no_sudo() {
        let mac = system(Manager::Brew);
        assert_eq!(
            line(
                &mac,
                &[Need::Compiler, Need::Xcode, Need::Metal, Need::Launcher]
            )
            .unwrap(),
            "xcode-select --install && xcodebuild -downloadComponent MetalToolchain && \
             brew install ccache"
        );
    }

    #[test]
    fn a_package_that_two_lacks_share_is_named_once() {
        let both = [Need::Python, Need::PythonHeaders];
        assert_eq!(
            line(&system(Manager::Pacman), &both).unwrap(),
            "sudo pacman -S --needed --noconfirm python"
        );
    }

    #[test]
    fn without_a_known_manager_or_a_lack_there_is_no_command() {
        let mut unknown = system(Manager::Dnf);
        assert_eq!(line(&unknown, &[]), None);
        unknown.manager = None;
        assert_eq!(line(&unknown, &[Need::Fmt]), None);
    }

    #[test]
    fn package_lists_are_missing_until_one_is_there() {
        let dir = tempfile::tempdir().unwrap();
        assert!(apt_lists_missing(&dir.path().join("none")));
        std::fs::create_dir(dir.path().join("partial")).unwrap();
        assert!(apt_lists_missing(dir.path()));
        std::fs::write(dir.path().join("x_main_binary-amd64_Packages.lz4"), "").unwrap();
        assert!(!apt_lists_missing(dir.path()));
    }
}
