//! The build: libmlx of the objects that the fork's own build made, but for those of the lack of
//! a GPU, and of MLX's Metal backend, compiled here; beside it the framework, the kernels'
//! sources, and everything else that the fork's prefix has.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;

use crate::build::files::{content_key, copy, files_below, replace};
use crate::build::project::Project;
use crate::build::stamp::{Inputs, Stamp};
use crate::build::system::System;
use crate::build::tools::{Tools, file_key};
use crate::build::{Options, ThirdParty, clang, prefix, third_party, tools};
use crate::config::Config;
use crate::error::{Doing, Error, Kind, Result, reading};
use crate::layout::Layout;
use crate::macos::{Tree, wheel};
use crate::run::{self, Installed};
use crate::side::Side;
use crate::ui::Ui;

use super::library;

/// Its name: of the prefix, the stamp and the logs.
const NAME: &str = "emulated";

/// The command that makes it.
const MAKER: &str = "`cargo xtask emulate-mlx`";

/// The sources of kernels, in MLX's tree and below a prefix's `include`.
const KERNELS: &str = "mlx/backend/metal/kernels";

/// A finished build.
#[derive(Debug, Clone)]
pub struct Emulated {
    /// Where it is installed.
    pub prefix: PathBuf,
    /// The fork that it is of.
    pub id: String,
    /// The framework's classes and MLX's sources that were compiled in this run.
    pub compiled: usize,
    /// How long it took.
    pub seconds: f64,
}

/// Builds it, where it is not up to date.
///
/// # Errors
/// [`Kind::Environment`] where the fork was not built before, or clang is lacking;
/// [`Kind::Gate`] where the backend doesn't compile or a kernel's source can't be read.
pub fn build(layout: &Layout, config: &Config, options: &Options, ui: &dyn Ui) -> Result<Emulated> {
    let start = Instant::now();
    let fork = run::installed(layout, Side::Fork)?;
    let tree = Tree::show(layout, ui)?;
    let tools = compilers(&tools::find(layout, options, ui)?)?;
    let found = third_party::resolve(layout, config, options, &tools, &tree.folder)?;
    let metal_cpp = metal_cpp(layout, &tools, &tree, ui)?;
    let objects = write_objects(layout)?;
    let project = project(layout, options, &tools, &tree, &found, &metal_cpp)?;
    let inputs = project
        .inputs()
        .with("fork", tree.id.as_str())
        .with("fork's library", file_key(&fork.library))
        .with("objects", objects);
    let mut built = Emulated {
        prefix: layout.prefix(NAME),
        id: tree.id.clone(),
        compiled: 0,
        seconds: 0.0,
    };
    let stamp = stamp(layout);
    let Some(why) = stamp.stale(&inputs) else {
        return Ok(built);
    };
    ui.note(&format!("{NAME}: to be built, because {why}"));
    stamp.remove()?;
    let held = project.hold(ui)?;
    held.configure(ui)?;
    built.compiled = held.build(&["all"], ui)?.len();
    let made = prefix::replace(&held, &built.prefix, ui, |new| {
        complete(layout, &fork, &tree, new, &built.prefix)
    })?;
    stamp.save(&inputs, &made)?;
    built.seconds = start.elapsed().as_secs_f64();
    Ok(built)
}

/// The build as other programs use it.
///
/// # Errors
/// [`Kind::Environment`] where it is not there, or of another fork than the one on disk.
pub fn installed(layout: &Layout) -> Result<Installed> {
    let fork = run::installed(layout, Side::Fork)?;
    let lacking = |what: String| {
        Error::environment(what)
            .doing(format!("looking for the {NAME} build"))
            .hint(format!("{MAKER} makes it"))
    };
    let stamp = stamp(layout);
    if let Some(why) = stamp.altered() {
        return Err(lacking(why));
    }
    let inputs = stamp.inputs().unwrap_or_default();
    if inputs.get("fork") != fork.id.as_deref() {
        return Err(lacking("the fork has been built anew since".into()));
    }
    let prefix = layout.prefix(NAME);
    let moved = |path: &Path| match path.strip_prefix(&fork.prefix) {
        Ok(rest) => prefix.join(rest),
        Err(_) => path.into(),
    };
    Ok(Installed {
        library: moved(&fork.library),
        c_api: moved(&fork.c_api),
        prefix,
        ..fork
    })
}

fn stamp(layout: &Layout) -> Stamp {
    Stamp::at(layout.stamps().join(format!("{NAME}.json")))
}

/// The tools with clang, which alone has blocks.
fn compilers(tools: &Tools) -> Result<Tools> {
    let cxx = clang::needed(&System::detect())?;
    Ok(Tools {
        cxx,
        ..tools.clone()
    })
}

