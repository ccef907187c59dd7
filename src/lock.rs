//! One lock per checkout: two runs at once must not meet.
//!
//! The lock is the kernel's (`flock`), so a killed holder leaves none behind; the
//! file's text only says who holds it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result, writing};
use crate::layout::Layout;

/// Who holds a lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// When it took the lock, seconds since 1970.
    pub since: u64,
}

impl Holder {
    fn this_process() -> Self {
        let command = std::env::args().collect::<Vec<_>>().join(" ");
        Holder {
            pid: std::process::id(),
            command,
            since: seconds_since_1970(),
        }
    }

    /// `pid 12, "xtask setup-mlx", for 34 s`.
    pub fn describe(&self) -> String {
        format!(
            "pid {}, `{}`, for {} s",
            self.pid,
            self.command,
            seconds_since_1970().saturating_sub(self.since)
        )
    }
}

fn seconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

/// A held lock; dropped, it is free again.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the checkout's lock. Where another run holds it, `waiting` hears once who,
    /// and this waits for up to `patience`; then it is an error that names the holder.
    pub fn acquire(
        layout: &Layout,
        patience: Duration,
        waiting: impl FnOnce(&str),
    ) -> Result<Self> {
        let path = layout.target().join("lock");
        std::fs::create_dir_all(layout.target()).doing(writing(layout.target()))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .doing(writing(&path))?;
        let start = Instant::now();
        let mut waiting = Some(waiting);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::WouldBlock) => {}
                Err(std::fs::TryLockError::Error(e)) => {
                    return Err(e).doing(|| format!("locking {}", path.display()));
                }
            }
            let holder = read_holder(&path);
            if start.elapsed() >= patience {
                return Err(Error::environment(format!(
                    "another run holds this checkout: {holder}"
                ))
                .doing("taking the checkout's lock")
                .hint("wait for it to end, or end it, and run again"));
            }
            if let Some(waiting) = waiting.take() {
                waiting(&holder);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let text = serde_json::to_string(&Holder::this_process())
            .map_err(|e| Error::bug(e.to_string()))?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .doing(writing(&path))?;
        Ok(Lock { _file: file })
    }
}

fn read_holder(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|mut f| f.read_to_string(&mut text));
    match (read, serde_json::from_str::<Holder>(&text)) {
        (Ok(_), Ok(holder)) => holder.describe(),
        _ => "a process that has not written its name yet".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_run_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(dir.path(), dir.path().join("target"));
        let first = Lock::acquire(&layout, Duration::ZERO, |_| {}).unwrap();
        let error = Lock::acquire(&layout, Duration::ZERO, |_| {}).unwrap_err();
        let pid = format!("pid {}", std::process::id());
        assert!(error.to_string().contains(&pid), "{error}");
        assert_eq!(error.kind(), crate::Kind::Environment);
        drop(first);
        Lock::acquire(&layout, Duration::ZERO, |_| {}).unwrap();
    }
}
