//! What clang made, kept by a key of all that it was made of, under `target/mlx/emulator`: a
//! folder an entry, whole or not there, and gone when nobody has used it for a while. Not what
//! is in a key.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::build::files::{files_below, remove};
use crate::error::{Doing, Result, writing};

/// An entry that nobody used for so long goes.
const UNUSED: Duration = Duration::from_secs(7 * DAY);

/// More bytes than this, and those that were not used of late go too, the oldest first.
const MOST_BYTES: u64 = 2 << 30;

/// Whoever asked for an entry may still be about to open it.
const OF_LATE: Duration = Duration::from_secs(3600);

/// How often the cache is looked through.
const OFTEN: Duration = Duration::from_secs(DAY);

const DAY: u64 = 24 * 3600;

/// The cache of one project.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in this folder, which need not be there.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Cache { folder }
    }

    /// The file `name` of the entry with this key; `make` fills the folder of one that is not
    /// there or not whole, and it takes its place.
    pub fn kept(
        &self,
        kind: &str,
        key: &str,
        name: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let parent = self.folder.join(kind);
        let entry = parent.join(key);
        let file = entry.join(name);
        if self.uses(&entry, &file) {
            return Ok(file);
        }
        std::fs::create_dir_all(&parent).doing(writing(&parent))?;
        let new = tempfile::Builder::new()
            .prefix("new-")
            .tempdir_in(&parent)
            .doing(writing(&parent))?;
        make(new.path())?;
        self.place(new, &entry, &file)?;
        // Something was compiled, which takes longer than this.
        self.prune_daily()?;
        Ok(file)
    }

    /// True where the file is there, which then counts as used: nobody prunes it for now.
    pub fn uses(&self, entry: &Path, file: &Path) -> bool {
        // A cache that can't be written can be used, and nobody prunes it.
        let lock = self.lock().ok();
        let _held = lock.as_ref().map(File::lock_shared);
        if !file.is_file() {
            return false;
        }
        // The entry's time says when it was used last.
        let now = SystemTime::now();
        if age(entry, now).is_none_or(|age| age > OF_LATE / 2) {
            let _ = File::open(entry).and_then(|entry| entry.set_modified(now));
        }
        true
    }

    /// Moves a new entry to its place, unless another process has put the same there.
    fn place(&self, new: tempfile::TempDir, entry: &Path, file: &Path) -> Result<()> {
        let lock = self.lock()?;
        lock.lock().doing(|| self.locking())?;
        if file.is_file() {
            return Ok(());
        }
        // An entry without its file is of use to nobody, and in the way.
        remove(entry)?;
        std::fs::rename(new.path(), entry).doing(writing(entry))?;
        // It has moved: nothing is left to remove.
        let _ = new.keep();
        Ok(())
    }

    fn prune_daily(&self) -> Result<()> {
        let note = self.folder.join("pruned");
        let now = SystemTime::now();
        if age(&note, now).is_some_and(|age| age < OFTEN) {
            return Ok(());
        }
        std::fs::write(&note, "").doing(writing(&note))?;
        self.prune(now, MOST_BYTES)
    }

    /// Removes the entries that were not used for long before `now`, and more of them where all
    /// have more than `most` bytes.
    fn prune(&self, now: SystemTime, most: u64) -> Result<()> {
        let lock = self.lock()?;
        lock.lock().doing(|| self.locking())?;
        let mut entries: Vec<(Duration, u64, PathBuf)> = Vec::new();
        for kind in folders(&self.folder).filter(|path| path.is_dir()) {
            for entry in folders(&kind) {
                let Some(age) = age(&entry, now) else {
                    continue;
                };
                let size = |path: &PathBuf| path.metadata().map_or(0, |found| found.len());
                let bytes = match entry.is_dir() {
                    // One that is being made may lose files meanwhile.
                    true => files_below(&entry).map_or(0, |files| files.iter().map(size).sum()),
                    false => size(&entry),
                };
                entries.push((age, bytes, entry));
            }
        }
        let mut bytes: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        entries.sort_by(|a, b| b.cmp(a));
        for (age, size, entry) in entries {
            if age > UNUSED || (bytes > most && age > OF_LATE) {
                remove(&entry)?;
                bytes -= size;
            }
        }
        Ok(())
    }

    fn lock(&self) -> Result<File> {
        let path = self.folder.join("lock");
        std::fs::create_dir_all(&self.folder).doing(writing(&self.folder))?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        options.open(&path).doing(writing(&path))
    }

    fn locking(&self) -> String {
        format!("locking {}", self.folder.join("lock").display())
    }
}

fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// How long before `now` something was changed; `None` where it is not there.
fn age(path: &Path, now: SystemTime) -> Option<Duration> {
    let modified = path.metadata().ok()?.modified().ok()?;
    Some(now.duration_since(modified).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("cache"));
        (folder, cache)
    }

    fn keep(cache: &Cache, key: &str, text: &str) -> PathBuf {
        let make = |folder: &Path| {
            std::fs::write(folder.join("beside"), "").unwrap();
            std::fs::write(folder.join("file"), text).unwrap();
            Ok(())
        };
        cache.kept("kind", key, "file", make).unwrap()
    }

    /// Makes an entry look as if nobody had used it for so long.
    fn aged(file: &Path, age: Duration) {
        let entry = File::open(file.parent().unwrap()).unwrap();
        entry.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn what_is_there_is_not_made_again() {
        let (_folder, cache) = cache();
        let file = keep(&cache, "k", "one");
        assert_eq!(keep(&cache, "k", "two"), file);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    }

    #[test]
    fn an_entry_that_lost_its_file_is_made_again() {
        let (_folder, cache) = cache();
        let file = keep(&cache, "k", "one");
        std::fs::remove_file(&file).unwrap();
        assert!(file.with_file_name("beside").is_file());
        assert_eq!(keep(&cache, "k", "two"), file);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(
            std::fs::read_dir(cache.folder.join("kind"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn what_nobody_used_for_a_week_goes_and_what_is_used_stays() {
        let (_folder, cache) = cache();
        let [old, used, new] = ["old", "used", "new"].map(|key| keep(&cache, key, "x"));
        let killed = cache.folder.join("kind/new-killed");
        std::fs::create_dir(&killed).unwrap();
        for file in [&old, &used, &killed.join("file")] {
            aged(file, UNUSED + OF_LATE);
        }
        keep(&cache, "used", "y");
        cache.prune(SystemTime::now(), MOST_BYTES).unwrap();
        assert!(!old.exists() && !killed.exists());
        assert!(used.is_file() && new.is_file());
    }

    #[test]
    fn above_the_most_bytes_the_oldest_go_but_none_of_late() {
        let (_folder, cache) = cache();
        let files = ["a", "b", "c"].map(|key| keep(&cache, key, &"x".repeat(1000)));
        for (hours, file) in [(4, &files[0]), (3, &files[1])] {
            aged(file, OF_LATE * hours);
        }
        cache.prune(SystemTime::now(), 2000).unwrap();
        assert_eq!(
            files.each_ref().map(|file| file.is_file()),
            [false, true, true]
        );
        cache.prune(SystemTime::now(), 0).unwrap();
        assert_eq!(
            files.each_ref().map(|file| file.is_file()),
            [false, false, true]
        );
    }

    #[test]
    fn it_is_looked_through_when_something_new_comes_once_a_day() {
        let (_folder, cache) = cache();
        let first = keep(&cache, "first", "x");
        aged(&first, UNUSED + OF_LATE);
        keep(&cache, "second", "x");
        assert!(first.is_file());
        let note = File::open(cache.folder.join("pruned")).unwrap();
        note.set_modified(SystemTime::now() - OFTEN).unwrap();
        keep(&cache, "third", "x");
        assert!(!first.is_file());
    }
}
