//! A small upstream with MLX's shape: the targets, the install rules and the hooks that the
//! builds rely on, in ten files that compile in seconds.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mlx_fork::build::sides::{Build, SideInput, Sides, stock_and_fork};
use mlx_fork::build::{Options, ThirdParty, Tools, files};
use mlx_fork::layout::Layout;
use mlx_fork::side::Side;
use mlx_fork::ui::Ui;
use mlx_fork::{Error, Result};

/// A tree: text by path.
pub type Tree = BTreeMap<String, String>;

const TOP: &str = r#"cmake_minimum_required(VERSION 3.25)
project(mlx LANGUAGES C CXX VERSION 1.0.0)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
option(MLX_BUILD_PYTHON_BINDINGS "" OFF)
add_library(mlx)
target_include_directories(mlx PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_LIST_DIR}>
                                      $<INSTALL_INTERFACE:include>)
add_subdirectory(mlx)
if(MLX_BUILD_PYTHON_BINDINGS)
  add_subdirectory(python/src)
endif()
add_executable(tests tests/tests.cpp)
target_link_libraries(tests PRIVATE mlx)
include(GNUInstallDirs)
install(TARGETS mlx EXPORT MLXTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY mlx DESTINATION include FILES_MATCHING PATTERN "*.h")
install(EXPORT MLXTargets FILE MLXConfig.cmake DESTINATION share/cmake/MLX)
"#;

const PYTHON: &str = r#"add_library(core MODULE mlx.cpp)
set_target_properties(core PROPERTIES PREFIX "" SUFFIX ".test.so" LIBRARY_OUTPUT_DIRECTORY
                                      ${PROJECT_BINARY_DIR} INSTALL_RPATH "$ORIGIN/lib"
                                      BUILD_WITH_INSTALL_RPATH ON)
target_link_libraries(core PRIVATE mlx)
"#;

/// Our projects outside the tree, each a library of one source on MLX.
fn project(library: &str, source: &str) -> String {
    format!(
        "cmake_minimum_required(VERSION 3.25)\nproject(x LANGUAGES CXX)\n\
         find_package(MLX CONFIG REQUIRED)\nadd_library({library} SHARED {source})\n\
         target_link_libraries({library} PRIVATE mlx)\n\
         set_source_files_properties({source} PROPERTIES COMPILE_DEFINITIONS\n\
         ID=\"${{MLX_FORK_ID}}\")\ninstall(TARGETS {library} LIBRARY DESTINATION lib)\n"
    )
}

