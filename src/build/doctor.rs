//! Examines the machine by using it: each tool that the build will run does a small real
//! piece of work, and each lack gets the command that mends it here. Mends nothing itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::checks::{self, Checked, Cmake};
use super::clang;
use super::declared::Declarations;
use super::emulation::{self, Emulation};
use super::options::{LauncherChoice, Options};
use super::search::{self, Found, Lack, Survey};
use super::system::{Need, System};
use super::third_party::{self, Row as Source};
use super::tools::{Tool, Tools, source_tree};
use super::{machine, python};
use crate::config::Config;
use crate::error::{Doing, Result, writing};
use crate::layout::Layout;
use crate::ui::Ui;

/// Whether the build can use something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fitness {
    /// It did its work.
    Fit,
    /// The build can't do without it.
    Lacking,
    /// The build does without it: it takes longer, or a test can't be run.
    OptionalLacking,
}

impl std::fmt::Display for Fitness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Fitness::Fit => "fit",
            Fitness::Lacking => "LACKING",
            Fitness::OptionalLacking => "lacking (optional)",
        })
    }
}

/// One line of the examination.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What: `C++ compiler`.
    pub what: String,
    /// Where it is; empty where it is nowhere.
    pub path: String,
    /// Its version; empty where it has none.
    pub version: String,
    /// Where it came from: `system`, `PyPI`, `override`, `fetched`; empty where that says nothing.
    pub origin: String,
    /// Whether the build can use it.
    pub fitness: Fitness,
    /// What was tried, or what is wrong.
    pub note: String,
    /// The command that mends it, on this system.
    pub mend: Option<String>,
    /// What would mend it.
    #[serde(skip)]
    pub needs: BTreeSet<Need>,
}

/// The examination.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Line by line.
    pub rows: Vec<Row>,
    /// One command that mends all of it, where one is known.
    pub mend: Option<String>,
    /// True where nothing that the build needs is lacking.
    pub fit: bool,
}

impl Report {
    /// Everything that would have to be mended, the optional included.
    pub fn needs(&self) -> BTreeSet<Need> {
        self.rows
            .iter()
            .flat_map(|row| &row.needs)
            .copied()
            .collect()
    }
}

/// Examines this machine.
///
/// # Errors
/// Only where the examination itself can't be done: no scratch folder, a broken fork.toml.
pub fn examine(layout: &Layout, options: &Options, ui: &dyn Ui) -> Result<Report> {
    examine_on(&System::detect(), layout, options, ui)
}

/// As [`examine`], on a system as described.
pub fn examine_on(
    system: &System,
    layout: &Layout,
    options: &Options,
    ui: &dyn Ui,
) -> Result<Report> {
    let config = Config::load(layout)?;
    let declared = Declarations::read(&source_tree(layout, options)).unwrap_or_default();
    std::fs::create_dir_all(layout.scratch()).doing(writing(&layout.scratch()))?;
    let scratch = tempfile::Builder::new()
        .prefix("doctor-")
        .tempdir_in(layout.scratch())
        .doing(writing(&layout.scratch()))?;
    // Before the first setup there is no tree that says which nanobind; that of the default
    // pin is then the one that setup will want.
    let nanobind = declared.version("nanobind").unwrap_or(DEFAULT_NANOBIND);
    let nanobind = options.python.then_some(nanobind);
    let survey = search::survey(system, layout, options, nanobind, ui);
    let mut doctor = Doctor {
        system,
        options,
        scratch: scratch.path(),
        rows: Vec::new(),
    };
    ui.step("examining tools");
    doctor.tools(&survey);
    if let Ok(tools) = survey.into_tools(system) {
        doctor.third_party(layout, &config, &declared, &tools)?;
    } else {
        doctor.skip_third_party();
    }
    for (row, lack) in machine::rows(system, layout, doctor.scratch) {
        doctor.push(row, lack);
    }
    let rows = doctor.rows;
    let needs: BTreeSet<Need> = rows.iter().flat_map(|row| &row.needs).copied().collect();
    Ok(Report {
        mend: system.mend_line(&needs),
        fit: rows.iter().all(|row| row.fitness != Fitness::Lacking),
        rows,
    })
}

/// What the default pin's CMakeLists.txt names.
const DEFAULT_NANOBIND: &str = "2.12.0";

struct Doctor<'a> {
    system: &'a System,
    options: &'a Options,
    scratch: &'a Path,
    rows: Vec<Row>,
}

