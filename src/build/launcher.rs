//! The compiler launcher, behind a script of one constant path: ninja builds again what has
//! another command line, and a changed `--launcher` must not build everything again.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::error::{Doing, Result, writing};
use crate::layout::Layout;
use crate::process::{Command, quote};

use super::tools::Tool;

/// The script that every compiler runs through.
pub fn path(layout: &Layout) -> PathBuf {
    layout.target().join("compile")
}

/// Writes the script for this launcher, where it is not there yet.
pub fn write(layout: &Layout, launcher: Option<&Tool>) -> Result<()> {
    let script = path(layout);
    super::files::replace(&script, &text(layout, launcher))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
        .doing(writing(&script))?;
    if let Some(launcher) = launcher.filter(|tool| tool.name == "sccache") {
        // Its server would inherit our lock from the first compiler and keep it for ever.
        Command::new(&launcher.path)
            .arg("--start-server")
            .output()?;
    }
    Ok(())
}

/// Paths below `CCACHE_BASEDIR` are hashed as relative ones: another clone finds the objects
/// of this one.
fn text(layout: &Layout, launcher: Option<&Tool>) -> String {
    let base = match layout.target().starts_with(layout.root()) {
        true => layout.root(),
        false => layout.target(),
    };
    match launcher {
        None => "#!/bin/sh\nexec \"$@\"\n".into(),
        Some(launcher) => format!(
            "#!/bin/sh\nexport CCACHE_BASEDIR={} CCACHE_NOHASHDIR=1\nexec {} \"$@\"\n",
            quote(&base.to_string_lossy()),
            quote(&launcher.path.to_string_lossy()),
        ),
    }
}
