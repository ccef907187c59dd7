//! Doctor and the finders on this machine: what is fit is found fit by real work, and each
//! thing broken on purpose is reported with the command that mends it. Tools are broken by
//! programs that fail; nothing here stands in for a tool that works.

mod emulation;
#[path = "../common/machine.rs"]
mod machine;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use mlx_fork::Kind;
use mlx_fork::build::doctor::{self, Fitness, Report, Row};
use mlx_fork::build::system::{Manager, System};
use mlx_fork::build::tools;
use mlx_fork::build::{LauncherChoice, Options, declared, install, python, third_party, venv};
use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::ui::Silent;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn options() -> Options {
    Options {
        python: false,
        launcher: LauncherChoice::None,
        ..Options::default()
    }
}

/// A system whose `PATH` is one folder, in which tests put what they want.
struct Machine {
    _dir: tempfile::TempDir,
    bin: PathBuf,
    system: System,
    layout: Layout,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let system = System {
            manager: Some(Manager::Apt),
            root: true,
            apt_lists_missing: false,
            path: bin.clone().into_os_string(),
            cc: None,
            cxx: None,
            libclang: Some(machine::tools().libclang.clone()),
            ..System::detect()
        };
        let layout = Layout::at(ROOT, dir.path().join("target"));
        let machine = Machine {
            _dir: dir,
            bin,
            system,
            layout,
        };
        for (name, path) in [
            ("cmake", &machine::tools().cmake.path),
            ("ninja", &machine::tools().ninja.path),
            ("cc", &machine::tools().cc.path),
            ("c++", &machine::tools().cxx.path),
        ] {
            symlink(path, machine.bin.join(name)).unwrap();
        }
        let git = which::which("git").unwrap();
        symlink(git, machine.bin.join("git")).unwrap();
        machine
    }

    /// One without any third-party source, for what is not about them: compiling against them
    /// takes longest.
    fn bare() -> Self {
        let mut machine = Machine::new();
        machine.system.prefixes.clear();
        machine
    }

    /// Puts a program in the place of a tool: it answers `--version`, then runs `rest`.
    fn broken(&self, name: &str, version: &str, rest: &str) {
        let path = self.bin.join(name);
        let _ = std::fs::remove_file(&path);
        let text = format!(
            "#!/bin/sh\nif [ \"$1\" = --version ]; then echo {version}; exit 0; fi\n{rest}\n"
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn without(&self, name: &str) {
        std::fs::remove_file(self.bin.join(name)).unwrap();
    }

    fn examine(&self) -> Report {
        self.examine_with(&options())
    }

    fn examine_with(&self, options: &Options) -> Report {
        doctor::examine_on(&self.system, &self.layout, options, &Silent).unwrap()
    }
}

fn row<'a>(report: &'a Report, what: &str) -> &'a Row {
    let found = report.rows.iter().find(|row| row.what == what);
    found.unwrap_or_else(|| panic!("no row for {what}: {:#?}", report.rows))
}

/// The row is lacking, its mending command installs this package, and the report is not fit.
fn lacks(report: &Report, what: &str, package: &str) -> String {
    let row = row(report, what);
    assert_eq!(row.fitness, Fitness::Lacking, "{row:#?}");
    let mend = row.mend.as_deref().unwrap_or_default();
    assert!(
        mend.contains("apt-get install -y --no-install-recommends") && mend.ends_with(package),
        "{row:#?}"
    );
    assert!(!report.fit);
    let all = report.mend.as_deref().unwrap_or_default();
    assert!(all.split(' ').any(|word| word == package), "{all}");
    row.note.clone()
}

#[test]
fn this_machine_is_fit_by_doing_the_work() {
    let report = Machine::new().examine();
    assert!(report.fit, "{:#?}", report.rows);
    let note = &row(&report, "C++ compiler").note;
    assert_eq!(note, "compiled, linked and ran ten lines");
    assert_eq!(row(&report, "cmake").note, "built a project of one file");
    assert_eq!(row(&report, "blas").note, "linked and ran dgemm and dgetrf");
}

#[test]
fn a_cmake_that_fails_is_reported_with_its_package() {
    let machine = Machine::bare();
    machine.broken(
        "cmake",
        "cmake version 3.31.0",
        "echo 'CMake Error: no such generator' >&2; exit 1",
    );
    let why = lacks(&machine.examine(), "cmake", "cmake");
    assert!(why.contains("no such generator"), "{why}");
}

