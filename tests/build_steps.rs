//! The builds, step by step, on a small upstream and with the real cmake, ninja and compiler.

#[path = "common/machine.rs"]
mod machine;
#[path = "common/mounted.rs"]
mod mounted;
#[path = "common/cmake_upstream.rs"]
mod upstream;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mlx_fork::Kind;
use mlx_fork::build::{Against, LauncherChoice, c_api, extension};
use mlx_fork::ui::{Silent, Ui};
use mounted::Mounted;
use upstream::Bench;

/// A folder of its own, the bench in it, and both sides built once.
fn built() -> (tempfile::TempDir, Bench) {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::at(&dir.path().canonicalize().unwrap());
    bench.run(&Silent).unwrap();
    (dir, bench)
}

fn edit(bench: &mut Bench, path: &str, line: &str) {
    bench.fork.0.push('+');
    bench.fork.1.get_mut(path).unwrap().push_str(line);
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Ui for Heard {
    fn step(&self, name: &str) {
        self.0.lock().unwrap().push(format!("step {name}"));
    }
    fn progress(&self, done: u64, total: u64, at: &str) {
        let line = format!("progress {done}/{total} {at}");
        self.0.lock().unwrap().push(line);
    }
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(format!("note {text}"));
    }
    fn warn(&self, text: &str) {
        self.0.lock().unwrap().push(format!("warn {text}"));
    }
}

impl Heard {
    fn has(&self, text: &str) -> bool {
        self.0
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(text))
    }
}

#[test]
fn both_sides_are_built_and_the_second_run_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::at(&dir.path().canonicalize().unwrap());
    let heard = Heard::default();
    let [stock, fork] = bench.run(&heard).unwrap();
    assert_eq!((stock.ours, stock.upstream), (0, 4));
    assert_eq!((fork.ours, fork.upstream), (2, 1), "{:?}", heard.0);
    for text in [
        "step stock: configure",
        "progress 0/6 mlx/array.cpp",
        "fork: compiled 2 of our sources and 1 of MLX's",
    ] {
        assert!(heard.has(text), "{text}: {:?}", heard.0);
    }
    let library = |side| format!("{side}/lib/{}", library_name());
    let prefix = bench.layout.target();
    for file in [
        &*library("stock"),
        "stock/include/mlx/array.h",
        "stock/share/cmake/MLX/MLXConfig.cmake",
        "stock/python/mlx/core.test.so",
        "stock/python/mlx/nn/layers.py",
        &*format!("fork/python/mlx/lib/{}", library_name()),
    ] {
        assert!(prefix.join(file).exists(), "{file}");
    }
    let id = b"id-of-fork-1".as_slice();
    let carries = |side| {
        let bytes = std::fs::read(prefix.join(library(side))).unwrap();
        bytes.windows(id.len()).any(|part| part == id)
    };
    assert!(carries("fork") && !carries("stock"));

    let before = bench.prefixes();
    let start = Instant::now();
    let again = bench.run(&Heard::default()).unwrap();
    assert!(again.iter().all(|build| build.fresh), "{again:?}");
    assert!(
        start.elapsed() < Duration::from_millis(50),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(bench.prefixes(), before);
}

fn library_name() -> &'static str {
    match cfg!(target_os = "macos") {
        true => "libmlx.dylib",
        false => "libmlx.so",
    }
}

#[test]
fn one_edited_overlay_file_is_all_that_is_compiled_again() {
    let (_dir, mut bench) = built();
    edit(
        &mut bench,
        "mlx/fused/swiglu.cpp",
        "int more() { return 2; }\n",
    );
    let heard = Heard::default();
    let [stock, fork] = bench.run(&heard).unwrap();
    assert!(stock.fresh);
    // The file, and the one that says the new fork id.
    assert_eq!((fork.ours, fork.upstream, fork.fresh), (2, 0, false));
    assert!(
        heard.has("Linking CXX shared library") && !heard.has("core"),
        "{heard:?}"
    );
}

#[test]
fn a_series_that_rebuilds_much_of_upstream_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::at(&dir.path().canonicalize().unwrap());
    edit(
        &mut bench,
        "mlx/array.h",
        "// in a header that all include\n",
    );
    let heard = Heard::default();
    let [_, fork] = bench.run(&heard).unwrap();
    assert_eq!(fork.upstream, 4);
    assert!(
        heard.has("warn the series made 4 of MLX's"),
        "{:?}",
        heard.0
    );
}

#[test]
fn another_pin_and_back_gives_the_first_ones_bytes() {
    let (_dir, mut bench) = built();
    let first = bench.prefixes();
    let trees = (bench.stock.clone(), bench.fork.clone());
    bench.stock = ("stock-2".into(), upstream::stock("2"));
    bench.fork = ("fork-2".into(), upstream::fork("2"));
    bench.run(&Silent).unwrap();
    assert_ne!(bench.prefixes(), first);
    (bench.stock, bench.fork) = trees;
    bench.run(&Silent).unwrap();
    assert_eq!(bench.prefixes(), first);
}

