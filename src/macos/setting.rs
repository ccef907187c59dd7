//! What is checked, and with what: the fork's tree, and everything that compiles it.

use std::path::PathBuf;

use crate::build::{Options, ThirdParty, Tools, files, third_party, tools};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ui::Ui;

use super::kit::{Kit, ZIGLANG};
use super::quick::{self, Quick};
use super::report::Report;
use super::tree::Tree;

/// All that a check needs.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Where things are.
    pub layout: Layout,
    /// What a person chose.
    pub options: Options,
    /// The builds' tools, with compilers for macOS.
    pub tools: Tools,
    /// MLX's other sources.
    pub third_party: ThirdParty,
    /// Compilers for macOS, and MLX.
    pub kit: Kit,
    /// The fork.
    pub tree: Tree,
}

/// The folder that everything for macOS is below.
pub(super) fn home(layout: &Layout) -> PathBuf {
    layout.target().join("macos")
}

impl Setting {
    /// Finds and fetches all of it, for the fork that was composed last.
    ///
    /// # Errors
    /// As [`Tree::show`], [`tools::find`], [`third_party::resolve`] and [`Kit::prepare`].
    pub fn prepare(
        layout: &Layout,
        config: &Config,
        options: Options,
        ui: &dyn Ui,
    ) -> Result<Self> {
        let tree = Tree::show(layout, ui)?;
        let kit = Kit::prepare(layout, &tree.release, ui)?;
        let tools = tools::find(layout, &options, ui)?;
        let third_party = third_party::resolve(layout, config, &options, &tools, &tree.folder)?;
        Ok(Setting {
            layout: layout.clone(),
            options,
            tools: kit.tools(&tools),
            third_party,
            kit,
            tree,
        })
    }

    /// The quick checks of our sources.
    pub fn quick(&self, ui: &dyn Ui) -> Result<Report> {
        let quick = Quick {
            setting: self,
            primitives: &self.primitives(),
            name: quick::NAME,
        };
        quick.run(ui)
    }

    /// The checks of all of libmlx.
    pub fn whole(&self, ui: &dyn Ui) -> Result<Report> {
        super::whole::run(self, ui)
    }

    /// The folder of our sources.
    pub fn primitives(&self) -> PathBuf {
        self.layout.root().join("mlx_primitives")
    }

    /// The folder that everything for macOS is below.
    pub fn home(&self) -> PathBuf {
        home(&self.layout)
    }

    /// A report that says what this is, and no check yet.
    pub fn report(&self, form: &'static str) -> Report {
        Report {
            form,
            fork_id: self.tree.id.clone(),
            compiler: ZIGLANG.into(),
            wheel: self.kit.wheel.version.clone(),
            checks: Vec::new(),
        }
    }

    /// fmt as a folder of cmake's: a target of headers only, and nothing else of the system's.
    pub(super) fn fmt(&self) -> Result<PathBuf> {
        let rows = &self.third_party.rows;
        let row = rows.iter().find(|row| row.name == "fmt");
        let include = row.and_then(|row| row.includes.first());
        let include = include.ok_or_else(|| Error::bug("fmt was found, and no folder of it"))?;
        let folder = self.home().join("third-party/fmt");
        files::link(&include.join("fmt"), &folder.join("include/fmt"))?;
        let text = "add_library(fmt-header-only INTERFACE)\n\
             add_library(fmt::fmt-header-only ALIAS fmt-header-only)\n\
             target_compile_definitions(fmt-header-only INTERFACE FMT_HEADER_ONLY=1)\n\
             target_include_directories(fmt-header-only INTERFACE\n  \
             ${CMAKE_CURRENT_SOURCE_DIR}/include)\n";
        files::replace(&folder.join("CMakeLists.txt"), text)?;
        Ok(folder)
    }

    /// The folder that MLX's cmake takes a source from.
    pub(super) fn third_party_folder(&self, name: &str) -> Result<PathBuf> {
        let prefix = format!("-DFETCHCONTENT_SOURCE_DIR_{name}=");
        let args = &self.third_party.cmake_args;
        let found = args.iter().find_map(|arg| arg.strip_prefix(&prefix));
        found
            .map(PathBuf::from)
            .ok_or_else(|| Error::bug(format!("no folder was found for {name}")))
    }
}
