//! Files on disk against a tree: what is there, what has to be written, and writing it.
//!
//! An index file serves as the memory of which file had which content at which time. Not
//! libgit2's checkout: filters, attributes and `core.*` settings have no say here, links in
//! the work tree are never followed, and a file is replaced whole or not at all. Whether a
//! difference is a person's edit is not decided here (`git::survey`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use git2::{Index, IndexEntry, IndexTime, ObjectType, Oid, Repository, Tree};

use crate::error::{Doing, Error, Result, reading, writing};
use crate::series::path::unsafe_in_worktree;

const LINK: u32 = 0o120000;
const PLAIN: u32 = 0o100644;
const EXECUTABLE: u32 = 0o100755;

/// A file as a tree or an index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// 100644, 100755 or 120000; 0 for what no tree can have (a socket, a repository).
    pub mode: u32,
    /// Its blob.
    pub id: Oid,
}

/// The files of a tree, by path.
pub type Listing = BTreeMap<Vec<u8>, Entry>;

/// A path of a tree as a path of this system.
pub fn to_path(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

/// Looks paths up that are asked for in their order: each step goes on where the last ended.
pub struct InOrder<'a, V>(std::iter::Peekable<btree_map::Iter<'a, Vec<u8>, V>>);

impl<'a, V> InOrder<'a, V> {
    /// Of a map by path.
    pub fn of(map: &'a BTreeMap<Vec<u8>, V>) -> Self {
        InOrder(map.iter().peekable())
    }

    /// What is at a path, none of those asked for before being behind it.
    pub fn at(&mut self, path: &[u8]) -> Option<&'a V> {
        while let Some((key, value)) = self.0.peek() {
            match key.as_slice().cmp(path) {
                Ordering::Less => drop(self.0.next()),
                Ordering::Equal => return Some(value),
                Ordering::Greater => break,
            }
        }
        None
    }
}

/// All files of a tree. Refuses what can't be put into a work tree safely.
pub fn listing(repo: &Repository, tree: Oid) -> Result<Listing> {
    let mut files = Vec::new();
    let doing = || format!("reading the tree {tree}");
    let tree = repo.find_tree(tree).doing(doing)?;
    list_into(repo, &tree, &mut Vec::new(), &mut files).doing(doing)?;
    // Made at once from what is nearly in order: far quicker than one by one.
    Ok(files.into_iter().collect())
}

fn list_into(
    repo: &Repository,
    tree: &Tree<'_>,
    folder: &mut Vec<u8>,
    files: &mut Vec<(Vec<u8>, Entry)>,
) -> Result<()> {
    for entry in tree {
        let length = folder.len();
        folder.extend_from_slice(entry.name_bytes());
        let shown = || String::from_utf8_lossy(folder).into_owned();
        if entry.name_bytes().contains(&b'/') || unsafe_in_worktree(entry.name_bytes()).is_some() {
            return Err(Error::usage(format!(
                "the tree has the unsafe path {:?}",
                shown()
            )));
        }
        match (entry.kind(), entry.filemode()) {
            (Some(ObjectType::Tree), _) => {
                let below = repo
                    .find_tree(entry.id())
                    .doing(|| format!("reading {}", shown()))?;
                folder.push(b'/');
                list_into(repo, &below, folder, files)?;
            }
            (Some(ObjectType::Blob), mode) => {
                let mode = match mode.cast_unsigned() {
                    LINK => LINK,
                    mode if mode & 0o100 != 0 => EXECUTABLE,
                    _ => PLAIN,
                };
                let id = entry.id();
                files.push((folder.clone(), Entry { mode, id }));
            }
            _ => {
                return Err(Error::usage(format!(
                    "{} is a submodule, which this tool can't show",
                    shown()
                )));
            }
        }
        folder.truncate(length);
    }
    Ok(())
}

/// What a folder holds: everything but the folders that were read, by path.
pub type Scan = BTreeMap<Vec<u8>, Metadata>;

/// What a scan does with a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enter {
    /// Reads it.
    Read,
    /// Takes it as a whole, like a file.
    AsFile,
    /// Leaves it out.
    Skip,
}

/// Reads a folder with all below it, following no link; `enter` decides for each folder.
pub fn scan(root: &Path, enter: &dyn Fn(&[u8]) -> Enter) -> Result<Scan> {
    let mut scan = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(folder) = open.pop() {
        let at = root.join(to_path(&folder));
        for item in fs::read_dir(&at).doing(reading(&at))? {
            let item = item.doing(reading(&at))?;
            let mut path = folder.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(item.file_name().as_bytes());
            let meta = item.metadata().doing(reading(&item.path()))?;
            let enter = if meta.is_dir() {
                enter(&path)
            } else {
                Enter::AsFile
            };
            match enter {
                Enter::Read => open.push(path),
                Enter::AsFile => scan.push((path, meta)),
                Enter::Skip => {}
            }
        }
    }
    Ok(scan.into_iter().collect())
}

