//! Loading a build's libraries and calling into them, in a process of its own: a library
//! that crashes, hangs or ends its process is a result of the probe, not the probe's end.
//!
//! The worker ([`serve`]) writes one JSON line a fact to its standard output as soon as it
//! knows it, and names each risky thing before doing it; the one who asks ([`ask`]) puts
//! together what arrived and, where the worker did not reach its end, at what it died.

use std::ffi::{CStr, CString, OsString, c_char, c_void};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use serde::{Deserialize, Serialize};

use super::{binary, names};
use crate::error::{Doing, Error, Result};
use crate::process::Command;

/// Loading libmlx takes well under a second; on macOS a device's start can take a few.
const LIMIT: Duration = Duration::from_secs(60);

/// `const char* mlx::core::version()`.
const VERSION: &str = "_ZN3mlx4core7versionEv";
/// `bool mlx::core::is_available(const mlx::core::Device&)`.
const IS_AVAILABLE: &str = "_ZN3mlx4core12is_availableERKNS0_6DeviceE";
/// Backends with an `is_available()` of their own.
const BACKENDS: [(&str, &str); 2] = [
    ("metal", "_ZN3mlx4core5metal12is_availableEv"),
    ("cuda", "_ZN3mlx4core2cu12is_availableEv"),
];

/// What a worker is to look at.
#[derive(Debug, Clone)]
pub struct Task {
    /// The library with the C++ functions.
    pub library: PathBuf,
    /// The library with the C API.
    pub c_api: PathBuf,
}

impl Task {
    /// The arguments of the worker's command line.
    pub fn args(&self) -> [OsString; 2] {
        [self.library.clone().into(), self.c_api.clone().into()]
    }
}

/// One line of the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact {
    /// What comes next and may end the process.
    Doing(String),
    /// A library can't be loaded, and why: the C API's if true.
    Refused(bool, String),
    Version(String),
    BuildId(String),
    CId(String),
    CUses(PathBuf),
    Device(String, bool),
    Resolved(Vec<String>),
    Unresolved(Vec<String>),
    Done,
}

/// What became known of a build by loading it.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// What MLX says its version is.
    pub version: Option<String>,
    /// What `mlx_fork_build_id()` of the library says.
    pub build_id: Option<String>,
    /// What `mlx_fork_id()` of the C API says.
    pub c_id: Option<String>,
    /// The libmlx that the C API's library brought with it.
    pub c_uses: Option<PathBuf>,
    /// Devices and backends, and whether MLX can use them here.
    pub devices: Vec<(String, bool)>,
    /// C functions found by name in the loaded library.
    pub resolved: Vec<String>,
    /// C functions that the file lists and the loader does not find.
    pub unresolved: Vec<String>,
    /// Why the library can't be loaded.
    pub library_refused: Option<String>,
    /// Why the C API's library can't be loaded.
    pub c_refused: Option<String>,
    /// Where the worker did not reach its end: how it ended, and at what.
    pub died: Option<String>,
}

/// Starts `worker` (a program and its first argument, whose command ends in [`serve`]) on the
/// task and collects what it finds. Only a worker that can't be started is an error.
pub fn ask(worker: (&Path, &str), task: &Task) -> Result<Answers> {
    let output = Command::new(worker.0)
        .arg(worker.1)
        .args(task.args())
        .limit(LIMIT)
        .output()?;
    let mut answers = Answers::default();
    let mut done = false;
    let mut doing = String::from("starting");
    // A library may print on its own; only whole facts count.
    for fact in output
        .stdout
        .lines()
        .filter_map(|l| serde_json::from_str(l).ok())
    {
        match fact {
            Fact::Doing(what) => doing = what,
            Fact::Refused(false, why) => answers.library_refused = Some(why),
            Fact::Refused(true, why) => answers.c_refused = Some(why),
            Fact::Version(text) => answers.version = Some(text),
            Fact::BuildId(text) => answers.build_id = Some(text),
            Fact::CId(text) => answers.c_id = Some(text),
            Fact::CUses(path) => answers.c_uses = Some(path),
            Fact::Device(name, available) => answers.devices.push((name, available)),
            Fact::Resolved(names) => answers.resolved = names,
            Fact::Unresolved(names) => answers.unresolved = names,
            Fact::Done => done = true,
        }
    }
    // After the last fact the libraries' own clean-up runs: a crash there is one too.
    if done && output.status.success() {
        return Ok(answers);
    }
    if done {
        doing = "ending the process".into();
    }
    let said = output.stderr.lines().rfind(|l| !l.trim().is_empty());
    let said = said.map_or(String::new(), |line| format!(" ({})", line.trim()));
    answers.died = Some(format!("{} while {doing}{said}", output.ending()));
    Ok(answers)
}