#[test]
fn neither_jobs_nor_the_launcher_cause_a_build() {
    let (dir, mut bench) = built();
    bench.options.jobs = Some(1);
    bench.options.launcher = LauncherChoice::None;
    let launcher = bench.tools.cc.clone();
    bench.tools.launcher = match bench.tools.launcher {
        Some(_) => None,
        None => Some(launcher),
    };
    assert!(bench.run(&Silent).unwrap().iter().all(|build| build.fresh));
    // Nor does the next build, which runs with the other launcher, compile what it need not.
    edit(
        &mut bench,
        "mlx/fused/swiglu.cpp",
        "int more() { return 2; }\n",
    );
    bench.tools.launcher = None;
    let [_, fork] = bench.run(&Silent).unwrap();
    assert_eq!((fork.ours, fork.upstream), (2, 0));
    drop(dir);
}

#[test]
fn an_output_that_was_deleted_or_damaged_is_made_again() {
    let (_dir, bench) = built();
    let before = bench.prefixes();
    let library = bench.layout.prefix("fork").join("lib").join(library_name());
    std::fs::write(&library, "damaged").unwrap();
    std::fs::remove_file(bench.layout.prefix("stock").join("include/mlx/array.h")).unwrap();
    let heard = Heard::default();
    bench.run(&heard).unwrap();
    assert!(
        heard.has("array.h is gone") && heard.has("libmlx"),
        "{:?}",
        heard.0
    );
    assert_eq!(bench.prefixes(), before);

    std::fs::remove_dir_all(bench.layout.build_folder()).unwrap();
    assert!(bench.run(&Silent).unwrap().iter().all(|build| build.fresh));
}

#[test]
fn a_file_that_does_not_compile_is_named_with_its_place_in_the_project() {
    let (_dir, mut bench) = built();
    edit(
        &mut bench,
        "mlx/fused/swiglu.cpp",
        "int broken() { return nowhere; }\n",
    );
    let error = bench.run(&Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Gate);
    assert!(error.what().contains("nowhere"), "{error}");
    assert!(error.what().lines().count() <= 16, "{error}");
    let hints = error.hints().join("\n");
    assert!(
        hints.contains("mine/swiglu.cpp") && hints.contains("fork-build.log"),
        "{hints}"
    );

    edit(&mut bench, "mlx/fused/swiglu.cpp", "#define nowhere 1\n");
    let whole = upstream::fork("1");
    bench.fork.1 = whole;
    bench.run(&Silent).unwrap();
}

#[test]
fn a_wrong_line_of_cmake_is_shown_and_the_next_run_recovers() {
    let (_dir, mut bench) = built();
    let before = bench.prefixes();
    let first = bench.fork.clone();
    edit(
        &mut bench,
        "mlx/fused/CMakeLists.txt",
        "no_such_command(x)\n",
    );
    let error = bench.run(&Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Gate);
    assert!(error.what().contains("no_such_command"), "{error}");
    bench.fork = first;
    let [stock, fork] = bench.run(&Silent).unwrap();
    assert!(stock.fresh && fork.upstream == 0, "{fork:?}");
    assert_eq!(bench.prefixes(), before);
}

#[test]
fn the_c_api_is_built_again_where_its_side_or_its_source_changed() {
    let (_dir, mut bench) = built();
    bench.add_projects();
    let c_api = |bench: &Bench| {
        let builds = bench.run(&Silent).unwrap();
        builds.map(|build| {
            let (layout, options) = (&bench.layout, &bench.options);
            c_api(layout, options, &bench.tools, &build, &Silent)
                .unwrap()
                .fresh
        })
    };
    assert_eq!(c_api(&bench), [false, false]);
    let library = |side| {
        let name = library_name().replace("mlx", "mlx_fork_c");
        bench.layout.prefix(side).join("lib").join(name)
    };
    let (stock, fork) = (library("stock"), library("fork"));
    assert!(stock.exists() && fork.exists());
    assert_eq!(c_api(&bench), [true, true]);

    edit(
        &mut bench,
        "mlx/fused/swiglu.cpp",
        "int more() { return 2; }\n",
    );
    assert_eq!(c_api(&bench), [true, false]);
    assert!(fork.exists());

    std::fs::remove_file(&stock).unwrap();
    assert_eq!(c_api(&bench), [false, true]);
    assert!(stock.exists());
}

#[test]
fn the_extension_is_built_against_a_prefix_and_again_when_that_changes() {
    let (_dir, bench) = built();
    bench.add_projects();
    let stock = bench.layout.prefix("stock");
    let extension = |against: &Path| {
        let against = Against::Prefix(against.to_path_buf());
        let (layout, options) = (&bench.layout, &bench.options);
        extension(layout, options, &bench.tools, &against, "an-id", &Silent)
    };
    let first = extension(&stock).unwrap();
    assert_eq!((first.ours, first.upstream, first.fresh), (1, 0, false));
    let library = first
        .prefix
        .join("lib")
        .join(library_name().replace("mlx", "mlx_fused"));
    assert!(library.exists());
    assert!(extension(&stock).unwrap().fresh);

    let header = stock.join("include/mlx/array.h");
    let text = std::fs::read_to_string(&header).unwrap();
    std::fs::write(&header, text + "// another MLX\n").unwrap();
    assert_eq!(extension(&stock).unwrap().ours, 1);

    let error = extension(bench.layout.root()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.what().contains("MLXConfig.cmake"), "{error}");
}

