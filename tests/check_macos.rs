//! The checks for macOS find what a Mac's compiler and linker would: errors are planted in a
//! copy of our sources, or in the fork's tree, and each is caught where it is. Compiled for
//! real, by what `cargo xtask setup-mlx --install-deps` fetches.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use mlx_fork::build::declared::Declarations;
use mlx_fork::build::system::System;
use mlx_fork::build::{Options, files, third_party};
use mlx_fork::config::Config;
use mlx_fork::layout::Layout;
use mlx_fork::macos::{Check, Quick, Report, Setting, Tree, quick};
use mlx_fork::probe::{artifact, binary};
use mlx_fork::ui::Silent;

/// One at a time: they share a build folder.
fn setting() -> (MutexGuard<'static, ()>, Setting) {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let layout = Layout::discover().unwrap();
    let config = Config::load(&layout).unwrap();
    let options = Options {
        python: false,
        ..Options::default()
    };
    let setting = Setting::prepare(&layout, &config, options, &Silent).unwrap();
    (guard, setting)
}

fn failures(report: &Report) -> Vec<&Check> {
    report.checks.iter().filter(|check| !check.passed).collect()
}

/// A copy of our sources, as they are after each edit that was undone.
struct Copy<'a> {
    setting: &'a Setting,
    folder: PathBuf,
}

impl<'a> Copy<'a> {
    fn of(setting: &'a Setting) -> Self {
        let copy = Copy {
            setting,
            folder: setting.home().join("planted-sources"),
        };
        copy.undo();
        copy
    }

    fn undo(&self) {
        for part in ["mlx_primitives", "metal"] {
            let ours = self.setting.layout.root().join(part);
            files::synchronize(&ours, &self.folder.join(part)).unwrap();
        }
    }

    fn check(&self) -> Report {
        let quick = Quick {
            setting: self.setting,
            primitives: &self.folder.join("mlx_primitives"),
            name: "planted",
        };
        quick.run(&Silent).unwrap()
    }

    fn edit(&self, file: &str, edit: impl FnOnce(String) -> String) {
        let path = self.folder.join("mlx_primitives").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, edit(text)).unwrap();
    }

    /// Puts a function into a source that a Mac compiles, and gives what was found.
    fn plant(&self, code: &str) -> String {
        self.undo();
        let includes = "#include \"mlx/backend/metal/device.h\"\n\
                        #include \"mlx/backend/common/utils.h\"\n";
        let file = "backend/metal/temporaries.cpp";
        self.edit(file, |text| {
            format!("{includes}{text}\nnamespace mlx::core {{\n{code}\n}}\n")
        });
        let report = self.check();
        let failures = failures(&report);
        assert_eq!(failures.len(), 1, "{code}\n{:#?}", report.checks);
        let name = "our primitives compile and link for macOS";
        assert_eq!(failures[0].name, name, "{code}");
        failures[0].note.clone()
    }
}

/// What `cargo xtask probe --artifact` asks of a wheel for macOS.
#[test]
fn the_extension_for_macos_needs_metals_host_code_and_finds_all_in_the_wheel() {
    let (_one, setting) = setting();
    let report = setting.quick(&Silent).unwrap();
    assert!(failures(&report).is_empty(), "{:#?}", report.checks);
    let needed = binary::imports(&quick::extension(&setting.layout)).unwrap();
    let metal = needed.iter().filter(|name| name.contains("::metal::"));
    assert!(metal.count() >= 5, "{needed:#?}");
    let wheel = setting.kit.wheel.prefix.join("lib/libmlx.dylib");
    let wheel = artifact::read(&wheel).unwrap();
    assert_eq!(artifact::lacking(&wheel, &needed), [""; 0]);
}

