//! Git trees made from folders, listed, and compared path by path.
//!
//! A folder is taken as it is: no `.gitignore`, no attributes, no filters. Only entries
//! named `.git` are left out.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use git2::{ObjectType, Odb, Oid, Repository};

use crate::error::{Doing, Error, Result, reading};

/// Far above any MLX (950 files, 8 MB): a folder beyond it was named by mistake.
const MOST_FILES: u64 = 50_000;
const MOST_BYTES: u64 = 1 << 30;

/// What a path of a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// 0o100644, 0o100755, 0o120000 (symbolic link) or 0o160000 (submodule).
    pub mode: u32,
    /// The blob, or the submodule's commit.
    pub id: Oid,
}

/// The files of a tree by path: bytes, `/` between folders.
pub type Listing = BTreeMap<Vec<u8>, Entry>;

/// Writes the folder's content as blobs and trees into `odb`; the id of the top tree.
///
/// # Errors
/// [`crate::Kind::Mirror`] where the folder holds what git can't (a pipe, a device) or far
/// more than a source tree; [`crate::Kind::Environment`] where it can't be read.
pub fn from_folder(odb: &Odb<'_>, folder: &Path) -> Result<Oid> {
    let mut seen = Seen::default();
    let top = write_folder(odb, folder, &mut seen)?;
    match top {
        Some(tree) => Ok(tree),
        None => odb
            .write(ObjectType::Tree, b"")
            .doing(|| format!("writing the tree of {}", folder.display())),
    }
}

#[derive(Default)]
struct Seen {
    files: u64,
    bytes: u64,
}

impl Seen {
    fn add(&mut self, path: &Path, about: &Metadata) -> Result<()> {
        self.files += 1;
        self.bytes += about.len();
        if self.files > MOST_FILES || self.bytes > MOST_BYTES {
            return Err(Error::mirror(format!(
                "more than {MOST_FILES} files or {} MiB up to {}: this is no source tree of MLX",
                MOST_BYTES >> 20,
                path.display()
            )));
        }
        Ok(())
    }
}

