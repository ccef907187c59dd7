//! Programs on the build with the emulated Metal.

use std::ffi::OsString;
use std::path::Path;

use crate::emulator::Build;
use crate::env;
use crate::error::Result;
use crate::layout::Layout;
use crate::process::Command;
use crate::run;

use super::build::installed;

/// The command that runs Python on the build. `program` is xtask, which it asks for kernels;
/// `build` is how they are compiled.
///
/// # Errors
/// [`crate::Kind::Environment`] where the build is not there.
pub fn python(layout: &Layout, program: &Path, build: Build, args: &[OsString]) -> Result<Command> {
    let installed = installed(layout)?;
    let mode = match build {
        Build::Plain => "plain",
        Build::Checked => "checked",
    };
    let command = run::python_of(layout, &installed, args)?
        .env(env::MLX_FORK_EMULATOR.name, program)
        .env(env::MLX_FORK_EMULATOR_MODE.name, mode)
        .env(env::MLX_FORK_ROOT.name, layout.root())
        .env(env::MLX_FORK_TARGET.name, layout.target());
    Ok(command)
}