#[test]
fn a_ninja_that_fails_is_reported_as_ninjas_fault() {
    let machine = Machine::bare();
    machine.broken("ninja", "1.11.1", "echo 'ninja: error: broken' >&2; exit 1");
    let report = machine.examine();
    let why = lacks(&report, "ninja", "ninja-build");
    assert!(why.contains("broken"), "{why}");
    assert!(row(&report, "cmake").note.contains("can't be judged"));
    assert_eq!(row(&report, "cmake").mend, None);
}

#[test]
fn a_compiler_that_cannot_link_is_reported_though_it_compiles() {
    let machine = Machine::bare();
    let real = machine::tools().cxx.path.display().to_string();
    // -c and -E work; what links fails as it does where the C library's files are missing.
    let rest = format!(
        "for a in \"$@\"; do case $a in -c|-E) exec {real} \"$@\";; esac; done\n\
         echo '/usr/bin/ld: cannot find crt1.o: No such file or directory' >&2; exit 1"
    );
    machine.broken("c++", "c++ 12.2.0", &rest);
    let why = lacks(&machine.examine(), "C++ compiler", "g++");
    assert!(why.contains("cannot find crt1.o"), "{why}");
}

#[test]
fn a_compiler_named_by_cxx_that_is_none_is_named() {
    let mut machine = Machine::bare();
    machine.system.cxx = Some("ccache g++".into());
    let why = lacks(&machine.examine(), "C++ compiler", "g++");
    assert!(
        why.contains("CXX is \"ccache g++\"") && why.contains("--launcher"),
        "{why}"
    );
    // One lack is one package: what can't be judged without a compiler is not to be installed.
    let all = machine.examine().mend.unwrap_or_default();
    assert!(!all.contains("cmake") && !all.contains("python"), "{all}");
}

#[test]
fn missing_programs_are_all_reported_at_once() {
    let machine = Machine::new();
    for name in ["git", "cc", "c++"] {
        machine.without(name);
    }
    let report = machine.examine();
    lacks(&report, "git", "git");
    lacks(&report, "C compiler", "g++");
    lacks(&report, "C++ compiler", "g++");
    let all = report.mend.clone().unwrap();
    assert!(
        all.contains("install -y --no-install-recommends git g++"),
        "{all}"
    );
    let plan = install::plan(&machine.system, &report);
    assert_eq!(plan.len(), 1);
    assert_eq!(plan[0].to_string(), all);
}

#[test]
fn missing_headers_are_all_reported_at_once_by_doctor_and_by_the_build() {
    let mut machine = Machine::new();
    machine.system.prefixes = vec![machine.bin.join("no-such-prefix")];
    let report = machine.examine();
    for (what, package) in [
        ("fmt", "libfmt-dev"),
        ("json", "nlohmann-json3-dev"),
        ("doctest", "doctest-dev"),
        ("blas", "libopenblas-dev"),
        ("lapack", "liblapacke-dev"),
    ] {
        lacks(&report, what, package);
    }
    let config = Config::load(&machine.layout).unwrap();
    let none = declared::Declarations::default();
    let resolution = third_party::resolve_on(
        &machine.system,
        &machine.layout,
        &config,
        &options(),
        machine::tools(),
        &none,
    );
    let error = resolution
        .unwrap()
        .into_third_party(&machine.system)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Environment);
    let packages = "libfmt-dev nlohmann-json3-dev doctest-dev libopenblas-dev liblapacke-dev`";
    assert!(error.hints()[0].contains(packages), "{:?}", error.hints());
}

#[test]
fn a_header_that_does_not_compile_is_lacking_though_it_is_there() {
    let mut machine = Machine::new();
    let prefix = machine.bin.join("prefix");
    std::fs::create_dir_all(prefix.join("include/fmt")).unwrap();
    std::fs::create_dir_all(prefix.join("lib/cmake/fmt")).unwrap();
    std::fs::write(prefix.join("include/fmt/format.h"), "#error half of it\n").unwrap();
    std::fs::write(prefix.join("lib/cmake/fmt/fmt-config.cmake"), "").unwrap();
    machine.system.prefixes.insert(0, prefix);
    let why = lacks(&machine.examine(), "fmt", "libfmt-dev");
    assert!(why.contains("half of it"), "{why}");
}