impl Doctor<'_> {
    fn push(&mut self, mut row: Row, lack: Option<Lack>) {
        if let Some(lack) = lack {
            row.mend = self.system.mend_line(&lack.needs);
            row.note = lack.why;
            row.needs = lack.needs;
            if row.fitness == Fitness::Fit {
                row.fitness = Fitness::Lacking;
            }
        }
        self.rows.push(row);
    }

    /// A tool and what it was seen to do; what it needs where it can't.
    fn tool(
        &mut self,
        what: &str,
        found: &Found,
        tried: &str,
        need: Need,
        check: impl Fn(&Tool) -> Checked,
    ) {
        match found {
            Ok(tool) => {
                let lack = check(tool).err().map(|why| Lack::of(need, why));
                self.push(tool_row(what, tool, tried), lack);
            }
            Err(lack) => self.push(empty_row(what), Some(lack.clone())),
        }
    }

    fn tools(&mut self, survey: &Survey) {
        let scratch = self.scratch;
        let system = self.system;
        self.tool(
            "git",
            &search::git(system),
            "answers",
            Need::Git,
            |_| Ok(()),
        );
        let compiled = "compiled, linked and ran ten lines";
        self.tool("C compiler", &survey.cc, compiled, Need::Compiler, |tool| {
            checks::cc(tool, scratch)
        });
        self.tool(
            "C++ compiler",
            &survey.cxx,
            compiled,
            Need::Compiler,
            |tool| checks::cxx(tool, scratch),
        );
        let ran = format!("ran a rule{}", passed_over(survey, "ninja"));
        self.tool("ninja", &survey.ninja, &ran, Need::Ninja, |tool| {
            checks::ninja(tool, scratch)
        });
        let mut compiles = self.rows.iter().filter(|row| row.what != "git");
        let sound = compiles.all(|row| row.fitness == Fitness::Fit);
        match &survey.cmake {
            Ok(cmake) if !sound => {
                let why = "can't be judged until what stands above it is mended".into();
                let needs = BTreeSet::new();
                self.push(tool_row("cmake", cmake, ""), Some(Lack { why, needs }));
            }
            found => {
                let built = format!(
                    "built a project of one file{}",
                    passed_over(survey, "cmake")
                );
                self.tool("cmake", found, &built, Need::Cmake, |_| {
                    project(survey, scratch)
                });
            }
        }
        self.launcher(survey);
        if Emulation::WANTED {
            self.emulation();
        }
        self.clang();
        if let Some((python, nanobind)) = &survey.python {
            let over = passed_over(survey, "python");
            let tried = format!("in an environment of its own, with its C headers{over}");
            self.tool("python", python, &tried, Need::PythonHeaders, |tool| {
                if !sound {
                    // Nothing can be compiled; the headers are there, or it had not been chosen.
                    return Ok(());
                }
                let includes = python::include(&tool.path)?;
                let cxx = survey.cxx.as_ref().map_err(|lack| lack.why.clone())?;
                checks::object(cxx, python::MODULE, &[includes], scratch)
            });
            self.tool(
                "nanobind",
                nanobind,
                "imported, the version that MLX names",
                Need::Python,
                |tool| {
                    let python = python.as_ref().map_err(|lack| lack.why.clone())?;
                    checks::nanobind(python, &tool.version)
                },
            );
        }
        let over = passed_over(survey, "libclang");
        let tried = format!("loaded, parsed a header{over}");
        self.tool("libclang", &survey.libclang, &tried, Need::Libclang, |_| {
            Ok(())
        });
        if let Some(error) = &survey.pypi {
            let mut row = empty_row("PyPI");
            row.fitness = Fitness::Lacking;
            let hints = error.hints().join("; ");
            row.note = format!("{}; {hints}", error.what());
            self.push(row, None);
        }
    }

    fn launcher(&mut self, survey: &Survey) {
        match &survey.launcher {
            Some(found) => {
                self.tool(
                    "launcher",
                    found,
                    "compiled through it",
                    Need::Launcher,
                    |_| Ok(()),
                );
            }
            None if self.options.launcher == LauncherChoice::Auto => {
                let mut row = empty_row("launcher");
                row.fitness = Fitness::OptionalLacking;
                let why = "neither ccache nor sccache: every rebuild compiles all again";
                self.push(row, Some(Lack::of(Need::Launcher, why)));
            }
            None => {}
        }
    }

    /// Tests need it, builds don't.
    fn emulation(&mut self) {
        let scratch = self.scratch;
        let first = self.rows.len();
        let compiler = emulation::compiler(self.system);
        let compiled = "compiled and linked ten lines";
        self.tool(
            "AArch64 compiler",
            &compiler,
            compiled,
            Need::CrossCompiler,
            |tool| checks::cross(tool, scratch),
        );
        let sound = self.rows[first].fitness == Fitness::Fit;
        let tried = if sound { "ran them" } else { "answers" };
        let emulator = emulation::emulator(self.system);
        self.tool(
            "qemu",
            &emulator,
            tried,
            Need::Emulator,
            |tool| match sound {
                true => checks::emulator(tool, scratch),
                false => Ok(()),
            },
        );
        for row in &mut self.rows[first..] {
            if row.fitness == Fitness::Lacking {
                row.fitness = Fitness::OptionalLacking;
            }
        }
    }

    /// The emulator of Metal and its tests need it, builds don't.
    fn clang(&mut self) {
        let scratch = self.scratch;
        let found = clang::find(self.system);
        let tried = "compiled, linked and ran ten lines";
        self.tool("clang", &found, tried, Need::Clang, |tool| {
            checks::cxx(tool, scratch)
        });
        if let Some(row) = self.rows.last_mut()
            && row.fitness == Fitness::Lacking
        {
            row.fitness = Fitness::OptionalLacking;
        }
    }

    fn third_party(
        &mut self,
        layout: &Layout,
        config: &Config,
        declared: &Declarations,
        tools: &Tools,
    ) -> Result<()> {
        let resolution =
            third_party::resolve_on(self.system, layout, config, self.options, tools, declared)?;
        let linear = resolution.linear_algebra_args();
        let mut linked: Option<Checked> = None;
        for found in resolution.rows {
            let source = match found {
                Ok(source) if source.rule == "left out" => continue,
                Ok(source) => source,
                Err((name, lack)) => {
                    self.push(empty_row(&name), Some(lack));
                    continue;
                }
            };
            let library = matches!(source.name.as_str(), "blas" | "lapack");
            let (tried, checked) = if library {
                let checked = linked
                    .get_or_insert_with(|| cmake_of(tools).linear_algebra(&linear, self.scratch));
                ("linked and ran dgemm and dgetrf", checked.clone())
            } else {
                match checks::source_for(&source.name) {
                    Some(text) => (
                        "compiled an include",
                        checks::headers(&tools.cxx, text, &source.includes, self.scratch),
                    ),
                    None => ("is there", Ok(())),
                }
            };
            let lack = checked.err().map(|why| Lack {
                why,
                needs: third_party::need(&source.name).into_iter().collect(),
            });
            // nanobind has its row among the tools.
            if source.name != "nanobind" || source.rule == "override" {
                self.push(source_row(&source, tried), lack);
            }
        }
        Ok(())
    }

    /// Without tools nothing can be compiled; what files say is still worth knowing.
    fn skip_third_party(&mut self) {
        for (name, lack) in third_party::missing(self.system, self.options) {
            self.push(empty_row(&name), Some(lack));
        }
    }
}