/// The memory of an index file.
#[derive(Debug, Default)]
pub struct Memory {
    /// Its entries of stage 0.
    pub entries: BTreeMap<Vec<u8>, IndexEntry>,
    /// Paths with entries of other stages: an unfinished merge.
    pub unmerged: BTreeSet<Vec<u8>>,
    written: (i64, i64),
}

impl Memory {
    /// Reads an index file; `None` where there is none or it is damaged.
    pub fn read(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        let index = Index::open(path).ok()?;
        let mut entries = Vec::with_capacity(index.len());
        let mut unmerged = BTreeSet::new();
        for entry in index.iter() {
            if (entry.flags >> 12) & 3 == 0 {
                entries.push((entry.path.clone(), entry));
            } else {
                unmerged.insert(entry.path);
            }
        }
        Some(Memory {
            entries: entries.into_iter().collect(),
            unmerged,
            written: (meta.mtime(), meta.mtime_nsec()),
        })
    }

    /// What a file on disk is; `true` where its content had to be read for it.
    pub fn look(&self, root: &Path, path: &[u8], meta: &Metadata) -> Result<(Entry, bool)> {
        self.look_beside(self.entries.get(path), root, path, meta)
    }

    /// As [`Self::look`], with the file's entry at hand.
    pub fn look_beside(
        &self,
        known: Option<&IndexEntry>,
        root: &Path,
        path: &[u8],
        meta: &Metadata,
    ) -> Result<(Entry, bool)> {
        let mode = match meta.mode() & 0o170000 {
            0o120000 => LINK,
            0o100000 if meta.mode() & 0o100 != 0 => EXECUTABLE,
            0o100000 => PLAIN,
            _ => {
                return Ok((
                    Entry {
                        mode: 0,
                        id: Oid::ZERO_SHA1,
                    },
                    false,
                ));
            }
        };
        if let Some(known) = known
            && same_stat(known, meta)
            // Written in the same instant as the index: it may have changed right after.
            && (meta.mtime(), meta.mtime_nsec()) < self.written
            // git marks entries to be read again by the size 0.
            && known.file_size > 0
        {
            return Ok((Entry { mode, id: known.id }, false));
        }
        let full = root.join(to_path(path));
        let content = if mode == LINK {
            fs::read_link(&full)
                .doing(reading(&full))?
                .into_os_string()
                .into_vec()
        } else {
            fs::read(&full).doing(reading(&full))?
        };
        let id = Oid::hash_object(ObjectType::Blob, &content).doing(reading(&full))?;
        Ok((Entry { mode, id }, meta.len() > 0))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn same_stat(entry: &IndexEntry, meta: &Metadata) -> bool {
    let time = |t: &IndexTime, s: i64, n: i64| {
        (t.seconds() as u32, t.nanoseconds()) == (s as u32, n as u32)
    };
    time(&entry.mtime, meta.mtime(), meta.mtime_nsec())
        && time(&entry.ctime, meta.ctime(), meta.ctime_nsec())
        && entry.ino == meta.ino() as u32
        && entry.file_size == meta.size() as u32
        && (entry.mode & 0o170000 == LINK) == meta.is_symlink()
}

/// An index entry that says nothing about a file on disk.
pub fn index_entry(path: &[u8], entry: Entry) -> IndexEntry {
    let zero = IndexTime::new(0, 0);
    IndexEntry {
        ctime: zero,
        mtime: zero,
        dev: 0,
        ino: 0,
        mode: entry.mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: entry.id,
        flags: 0,
        flags_extended: 0,
        path: path.to_vec(),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn with_stat(entry: IndexEntry, meta: &Metadata) -> IndexEntry {
    let time = |s: i64, n: i64| IndexTime::new(s as i32, n as u32);
    IndexEntry {
        ctime: time(meta.ctime(), meta.ctime_nsec()),
        mtime: time(meta.mtime(), meta.mtime_nsec()),
        dev: meta.dev() as u32,
        ino: meta.ino() as u32,
        uid: meta.uid(),
        gid: meta.gid(),
        file_size: meta.size() as u32,
        ..entry
    }
}

/// What to do to a folder.
#[derive(Debug, Default)]
pub struct Plan {
    /// Files to remove, with what they are now.
    pub remove: Vec<(Vec<u8>, Metadata)>,
    /// Files to write, with what is there now.
    pub write: Vec<(Vec<u8>, Entry, Option<Metadata>)>,
}

impl Plan {
    /// True where there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.write.is_empty()
    }

    /// Does it. Each file is written beside the tree, in `staging` on the same file system,
    /// and moved into its place; a file that changed since it was looked at stops it.
    /// Gives what is on disk now of each file written.
    pub fn carry_out(
        &self,
        repo: &Repository,
        root: &Path,
        staging: &Path,
    ) -> Result<BTreeMap<Vec<u8>, Metadata>> {
        for (path, was) in &self.remove {
            let full = root.join(to_path(path));
            still(&full, Some(was))?;
            remove(&full, was)?;
            // Folders that are empty now go too, as git does it.
            let mut parent = full.parent();
            while let Some(folder) = parent.filter(|f| *f != root && fs::remove_dir(f).is_ok()) {
                parent = folder.parent();
            }
        }
        let mut made = BTreeSet::new();
        let mut written = BTreeMap::new();
        for (path, entry, was) in &self.write {
            let full = root.join(to_path(path));
            make_folders(root, path, &mut made)?;
            let new = staging.join("file");
            let before = stage(repo, *entry, &new)?;
            if was.is_none() {
                // An empty folder may stand there; one that is not empty stops the move.
                let _ = fs::remove_dir(&full);
            }
            still(&full, was.as_ref())?;
            if let Some(was) = was.as_ref().filter(|was| was.is_dir()) {
                remove(&full, was)?;
            }
            fs::rename(&new, &full).doing(writing(&full))?;
            let meta = full.symlink_metadata().doing(reading(&full))?;
            // Moving changes only the time of the last change of status.
            if (meta.ino(), meta.mtime_nsec(), meta.size())
                == (before.ino(), before.mtime_nsec(), before.size())
            {
                written.insert(path.clone(), meta);
            }
        }
        Ok(written)
    }
}

/// Writes a blob as the file `new`.
fn stage(repo: &Repository, entry: Entry, new: &Path) -> Result<Metadata> {
    let blob = repo
        .find_blob(entry.id)
        .doing(|| format!("reading the blob {}", entry.id))?;
    let _ = fs::remove_file(new);
    if entry.mode == LINK {
        symlink(OsStr::from_bytes(blob.content()), new).doing(writing(new))?;
    } else {
        fs::write(new, blob.content()).doing(writing(new))?;
        let mode = fs::metadata(new).doing(reading(new))?.mode();
        // Who may read may execute, as git does it; the owner always may.
        let wanted = match entry.mode {
            EXECUTABLE => mode | ((mode & 0o444) >> 2) | 0o100,
            _ => mode & !0o111,
        };
        if wanted != mode {
            fs::set_permissions(new, fs::Permissions::from_mode(wanted)).doing(writing(new))?;
        }
    }
    new.symlink_metadata().doing(reading(new))
}

fn remove(full: &Path, was: &Metadata) -> Result<()> {
    let gone = if was.is_dir() {
        fs::remove_dir_all(full)
    } else {
        fs::remove_file(full)
    };
    gone.doing(|| format!("removing {}", full.display()))
}

/// Stops where a file isn't what it was when it was looked at.
fn still(full: &Path, was: Option<&Metadata>) -> Result<()> {
    let stat = |m: &Metadata| {
        (
            m.ino(),
            m.mode(),
            m.size(),
            m.mtime(),
            m.mtime_nsec(),
            m.ctime(),
            m.ctime_nsec(),
        )
    };
    let now = full.symlink_metadata().ok();
    if now.as_ref().map(stat) == was.map(stat) {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{} was changed by someone during the checkout",
        full.display()
    ))
    .hint("run again: what was changed is left as it is, and is looked at anew"))
}

/// Makes the folders of a file; one that is a link or a file stops it.
fn make_folders(root: &Path, path: &[u8], made: &mut BTreeSet<PathBuf>) -> Result<()> {
    let path = to_path(path);
    let mut folder = root.to_path_buf();
    for part in path.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        if made.contains(&folder) {
            continue;
        }
        match folder.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => {
                return Err(Error::conflict(format!(
                    "{} is in the way of a folder",
                    folder.display()
                )));
            }
            Err(_) => fs::create_dir(&folder).doing(writing(&folder))?,
        }
        made.insert(folder.clone());
    }
    Ok(())
}

/// A file for an index: path, content, and its state on disk where that is known to be the
/// state of this content. Without it, git reads the file again.
pub type Known<'a> = (&'a [u8], Entry, Option<&'a Metadata>);

/// Writes an index file: whole, or the old one stays. libgit2's own lock file is made in
/// `staging`, where a killed run may leave it.
pub fn write_index(path: &Path, staging: &Path, files: &[Known<'_>]) -> Result<()> {
    let new = staging.join("index");
    for leftover in [&new, &staging.join("index.lock")] {
        let _ = fs::remove_file(leftover);
    }
    let doing = || format!("writing {}", path.display());
    let mut index = Index::open(&new).doing(doing)?;
    for (name, entry, meta) in files {
        let entry = index_entry(name, *entry);
        let entry = match meta {
            Some(meta) => with_stat(entry, meta),
            None => entry,
        };
        index.add(&entry).doing(doing)?;
    }
    index.write().doing(doing)?;
    fs::rename(&new, path).doing(writing(path))
}
