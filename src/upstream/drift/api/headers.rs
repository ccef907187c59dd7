//! The headers of a commit that given ones bring in, each version read once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::declared::Header;
use crate::error::{Error, Result};
use crate::git::trees::{At, BlobId, Trees};

/// The headers by path.
pub type Headers = BTreeMap<String, Arc<Header>>;

/// Headers that were read, by blob.
#[derive(Default)]
pub struct Shelf {
    known: Mutex<HashMap<BlobId, Arc<Header>>>,
}

impl Shelf {
    /// The headers named `wanted` of a tree, and all that they include of it. Those that it
    /// lacks are left out.
    pub fn closure<'w>(
        &self,
        trees: &Trees,
        tree: BlobId,
        wanted: impl Iterator<Item = &'w String>,
    ) -> Result<Headers> {
        let mut found = Headers::new();
        let mut open: Vec<String> = wanted.cloned().collect();
        while let Some(path) = open.pop() {
            if found.contains_key(&path) {
                continue;
            }
            let At::File(id, _) = trees.at(tree, &path)? else {
                continue;
            };
            let header = self.read(trees, id)?;
            open.extend(header.includes.iter().cloned());
            found.insert(path, header);
        }
        Ok(found)
    }

    fn read(&self, trees: &Trees, id: BlobId) -> Result<Arc<Header>> {
        let held = |_| Error::bug("a thread that read headers panicked");
        if let Some(known) = self.known.lock().map_err(held)?.get(&id) {
            return Ok(known.clone());
        }
        let file = trees.file(id, false)?;
        let header = Arc::new(Header::parse(&String::from_utf8_lossy(&file.content)));
        self.known.lock().map_err(held)?.insert(id, header.clone());
        Ok(header)
    }
}