/// Builds a project with what was found.
fn project(survey: &Survey, scratch: &Path) -> Checked {
    let path = |found: &Found| match found {
        Ok(tool) => Ok(tool.path.clone()),
        Err(lack) => Err(lack.why.clone()),
    };
    let launcher = match &survey.launcher {
        Some(found) => Some(path(found)?),
        None => None,
    };
    let programs = Cmake {
        cmake: &path(&survey.cmake)?,
        ninja: &path(&survey.ninja)?,
        cc: &path(&survey.cc)?,
        cxx: &path(&survey.cxx)?,
        launcher: launcher.as_deref(),
    };
    programs.project(scratch)
}

fn cmake_of(tools: &Tools) -> Cmake<'_> {
    Cmake {
        cmake: &tools.cmake.path,
        ninja: &tools.ninja.path,
        cc: &tools.cc.path,
        cxx: &tools.cxx.path,
        launcher: None,
    }
}

fn passed_over(survey: &Survey, name: &str) -> String {
    let over = survey.passed_over.iter().filter(|(tool, _)| tool == name);
    over.map(|(_, why)| format!("; passed over: {}", why.lines().next().unwrap_or(why)))
        .collect()
}

/// A row of something that is not there.
pub fn empty_row(what: &str) -> Row {
    Row {
        what: what.into(),
        path: String::new(),
        version: String::new(),
        origin: String::new(),
        fitness: Fitness::Fit,
        note: String::new(),
        mend: None,
        needs: BTreeSet::new(),
    }
}

fn tool_row(what: &str, tool: &Tool, tried: &str) -> Row {
    Row {
        path: tool.path.display().to_string(),
        version: tool.version.clone(),
        origin: tool.origin.to_string(),
        note: tried.into(),
        ..empty_row(what)
    }
}

fn source_row(source: &Source, tried: &str) -> Row {
    let wanted = match source.wanted.as_str() {
        "" => String::new(),
        wanted if wanted == source.version => String::new(),
        wanted => format!(" (MLX names {wanted})"),
    };
    Row {
        path: PathBuf::from(&source.found).display().to_string(),
        version: source.version.clone(),
        origin: source.rule.clone(),
        note: format!("{tried}{wanted}"),
        ..empty_row(&source.name)
    }
}