#[test]
fn errors_in_our_host_code_are_caught_where_they_are() {
    let (_one, setting) = setting();
    let copy = Copy::of(&setting);
    let compiled = [
        (
            "void planted(metal::CommandEncoder& e) { e.set_inputs(1); }",
            "no member named 'set_inputs'",
        ),
        (
            "void planted(MTL::ComputeCommandEncoder* e) { e->setBufer(nullptr, 0, 0); }",
            "no member named 'setBufer'",
        ),
        (
            "void planted(metal::CommandEncoder& e) { e.set_input_array(3, \"x\"); }",
            "temporaries.cpp",
        ),
        (
            "void planted() { no_such_function(); }",
            "use of undeclared identifier 'no_such_function'",
        ),
    ];
    for (code, said) in compiled {
        let note = copy.plant(code);
        assert!(note.contains(said), "{code}\n{note}");
        assert!(note.contains("temporaries.cpp:"), "{code}\n{note}");
    }
    let linked = [
        // Declared by ourselves, and defined nowhere.
        (
            "int nowhere(int);\n\
             __attribute__((visibility(\"default\"))) int planted() { return nowhere(1); }",
            "nowhere",
        ),
        // In MLX's headers, and not exported by its library.
        (
            "__attribute__((visibility(\"default\"))) bool planted() {\n\
             return metal::get_command_encoders().empty(); }",
            "get_command_encoders",
        ),
    ];
    for (code, said) in linked {
        let note = copy.plant(code);
        assert!(
            note.contains("undefined symbol") && note.contains(said),
            "{code}\n{note}"
        );
    }
    copy.undo();
    let report = copy.check();
    report.verdict().unwrap();
}

#[test]
fn a_source_that_cmake_does_not_compile_is_named() {
    let (_one, setting) = setting();
    let copy = Copy::of(&setting);
    copy.edit("sources.cmake", |text| {
        assert!(text.contains("${MLX_FUSED_DIR}/path.cpp"));
        text.replace("${MLX_FUSED_DIR}/path.cpp", "")
    });
    let report = copy.check();
    let failures = failures(&report);
    assert_eq!(failures.len(), 1, "{:#?}", report.checks);
    assert!(failures[0].note.contains("mlx/fused/path.cpp"));
    copy.undo();
}

/// The fork's tree with one edit, made anew when it is dropped.
struct Planted<'a> {
    setting: &'a Setting,
}

impl Planted<'_> {
    fn edit(&self, file: &str, edit: impl FnOnce(String) -> String) {
        let path = self.setting.tree.folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, edit(text)).unwrap();
    }

    /// What the whole build of all kernels ahead of time finds.
    fn check(&self) -> Report {
        self.setting.whole(&Silent).unwrap()
    }

    fn caught(&self, file: &str, edit: impl FnOnce(String) -> String) -> String {
        self.edit(file, edit);
        let report = self.check();
        Tree::show(&self.setting.layout, &Silent).unwrap();
        let failures = failures(&report);
        assert!(!failures.is_empty(), "{file}: {:#?}", report.checks);
        let notes: Vec<&str> = failures.iter().map(|check| check.note.as_str()).collect();
        notes.join("\n")
    }
}

impl Drop for Planted<'_> {
    fn drop(&mut self) {
        let _ = Tree::show(&self.setting.layout, &Silent);
    }
}

