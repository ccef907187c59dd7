//! Holds what was found out about a build against what it must have and must not have.

use std::path::Path;

use serde::Serialize;

use super::kernels::{Found, Presence};
use super::{Evidence, Promise, Subject};
use crate::series::manifest::KernelEntry;
use crate::side::Side;

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A library's file can be read, and the library loads and runs.
    Library,
    /// A library says the id that its build was recorded with.
    Id,
    /// An exported function of libmlx.
    Symbol,
    /// A function of the C API.
    C,
    /// An attribute of `mlx.core`, or the import of it.
    Python,
    /// Metal kernels.
    Kernel,
    /// A device that every build has.
    Device,
}

impl What {
    /// As in the table.
    pub fn name(self) -> &'static str {
        match self {
            What::Library => "library",
            What::Id => "id",
            What::Symbol => "symbol",
            What::C => "C function",
            What::Python => "Python",
            What::Kernel => "Metal kernel",
            What::Device => "device",
        }
    }
}

/// One thing that was looked for.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// In which build.
    pub side: Side,
    /// What kind of thing.
    pub what: What,
    /// Its name.
    pub name: String,
    /// Who promises it: a feature, fork.toml; empty for what every build must have.
    pub by: String,
    /// True when all is as it must be.
    pub ok: bool,
    /// What was found: `present`, `absent`, or what is wrong.
    pub found: String,
    /// What to do, where `ok` is false.
    pub to_do: Option<String>,
}

/// Checks of promises count as probes; the others hold for any build.
impl Check {
    /// True for a check of something that a feature or fork.toml promises.
    pub fn is_probe(&self) -> bool {
        !self.by.is_empty()
    }
}

const REBUILD: &str = "build it again: cargo xtask setup-mlx";

pub(super) fn judge(subject: &Subject, expected: &[Promise], found: &Evidence) -> Vec<Check> {
    let mut checks = Checks {
        side: subject.side,
        list: Vec::new(),
    };
    libraries(&mut checks, subject, found);
    ids(&mut checks, subject, found);
    let stock = subject.side == Side::Stock;
    let exports = found.library.as_ref().ok();
    let python = found.python.as_ref().and_then(|p| p.as_ref().ok());
    for promise in expected {
        for name in &promise.symbols {
            // An unreadable library is one failure; stock's would else pass as pristine.
            let present = exports.map(|e| e.has(name));
            checks.promised(What::Symbol, promise, name, present, !stock);
        }
        for name in promise.python.iter().filter(|_| found.python.is_some()) {
            let present = python.map(|p| p.present.contains(name));
            checks.promised(What::Python, promise, name, present, !stock);
        }
        // A build that does not compute with Metal isn't asked.
        for entry in promise.kernels.iter().filter(|_| found.kernels.is_some()) {
            let kernels = found.kernels.as_ref().and_then(|k| k.as_ref().ok());
            checks.kernels(promise, entry, kernels, !stock);
        }
        // What stock's C API has without our ops is decided by its own build.
        for name in promise.c.iter().filter(|_| !stock) {
            let present = found.c_api.as_ref().ok();
            let present = present.map(|_| found.loaded.resolved.contains(name));
            checks.promised(What::C, promise, name, present, true);
        }
    }
    if stock && let Some(exports) = exports {
        let ours = exports.of_namespace("mlx::core::fused");
        let shown = match ours.first() {
            Some(first) => format!("{} of them, {first} first", ours.len()),
            None => "none".into(),
        };
        checks.add(
            What::Symbol,
            "mlx::core::fused::*",
            ours.is_empty(),
            shown,
            POLLUTED,
        );
    }
    python_module(&mut checks, subject, found);
    let cpu = found.loaded.devices.iter().find(|(name, _)| name == "cpu");
    let (ok, shown) = match cpu {
        Some((_, true)) => (true, "available"),
        Some((_, false)) => (false, "not available"),
        None => (false, "libmlx did not say"),
    };
    checks.add(What::Device, "cpu", ok, shown.into(), REBUILD);
    checks.list
}

const POLLUTED: &str = "stock must be the unpatched pin: remove its prefix and run \
                        cargo xtask setup-mlx";

fn libraries(checks: &mut Checks, subject: &Subject, found: &Evidence) {
    let read = [
        (
            &subject.library,
            &found.library,
            &found.loaded.library_refused,
        ),
        (&subject.c_api, &found.c_api, &found.loaded.c_refused),
    ];
    for (path, exports, refused) in read {
        let wrong = exports.as_ref().err().or(refused.as_ref());
        let shown = match (wrong, exports) {
            (Some(wrong), _) => wrong.clone(),
            (None, Ok(exports)) => exports.format.clone(),
            (None, Err(wrong)) => wrong.clone(),
        };
        checks.add(
            What::Library,
            &file_name(path),
            wrong.is_none(),
            shown,
            REBUILD,
        );
    }
    if let Some(Err(wrong)) = &found.kernels {
        checks.add(What::Library, "kernels", false, wrong.clone(), REBUILD);
    }
    // Every libmlx has this function: without it nothing else that was asked of it counts.
    let loaded = found.library.is_ok() && found.loaded.library_refused.is_none();
    if loaded && found.loaded.died.is_none() {
        let version = found.loaded.version.clone();
        let shown = version
            .clone()
            .unwrap_or("mlx::core::version gave no answer".into());
        checks.add(What::Library, "version", version.is_some(), shown, REBUILD);
    }
    if let Some(died) = &found.loaded.died {
        let to_do = "find the cause with a debugger on: cargo xtask probe-worker \
                     LIBRARY C_API, or build again: cargo xtask setup-mlx";
        checks.add(What::Library, "running it", false, died.clone(), to_do);
    }
    for name in &found.loaded.unresolved {
        let shown = "in the file, not found by the loader".to_string();
        checks.add(What::C, name, false, shown, REBUILD);
    }
    // An extension's libmlx is elsewhere by design.
    if let Some(uses) = &found.loaded.c_uses
        && subject.side != Side::Extension
    {
        let own = subject.library.canonicalize();
        let same = own.is_ok_and(|own| own == *uses);
        let shown = format!("uses {}", uses.display());
        let to_do = "unset LD_LIBRARY_PATH (DYLD_LIBRARY_PATH), which other libraries come \
                     from, or build again: cargo xtask setup-mlx";
        checks.add(What::Library, "libmlx of the C API", same, shown, to_do);
    }
}

