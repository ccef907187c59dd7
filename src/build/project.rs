//! One cmake project in one build folder: configured when something changed that cmake
//! reads, built by ninja, installed into a folder. Not which projects there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Kind, Result, reading};
use crate::layout::Layout;
use crate::process::Command;
use crate::ui::Ui;

use super::diagnosis;
use super::environment::{Variables, clean_environment, environment_key, with_variables};
use super::files::{beside, files_below, remove, replace};
use super::hold::Hold;
use super::launcher;
use super::ninja;
use super::options::Options;
use super::stamp::{Inputs, Stamp};
use super::tools::Tools;

/// A project, as it is to be built.
#[derive(Debug)]
pub struct Project<'a> {
    /// Where things are.
    pub layout: &'a Layout,
    /// What runs.
    pub tools: &'a Tools,
    /// What a person chose.
    pub options: &'a Options,
    /// Its name in steps and logs: "stock".
    pub name: String,
    /// Where its CMakeLists.txt is.
    pub source: PathBuf,
    /// Where it is built.
    pub folder: PathBuf,
    /// Files whose names and CMake code cmake reads.
    pub listed: PathBuf,
    /// `-D` arguments, without those that every project gets.
    pub args: Vec<String>,
    /// What the build calls itself, given as `MLX_FORK_ID`.
    pub id: String,
    /// Keys of what it is compiled against: when one changes, no object can be kept.
    pub against: Inputs,
    /// Keys of what cmake reads elsewhere: when one changes, it is configured again.
    pub read: Inputs,
    /// Variables that cmake, ninja and what they run get, beside those of this process.
    pub environment: Variables,
    /// What a failure means that is not the machine's fault.
    pub failure: Kind,
}

/// A project whose build folder is held, and ready for its configuration.
#[derive(Debug)]
pub struct Held<'a> {
    project: Project<'a>,
    _hold: Hold,
}

impl<'a> Project<'a> {
    /// What a build of this project depends on, beside its sources. Neither the number of
    /// jobs nor the launcher is in it: they change nothing in what comes out.
    pub fn inputs(&self) -> Inputs {
        self.compilers()
            .and(&self.read)
            .with("cmake", self.tools.cmake.key())
            .with("ninja", self.tools.ninja.key())
            .with("arguments", self.args.join("\n"))
            .with("fork id", self.id.as_str())
    }

    /// What every object depends on, unknown to ninja: a compiler that was replaced, or
    /// headers of a package older than the objects that the former ones are in.
    fn compilers(&self) -> Inputs {
        self.against
            .clone()
            .with("C compiler", self.tools.cc.key())
            .with("C++ compiler", self.tools.cxx.key())
            .with("compilers' environment", environment_key())
            .with("source folder", self.source.to_string_lossy())
            .with("build folder", self.folder.to_string_lossy())
    }

    /// Takes the build folder, and clears what can't be used of what is in it.
    pub fn hold(self, ui: &dyn Ui) -> Result<Held<'a>> {
        launcher::prepare(self.layout, self.tools.launcher.as_ref())?;
        let (hold, since) = Hold::take(&self.folder, ui)?;
        if let Some(since) = since {
            let removed = ninja::remove_unfinished(&self.folder, since)?;
            ui.note(&format!(
                "{}: the run before was cut short; going on from what it finished{}",
                self.name,
                match removed {
                    0 => String::new(),
                    n => format!(" ({n} unfinished files removed)"),
                }
            ));
        }
        hold.begin()?;
        let compilers = Stamp::at(self.folder.join("mlx-fork.compilers"));
        if compilers.stale(&self.compilers()).is_some() {
            wipe(&self.folder)?;
            std::fs::create_dir_all(&self.folder)
                .doing(|| format!("making {}", self.folder.display()))?;
            compilers.save(&self.compilers(), &[])?;
        }
        Ok(Held {
            project: self,
            _hold: hold,
        })
    }

    fn log(&self, step: &str) -> PathBuf {
        let name = format!("{}-{step}.log", self.name);
        self.layout.logs().join(name)
    }

    /// A key of what cmake reads in the source folder: the names of all files (a CMake file
    /// may ask whether one is there) and the bytes of CMake's own.
    fn listing(&self) -> Result<String> {
        let mut inputs = Inputs::default();
        for file in files_below(&self.listed)? {
            let name = file.to_string_lossy().into_owned();
            let read = name.ends_with("CMakeLists.txt")
                || name.ends_with(".cmake")
                || name.ends_with(".in")
                || name.ends_with("version.h");
            let key = match read {
                true => {
                    let bytes = std::fs::read(&file).doing(reading(&file))?;
                    String::from_utf8_lossy(&bytes).into_owned()
                }
                false => String::new(),
            };
            inputs = inputs.with(&name, key);
        }
        Ok(inputs.key())
    }

    fn all_args(&self) -> Vec<String> {
        let launcher = launcher::path(self.layout);
        let mut args = vec![
            "-DCMAKE_BUILD_TYPE=Release".into(),
            "-DCMAKE_INSTALL_LIBDIR=lib".into(),
            format!("-DCMAKE_MAKE_PROGRAM={}", self.tools.ninja.path.display()),
            format!("-DCMAKE_C_COMPILER={}", self.tools.cc.path.display()),
            format!("-DCMAKE_CXX_COMPILER={}", self.tools.cxx.path.display()),
            format!("-DCMAKE_C_COMPILER_LAUNCHER={}", launcher.display()),
            format!("-DCMAKE_CXX_COMPILER_LAUNCHER={}", launcher.display()),
        ];
        args.push(format!("-DMLX_FORK_ID={}", self.id));
        args.extend(self.args.iter().cloned());
        args
    }
}

