//! Holding a build folder: against processes that a killed run left behind, and with a mark
//! that tells the next run that this one did not end. Not the checkout's lock, which keeps
//! two runs apart.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Doing, Error, Result, writing};
use crate::ui::Ui;

use super::files::beside;

/// How long a compiler that lost its parent may need to end.
const PATIENCE: Duration = Duration::from_secs(300);

/// A held build folder.
///
/// The lock's descriptor is inherited by every child, so it is free only when the last
/// compiler of a killed run has ended, too.
#[derive(Debug)]
pub struct Hold {
    _lock: File,
    mark: PathBuf,
}

impl Hold {
    /// Takes the folder. Gives also when the run began that was cut short, if one was.
    pub fn take(folder: &Path, ui: &dyn Ui) -> Result<(Self, Option<SystemTime>)> {
        let path = beside(folder, "lock");
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).doing(writing(parent))?;
        }
        let lock = File::create(&path).doing(writing(&path))?;
        wait_for(&lock, folder, ui)?;
        // SAFETY: fcntl on a descriptor that `lock` keeps open.
        unsafe { libc::fcntl(lock.as_raw_fd(), libc::F_SETFD, 0) };
        let mark = beside(folder, "running");
        let cut_short = mark.metadata().and_then(|m| m.modified()).ok();
        Ok((Hold { _lock: lock, mark }, cut_short))
    }

    /// Marks this run as begun. What an earlier one left must have been seen to: this
    /// forgets when that one began.
    pub fn begin(&self) -> Result<()> {
        let _ = std::fs::remove_file(&self.mark);
        std::fs::write(&self.mark, "").doing(writing(&self.mark))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Unwinding, nobody knows in what state the children are: leave the mark.
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.mark);
        }
    }
}

fn wait_for(lock: &File, folder: &Path, ui: &dyn Ui) -> Result<()> {
    let start = Instant::now();
    let mut said = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(e)) => {
                return Err(e).doing(|| format!("locking {}", folder.display()));
            }
        }
        if start.elapsed() > PATIENCE {
            return Err(Error::environment(format!(
                "processes of an earlier run are still at work in {}",
                folder.display()
            ))
            .hint("end them (compilers, ninja), and run again"));
        }
        if !said && start.elapsed() > Duration::from_secs(1) {
            ui.note("waiting for compilers that an earlier run left behind");
            said = true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Command;
    use crate::ui::Silent;

    #[test]
    fn a_child_that_outlives_its_run_keeps_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("build");
        let (hold, cut_short) = Hold::take(&folder, &Silent).unwrap();
        assert!(cut_short.is_none());
        // The shell ends at once; what it started in the background goes on for a second.
        let script = "sleep 1 >/dev/null 2>&1 &";
        Command::new("sh").args(["-c", script]).run().unwrap();
        drop(hold);
        let start = Instant::now();
        let _hold = Hold::take(&folder, &Silent).unwrap();
        assert!(start.elapsed() > Duration::from_millis(500));
    }

    #[test]
    fn a_run_that_did_not_end_is_known_to_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("build");
        std::fs::write(dir.path().join("build.running"), "").unwrap();
        let (hold, cut_short) = Hold::take(&folder, &Silent).unwrap();
        assert!(cut_short.is_some());
        hold.begin().unwrap();
        drop(hold);
        let (_hold, cut_short) = Hold::take(&folder, &Silent).unwrap();
        assert!(cut_short.is_none());
    }
}