fn metal_cpp(layout: &Layout, tools: &Tools, tree: &Tree, ui: &dyn Ui) -> Result<PathBuf> {
    let python = tools.python.as_ref().ok_or_else(|| {
        Error::bug("the tools were found without Python, whose pip brings metal-cpp")
    })?;
    let wheel = wheel::fetch(layout, &python.path, &tree.release, ui)?;
    Ok(wheel.prefix.join("include/metal_cpp"))
}

fn project<'a>(
    layout: &'a Layout,
    options: &'a Options,
    tools: &'a Tools,
    tree: &Tree,
    found: &ThirdParty,
    metal_cpp: &Path,
) -> Result<Project<'a>> {
    let source = layout.root().join("metal/emulator/host");
    let mut includes = vec![metal_cpp.to_path_buf()];
    includes.extend(found.rows.iter().flat_map(|row| row.includes.clone()));
    // The system's own folders are found anyhow, and must not come before others.
    includes.retain(|folder| folder != Path::new("/usr/include"));
    let includes: Vec<String> = includes.iter().map(|f| f.display().to_string()).collect();
    let mut args = vec![
        format!("-DMLX_TREE={}", tree.folder.display()),
        format!("-DMLX_OBJECTS={}", objects_file(layout).display()),
        format!("-DMLX_INCLUDES={}", includes.join(";")),
        // Host code is not what takes the time.
        "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG".into(),
    ];
    args.extend(found.cmake_args.iter().cloned());
    Ok(Project {
        layout,
        tools,
        options,
        name: NAME.into(),
        listed: source.clone(),
        folder: layout.target().join("build-emulated"),
        args,
        id: String::new(),
        against: Inputs::default().with("third-party sources", &*found.key),
        read: Inputs::default()
            .with("framework", content_key(&source)?)
            .with(
                "headers",
                content_key(&layout.root().join("metal/macos/include"))?,
            )
            .with("tree", tree.id.as_str()),
        source,
        environment: Vec::new(),
        failure: Kind::Gate,
    })
}

/// A line of compile_commands.json.
#[derive(Debug, Deserialize)]
struct Compiled {
    directory: PathBuf,
    file: String,
    output: PathBuf,
}

fn objects_file(layout: &Layout) -> PathBuf {
    layout.target().join("emulated.objects")
}

/// Lists the fork's objects that libmlx is made of, whatever the backend; gives a key of them.
fn write_objects(layout: &Layout) -> Result<String> {
    let commands = layout.build_folder().join("compile_commands.json");
    let text = std::fs::read_to_string(&commands).doing(reading(&commands))?;
    let all: Vec<Compiled> = serde_json::from_str(&text)
        .map_err(|e| Error::environment(format!("{} is not cmake's: {e}", commands.display())))?;
    let mut lines = String::new();
    let mut inputs = Inputs::default();
    for compiled in all.iter().filter(|compiled| is_shared(compiled)) {
        let object = compiled.directory.join(&compiled.output);
        if !object.is_file() {
            return Err(
                Error::environment(format!("{} is not there", object.display()))
                    .doing("looking for the objects of the fork's build")
                    .hint("`cargo xtask setup-mlx` makes them"),
            );
        }
        lines.push_str(&format!("{}\n", object.display()));
        inputs = inputs.with(&object.to_string_lossy(), file_key(&object));
    }
    replace(&objects_file(layout), &lines)?;
    Ok(inputs.key())
}

/// True for an object of libmlx that doesn't stand for the lack of a GPU.
fn is_shared(compiled: &Compiled) -> bool {
    let output = compiled.output.to_string_lossy();
    let targets = ["/mlx.dir/", "/mlx_version.dir/"];
    let ours = targets.iter().any(|target| output.contains(target));
    ours && !compiled.file.contains("/no_gpu/") && !compiled.file.ends_with("/no_metal.cpp")
}

/// Adds to what was installed: the kernels' sources, the list of kernels, and what the fork's
/// prefix has beside libmlx.
fn complete(
    layout: &Layout,
    fork: &Installed,
    tree: &Tree,
    new: &Path,
    place: &Path,
) -> Result<()> {
    let kernels = tree.folder.join(KERNELS);
    let texts = files_below(&kernels)?;
    let is_text = |path: &&PathBuf| path.extension().is_some_and(|e| e == "metal" || e == "h");
    for file in texts.iter().filter(is_text) {
        let name = file.strip_prefix(&tree.folder).unwrap_or(file);
        copy(file, &new.join("include").join(name))?;
    }
    let metallib = new.join("lib/mlx.metallib");
    let sources = library::read(&metallib)?;
    let text = library::indexed(layout, &sources, &tree.folder, &place.join("include"))?;
    replace(&metallib, &text)?;
    for file in files_below(&fork.prefix)? {
        let name = file.strip_prefix(&fork.prefix).unwrap_or(&file);
        let to = new.join(name);
        if file.is_symlink() {
            let target = std::fs::read_link(&file).doing(reading(&file))?;
            crate::build::files::link(&target, &to)?;
        } else if !to.exists() {
            copy(&file, &to)?;
        }
    }
    Ok(())
}