/// The C API's and the extension's projects: their files under mlx_primitives/.
pub fn projects() -> [(&'static str, String); 5] {
    let api = "#include \"mlx/array.h\"\nextern \"C\" const char* id() { return ID; }\n";
    [
        ("c/CMakeLists.txt", project("mlx_fork_c", "api.cpp")),
        ("c/api.cpp", api.into()),
        ("c/mlx_fork.h", "int mlx_fork_count(int of);\n".into()),
        (
            "extension/CMakeLists.txt",
            project("mlx_fused", "../swiglu.cpp"),
        ),
        ("swiglu.cpp", unit("swiglu", "do_array(x);")),
    ]
}

fn unit(name: &str, body: &str) -> String {
    format!(
        "#include \"mlx/array.h\"\n#include <string>\n#include <vector>\n\
         int do_{name}(int x) {{ std::vector<std::string> v(x); {body} return int(v.size()); }}\n"
    )
}

/// The upstream as `version` has it.
pub fn stock(version: &str) -> Tree {
    let mut tree = Tree::new();
    let mut add = |path: &str, text: String| tree.insert(path.into(), text);
    add("CMakeLists.txt", TOP.into());
    add(
        "mlx/CMakeLists.txt",
        "target_sources(mlx PRIVATE array.cpp ops.cpp export.cpp)\n".into(),
    );
    add(
        "mlx/array.h",
        format!("#pragma once\n// {version}\nint do_array(int);\n"),
    );
    for name in ["array", "ops", "export"] {
        add(&format!("mlx/{name}.cpp"), unit(name, ""));
    }
    add("python/src/CMakeLists.txt", PYTHON.into());
    add("python/src/mlx.cpp", unit("core", "do_array(x);"));
    add(
        "python/mlx/nn/layers.py",
        format!("VERSION = {version:?}\n"),
    );
    add(
        "tests/tests.cpp",
        "#error built without being asked\n".into(),
    );
    tree
}

/// The fork of [`stock`]: two overlay files, and hooks that touch one of upstream's sources.
pub fn fork(version: &str) -> Tree {
    let mut tree = stock(version);
    tree.insert(
        "mlx/fused/CMakeLists.txt".into(),
        "target_sources(mlx PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/build_id.cpp\n\
         ${CMAKE_CURRENT_SOURCE_DIR}/swiglu.cpp)\n\
         set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/build_id.cpp TARGET_DIRECTORY mlx\n\
         PROPERTIES COMPILE_DEFINITIONS MLX_FORK_ID=\"${MLX_FORK_ID}\")\n"
            .into(),
    );
    tree.insert(
        "mlx/fused/build_id.cpp".into(),
        "extern \"C\" const char* mlx_fork_build_id() { return MLX_FORK_ID; }\n".into(),
    );
    tree.insert("mlx/fused/swiglu.cpp".into(), unit("swiglu", ""));
    let hook = "add_subdirectory(fused)\n";
    tree.get_mut("mlx/CMakeLists.txt").unwrap().push_str(hook);
    tree.get_mut("mlx/export.cpp")
        .unwrap()
        .push_str("int hooked() { return 1; }\n");
    tree
}

/// The project around it.
pub struct Bench {
    pub layout: Layout,
    pub options: Options,
    pub tools: Tools,
    pub stock: (String, Tree),
    pub fork: (String, Tree),
}

impl Bench {
    /// In this folder, with the real tools of this checkout.
    pub fn at(root: &Path) -> Self {
        Bench {
            layout: Layout::at(root, root.join("target/mlx")),
            options: Options {
                jobs: Some(2),
                ..Options::default()
            },
            tools: crate::machine::tools().clone(),
            stock: ("stock-1".into(), stock("1")),
            fork: ("fork-1".into(), fork("1")),
        }
    }

    /// Writes the C API's and the extension's projects.
    pub fn add_projects(&self) {
        for (file, text) in projects() {
            files::replace(&self.layout.root().join("mlx_primitives").join(file), &text).unwrap();
        }
    }

    /// Builds both sides.
    pub fn run(&self, ui: &dyn Ui) -> Result<[Build; 2]> {
        let third_party = ThirdParty {
            rows: Vec::new(),
            cmake_args: Vec::new(),
            key: "none".into(),
        };
        let input = |side, tree: &str| SideInput {
            side,
            tree: tree.into(),
            id: format!("id-of-{tree}"),
            overlay: vec![("mine/swiglu.cpp".into(), "mlx/fused/swiglu.cpp".into())],
        };
        let sides = Sides {
            layout: &self.layout,
            options: &self.options,
            tools: &self.tools,
            third_party: &third_party,
            show: &|id| self.show(id),
        };
        let (stock, fork) = (&self.stock.0, &self.fork.0);
        stock_and_fork(
            sides,
            &input(Side::Stock, stock),
            &input(Side::Fork, fork),
            ui,
        )
    }

    /// Shows a tree in the build's source folder, writing what differs.
    fn show(&self, id: &str) -> Result<()> {
        let (_, tree) = [&self.stock, &self.fork]
            .into_iter()
            .find(|(name, _)| name == id)
            .ok_or_else(|| Error::bug(format!("no tree {id}")))?;
        let root = self.layout.build_source();
        let there = match root.exists() {
            true => files::files_below(&root)?,
            false => Vec::new(),
        };
        for file in there {
            let name = file.strip_prefix(&root).unwrap().to_string_lossy();
            if !tree.contains_key(&*name) {
                files::remove(&file)?;
            }
        }
        for (name, text) in tree {
            let file = root.join(name);
            files::replace(&file, text)?;
        }
        Ok(())
    }

    /// Every file of both prefixes, with its bytes or where it points.
    pub fn prefixes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let sides = [Side::Stock, Side::Fork].map(|side| self.layout.prefix(side.name()));
        let files = sides
            .iter()
            .flat_map(|side| files::files_below(side).unwrap());
        files
            .map(|file| {
                let content = match file.read_link() {
                    Ok(target) => target.to_string_lossy().into_owned().into_bytes(),
                    Err(_) => std::fs::read(&file).unwrap(),
                };
                (file, content)
            })
            .collect()
    }
}
