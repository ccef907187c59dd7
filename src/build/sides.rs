//! Stock, then the fork: one source folder, one build folder, two prefixes. Not where the
//! trees come from: the caller shows them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use crate::error::{Kind, Result};
use crate::layout::Layout;
use crate::side::Side;
use crate::ui::Ui;

use super::options::Options;
use super::prefix;
use super::project::{Held, Project};
use super::stamp::{Inputs, Stamp};
use super::third_party::ThirdParty;
use super::tools::Tools;

/// The input of a stamp that names the interpreter that the Python module is for.
pub const INTERPRETER: &str = "the Python interpreter";

/// The series touches few files of MLX; more than these compiled again is worth a look.
const EXPECTED_UPSTREAM: usize = 3;

/// What one side is made from.
#[derive(Debug, Clone)]
pub struct SideInput {
    /// Which one.
    pub side: Side,
    /// The tree's id.
    pub tree: String,
    /// What the library calls itself: the pin's commit, or the fork id.
    pub id: String,
    /// The overlay: a file of the project, and its path in the tree.
    pub overlay: Vec<(String, String)>,
}

/// A finished build.
#[derive(Debug, Clone)]
pub struct Build {
    /// Which one.
    pub side: Side,
    /// Where it is installed.
    pub prefix: PathBuf,
    /// What the library calls itself.
    pub id: String,
    /// Objects compiled from our sources, in this run.
    pub ours: usize,
    /// Objects compiled from MLX's sources, in this run.
    pub upstream: usize,
    /// How long it took.
    pub seconds: f64,
    /// True when it was up to date.
    pub fresh: bool,
}

/// The builds' common ground.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    /// Where things are.
    pub layout: &'a Layout,
    /// What a person chose.
    pub options: &'a Options,
    /// What runs.
    pub tools: &'a Tools,
    /// What MLX is compiled with, besides.
    pub third_party: &'a ThirdParty,
    /// Makes [`Layout::build_source`] show the tree of this id, writing only what differs.
    pub show: &'a dyn Fn(&str) -> Result<()>,
}

/// Builds and installs both sides, as far as they are not up to date.
///
/// # Errors
/// [`Kind::Gate`] where the fork's sources don't compile, [`Kind::Environment`] where stock
/// doesn't or the machine is to blame; each with the first error's lines and the log's path.
pub fn stock_and_fork(
    sides: Sides<'_>,
    stock: &SideInput,
    fork: &SideInput,
    ui: &dyn Ui,
) -> Result<[Build; 2]> {
    Ok([
        sides.build(stock, None, ui)?,
        sides.build(fork, Some(&stock.tree), ui)?,
    ])
}

impl<'a> Sides<'a> {
    /// Builds and installs one side, where it is not up to date. `after` is the tree of
    /// stock, for the fork: it is compared with what the build folder had before.
    ///
    /// # Errors
    /// As [`stock_and_fork`].
    pub fn build(self, input: &SideInput, after: Option<&str>, ui: &dyn Ui) -> Result<Build> {
        let start = Instant::now();
        let name = input.side.name();
        let prefix = self.layout.prefix(name);
        let project = self.project(input);
        let inputs = project.inputs().with("tree", input.tree.as_str());
        let stamp = stamp(self.layout, input.side);
        let mut build = Build {
            side: input.side,
            prefix,
            id: input.id.clone(),
            ours: 0,
            upstream: 0,
            seconds: 0.0,
            fresh: true,
        };
        let Some(why) = stamp.stale(&inputs) else {
            return Ok(build);
        };
        ui.note(&format!("{name}: to be built, because {why}"));
        stamp.remove()?;
        let held = project.hold(ui)?;
        (self.show)(&input.tree)?;
        held.configure(ui)?;
        let before = held.take_built()?;
        let compiled = self.compile(&held, input, ui)?;
        held.note_built(&input.tree)?;
        let made = prefix::replace(&held, &build.prefix, ui, |new| {
            if !self.options.python {
                return Ok(());
            }
            let source = self.layout.build_source();
            prefix::add_python(new, &source, &self.layout.build_folder())?;
            match &self.tools.python {
                Some(python) => prefix::add_stubs(new, &source, &python.path),
                None => Ok(()),
            }
        })?;
        stamp.save(&inputs, &made)?;
        let is_ours = |source: &&String| {
            source.starts_with("mlx/fused/")
                || input.overlay.iter().any(|(_, path)| path == *source)
        };
        build.ours = compiled.iter().filter(is_ours).count();
        build.upstream = compiled.len() - build.ours;
        build.seconds = start.elapsed().as_secs_f64();
        build.fresh = false;
        ui.note(&format!(
            "{name}: compiled {} of our sources and {} of MLX's in {:.1} s",
            build.ours, build.upstream, build.seconds
        ));
        if after.is_some() && after == before.as_deref() && build.upstream > EXPECTED_UPSTREAM {
            ui.warn(&format!(
                "the series made {} of MLX's sources compile again, not {EXPECTED_UPSTREAM}: \
                 does a patch touch a header that many include?",
                build.upstream
            ));
        }
        Ok(build)
    }

