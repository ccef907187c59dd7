//! A tree being changed in memory: layers of files over a tree of a repository.
//!
//! Nothing gets into the object database before [`Draft::write`], so that a series which
//! doesn't apply leaves nothing behind. Content and paths only; patches are `git::apply`'s.

use std::collections::BTreeMap;

use git2::{FileMode, ObjectType, Oid, Repository, Tree, build::TreeUpdateBuilder};

use crate::error::{Doing, Error, Result};

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its bytes.
    pub content: Vec<u8>,
    /// True for mode 100755.
    pub executable: bool,
}

/// What is at a path of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing, and a file can be made there.
    Nothing,
    /// A regular file.
    File(File),
    /// Something that no patch may touch, or a way there that none may go: why.
    Refused(String),
}

/// The changes of one feature: a file, or `None` where it is deleted.
pub type Layer = BTreeMap<String, Option<File>>;

/// A tree with layers of changes.
pub struct Draft<'r> {
    repo: &'r Repository,
    base: Tree<'r>,
    layers: Vec<Layer>,
}

impl<'r> Draft<'r> {
    /// Over the tree of a commit.
    pub fn of_commit(repo: &'r Repository, commit: Oid) -> Result<Self> {
        let base = repo
            .find_commit(commit)
            .and_then(|commit| commit.tree())
            .doing(|| format!("reading the tree of the commit {commit}"))?;
        Ok(Draft {
            repo,
            base,
            layers: Vec::new(),
        })
    }

    /// The layers, oldest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Begins the next layer; changes go into it from now on.
    pub fn begin(&mut self) {
        self.layers.push(Layer::new());
    }

    /// Makes the newest layer a part of the one below it.
    pub fn join(&mut self) {
        if let Some(newest) = self.layers.pop() {
            match self.layers.last_mut() {
                Some(below) => below.extend(newest),
                None => self.layers.push(newest),
            }
        }
    }

    /// What is at `path` now.
    pub fn find(&self, path: &str) -> Result<Found> {
        self.find_below(self.layers.len(), path)
    }

    /// What is at `path` with only the first `depth` layers.
    pub fn find_below(&self, depth: usize, path: &str) -> Result<Found> {
        for (at, _) in path.match_indices('/') {
            if let Some(Some(_)) = self.changed(depth, &path[..at]) {
                return Ok(Found::Refused(format!(
                    "leads through the file {}",
                    &path[..at]
                )));
            }
        }
        if let Some(changed) = self.changed(depth, path) {
            return Ok(changed.clone().map_or(Found::Nothing, Found::File));
        }
        let folder = format!("{path}/");
        if self.layers[..depth]
            .iter()
            .any(|layer| layer.keys().any(|key| key.starts_with(&folder)))
        {
            return Ok(Found::Refused("is a folder".into()));
        }
        self.find_in_base(path)
    }

    fn changed(&self, depth: usize, path: &str) -> Option<&Option<File>> {
        self.layers[..depth]
            .iter()
            .rev()
            .find_map(|layer| layer.get(path))
    }

    fn find_in_base(&self, path: &str) -> Result<Found> {
        let doing = || format!("reading {path} of the tree {}", self.base.id());
        let mut tree = self.base.clone();
        let mut walked = String::new();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let Some(entry) = tree.get_name(part).map(|entry| entry.to_owned()) else {
                return Ok(Found::Nothing);
            };
            walked.push_str(part);
            let last = parts.peek().is_none();
            match (entry.filemode(), last) {
                (0o120000, true) => return Ok(Found::Refused("is a symbolic link".into())),
                (0o120000, false) => {
                    return Ok(Found::Refused(format!(
                        "leads through the symbolic link {walked}"
                    )));
                }
                (0o160000, _) => {
                    return Ok(Found::Refused(format!("leads into the submodule {walked}")));
                }
                (0o040000, true) => return Ok(Found::Refused("is a folder".into())),
                (0o040000, false) => tree = self.repo.find_tree(entry.id()).doing(doing)?,
                (_, false) => {
                    return Ok(Found::Refused(format!("leads through the file {walked}")));
                }
                (mode, true) => {
                    let blob = self.repo.find_blob(entry.id()).doing(doing)?;
                    return Ok(Found::File(File {
                        content: blob.content().to_vec(),
                        executable: mode == 0o100755,
                    }));
                }
            }
            walked.push('/');
        }
        Ok(Found::Nothing)
    }

    /// A path that is there and differs from `path`, or from one of its folders, only by
    /// case: on most Macs both are one.
    pub fn case_twin(&self, path: &str) -> Result<Option<String>> {
        let twin = |a: &str, b: &str| a != b && a.eq_ignore_ascii_case(b);
        for key in self.layers.iter().flat_map(BTreeMap::keys) {
            for ((at, a), (bt, b)) in folders(path).zip(folders(key)) {
                if twin(a, b) && path[..at].eq_ignore_ascii_case(&key[..bt]) {
                    return Ok(Some(key[..bt].to_string()));
                }
            }
        }
        let mut tree = self.base.clone();
        for (at, part) in folders(path) {
            let name = part.rsplit('/').next().unwrap_or_default();
            if let Some(other) = tree.iter().find_map(|entry| {
                entry
                    .name()
                    .ok()
                    .filter(|other| twin(other, name))
                    .map(str::to_string)
            }) {
                return Ok(Some(format!("{}{other}", &path[..at - name.len()])));
            }
            match tree.get_name(name).map(|e| (e.kind(), e.id())) {
                Some((Some(ObjectType::Tree), id)) => {
                    tree = self
                        .repo
                        .find_tree(id)
                        .doing(|| format!("reading the tree {id}"))?;
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Puts a file there, or deletes it, in the newest layer.
    pub fn set(&mut self, path: &str, file: Option<File>) {
        if let Some(layer) = self.layers.last_mut() {
            layer.insert(path.to_string(), file);
        }
    }

    /// Writes blobs and trees; the id of the tree after each layer.
    pub fn write(&self) -> Result<Vec<Oid>> {
        let doing = || format!("writing a tree into {}", self.repo.path().display());
        let mut tree = self.base.clone();
        let mut ids = Vec::new();
        for layer in &self.layers {
            let mut update = TreeUpdateBuilder::new();
            for (path, file) in layer {
                match file {
                    Some(file) => {
                        let id = self.repo.blob(&file.content).doing(doing)?;
                        let mode = if file.executable {
                            FileMode::BlobExecutable
                        } else {
                            FileMode::Blob
                        };
                        update.upsert(path.as_str(), id, mode);
                    }
                    None if tree.get_path(path.as_ref()).is_ok() => {
                        update.remove(path.as_str());
                    }
                    None => {}
                }
            }
            let id = update.create_updated(self.repo, &tree).doing(doing)?;
            tree = self.repo.find_tree(id).doing(doing)?;
            ids.push(id);
        }
        Ok(ids)
    }

    /// An error for a path that must not be touched.
    pub fn refusal(path: &str, why: &str) -> Error {
        Error::usage(format!("{path} {why}; nothing was written"))
    }
}

/// Each folder of a path and the path itself, with where it ends.
fn folders(path: &str) -> impl Iterator<Item = (usize, &str)> {
    let ends = path
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([path.len()]);
    ends.map(|at| (at, &path[..at]))
}