impl Held<'_> {
    /// Runs cmake where it has something to do.
    pub fn configure(&self, ui: &dyn Ui) -> Result<()> {
        let project = &self.project;
        let stamp = Stamp::at(project.folder.join("mlx-fork.configured"));
        let inputs = project.inputs().with("cmake files", project.listing()?);
        let Some(_) = stamp.stale(&inputs) else {
            return Ok(());
        };
        ui.step(&format!("{}: configure", project.name));
        // The cache keeps arguments that are no longer given, and what was found by them.
        let old = stamp.inputs();
        let keeps = |name: &str| old.as_ref().and_then(|old| old.get(name)) == inputs.get(name);
        let cache = project.folder.join("CMakeCache.txt");
        stamp.remove()?;
        if !["arguments", "cmake", "ninja"].into_iter().all(keeps) {
            remove(&cache)?;
        }
        let first = self.run_cmake();
        // Without a stamp, files of a run that was cut short may be what it fails on.
        if old.is_none() && first.is_err() && self.remove_configuration()? {
            self.run_cmake()?;
        } else {
            first?;
        }
        let made = ["CMakeCache.txt", "build.ninja"].map(|name| project.folder.join(name));
        stamp.save(&inputs, &made)
    }

    /// Removes what cmake wrote, but no object; false when there was nothing to remove.
    fn remove_configuration(&self) -> Result<bool> {
        let folder = &self.project.folder;
        let mut left = vec![folder.join("build.ninja"), folder.join("CMakeCache.txt")];
        if let Ok(entries) = std::fs::read_dir(folder.join("CMakeFiles")) {
            let files = entries.flatten().map(|entry| entry.path());
            left.extend(files.filter(|path| path.extension().is_none_or(|e| e != "dir")));
        }
        left.retain(|path| path.exists());
        left.iter().try_for_each(|path| remove(path))?;
        Ok(!left.is_empty())
    }

    fn run_cmake(&self) -> Result<()> {
        let project = &self.project;
        let log = project.log("configure");
        let cmake = Command::new(&project.tools.cmake.path);
        let command = with_variables(cmake, &project.environment)
            .args(["-G", "Ninja", "-S"])
            .arg(&project.source)
            .arg("-B")
            .arg(&project.folder)
            .args(project.all_args())
            .log(&log);
        let output = command.output()?;
        if output.success() {
            return Ok(());
        }
        let printed = format!("{}{}", output.stderr, output.stdout);
        Err(
            diagnosis::failure(&printed, &output.ending(), project.failure, &project.folder)
                .doing(format!("configuring {} with cmake", project.name))
                .hint(format!("the full log is {}", log.display())),
        )
    }

    /// Builds these targets; gives the sources that were compiled.
    pub fn build(&self, targets: &[&str], ui: &dyn Ui) -> Result<BTreeSet<String>> {
        let project = &self.project;
        ui.step(&format!("{}: build", project.name));
        let run = ninja::Run {
            ninja: &project.tools.ninja.path,
            folder: &project.folder,
            targets,
            jobs: project.options.jobs.unwrap_or_else(super::jobs::default),
            log: project.log("build"),
            failure: project.failure,
            environment: &project.environment,
        };
        run.build(ui).doing(|| format!("building {}", project.name))
    }

    /// Installs what was built into `prefix`; builds nothing.
    pub fn install(&self, prefix: &Path, ui: &dyn Ui) -> Result<()> {
        let project = &self.project;
        ui.step(&format!("{}: install", project.name));
        let log = project.log("install");
        let command = clean_environment(Command::new(&project.tools.cmake.path))
            .arg("--install")
            .arg(&project.folder)
            .arg("--prefix")
            .arg(prefix)
            .log(&log);
        let output = command.output()?;
        if output.success() {
            return Ok(());
        }
        let printed = format!("{}{}", output.stderr, output.stdout);
        Err(diagnosis::failure(
            &printed,
            &output.ending(),
            Kind::Environment,
            &project.folder,
        )
        .doing(format!(
            "installing {} into {}",
            project.name,
            prefix.display()
        ))
        .hint(format!("the full log is {}", log.display())))
    }

    /// The project.
    pub fn project(&self) -> &Project<'_> {
        &self.project
    }

    /// Writes a small file beside the objects: what was built here last.
    pub fn note_built(&self, what: &str) -> Result<()> {
        replace(&self.project.folder.join("mlx-fork.built"), what)
    }

    /// What was built here last; forgets it, because this build begins.
    pub fn take_built(&self) -> Result<Option<String>> {
        let path = self.project.folder.join("mlx-fork.built");
        let built = std::fs::read_to_string(&path).ok();
        remove(&path)?;
        Ok(built)
    }
}

/// Removes a folder at once: half of it, after a kill, would look like a build folder.
fn wipe(folder: &Path) -> Result<()> {
    let old = beside(folder, "old");
    remove(&old)?;
    if folder.exists() {
        std::fs::rename(folder, &old).doing(|| format!("removing {}", folder.display()))?;
    }
    remove(&old)
}
