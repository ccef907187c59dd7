//! The whole form: libmlx of the fork by MLX's own cmake, for a Mac with Metal and Accelerate,
//! once with its kernels compiled ahead of time and once with them left to the JIT. All but
//! the kernels themselves, which only Apple's compiler compiles.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::build::files::remove;
use crate::build::project::{Held, Project};
use crate::build::stamp::Inputs;
use crate::error::{Error, Kind, Result};
use crate::probe::{binary, names};
use crate::ui::Ui;

use super::listed;
use super::report::Report;
use super::setting::Setting;

/// A way to build libmlx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As the wheel for macOS 14: all kernels in mlx.metallib.
    AheadOfTime,
    /// `MLX_METAL_JIT`, for a Mac of today: what depends on the newest Metal is compiled.
    Jit,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Form::AheadOfTime => "ahead of time",
            Form::Jit => "JIT",
        }
    }

    /// The name of its build, and of its folder.
    fn folder(self) -> &'static str {
        match self {
            Form::AheadOfTime => "whole",
            Form::Jit => "whole-jit",
        }
    }

    fn deployment_target(self) -> &'static str {
        match self {
            Form::AheadOfTime => "14.0",
            Form::Jit => "26.0",
        }
    }
}

/// True for what GGUF brings: it is in the wheel, and not built here.
fn is_of_gguf(name: &str) -> bool {
    name.contains("gguf") || ["from_half", "to_half"].contains(&name)
}

/// Makes the checks.
///
/// # Errors
/// None of [`Kind::Gate`]: those are in the report.
pub fn run(setting: &Setting, ui: &dyn Ui) -> Result<Report> {
    let mut report = setting.report("whole");
    for form in [Form::AheadOfTime, Form::Jit] {
        let whole = Whole { setting, form };
        whole.run(&mut report, ui)?;
    }
    Ok(report)
}

struct Whole<'a> {
    setting: &'a Setting,
    form: Form,
}

impl Whole<'_> {
    fn run(&self, report: &mut Report, ui: &dyn Ui) -> Result<()> {
        let form = self.form.name();
        let held = self.project()?.hold(ui)?;
        let configured = report.check(&format!("MLX's cmake configures, {form}"), || {
            held.configure(ui).map(|()| String::new())
        })?;
        if !configured {
            return Ok(());
        }
        report.check(&format!("our kernels are in the list, {form}"), || {
            listed::kernels(&self.setting.tree, &held, "mlx.metallib")
        })?;
        let built = report.check(&format!("libmlx compiles and links, {form}"), || {
            self.build(&held, ui)
        })?;
        if built && self.form == Form::AheadOfTime {
            report.check("libmlx exports what the wheel's does", || self.exports())?;
        }
        Ok(())
    }

    fn project(&self) -> Result<Project<'_>> {
        let setting = self.setting;
        let folder = |name: &str, path: PathBuf| {
            format!("-DFETCHCONTENT_SOURCE_DIR_{name}={}", path.display())
        };
        let jit = if self.form == Form::Jit { "ON" } else { "OFF" };
        let mut args = setting.kit.args(self.form.deployment_target());
        args.extend(
            [
                "-DBUILD_SHARED_LIBS=ON",
                "-DMLX_BUILD_TESTS=OFF",
                "-DMLX_BUILD_EXAMPLES=OFF",
                "-DMLX_BUILD_PYTHON_BINDINGS=OFF",
                "-DMLX_BUILD_GGUF=OFF",
                "-DMLX_USE_CCACHE=OFF",
                "-DUSE_SYSTEM_FMT=OFF",
                "-DFETCHCONTENT_FULLY_DISCONNECTED=ON",
            ]
            .map(String::from),
        );
        args.extend([
            format!("-DMLX_METAL_JIT={jit}"),
            folder("FMT", setting.fmt()?),
            folder("JSON", setting.third_party_folder("JSON")?),
            folder(
                "METAL_CPP",
                setting.kit.wheel.prefix.join("include/metal_cpp"),
            ),
        ]);
        Ok(Project {
            layout: &setting.layout,
            tools: &setting.tools,
            options: &setting.options,
            name: format!("macos-{}", self.form.folder()),
            source: setting.tree.folder.clone(),
            folder: setting.home().join(self.form.folder()),
            listed: setting.tree.folder.clone(),
            args,
            // One of a commit would link anew with each.
            id: "check-macos".into(),
            against: setting.kit.key()?,
            read: Inputs::default(),
            environment: setting.kit.environment(),
            failure: Kind::Gate,
        })
    }

    fn library(&self) -> PathBuf {
        let folder = self.setting.home().join(self.form.folder());
        folder.join("libmlx.dylib")
    }

    fn build(&self, held: &Held<'_>, ui: &dyn Ui) -> Result<String> {
        let compiled = held.build(&["mlx"], ui).map_err(|error| {
            // A link that failed leaves an empty library, which looks finished to ninja.
            match remove(&self.library()) {
                Ok(()) => error,
                Err(other) => other,
            }
        })?;
        Ok(format!("{} sources compiled now", compiled.len()))
    }

    fn exports(&self) -> Result<String> {
        let wheel = &self.setting.kit.wheel;
        let theirs = binary::exports(&wheel.prefix.join("lib/libmlx.dylib"))?;
        let ours = binary::exports(&self.library())?;
        let found: BTreeSet<&String> = ours.functions.iter().collect();
        let known: BTreeSet<&String> = theirs.functions.iter().collect();
        let missing: Vec<String> = known
            .difference(&found)
            .filter(|name| !is_of_gguf(name))
            .map(|name| names::signature(name))
            .collect();
        let features = self.setting.tree.series.selected();
        let promised = features.flat_map(|feature| &feature.probes.symbols);
        let lost: Vec<&str> = promised
            .filter(|name| !ours.has(name))
            .map(String::as_str)
            .collect();
        if !lost.is_empty() {
            let what = format!("not exported: {}", lost.join(", "));
            return Err(Error::gate(what));
        }
        let added = found.difference(&known).count();
        let note = format!("{} functions, {added} of them new", found.len());
        if wheel.version != self.setting.tree.release {
            return Ok(format!("{note}; the wheel is of another release"));
        }
        match missing.is_empty() {
            true => Ok(note),
            false => Err(Error::gate(format!(
                "{} functions of the wheel are missing: {}",
                missing.len(),
                missing[..missing.len().min(5)].join(", ")
            ))),
        }
    }
}