fn ids(checks: &mut Checks, subject: &Subject, found: &Evidence) {
    let loaded = &found.loaded;
    let to_do = "the library is from another build: cargo xtask setup-mlx";
    if loaded.c_refused.is_none() && found.c_api.is_ok() {
        let (ok, shown) = same_id(loaded.c_id.as_deref(), subject.id.as_deref(), "mlx_fork_id");
        checks.add(What::Id, "libmlx_fork_c", ok, shown, to_do);
    }
    if subject.side == Side::Stock {
        if let Some(id) = &loaded.build_id {
            let shown = format!("says \"{id}\", and stock says nothing");
            checks.add(
                What::Id,
                &file_name(&subject.library),
                false,
                shown,
                POLLUTED,
            );
        }
    } else if loaded.library_refused.is_none() && found.library.is_ok() {
        let (ok, shown) = same_id(
            loaded.build_id.as_deref(),
            subject.id.as_deref(),
            "mlx_fork_build_id",
        );
        checks.add(What::Id, &file_name(&subject.library), ok, shown, to_do);
    }
}

fn same_id(says: Option<&str>, recorded: Option<&str>, function: &str) -> (bool, String) {
    match (says, recorded) {
        (None, _) => (false, format!("{function} gave no answer")),
        (Some(""), _) => (false, format!("{function} says nothing")),
        (Some(id), Some(recorded)) if id != recorded => {
            (false, format!("says \"{id}\", recorded is \"{recorded}\""))
        }
        (Some(id), _) => (true, id.to_string()),
    }
}

fn python_module(checks: &mut Checks, subject: &Subject, found: &Evidence) {
    match &found.python {
        None => {}
        Some(Err(why)) => checks.add(What::Python, "import mlx.core", false, why.clone(), REBUILD),
        Some(Ok(python)) => {
            let own = subject.prefix.canonicalize();
            let module = python.module.canonicalize();
            // An extension adds to an mlx.core that is elsewhere.
            let ok = subject.side == Side::Extension
                || matches!((own, module), (Ok(own), Ok(module)) if module.starts_with(&own));
            let shown = python.module.display().to_string();
            let to_do = "another mlx comes first: look into PYTHONPATH and its .pth files";
            checks.add(What::Python, "import mlx.core", ok, shown, to_do);
            if let Some(version) = &found.loaded.version {
                let shown = format!("mlx.core {}, libmlx {version}", python.version);
                let same = python.version == *version;
                checks.add(What::Python, "version", same, shown, REBUILD);
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

struct Checks {
    side: Side,
    list: Vec<Check>,
}

impl Checks {
    fn add(&mut self, what: What, name: &str, ok: bool, found: String, to_do: &str) {
        self.list.push(Check {
            side: self.side,
            what,
            name: name.to_string(),
            by: String::new(),
            ok,
            found,
            to_do: (!ok).then(|| to_do.to_string()),
        });
    }

    /// A promised thing; `present` is `None` where nothing could be looked into.
    fn promised(
        &mut self,
        what: What,
        promise: &Promise,
        name: &str,
        present: Option<bool>,
        wanted: bool,
    ) {
        let found = match present {
            Some(true) => "present",
            Some(false) => "absent",
            None => "unknown: see the library or module itself",
        };
        let how = match what {
            What::Symbol => "export it (MLX_API) in its sources",
            _ => "add it to its sources",
        };
        let ok = present == Some(wanted);
        self.promise(what, promise, name, (ok, found.into()), (wanted, how));
    }

    /// Promised kernels; `there` is `None` where the Metal libraries can't be read.
    fn kernels(
        &mut self,
        promise: &Promise,
        entry: &KernelEntry,
        there: Option<&Found>,
        wanted: bool,
    ) {
        let presence = there.map(|there| there.look(entry));
        let ok = presence.is_some_and(|presence| match wanted {
            true => presence.is_kept(),
            false => presence == Presence::Absent,
        });
        let unknown = || "unknown: see the Metal library itself".into();
        let found = presence.map_or_else(unknown, Presence::text);
        let how = "instantiate it in its .metal sources";
        let name = entry.parts().0;
        self.promise(What::Kernel, promise, name, (ok, found), (wanted, how));
    }

    fn promise(
        &mut self,
        what: What,
        promise: &Promise,
        name: &str,
        (ok, found): (bool, String),
        (wanted, how): (bool, &str),
    ) {
        let to_do = match wanted {
            false => POLLUTED.to_string(),
            true => format!(
                "{} promises it: {how}, correct its `probes` in patches/series.toml, or build \
                 again",
                promise.by
            ),
        };
        self.add(what, name, ok, found, &to_do);
        if let Some(check) = self.list.last_mut() {
            check.by.clone_from(&promise.by);
        }
    }
}