/// The worker's side: loads the libraries of the task and writes what it finds to `out`.
pub fn serve(task: &Task, out: &mut dyn Write) -> Result<()> {
    let mut say = |fact: &Fact| -> Result<()> {
        let line = serde_json::to_string(fact).map_err(|e| Error::bug(e.to_string()))?;
        writeln!(out, "{line}")
            .and_then(|()| out.flush())
            .doing(|| "writing a fact of the probe".into())
    };
    say(&Fact::Doing(format!("loading {}", task.library.display())))?;
    match open(&task.library) {
        Ok(library) => look_at_library(&library, &mut say)?,
        Err(why) => say(&Fact::Refused(false, why))?,
    }
    say(&Fact::Doing(format!("loading {}", task.c_api.display())))?;
    match open(&task.c_api) {
        Ok(library) => look_at_c_api(&task.c_api, &library, &mut say)?,
        Err(why) => say(&Fact::Refused(true, why))?,
    }
    say(&Fact::Done)
}

fn look_at_library(library: &Library, say: &mut impl FnMut(&Fact) -> Result<()>) -> Result<()> {
    if let Some(version) = text_of(library, VERSION, say)? {
        say(&Fact::Version(version))?;
    }
    if let Some(id) = text_of(library, "mlx_fork_build_id", say)? {
        say(&Fact::BuildId(id))?;
    }
    if let Some(address) = find(library, IS_AVAILABLE) {
        // Device is { enum class DeviceType { cpu, gpu }; int }: two ints.
        for (name, device) in [("cpu", [0_i32, 0]), ("gpu", [1, 0])] {
            say(&Fact::Doing(format!("asking whether there is a {name}")))?;
            // SAFETY: the mangled name fixes the parameters; bool and the layout of Device
            // are those of the headers that both pins have.
            let available = unsafe {
                let ask: extern "C" fn(*const [i32; 2]) -> bool = std::mem::transmute(address);
                ask(&raw const device)
            };
            say(&Fact::Device(name.into(), available))?;
        }
    }
    for (name, symbol) in BACKENDS {
        if let Some(address) = find(library, symbol) {
            say(&Fact::Doing(format!("asking whether there is {name}")))?;
            // SAFETY: the mangled name says that it takes nothing; it returns bool.
            let available = unsafe {
                let ask: extern "C" fn() -> bool = std::mem::transmute(address);
                ask()
            };
            say(&Fact::Device(name.into(), available))?;
        }
    }
    Ok(())
}

fn look_at_c_api(
    path: &Path,
    library: &Library,
    say: &mut impl FnMut(&Fact) -> Result<()>,
) -> Result<()> {
    // dlsym on a handle also searches what that library needs: this is its own libmlx.
    if let Some(path) = find(library, VERSION).and_then(file_of) {
        say(&Fact::CUses(path))?;
    }
    if let Some(id) = text_of(library, "mlx_fork_id", say)? {
        say(&Fact::CId(id))?;
    }
    if let Ok(exports) = binary::exports(path) {
        let ours = exports.functions.into_iter();
        let ours = ours.filter(|name| name.starts_with("mlx_fork_"));
        let (resolved, unresolved) = ours.partition(|name| find(library, name).is_some());
        say(&Fact::Resolved(resolved))?;
        say(&Fact::Unresolved(unresolved))?;
    }
    Ok(())
}

fn open(path: &Path) -> std::result::Result<Library, String> {
    // A name without a slash would be looked for in the system's folders.
    let path = path.canonicalize().map_err(|e| e.to_string())?;
    // SAFETY: runs the library's initialisers, which is what this process is for.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
    library.map_err(|e| match std::error::Error::source(&e) {
        Some(source) => source.to_string(),
        None => e.to_string(),
    })
}

fn find(library: &Library, name: &str) -> Option<*mut c_void> {
    // SAFETY: only the address is taken; what it is called as, its name decides.
    let symbol = unsafe { library.get::<*mut c_void>(name.as_bytes()) };
    symbol.ok().map(|s| s.as_raw_ptr()).filter(|p| !p.is_null())
}

/// Calls a function that takes nothing and returns a C string that lives on.
fn text_of(
    library: &Library,
    name: &str,
    say: &mut impl FnMut(&Fact) -> Result<()>,
) -> Result<Option<String>> {
    let Some(address) = find(library, name) else {
        return Ok(None);
    };
    say(&Fact::Doing(format!(
        "calling {}",
        names::qualified_name(name)
    )))?;
    // SAFETY: the callers name only functions of this type.
    let text = unsafe {
        let call: extern "C" fn() -> *const c_char = std::mem::transmute(address);
        let text = call();
        (!text.is_null()).then(|| CString::from(CStr::from_ptr(text)))
    };
    Ok(text.map(|text| text.to_string_lossy().into_owned()))
}

/// The file that an address was loaded from.
fn file_of(address: *mut c_void) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: dladdr fills the struct or returns 0; its strings live as long as the library.
    let name = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(address, &raw mut info) == 0 || info.dli_fname.is_null() {
            return None;
        }
        CStr::from_ptr(info.dli_fname).to_bytes().to_vec()
    };
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(&name));
    Some(path.canonicalize().unwrap_or(path))
}
