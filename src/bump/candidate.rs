//! The project in which a bump's fork is built and judged.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::config::Config;
use crate::error::{Doing, Result, reading, writing};
use crate::git::raw_commit;
use crate::git::store::{self, Content};
use crate::layout::Layout;
use crate::manager::bump::Onto;
use crate::manager::plan::Done;
use crate::manager::{id, project};
use crate::source;

/// A project beside the project, with the series as it is to become. Gone with the value.
pub struct Candidate {
    /// Its folders; builds are the project's own.
    pub layout: Layout,
}

impl Candidate {
    /// Where it is made, with the lock of the one who makes it.
    pub fn folder(layout: &Layout) -> Layout {
        Layout::at(layout.root(), layout.target().join("bump"))
    }

    /// Makes it, in the place of what a killed run left.
    pub fn create(layout: &Layout, done: &Done, onto: &Onto) -> Result<Self> {
        let root = Self::folder(layout).target().join("project");
        remove(&root)?;
        fs::create_dir_all(&root).doing(writing(&root))?;
        let candidate = Candidate {
            layout: Layout::at(&root, layout.target()),
        };
        // What the series is made of is copied; the rest of the project is only read.
        let sources = done
            .series
            .features
            .iter()
            .flat_map(|feature| &feature.overlay);
        let mut copied: BTreeSet<&str> = sources
            .filter_map(|file| file.source.split('/').next())
            .collect();
        copied.extend(["patches", "fork.toml"]);
        for item in fs::read_dir(layout.root()).doing(reading(layout.root()))? {
            let name = item.doing(reading(layout.root()))?.file_name();
            let (from, to) = (layout.root().join(&name), root.join(&name));
            if ["mlx_local", "target", ".git"]
                .iter()
                .any(|own| name == *own)
            {
                continue;
            }
            if name.to_str().is_none_or(|name| !copied.contains(name)) {
                symlink(&from, &to).doing(writing(&to))?;
            } else if from.is_dir() {
                copy(&from, &to)?;
            } else {
                fs::copy(&from, &to).doing(writing(&to))?;
            }
        }
        project::write(&candidate.layout, &done.writes)?;
        let repo = crate::git::survey::open(layout)?;
        let commit = id(&onto.commit)?;
        let doing = || format!("copying {}", onto.pin);
        let tree = repo.find_commit(commit).doing(doing)?.tree_id();
        let config = Config::load(&candidate.layout)?;
        let raw = raw_commit(&repo, commit)?;
        let content = Content {
            from: &repo,
            tree,
            commit: &raw,
            reference: &source::pin_reference(&onto.pin),
            url: &config.upstream.url,
        };
        store::put(&candidate.layout.mlx_local(), &content).doing(doing)?;
        Ok(candidate)
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.layout.root());
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).doing(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).doing(writing(to))?;
    for item in fs::read_dir(from).doing(reading(from))? {
        let item = item.doing(reading(from))?;
        let (source, target) = (item.path(), to.join(item.file_name()));
        if source.is_dir() {
            copy(&source, &target)?;
        } else {
            fs::copy(&source, &target).doing(writing(&target))?;
        }
    }
    Ok(())
}
