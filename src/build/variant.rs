//! The primitives built once more, from a copy of their sources and with other flags, beside
//! the builds that people use: for sanitizers and for deliberate faults. Compiled as the
//! extension is, against stock's prefix. Not what is done with the library.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mlx_fork_sys::Library;

use crate::error::{Doing, Error, Kind, Result, reading, writing};
use crate::layout::Layout;
use crate::side::Side;
use crate::ui::Ui;

use super::extension::installed_key;
use super::files::{self, files_below};
use super::options::Options;
use super::project::{Held, Project};
use super::stamp::Inputs;
use super::tools::Tools;

/// What a variant is called and how it is compiled.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Its name: also that of its folder, below `variants` in the builds' folder.
    pub name: String,
    /// The compiler's flags in place of a release's.
    pub compile: Vec<String>,
    /// Flags for linking, too.
    pub link: Vec<String>,
}

/// A variant whose build folder is held: nobody else builds it or changes its sources.
#[derive(Debug)]
pub struct Variant<'a> {
    sources: PathBuf,
    held: Held<'a>,
    /// What sources said that were edited here.
    edited: RefCell<BTreeMap<String, String>>,
}

impl<'a> Variant<'a> {
    /// Takes the variant's folder and brings its copy of the sources up to date: edits of an
    /// earlier run are undone. Compiles nothing.
    ///
    /// # Errors
    /// [`Kind::Environment`] where there is no build of stock to compile against.
    pub fn open(
        layout: &'a Layout,
        options: &'a Options,
        tools: &'a Tools,
        recipe: &Recipe,
        ui: &dyn Ui,
    ) -> Result<Self> {
        let doing = || format!("preparing the variant {}", recipe.name);
        let stock = layout.prefix(Side::Stock.name());
        if !stock.join("share/cmake/MLX/MLXConfig.cmake").is_file() {
            let what = format!("no build of stock in {}", stock.display());
            return Err(Error::environment(what)
                .doing(doing())
                .hint(format!("`{}` makes it", Side::Stock.maker())));
        }
        let home = layout.target().join("variants").join(&recipe.name);
        let (sources, folder) = (home.join("sources"), home.join("build"));
        // The C API looks for the primitives in its own folder.
        let lib = folder.join("lib");
        let project = Project {
            layout,
            tools,
            options,
            name: format!("variant-{}", recipe.name),
            source: sources.join("extension"),
            folder,
            listed: sources.clone(),
            args: vec![
                format!("-DCMAKE_PREFIX_PATH={}", stock.display()),
                "-DMLX_FORK_PYTHON=OFF".into(),
                format!("-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={}", lib.display()),
                format!("-DCMAKE_CXX_FLAGS_RELEASE={}", recipe.compile.join(" ")),
                format!("-DCMAKE_SHARED_LINKER_FLAGS={}", recipe.link.join(" ")),
            ],
            id: format!("variant-{}", recipe.name),
            against: Inputs::default().with("MLX", installed_key(&stock)?),
            read: Inputs::default(),
            environment: Vec::new(),
            failure: Kind::Gate,
        };
        let held = project.hold(ui).doing(doing)?;
        files::synchronize(&layout.root().join("mlx_primitives"), &sources).doing(doing)?;
        // On Macs the extension compiles its kernels, beside its sources as they are here.
        files::synchronize(&layout.root().join("metal"), &home.join("metal")).doing(doing)?;
        Ok(Variant {
            sources,
            held,
            edited: RefCell::default(),
        })
    }

    /// The folder of the variant's own sources.
    pub fn sources(&self) -> &Path {
        &self.sources
    }

    /// Replaces one of its sources, named by its path in `mlx_primitives`.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let place = self.sources.join(file);
        let before = std::fs::read_to_string(&place).doing(reading(&place))?;
        self.edited
            .borrow_mut()
            .entry(file.into())
            .or_insert(before);
        std::fs::write(&place, text).doing(writing(&place))
    }

    /// Makes one of its sources what it was before the first edit. Its time is a new one: what
    /// was compiled from the other text must not pass for newer.
    pub fn restore(&self, file: &str) -> Result<()> {
        let place = self.sources.join(file);
        match self.edited.borrow_mut().remove(file) {
            Some(text) => std::fs::write(&place, text).doing(writing(&place)),
            None => Ok(()),
        }
    }

    /// Compiles what has changed; gives the sources that it compiled.
    ///
    /// # Errors
    /// [`Kind::Gate`] where they don't compile.
    pub fn build(&self, ui: &dyn Ui) -> Result<BTreeSet<String>> {
        self.held.configure(ui)?;
        self.held.build(&["all"], ui)
    }

    /// Its libmlx_fork_c, there after [`Self::build`].
    pub fn library(&self) -> PathBuf {
        self.lib().join(Library::file_name())
    }

    /// All that was built: the primitives, and their C API.
    pub fn libraries(&self) -> Result<Vec<PathBuf>> {
        files_below(&self.lib())
    }

    fn lib(&self) -> PathBuf {
        self.held.project().folder.join("lib")
    }
}
