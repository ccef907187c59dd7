//! The quick form: our sources as an extension of the macOS wheel of MLX, linked against its
//! library, and MLX's files that the series patches, compiled. Seconds after an edit.

use std::path::{Path, PathBuf};

use crate::build::files::remove;
use crate::build::project::{Held, Project};
use crate::build::stamp::Inputs;
use crate::error::{Error, Kind, Result};
use crate::layout::Layout;
use crate::probe::binary;
use crate::ui::Ui;

use super::listed;
use super::report::Report;
use super::setting::{Setting, home};

/// The name of the build of our own sources.
pub const NAME: &str = "quick";

/// Our extension's library, in the folder of a build.
const EXTENSION: &str = "extension/libmlx_fused.dylib";

/// The extension as the last quick check linked it; none may be there.
pub fn extension(layout: &Layout) -> PathBuf {
    home(layout).join(NAME).join(EXTENSION)
}

/// One run of the checks.
#[derive(Debug, Clone, Copy)]
pub struct Quick<'a> {
    /// What is checked, and with what.
    pub setting: &'a Setting,
    /// The folder of the primitives: mlx_primitives, or a copy.
    pub primitives: &'a Path,
    /// The name of the build: also its folder's.
    pub name: &'a str,
}

impl Quick<'_> {
    /// Makes the checks.
    ///
    /// # Errors
    /// None of [`Kind::Gate`]: those are in the report.
    pub fn run(self, ui: &dyn Ui) -> Result<Report> {
        let mut report = self.setting.report("quick");
        let held = self.project()?.hold(ui)?;
        let configured = report.check("cmake takes our files", || {
            held.configure(ui)?;
            listed::sources(&self.setting.tree, &held)
        })?;
        if !configured {
            return Ok(report);
        }
        let built = report.check("our primitives compile and link for macOS", || {
            self.built(&held, "mlx_fused", EXTENSION, ui)
        })?;
        if built {
            report.check("they export what the series promises", || {
                self.exports(&held)
            })?;
            report.check("the C API compiles and links for macOS", || {
                self.built(&held, "mlx_fork_c", "extension/c/libmlx_fork_c.dylib", ui)
            })?;
        }
        if !self.setting.tree.kernels().is_empty() {
            report.check("our kernels are preprocessed, for the extension", || {
                held.build(&["mlx_fused_metallib"], ui)?;
                listed::kernels(&self.setting.tree, &held, "mlx_fused.metallib")
            })?;
        }
        if !self.setting.tree.patched_sources().is_empty() {
            report.check("MLX's patched files compile for macOS", || {
                held.build(&["patched"], ui)?;
                Ok(self.setting.tree.patched_sources().join(", "))
            })?;
        }
        Ok(report)
    }

    fn project(&self) -> Result<Project<'_>> {
        let (tree, kit) = (&self.setting.tree, &self.setting.kit);
        let patched = tree.patched_sources().join(";");
        let fmt = self.setting.fmt()?.join("include");
        let json = self.setting.third_party_folder("JSON")?;
        let json = json.join("single_include/nlohmann");
        let mut args = kit.args("14.0");
        args.extend([
            format!("-DCMAKE_PREFIX_PATH={}", kit.wheel.prefix.display()),
            format!("-DMLX_FORK_PRIMITIVES={}", self.primitives.display()),
            format!("-DMLX_FORK_TREE={}", tree.folder.display()),
            format!("-DMLX_FORK_PATCHED={patched}"),
            format!("-DMLX_FORK_INCLUDES={};{}", fmt.display(), json.display()),
            "-DMLX_FORK_PYTHON=OFF".into(),
        ]);
        Ok(Project {
            layout: &self.setting.layout,
            tools: &self.setting.tools,
            options: &self.setting.options,
            name: format!("macos-{}", self.name),
            source: kit.folder().to_path_buf(),
            folder: self.setting.home().join(self.name),
            listed: self.primitives.to_path_buf(),
            args,
            // The id is that of the last commit: it would compile and link anew each time.
            id: "check-macos".into(),
            against: kit.key()?,
            read: Inputs::default(),
            environment: kit.environment(),
            failure: Kind::Gate,
        })
    }

    fn built(&self, held: &Held<'_>, target: &str, library: &str, ui: &dyn Ui) -> Result<String> {
        let path = self.setting.home().join(self.name).join(library);
        held.build(&[target], ui).map_err(|error| {
            // A link that failed leaves an empty library, which looks finished to ninja.
            match remove(&path) {
                Ok(()) => error,
                Err(other) => other,
            }
        })?;
        Ok(path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into())
    }

    fn exports(&self, held: &Held<'_>) -> Result<String> {
        let path = held.project().folder.join(EXTENSION);
        let exports = binary::exports(&path)?;
        let features = self.setting.tree.series.selected();
        let promised = features.flat_map(|feature| &feature.probes.symbols);
        let promised: Vec<&String> = promised.collect();
        let missing: Vec<&str> = promised
            .iter()
            .filter(|name| !exports.has(name))
            .map(|name| name.as_str())
            .collect();
        match missing.is_empty() {
            true => Ok(format!("{} functions", promised.len())),
            false => Err(Error::gate(format!("not exported: {}", missing.join(", ")))),
        }
    }
}
