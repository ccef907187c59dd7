//! What a build can do, and whether that is what was promised: by reading its files
//! ([`binary`]), by loading them in a process of its own ([`worker`]) and by asking its
//! Python ([`python`]). It says nothing about results being right: that is parity.

mod archive;
pub mod artifact;
pub mod binary;
pub mod cpu;
mod file;
mod judge;
pub mod kernels;
pub mod metallib;
pub mod names;
pub mod python;
mod report;
pub mod room;
mod source;
pub mod worker;

/// Written by hand, and shared with the tests of the commands.
#[cfg(test)]
#[path = "../../tests/common/crafted.rs"]
mod crafted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::error::Result;
use crate::series::Series;
use crate::series::manifest::KernelEntry;
use crate::side::Side;

pub use judge::{Check, What};
pub use report::{Functions, Python, Report, SideReport};

/// What builds must have, by who promises it: `feature gather_qmm_swiglu`, `fork.toml [expect]`.
pub type Expected = Vec<Promise>;

/// Things that the fork and the extension must have, and stock must not.
#[derive(Debug, Clone, Default)]
pub struct Promise {
    /// Who promises: a feature of the series, or fork.toml.
    pub by: String,
    /// Exported functions of libmlx: `mlx_fork_build_id`, `mlx::core::gather_qmm_swiglu`.
    pub symbols: Vec<String>,
    /// Functions of the C API. Stock's C API has those that need no op of ours.
    pub c: Vec<String>,
    /// Attributes of the Python module `mlx.core`, dots allowed.
    pub python: Vec<String>,
    /// Metal kernels, where a build computes with Metal.
    pub kernels: Vec<KernelEntry>,
}

/// One build to look at.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Which side it is.
    pub side: Side,
    /// Its install folder.
    pub prefix: PathBuf,
    /// The library with the C++ functions: libmlx, an extension's own library.
    pub library: PathBuf,
    /// The library with the C API.
    pub c_api: PathBuf,
    /// The id that the build was recorded with; `None` for stock, whose library says none
    /// and whose C API says the pin's commit.
    pub id: Option<String>,
    /// Its Python module, where it was built with one.
    pub python: Option<Interpreter>,
}

/// The Python that a build was made for.
#[derive(Debug, Clone)]
pub struct Interpreter {
    /// The program.
    pub program: PathBuf,
    /// What its environment needs besides what this process has.
    pub environment: Vec<(String, String)>,
    /// What is imported after `mlx.core`: an extension's module, else nothing.
    pub module: &'static str,
}

/// What is promised: by fork.toml, and by each selected feature of the series.
pub fn expected(config: &Config, series: &Series) -> Expected {
    let ours = Promise {
        by: "fork.toml [expect]".into(),
        symbols: config.expect.symbols.clone(),
        c: config.expect.c.clone(),
        python: config.expect.python.clone(),
        kernels: Vec::new(),
    };
    let features = series.selected().map(|feature| Promise {
        by: format!("feature {}", feature.name),
        symbols: feature.probes.symbols.clone(),
        c: feature.probes.c.clone(),
        python: feature.probes.python.clone(),
        kernels: feature.probes.kernels.clone(),
    });
    std::iter::once(ours).chain(features).collect()
}

/// Looks at each build and holds it against what is expected. `worker` is a program and its
/// first argument whose command ends in [`worker::serve`]. What is wrong with a build is in
/// the report; an error is only what kept the probe itself from running.
pub fn run(subjects: &[Subject], expected: &[Promise], worker: (&Path, &str)) -> Result<Report> {
    let mut sides = Vec::new();
    let mut checks = Vec::new();
    for subject in subjects {
        let evidence = Evidence::gather(subject, expected, worker)?;
        checks.extend(judge::judge(subject, expected, &evidence));
        sides.push(evidence.summary(subject));
    }
    let features = cpu::features();
    let cpu: BTreeMap<String, bool> = features.iter().map(|(n, b)| ((*n).into(), *b)).collect();
    Ok(Report::new(sides, cpu, checks))
}

/// All that was found out about one build, before it is held against anything.
struct Evidence {
    library: std::result::Result<binary::Exports, String>,
    c_api: std::result::Result<binary::Exports, String>,
    /// Where the library computes with Metal.
    kernels: Option<std::result::Result<kernels::Found, String>>,
    loaded: worker::Answers,
    python: Option<std::result::Result<python::Found, String>>,
}

impl Evidence {
    fn gather(subject: &Subject, expected: &[Promise], worker: (&Path, &str)) -> Result<Self> {
        let task = worker::Task {
            library: subject.library.clone(),
            c_api: subject.c_api.clone(),
        };
        let python = match &subject.python {
            Some(python) => {
                let names: Vec<String> = expected.iter().flat_map(|p| p.python.clone()).collect();
                Some(python::ask(python, &names)?)
            }
            None => None,
        };
        let library = binary::exports(&subject.library).map_err(|e| e.to_string());
        let metal = library.as_ref().ok().filter(|exports| exports.metal);
        Ok(Evidence {
            kernels: metal.map(|exports| kernels::Found::beside(&subject.library, exports)),
            library,
            c_api: binary::exports(&subject.c_api).map_err(|e| e.to_string()),
            loaded: worker::ask(worker, &task)?,
            python,
        })
    }

    fn summary(&self, subject: &Subject) -> SideReport {
        let loaded = &self.loaded;
        let python = match &self.python {
            Some(Ok(found)) => Some(Python {
                version: found.python.clone(),
                module: found.module.clone(),
                attributes: found.attributes,
            }),
            _ => None,
        };
        SideReport {
            side: subject.side,
            prefix: subject.prefix.clone(),
            version: loaded.version.clone(),
            recorded_id: subject.id.clone(),
            library_id: loaded.build_id.clone(),
            c_api_id: loaded.c_id.clone(),
            functions: self.library.as_ref().ok().map(|exports| Functions {
                format: exports.format.clone(),
                exported: exports.functions.len(),
                data: exports.data.len(),
            }),
            kernels: match &self.kernels {
                Some(Ok(found)) => Some(found.names.len()),
                _ => None,
            },
            c_functions: loaded.resolved.clone(),
            python,
            devices: loaded.devices.iter().cloned().collect(),
        }
    }
}