/// What [`kill_9_at_any_time`] and the like run in a process of its own.
#[test]
#[ignore = "a child process of other tests"]
fn in_a_process_of_its_own() {
    let Some(root) = std::env::var_os("BUILD_STEPS_ROOT") else {
        return;
    };
    if let Some(limit) = std::env::var_os("BUILD_STEPS_FILE_SIZE") {
        let limit: u64 = limit.to_str().unwrap().parse().unwrap();
        let limit = libc::rlimit {
            rlim_cur: limit,
            rlim_max: limit,
        };
        // SAFETY: plain system calls; a write beyond the limit is then an error, no signal.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        }
    }
    if let Err(error) = Bench::at(Path::new(&root)).run(&Silent) {
        println!(
            "kind {:?}\nerror {error}\nhints {:?}",
            error.kind(),
            error.hints()
        );
    }
}

fn child_of(root: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "in_a_process_of_its_own",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env("BUILD_STEPS_ROOT", root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
fn kill_9_at_any_time_changes_nothing_in_what_the_next_run_makes() {
    let start = Instant::now();
    let (dir, bench) = built();
    let whole = start.elapsed();
    let expected = bench.prefixes();
    let root = dir.path().canonicalize().unwrap();
    // A small generator: the times must not be the same in every run, but known when one fails.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = now.as_nanos() as u64;
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    for round in 0..3 {
        std::fs::remove_dir_all(bench.layout.target()).unwrap();
        for _ in 0..5 {
            let mut run = child_of(&root).spawn().unwrap();
            std::thread::sleep(whole.mul_f64(random() * 0.6));
            // SIGKILL, wherever it is now.
            run.kill().unwrap();
            run.wait().unwrap();
        }
        bench.run(&Silent).unwrap();
        assert_eq!(bench.prefixes(), expected, "round {round}, seed {seed}");
    }
}

#[test]
fn an_object_cut_short_by_a_kill_is_not_linked() {
    let (_dir, bench) = built();
    let expected = bench.prefixes();
    let folder = bench.layout.build_folder();
    // As after: an object was deleted, was compiled again, and all was killed in the middle.
    let object = folder.join("CMakeFiles/mlx.dir/mlx/fused/swiglu.cpp.o");
    let running = PathBuf::from(format!("{}.running", folder.display()));
    std::fs::write(&running, "").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let bytes = std::fs::read(&object).unwrap();
    std::fs::write(&object, &bytes[..bytes.len() / 2]).unwrap();
    std::fs::remove_dir_all(bench.layout.prefix("fork")).unwrap();
    let [_, fork] = bench.run(&Silent).unwrap();
    assert_eq!((fork.ours, fork.upstream), (1, 0));
    assert_eq!(bench.prefixes(), expected);
}

#[test]
fn a_configuration_in_pieces_is_made_anew() {
    let (_dir, bench) = built();
    let expected = bench.prefixes();
    let folder = bench.layout.build_folder();
    for (file, text) in [
        ("CMakeCache.txt", "CMAKE_CXX_COMPI"),
        ("build.ninja", "rule "),
        ("mlx-fork.configured", ""),
    ] {
        std::fs::write(folder.join(file), text).unwrap();
        std::fs::remove_dir_all(bench.layout.prefix("fork")).unwrap();
        let [_, fork] = bench.run(&Silent).unwrap();
        assert_eq!((fork.ours, fork.upstream), (0, 0), "{file}");
    }
    assert_eq!(bench.prefixes(), expected);
}

#[test]
fn a_file_size_limit_is_explained_and_the_next_run_converges() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    // The tools are found before the limit: only the build is to meet it.
    let bench = Bench::at(&root);
    let output = child_of(&root)
        .env("BUILD_STEPS_FILE_SIZE", "12288")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("kind Environment"), "{said}");
    assert!(said.contains("ulimit -f"), "{said}");
    bench.run(&Silent).unwrap();
    assert!(bench.run(&Silent).unwrap().iter().all(|build| build.fresh));
}

#[test]
fn a_full_disk_and_a_read_only_one_are_explained_and_the_next_run_converges() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::at(&dir.path().canonicalize().unwrap());
    let Some(disk) = Mounted::at(bench.layout.target(), "400k") else {
        eprintln!("not tested: this user may not mount a file system");
        return;
    };
    let error = bench.run(&Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Environment, "{error}");
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("free some disk space")),
        "{error:?}"
    );
    disk.remount("size=64m,ro");
    let error = bench.run(&Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Environment, "{error}");
    assert!(
        error.hints().iter().any(|hint| hint.contains("writable")),
        "{error:?}"
    );
    disk.remount("size=64m,rw");
    bench.run(&Silent).unwrap();
    assert!(bench.run(&Silent).unwrap().iter().all(|build| build.fresh));
}
