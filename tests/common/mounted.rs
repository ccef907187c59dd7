//! A file system of a test's own, to be full or read-only.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A small file system of its own; `None` where this user may not mount one.
pub struct Mounted(PathBuf);

impl Mounted {
    pub fn at(path: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path)
            .output()
            .ok()?;
        mount.status.success().then(|| Mounted(path.to_path_buf()))
    }

    pub fn remount(&self, options: &str) {
        let remounted = || {
            let status = std::process::Command::new("mount")
                .args(["-o", &format!("remount,{options}")])
                .arg(&self.0)
                .status();
            status.unwrap().success()
        };
        // A child of another test holds a file of it between fork and exec.
        let tries = (0..50).any(|_| {
            let done = remounted();
            if !done {
                std::thread::sleep(Duration::from_millis(100));
            }
            done
        });
        assert!(tries, "remount,{options}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: children of tests that run beside this one may hold a file of it.
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}