#[test]
fn a_python_without_headers_or_venv_is_reported_with_both_packages() {
    let machine = Machine::bare();
    let answer = r#"{"path":"/x/python3","version":[3,11,2],"include":"/x/include","headers":false,"venv":false}"#;
    machine.broken("python3", "Python 3.11.2", &format!("echo '{answer}'"));
    let with_python = Options {
        python: true,
        ..options()
    };
    let report = machine.examine_with(&with_python);
    let why = lacks(&report, "python", "python3-dev");
    assert!(
        why.contains("no venv module and has no Python.h in /x/include"),
        "{why}"
    );
    let mend = row(&report, "python").mend.as_deref().unwrap();
    assert!(mend.ends_with("python3 python3-venv python3-dev"), "{mend}");
}

#[test]
fn a_libclang_that_is_none_is_passed_over() {
    let mut machine = Machine::new();
    let fake = machine.bin.join("libclang.so");
    std::fs::write(&fake, "no library").unwrap();
    machine.system.libclang = Some(fake);
    machine.system.prefixes.clear();
    // Without it and without Python, PyPI can't bring one.
    let why = row(&machine.examine(), "libclang").note.clone();
    assert!(why.contains("no python3 on PATH"), "{why}");
}

#[test]
fn a_missing_launcher_is_optional() {
    let machine = Machine::bare();
    let auto = Options {
        launcher: LauncherChoice::Auto,
        ..options()
    };
    let report = machine.examine_with(&auto);
    let launcher = row(&report, "launcher");
    assert_eq!(launcher.fitness, Fitness::OptionalLacking);
    assert!(launcher.mend.as_deref().unwrap().ends_with(" ccache"));
    let fit = |report: &Report, what| row(report, what).fitness == Fitness::Fit;
    assert!(fit(&report, "cmake") && !fit(&report, "launcher"));
}

#[test]
fn the_second_search_runs_nothing_and_a_changed_tool_is_searched_again() {
    let machine = Machine::bare();
    let log = machine.bin.join("ran");
    let real = machine::tools().cc.path.display().to_string();
    machine.without("cc");
    let spy = format!(
        "#!/bin/sh\necho ran >> {}\nexec {real} \"$@\"\n",
        log.display()
    );
    let cc = machine.bin.join("cc");
    std::fs::write(&cc, &spy).unwrap();
    std::fs::set_permissions(&cc, std::fs::Permissions::from_mode(0o755)).unwrap();
    let find = || tools::find_on(&machine.system, &machine.layout, &options(), &Silent).unwrap();
    let runs = || std::fs::read_to_string(&log).unwrap().lines().count();
    let first = find();
    let after_first = runs();
    let start = Instant::now();
    let second = find();
    let took = start.elapsed();
    assert_eq!(first, second);
    assert_eq!(runs(), after_first);
    assert!(took.as_millis() < 50, "{took:?}");
    std::fs::write(&cc, format!("{spy}# changed\n")).unwrap();
    find();
    assert!(runs() > after_first);
}

#[test]
fn a_folder_named_by_the_user_comes_first_and_must_be_what_it_says() {
    let machine = Machine::new();
    let config = Config::load(&machine.layout).unwrap();
    let folder = machine.bin.join("my-fmt");
    std::fs::create_dir_all(folder.join("include/fmt")).unwrap();
    let resolve = |name: &str| {
        let mut options = options();
        options.third_party.insert(name.into(), folder.clone());
        let none = declared::Declarations::default();
        let (system, layout) = (&machine.system, &machine.layout);
        third_party::resolve_on(system, layout, &config, &options, machine::tools(), &none)
    };
    let error = resolve("fmt").unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.what().contains("include/fmt/format.h"), "{error}");
    assert!(resolve("fnt").unwrap_err().hints()[0].contains("fmt, json"));
    std::fs::write(folder.join("include/fmt/format.h"), "").unwrap();
    let found = resolve("fmt")
        .unwrap()
        .into_third_party(&machine.system)
        .unwrap();
    assert_eq!(found.rows[0].rule, "override");
    let told = format!("-DFETCHCONTENT_SOURCE_DIR_FMT={}", folder.display());
    assert!(found.cmake_args.contains(&told), "{:?}", found.cmake_args);
}

/// A folder that looks like MLX's tree and wants fmt from this git repository.
fn tree_wanting_fmt_from(folder: &Path, url: &str) -> declared::Declarations {
    let text = format!(
        "FetchContent_Declare(fmt GIT_REPOSITORY {url} GIT_TAG 12.1.0 EXCLUDE_FROM_ALL)\n\
         FetchContent_Declare(json URL {url}/json.tar.xz)\n"
    );
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("CMakeLists.txt"), text).unwrap();
    declared::Declarations::read(folder).unwrap()
}