#[test]
#[ignore = "compiles all of libmlx for macOS, twice"]
fn errors_in_the_whole_of_libmlx_are_caught() {
    let (_one, setting) = setting();
    let planted = Planted { setting: &setting };
    planted.check().verdict().unwrap();
    // Apple's compiler is called as it would be on a Mac, for the macOS that was asked for.
    let ninja = |folder: &str| {
        std::fs::read_to_string(setting.home().join(folder).join("build.ninja")).unwrap()
    };
    // A kernel that MLX builds for Metal 3.2 and later only.
    assert!(!ninja("whole").contains("fence.air") && ninja("whole-jit").contains("fence.air"));
    let ninja = ninja("whole");
    for kernel in setting.tree.kernels() {
        let compiled = ninja.lines().any(|line| {
            line.contains("xcrun -sdk macosx metal -x metal")
                && line.contains("-fno-fast-math")
                && line.contains("-mmacosx-version-min=14.0")
                && line.contains(&format!("/{kernel}.metal "))
        });
        assert!(compiled, "{kernel}");
    }
    let append = |code: &'static str| move |text: String| format!("{text}\n{code}\n");
    let kernels = "mlx/backend/metal/kernels/CMakeLists.txt";
    let metal = "mlx/backend/metal/CMakeLists.txt";

    let code = "namespace mlx::core { void planted(metal::CommandEncoder& e) { e.no_method(); } }";
    let note = planted.caught("mlx/backend/metal/hadamard.cpp", append(code));
    assert!(note.contains("no_method"), "{note}");

    let code = "int nowhere(int);\nint planted() { return nowhere(1); }";
    let note = planted.caught("mlx/fused/path.cpp", append(code));
    assert!(
        note.contains("undefined symbol") && note.contains("nowhere"),
        "{note}"
    );

    // A file that cmake's list has lost.
    let note = planted.caught("mlx/fused/sources.cmake", |text| {
        text.replace("${MLX_FUSED_DIR}/path.cpp", "")
    });
    assert!(note.contains("undefined symbol"), "{note}");

    // A header that a JIT source includes.
    let code = "#include \"mlx/backend/metal/kernels/nowhere.h\"";
    let note = planted.caught("mlx/backend/metal/kernels/ternary_ops.h", append(code));
    assert!(note.contains("nowhere.h"), "{note}");

    let note = planted.caught(metal, append("make_jit_source(nowhere)"));
    assert!(note.contains("nowhere"), "{note}");

    let note = planted.caught(kernels, |text| {
        text.replace(
            "if(NOT MLX_METAL_JIT)",
            "build_kernel(nowhere)\nif(NOT MLX_METAL_JIT)",
        )
    });
    assert!(note.contains("nowhere.metal"), "{note}");

    // A kernel of ours that the metallib is not made of.
    if let Some(kernel) = setting.tree.kernels().first() {
        let note = planted.caught(kernels, |text| {
            text.replace(
                "add_custom_command(\n  OUTPUT ${MLX_METAL_PATH}/mlx.metallib",
                &format!(
                    "list(REMOVE_ITEM KERNEL_AIR {kernel}.air)\n\
                     add_custom_command(\n  OUTPUT ${{MLX_METAL_PATH}}/mlx.metallib"
                ),
            )
        });
        assert!(note.contains(kernel), "{note}");
    }
    planted.check().verdict().unwrap();
}

#[test]
fn a_mac_gets_metal_cpp_and_no_blas_and_its_metal_is_not_turned_off() {
    let (_one, setting) = setting();
    let metal_cpp = setting.kit.wheel.prefix.join("include/metal_cpp");
    let mut options = setting.options.clone();
    options
        .third_party
        .insert("metal_cpp".into(), metal_cpp.clone());
    let system = System {
        macos: true,
        ..System::detect()
    };
    let config = Config::load(&setting.layout).unwrap();
    let declared = Declarations::read(&setting.tree.folder).unwrap();
    let (layout, tools) = (&setting.layout, &setting.tools);
    let found = third_party::resolve_on(&system, layout, &config, &options, tools, &declared);
    let args = found.unwrap().into_third_party(&system).unwrap().cmake_args;
    let wanted = format!(
        "-DFETCHCONTENT_SOURCE_DIR_METAL_CPP={}",
        metal_cpp.display()
    );
    assert!(args.contains(&wanted), "{args:?}");
    for never in ["-DBLAS_", "-DLAPACK_", "-DMLX_BUILD_METAL"] {
        assert!(!args.iter().any(|arg| arg.starts_with(never)), "{args:?}");
    }
    // Without a folder of one's own, it is what MLX itself would fetch.
    let declared = declared.get("metal_cpp").unwrap();
    assert!(
        declared.arguments.iter().any(|word| word.ends_with(".zip")),
        "{declared:?}"
    );
}

#[test]
fn what_stands_in_for_xcode_is_laid_out_and_nothing_else_is() {
    let (_one, setting) = setting();
    let stray = setting.kit.folder().join("bin/stray");
    std::fs::write(&stray, "").unwrap();
    let (layout, release) = (&setting.layout, &setting.tree.release);
    let again = mlx_fork::macos::Kit::prepare(layout, release, &Silent).unwrap();
    assert!(!stray.exists());
    assert_eq!(again.key().unwrap(), setting.kit.key().unwrap());
    assert!(again.wheel.prefix.join("lib/libmlx.dylib").is_file());
    assert!(!Path::exists(&again.wheel.prefix.join("lib/mlx.metallib")));
}
