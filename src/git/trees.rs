//! Looks paths up in many trees of one repository, by ids: no content is read that nobody
//! asks for, and a folder that several commits share is looked at once. Only reads.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use git2::{ObjectType, Oid, Repository, Tree};

use crate::error::{Doing, Result};
use crate::git::draft::File;
use crate::git::stack;

/// The id of an object, for those who only compare it.
pub type BlobId = Oid;

/// What a tree has at a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum At {
    /// Nothing, and a file can be made there.
    Nothing,
    /// A regular file: its blob, and whether it is executable.
    File(Oid, bool),
    /// Something that no patch may touch, or a way there that none may go: why.
    Refused(String),
}

/// What a folder has under a name.
#[derive(Debug, Clone)]
enum Look {
    Missing,
    /// Another name is there that differs only by case.
    Twin(String),
    Entry(Oid, i32),
}

/// A repository to look into; for one thread.
pub struct Trees {
    repo: Repository,
    looked: RefCell<HashMap<Oid, HashMap<String, Look>>>,
}

impl Trees {
    /// Of the repository in this folder.
    pub fn open(path: &Path) -> Result<Self> {
        let repo = super::open(path).doing(|| format!("opening {}", path.display()))?;
        Ok(Trees {
            repo,
            looked: RefCell::default(),
        })
    }

    /// The tree of a commit.
    pub fn of_commit(&self, commit: &str) -> Result<Oid> {
        let doing = || format!("reading the tree of the commit {commit}");
        let id = Oid::from_str(commit).doing(doing)?;
        Ok(self.repo.find_commit(id).doing(doing)?.tree_id())
    }

    /// What is at `path` of a tree, in the words of [`crate::git::draft::Draft::find`].
    pub fn at(&self, tree: Oid, path: &str) -> Result<At> {
        let mut tree = tree;
        let mut parts = path.split('/').peekable();
        let mut end = 0;
        while let Some(part) = parts.next() {
            let folder = &path[..end];
            end += part.len();
            let walked = &path[..end];
            let last = parts.peek().is_none();
            let refused = |why: String| Ok(At::Refused(why));
            match (self.look(tree, part)?, last) {
                (Look::Missing, _) => return Ok(At::Nothing),
                (Look::Twin(twin), _) => {
                    return refused(format!("differs from {folder}{twin} only by case"));
                }
                (Look::Entry(_, 0o120000), true) => return refused("is a symbolic link".into()),
                (Look::Entry(_, 0o120000), false) => {
                    return refused(format!("leads through the symbolic link {walked}"));
                }
                (Look::Entry(_, 0o160000), _) => {
                    return refused(format!("leads into the submodule {walked}"));
                }
                (Look::Entry(_, 0o040000), true) => return refused("is a folder".into()),
                (Look::Entry(id, 0o040000), false) => tree = id,
                (Look::Entry(..), false) => {
                    return refused(format!("leads through the file {walked}"));
                }
                (Look::Entry(id, mode), true) => return Ok(At::File(id, mode == 0o100755)),
            }
            end += 1;
        }
        Ok(At::Nothing)
    }

    fn look(&self, tree: Oid, name: &str) -> Result<Look> {
        let known = self.looked.borrow();
        if let Some(look) = known.get(&tree).and_then(|folder| folder.get(name)) {
            return Ok(look.clone());
        }
        drop(known);
        let look = look(&self.tree(tree)?, name);
        let mut known = self.looked.borrow_mut();
        let folder = known.entry(tree).or_default();
        folder.insert(name.to_string(), look.clone());
        Ok(look)
    }

    fn tree(&self, id: Oid) -> Result<Tree<'_>> {
        self.repo
            .find_tree(id)
            .doing(|| format!("reading the tree {id}"))
    }

    /// The files that went to another name between two commits, by the old name; none where
    /// the older one isn't here.
    pub fn renames(&self, from: Oid, to: Oid) -> Result<BTreeMap<String, String>> {
        match self.repo.find_commit(from) {
            Ok(_) => stack::renames(&self.repo, from, to),
            Err(_) => Ok(BTreeMap::new()),
        }
    }

    /// A file's bytes.
    pub fn file(&self, id: Oid, executable: bool) -> Result<File> {
        let blob = self.repo.find_blob(id);
        let blob = blob.doing(|| format!("reading the blob {id}"))?;
        Ok(File {
            content: blob.content().to_vec(),
            executable,
        })
    }
}

fn look(tree: &Tree<'_>, name: &str) -> Look {
    if let Some(entry) = tree.get_name(name) {
        return Look::Entry(entry.id(), entry.filemode());
    }
    let mut names = tree.iter();
    let twin = names.find_map(|entry| {
        let other = entry.name().ok()?;
        other.eq_ignore_ascii_case(name).then(|| other.to_string())
    });
    twin.map_or(Look::Missing, Look::Twin)
}

/// The id that a file's content has.
pub fn id_of(content: &[u8]) -> Result<Oid> {
    Oid::hash_object(ObjectType::Blob, content).doing(|| "hashing a file".into())
}