fn git(folder: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
    let git = std::process::Command::new("git")
        .args(identity)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(git.status.success(), "{git:?}");
}

#[test]
fn what_neither_the_system_nor_pypi_has_is_fetched_once_and_kept() {
    let mut machine = Machine::new();
    machine.system.prefixes.clear();
    let upstream = machine.bin.join("fmt.git");
    std::fs::create_dir_all(upstream.join("include/fmt")).unwrap();
    let header = upstream.join("include/fmt/format.h");
    std::fs::write(&header, "// headers\n").unwrap();
    std::fs::write(
        upstream.join("include/fmt/base.h"),
        "#define FMT_VERSION 120100\n",
    )
    .unwrap();
    git(&upstream, &["init", "-q"]);
    git(&upstream, &["add", "."]);
    git(&upstream, &["commit", "-qm", "one"]);
    git(&upstream, &["tag", "12.1.0"]);
    let url = format!("file://{}", upstream.display());
    let declared = tree_wanting_fmt_from(&machine.bin.join("mlx"), &url);
    let config = Config::load(&machine.layout).unwrap();
    let resolve = || {
        let (system, layout) = (&machine.system, &machine.layout);
        let all = third_party::resolve_on(
            system,
            layout,
            &config,
            &options(),
            machine::tools(),
            &declared,
        );
        all.unwrap().rows
    };
    let rows = resolve();
    let fmt = rows[0].as_ref().unwrap();
    assert_eq!(
        (fmt.rule.as_str(), fmt.version.as_str()),
        ("fetched", "12.1.0")
    );
    // json's archive is not there: its lack says so, and is not the end of the others.
    let (name, lack) = rows[1].as_ref().unwrap_err();
    assert_eq!(name, "json");
    assert!(lack.why.contains("fetching"), "{}", lack.why);
    // The repository is gone; what was fetched stays.
    std::fs::remove_dir_all(&upstream).unwrap();
    assert_eq!(resolve()[0].as_ref().unwrap().rule, "fetched");
}

#[test]
fn a_fetch_that_fails_says_why_and_leaves_nothing() {
    let mut machine = Machine::new();
    machine.system.prefixes.clear();
    let url = format!("file://{}", machine.bin.join("no-such.git").display());
    let declared = tree_wanting_fmt_from(&machine.bin.join("mlx"), &url);
    let config = Config::load(&machine.layout).unwrap();
    let (system, layout) = (&machine.system, &machine.layout);
    let all = third_party::resolve_on(
        system,
        layout,
        &config,
        &options(),
        machine::tools(),
        &declared,
    );
    let rows = all.unwrap().rows;
    let why = |at: usize| rows[at].as_ref().unwrap_err().1.why.clone();
    assert!(
        why(0).contains("fatal:") && why(0).contains("no-such.git"),
        "{}",
        why(0)
    );
    assert!(why(1).contains("not tried"), "{}", why(1));
    assert!(!layout.third_party().join("fetched").exists());
    assert_eq!(std::fs::read_dir(layout.scratch()).unwrap().count(), 0);
}

#[test]
fn an_unfinished_python_environment_is_made_again_and_a_failed_one_is_never_used() {
    let machine = Machine::new();
    let python = python::find(&System::detect(), false).unwrap();
    let wanted = |requirement: &str| {
        venv::ensure(
            &machine.layout,
            &python,
            &[requirement.to_string()],
            &Silent,
        )
    };
    let first = wanted("nanobind==2.12.0").unwrap();
    let config = first.file("nanobind/cmake/nanobind-config.cmake").unwrap();
    // As a kill leaves it: files missing, and no stamp.
    std::fs::remove_file(&config).unwrap();
    first.distrust();
    let again = wanted("nanobind==2.12.0").unwrap();
    // Not in the same folder: what the killed run started may be writing there.
    assert_ne!(first, again);
    assert!(again.file("nanobind/cmake/nanobind-config.cmake").is_some());
    assert!(!config.exists());
    assert_eq!(wanted("nanobind==2.12.0").unwrap(), again);
    let error = wanted("nanobind==0.0.0.0").unwrap_err();
    assert_eq!(error.kind(), Kind::Environment);
    assert!(error.to_string().contains("nanobind==0.0.0.0"), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("network")));
    assert!(wanted("nanobind==0.0.0.0").is_err());
}
