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

/// Makes this launcher ready: the script, and sccache's server. To be called before the build
/// folder is held: a server begun later would inherit its lock, and keep it.
pub fn prepare(layout: &Layout, launcher: Option<&Tool>) -> Result<()> {
    let script = path(layout);
    super::files::replace(&script, &text(layout, launcher))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
        .doing(writing(&script))?;
    let is_server = |tool: &&Tool| tool.path.file_stem().is_some_and(|name| name == "sccache");
    if let Some(launcher) = launcher.filter(is_server) {
        // Where it runs already this fails, and that is well.
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
            // A launcher that is uninstalled during a build only costs time.
            "#!/bin/sh\nexport CCACHE_BASEDIR={base} CCACHE_NOHASHDIR=1\n\
             [ -x {launcher} ] && exec {launcher} \"$@\"\nexec \"$@\"\n",
            base = quote(&base.to_string_lossy()),
            launcher = quote(&launcher.path.to_string_lossy()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::tools::Origin;

    fn tool(folder: &std::path::Path, name: &str, script: &str) -> Tool {
        let path = folder.join(name);
        super::super::files::replace(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Tool {
            name: name.into(),
            path,
            version: "1".into(),
            origin: Origin::Override,
        }
    }

    #[test]
    fn compilers_run_through_the_launcher_and_without_it_once_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), dir.path().join("a target/mlx"));
        let launcher = tool(
            dir.path(),
            "ccache",
            "#!/bin/sh\necho $CCACHE_BASEDIR\nexec \"$@\"\n",
        );
        prepare(&layout, Some(&launcher)).unwrap();
        let run = || {
            let echo = Command::new(path(&layout)).args(["echo", "a  b"]);
            echo.run().unwrap().stdout
        };
        assert_eq!(run(), format!("{}\na  b\n", dir.path().display()));
        std::fs::remove_file(&launcher.path).unwrap();
        assert_eq!(run(), "a  b\n");
        prepare(&layout, None).unwrap();
        assert_eq!(run(), "a  b\n");
    }

    #[test]
    fn sccaches_server_is_begun_beforehand() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), dir.path().join("target"));
        let script = "#!/bin/sh\necho \"$@\" >\"$0.said\"\nexit 2\n";
        let launcher = tool(dir.path(), "sccache", script);
        prepare(&layout, Some(&launcher)).unwrap();
        let said = std::fs::read_to_string(dir.path().join("sccache.said")).unwrap();
        assert_eq!(said, "--start-server\n");
    }
}
