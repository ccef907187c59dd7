//! What a build's Python module says of itself, asked of the Python that it was built for,
//! in a process of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::Interpreter;
use crate::error::{Doing, Result};
use crate::process::Command;

/// Importing mlx.core takes under a second; a cold disk some more.
const LIMIT: Duration = Duration::from_secs(120);

/// Prints one JSON object. Names may have dots: `fast.rms_norm`.
const SCRIPT: &str = r#"
import functools, importlib, json, sys
import mlx.core as mx
if sys.argv[1]:
    importlib.import_module(sys.argv[1])

def has(name):
    try:
        functools.reduce(getattr, name.split("."), mx)
        return True
    except AttributeError:
        return False

devices = {"cpu": mx.is_available(mx.cpu), "gpu": mx.is_available(mx.gpu)}
for backend in ("metal", "cuda"):
    if hasattr(mx, backend):
        devices[backend] = getattr(mx, backend).is_available()
answer = {
    "version": mx.__version__,
    "python": sys.version.split()[0],
    "module": mx.__file__,
    "attributes": sum(not name.startswith("_") for name in dir(mx)),
    "present": [name for name in sys.argv[2:] if has(name)],
    "devices": devices,
}
print("\nmlx-fork-probe " + json.dumps(answer))
"#;

/// What Python found.
#[derive(Debug, Clone, Deserialize)]
pub struct Found {
    /// `mx.__version__`.
    pub version: String,
    /// The version of Python itself.
    pub python: String,
    /// The file that `mlx.core` was imported from.
    pub module: PathBuf,
    /// How many public attributes `mlx.core` has.
    pub attributes: usize,
    /// Those of the names asked for that it has.
    pub present: Vec<String>,
    /// Devices and backends, and whether MLX can use them here.
    pub devices: BTreeMap<String, bool>,
}

/// Imports `mlx.core`, and after it what the interpreter needs, and asks for these attributes.
/// `Ok(Err)` is why Python gave no answer: it crashed, hung, or could not import it.
pub fn ask(python: &Interpreter, names: &[String]) -> Result<std::result::Result<Found, String>> {
    // With -c the current folder comes first on the path: an `mlx` there would be imported.
    let empty = tempfile::tempdir().doing(|| "making an empty folder".into())?;
    let mut command = Command::new(&python.program)
        .args(["-c", SCRIPT, python.module])
        .args(names)
        .current_dir(empty.path())
        .limit(LIMIT);
    for (name, value) in &python.environment {
        command = command.env(name, value);
    }
    let output = command.output()?;
    let line = output
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("mlx-fork-probe "));
    let found = line.and_then(|line| serde_json::from_str(line).ok());
    Ok(match found {
        Some(found) if output.success() => Ok(found),
        _ => {
            let said = output.stderr.lines().rfind(|l| !l.trim().is_empty());
            let said = said.map_or(String::new(), |line| format!(": {}", line.trim()));
            Err(format!("{}{said}", output.ending()))
        }
    })
}