    /// Builds the C++ tests of this side, whose build is up to date; gives the program.
    ///
    /// # Errors
    /// As [`stock_and_fork`].
    pub fn build_tests(self, input: &SideInput, ui: &dyn Ui) -> Result<PathBuf> {
        let held = self.project(input).hold(ui)?;
        (self.show)(&input.tree)?;
        held.configure(ui)?;
        held.take_built()?;
        held.build(&["tests"], ui)?;
        held.note_built(&input.tree)?;
        Ok(test_program(self.layout))
    }

    fn compile(self, held: &Held<'_>, input: &SideInput, ui: &dyn Ui) -> Result<BTreeSet<String>> {
        let targets: &[&str] = match self.options.python {
            true => &["mlx", "core"],
            false => &["mlx"],
        };
        held.build(targets, ui).map_err(|error| {
            // Whole paths, or relative ones where ccache makes them so.
            let names = |path: &str| error.what().contains(&format!("/{path}"));
            let named = input.overlay.iter().filter(|(_, path)| names(path));
            named.fold(error.clone(), |error, (file, path)| {
                error.hint(format!("{path} of the tree is {file} here"))
            })
        })
    }

    fn project(self, input: &SideInput) -> Project<'a> {
        let switch = |on: bool| if on { "ON" } else { "OFF" };
        let mut args: Vec<String> = [
            "-DBUILD_SHARED_LIBS=ON",
            // The target `tests` is there for those who build it; it is not built here.
            "-DMLX_BUILD_TESTS=ON",
            "-DMLX_BUILD_EXAMPLES=OFF",
            "-DMLX_BUILD_PYTHON_STUBS=OFF",
            "-DMLX_BUILD_GGUF=OFF",
            // A changed libmlx needs no new link of what loads it, and linking `core`, which is
            // optimised as a whole, takes longer than all else after an edit.
            "-DCMAKE_LINK_DEPENDS_NO_SHARED=ON",
            // The launcher is ours: MLX's switch would put ccache into every command line.
            "-DMLX_USE_CCACHE=OFF",
        ]
        .map(String::from)
        .to_vec();
        args.push(format!(
            "-DMLX_BUILD_PYTHON_BINDINGS={}",
            switch(self.options.python)
        ));
        let mut against = Inputs::default().with("third-party sources", &*self.third_party.key);
        if let (true, Some(python)) = (self.options.python, &self.tools.python) {
            args.push(format!("-DPython_EXECUTABLE={}", python.path.display()));
            against = against.with("Python", python.key());
            against = against.with(INTERPRETER, python.path.to_string_lossy());
        }
        args.extend(self.third_party.cmake_args.iter().cloned());
        Project {
            layout: self.layout,
            tools: self.tools,
            options: self.options,
            name: input.side.name().into(),
            source: self.layout.build_source(),
            folder: self.layout.build_folder(),
            listed: self.layout.build_source(),
            args,
            id: match input.side {
                Side::Stock => String::new(),
                Side::Fork | Side::Extension => input.id.clone(),
            },
            against,
            read: Inputs::default(),
            environment: Vec::new(),
            failure: match input.side {
                Side::Stock => Kind::Environment,
                Side::Fork | Side::Extension => Kind::Gate,
            },
        }
    }
}

/// The C++ tests of the side that was built last.
pub fn test_program(layout: &Layout) -> PathBuf {
    layout.build_folder().join("tests/tests")
}

/// The stamp of a side's build.
pub fn stamp(layout: &Layout, side: Side) -> Stamp {
    Stamp::at(layout.stamps().join(format!("{}.json", side.name())))
}