/// `None` for a folder without files, which git does not record.
fn write_folder(odb: &Odb<'_>, folder: &Path, seen: &mut Seen) -> Result<Option<Oid>> {
    let mut entries: Vec<(Vec<u8>, Entry)> = Vec::new();
    for item in fs::read_dir(folder).doing(reading(folder))? {
        let item = item.doing(reading(folder))?;
        let name = item.file_name();
        if name == ".git" {
            continue;
        }
        let path = item.path();
        // Not followed: a link is recorded as its text, wherever it points.
        let about = fs::symlink_metadata(&path).doing(reading(&path))?;
        let entry = if about.is_dir() {
            match write_folder(odb, &path, seen)? {
                Some(id) => Entry { mode: TREE, id },
                None => continue,
            }
        } else {
            seen.add(&path, &about)?;
            write_file(odb, &path, &about)?
        };
        entries.push((name.as_bytes().to_vec(), entry));
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let raw = encode(entries);
    odb.write(ObjectType::Tree, &raw)
        .map(Some)
        .doing(|| format!("writing the tree of {}", folder.display()))
}

const TREE: u32 = 0o040_000;

fn write_file(odb: &Odb<'_>, path: &Path, about: &Metadata) -> Result<Entry> {
    let (mode, content) = if about.is_symlink() {
        let target = fs::read_link(path).doing(reading(path))?;
        (0o120_000, target.as_os_str().as_bytes().to_vec())
    } else if about.is_file() {
        // As git: the owner's bit alone, so that the umask has no say.
        let executable = about.permissions().mode() & 0o100 != 0;
        let mode = if executable { 0o100_755 } else { 0o100_644 };
        (mode, fs::read(path).doing(reading(path))?)
    } else {
        return Err(Error::mirror(format!(
            "{} is neither a file, a folder nor a symbolic link",
            path.display()
        )));
    };
    let id = odb
        .write(ObjectType::Blob, &content)
        .doing(|| format!("storing {}", path.display()))?;
    Ok(Entry { mode, id })
}

/// The raw tree object: git's order compares a folder's name as if it ended in `/`.
fn encode(mut entries: Vec<(Vec<u8>, Entry)>) -> Vec<u8> {
    entries.sort_by_cached_key(|(name, entry)| {
        let mut key = name.clone();
        if entry.mode == TREE {
            key.push(b'/');
        }
        key
    });
    let mut raw = Vec::new();
    for (name, entry) in entries {
        raw.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
        raw.extend_from_slice(&name);
        raw.push(0);
        raw.extend_from_slice(entry.id.as_bytes());
    }
    raw
}

/// The files of a tree whose objects are at hand.
pub fn list(repo: &Repository, tree: Oid) -> Result<Listing> {
    let mut listing = Listing::new();
    let mut stack = vec![(Vec::new(), tree)];
    while let Some((prefix, id)) = stack.pop() {
        let tree = repo
            .find_tree(id)
            .doing(|| format!("reading the tree {id}"))?;
        for item in &tree {
            let mut path = prefix.clone();
            path.extend_from_slice(item.name_bytes());
            if item.kind() == Some(ObjectType::Tree) {
                path.push(b'/');
                stack.push((path, item.id()));
            } else {
                let mode = u32::try_from(item.filemode_raw()).unwrap_or_default();
                listing.insert(
                    path,
                    Entry {
                        mode,
                        id: item.id(),
                    },
                );
            }
        }
    }
    Ok(listing)
}

/// True if the tree and all that it names is in the repository.
pub fn is_complete(repo: &Repository, tree: Oid) -> bool {
    let (Ok(odb), Ok(listing)) = (repo.odb(), list(repo, tree)) else {
        return false;
    };
    listing
        .values()
        .all(|entry| entry.mode == 0o160_000 || odb.exists(entry.id))
}

/// Reads what `git ls-tree -r` prints.
///
/// # Errors
/// [`crate::Kind::Usage`] with the line that is not `MODE blob ID<tab>PATH`.
pub fn parse_listing(text: &str) -> Result<Listing> {
    let mut listing = Listing::new();
    for (number, line) in text.lines().enumerate() {
        let parsed = line.split_once('\t').and_then(|(facts, path)| {
            let mut words = facts.split(' ');
            let mode = u32::from_str_radix(words.next()?, 8).ok()?;
            let kind = words.next()?;
            let id = words.next().filter(|id| id.len() == 40)?;
            let id = Oid::from_str(id).ok()?;
            let known = matches!(kind, "blob" | "commit") && words.next().is_none();
            // git quotes unusual names; none of MLX's is.
            (known && !path.is_empty() && !path.starts_with('"'))
                .then(|| (path.as_bytes().to_vec(), Entry { mode, id }))
        });
        let Some((path, entry)) = parsed else {
            return Err(Error::usage(format!(
                "line {} is not `MODE blob ID<tab>PATH`, as `git ls-tree -r` prints it: {line:?}",
                number + 1
            )));
        };
        listing.insert(path, entry);
    }
    Ok(listing)
}

/// The id of the tree that has these files.
pub fn id_of(listing: &Listing) -> Result<Oid> {
    let files: Vec<(&[u8], Entry)> = listing.iter().map(|(p, e)| (p.as_slice(), *e)).collect();
    id_of_level(&files)
}

/// `files` are sorted by path, so that those of one folder stand together.
fn id_of_level(files: &[(&[u8], Entry)]) -> Result<Oid> {
    let mut entries = Vec::new();
    let mut rest = files;
    while let Some(&(path, entry)) = rest.first() {
        let Some(at) = path.iter().position(|&b| b == b'/') else {
            entries.push((path.to_vec(), entry));
            rest = &rest[1..];
            continue;
        };
        let folder = &path[..=at];
        let count = rest
            .iter()
            .take_while(|(path, _)| path.starts_with(folder))
            .count();
        let inner: Vec<(&[u8], Entry)> = rest[..count]
            .iter()
            .map(|(path, entry)| (&path[at + 1..], *entry))
            .collect();
        let id = id_of_level(&inner)?;
        entries.push((path[..at].to_vec(), Entry { mode: TREE, id }));
        rest = &rest[count..];
    }
    Oid::hash_object(ObjectType::Tree, &encode(entries)).doing(|| "hashing a tree".into())
}

/// How one path differs between the tree that is wanted and the one that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It should be there.
    Missing(Vec<u8>),
    /// It should not be there.
    Extra(Vec<u8>),
    /// Same content, another mode.
    Mode(Vec<u8>, u32, u32),
    /// Another content.
    Content(Vec<u8>, Oid, Oid),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |path: &[u8]| String::from_utf8_lossy(path).escape_debug().to_string();
        match self {
            Self::Missing(path) => write!(f, "{}: is missing", show(path)),
            Self::Extra(path) => write!(f, "{}: does not belong there", show(path)),
            Self::Mode(path, wanted, found) => {
                write!(f, "{}: mode {found:o}, not {wanted:o}", show(path))
            }
            Self::Content(path, wanted, found) => write!(
                f,
                "{}: blob {:.10}, not {:.10}",
                show(path),
                found.to_string(),
                wanted.to_string()
            ),
        }
    }
}

/// All paths that differ, in the order of their names.
pub fn differences(wanted: &Listing, found: &Listing) -> Vec<Difference> {
    let mut all: Vec<(&Vec<u8>, Difference)> = Vec::new();
    for (path, want) in wanted {
        let name = path.clone();
        let difference = match found.get(path) {
            None => Difference::Missing(name),
            Some(have) if have.id != want.id => Difference::Content(name, want.id, have.id),
            Some(have) if have.mode != want.mode => Difference::Mode(name, want.mode, have.mode),
            Some(_) => continue,
        };
        all.push((path, difference));
    }
    for path in found.keys().filter(|path| !wanted.contains_key(*path)) {
        all.push((path, Difference::Extra(path.clone())));
    }
    all.sort_by_key(|(path, _)| *path);
    all.into_iter().map(|(_, difference)| difference).collect()
}
