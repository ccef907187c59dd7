//! Where upstream's source comes from: mirrors, asked in order, believed only by tree id.
//!
//! [`obtain`] leaves `mlx_local` a true depth-1 clone whichever mirror served. It shows no
//! files there (that is the checkout's part) and knows nothing of patches or builds.

mod krate;
mod path;
mod request;
mod unpinned;
mod verify;

use std::fs;
use std::path::Path;

use git2::{Oid, Repository};
use serde::Serialize;

pub use request::{Choice, Request};

use crate::config::{Config, Pin};
use crate::error::{Doing, Error, Result, reading, writing};
use crate::git::fetch::{self, Remote};
use crate::git::store::{self, Content};
use crate::git::tree;
use crate::layout::Layout;
use crate::ui::Ui;
use path::Local;
use request::Wanted;

/// What `mlx_local` has now, and where it came from.
#[derive(Debug, Clone, Serialize)]
pub struct Served {
    /// Upstream's commit id.
    pub commit: String,
    /// Its tree id.
    pub tree: String,
    /// The pin's name, if it is one.
    pub pin: Option<String>,
    /// The mirror that served; `mlx_local` where all was there already.
    pub mirror: String,
    /// The mirrors that were asked before, and why each did not serve.
    pub passed_over: Vec<(String, String)>,
    /// For a commit that is no pin: the lines for fork.toml that would make it one, and the
    /// commands for its files as comments.
    pub unpinned: Option<String>,
}

/// Brings the requested commit into `mlx_local`. The caller holds the checkout's lock.
///
/// # Errors
/// [`crate::Kind::Mirror`] where no mirror serves, each with its reason, or where one has another
/// tree; `mlx_local` is then as it was. [`crate::Kind::Conflict`] where `mlx_local` is something
/// else than a repository; [`crate::Kind::Usage`] for a request that means nothing.
pub fn obtain(layout: &Layout, config: &Config, request: &Request, ui: &dyn Ui) -> Result<Served> {
    let url = request.url()?;
    match request.wanted(config)? {
        Wanted::Pin(pin) => pinned(layout, &pin, &url, &request.choice, ui),
        Wanted::Reference(name) => {
            unpinned::obtain(layout, config, &name, &url, &request.choice, ui)
        }
    }
}

/// Brings one more pin into `mlx_local`, as [`obtain`] does: a port needs the tree that the
/// patches were made for.
pub fn obtain_objects_of_pin(
    layout: &Layout,
    config: &Config,
    pin: &str,
    url: &str,
    choice: &Choice,
    ui: &dyn Ui,
) -> Result<Served> {
    let request = Request {
        pin: pin.to_string(),
        reference: None,
        url: url.to_string(),
        choice: choice.clone(),
    };
    obtain(layout, config, &request, ui).map_err(|e| match choice {
        Choice::Path(_) => e.hint(format!(
            "the patches are made for {pin}: get it once from a mirror that has it \
             (--pin {pin} --source …), mlx_local keeps it"
        )),
        _ => e,
    })
}

/// The reference of `mlx_local` that names a pin's commit.
pub fn pin_reference(name: &str) -> String {
    format!("refs/mlx-fork/pins/{name}")
}

fn pinned(layout: &Layout, pin: &Pin, url: &str, choice: &Choice, ui: &dyn Ui) -> Result<Served> {
    let reference = pin_reference(&pin.name);
    let served = |mirror: &str, passed_over| Served {
        commit: pin.commit.clone(),
        tree: pin.tree.clone(),
        pin: Some(pin.name.clone()),
        mirror: mirror.to_string(),
        passed_over,
        unpinned: None,
    };
    let local = store::open(&layout.mlx_local())?;
    if let Some(repo) = &local {
        let known = store::find(repo, &reference);
        let known = known.map(|(commit, tree)| (commit.to_string(), tree.to_string()));
        if known.as_ref() == Some(&(pin.commit.clone(), pin.tree.clone())) {
            store::set_origin(repo, url)?;
            return Ok(served("mlx_local", Vec::new()));
        }
    }
    let commit = verify::commit_of(layout, pin)?;
    let wanted = Oid::from_str(&pin.tree).doing(|| "reading a pin's tree id".into())?;
    let content = |from| Content {
        from,
        tree: wanted,
        commit: &commit,
        reference: &reference,
        url,
    };
    if let Some(repo) = local.filter(|repo| tree::is_complete(repo, wanted)) {
        store::put(&layout.mlx_local(), &content(&repo))?;
        return Ok(served("mlx_local", Vec::new()));
    }
    let scratch = Scratch::create(layout)?;
    let mut passed_over = Vec::new();
    let mut hints = Vec::new();
    for mirror in mirrors(choice) {
        let name = mirror.name(pin, url);
        match mirror.ask(pin, url, &scratch, ui).and_then(|found| {
            verify::tree(layout, pin, &found.repo, found.tree)?;
            Ok(found)
        }) {
            Ok(found) => {
                store::put(&layout.mlx_local(), &content(&found.repo))
                    .doing(|| format!("taking {} from {name}", pin.name))?;
                return Ok(served(&name, passed_over));
            }
            Err(e) => {
                hints.extend(e.hints().iter().cloned());
                passed_over.push((name, e.to_string()));
            }
        }
    }
    Err(none_serves(
        &pin.name,
        &pin.commit,
        choice,
        &passed_over,
        hints,
    ))
}

/// The error that names every mirror that was asked, and the ways out.
fn none_serves(
    name: &str,
    commit: &str,
    choice: &Choice,
    passed_over: &[(String, String)],
    hints: Vec<String>,
) -> Error {
    let mut text = match passed_over {
        [(mirror, why)] => format!("{mirror}: {why}"),
        _ => "no mirror serves:".to_string(),
    };
    if passed_over.len() > 1 {
        for (mirror, why) in passed_over {
            text.push_str(&format!("\n  {mirror}: {why}"));
        }
    }
    let what = if name == commit {
        name.to_string()
    } else {
        format!("{name} ({commit})")
    };
    let mut error = Error::mirror(text).doing(format!("getting MLX {what}"));
    for hint in hints {
        error = error.hint(hint);
    }
    let holder = if name == commit {
        "a clone of MLX that has it"
    } else {
        "a clone of MLX or its unpacked source"
    };
    match choice {
        Choice::Path(_) => error,
        _ => error.hint(format!(
            "without network: --source path:DIR, where DIR is {holder}"
        )),
    }
}

/// A place to ask for a pin's tree.
enum Mirror<'a> {
    Git,
    Crate,
    Path(&'a Path),
}

fn mirrors(choice: &Choice) -> Vec<Mirror<'_>> {
    match choice {
        Choice::Auto => vec![Mirror::Git, Mirror::Crate],
        Choice::Git => vec![Mirror::Git],
        Choice::Crate => vec![Mirror::Crate],
        Choice::Path(folder) => vec![Mirror::Path(folder)],
    }
}

/// A tree, and the repository that has it.
struct Found {
    repo: Repository,
    tree: Oid,
}

impl Mirror<'_> {
    fn name(&self, pin: &Pin, url: &str) -> String {
        match (self, &pin.krate) {
            (Self::Git, _) => format!("git {}", fetch::shown(url)),
            (Self::Crate, None) => "crate".to_string(),
            (Self::Crate, Some(krate)) => {
                format!("crate {} {} ({})", krate.name, krate.version, krate.folder)
            }
            (Self::Path(folder), _) => format!("path {}", folder.display()),
        }
    }

    fn ask(&self, pin: &Pin, url: &str, scratch: &Scratch, ui: &dyn Ui) -> Result<Found> {
        let name = self.name(pin, url);
        ui.progress(0, 0, &name);
        match self {
            Self::Git => {
                let repo = scratch.repository("git")?;
                let commit = Remote::new(url).fetch(&repo, &pin.commit, ui)?;
                let tree = tree_of(&repo, commit)?;
                Ok(Found { repo, tree })
            }
            Self::Crate => {
                let krate = pin.krate.as_ref().ok_or_else(|| {
                    Error::mirror(format!("fork.toml names no crate for {}", pin.name))
                })?;
                let folder = krate::folder(scratch.folder.path(), krate)?;
                read_folder(scratch, &folder).map_err(|e| {
                    e.hint(format!(
                        "if {} was changed by hand: remove it, cargo unpacks it anew",
                        folder.display()
                    ))
                })
            }
            Self::Path(folder) => match Local::open(folder)? {
                Local::Folder(folder) => read_folder(scratch, &folder),
                Local::Repository(repo) => {
                    let tree = Oid::from_str(&pin.tree).doing(|| "reading a tree id".into())?;
                    path::require_tree(&repo, &pin.commit, tree)?;
                    Ok(Found { repo, tree })
                }
            },
        }
    }
}

/// The folder's tree, in memory: nothing is written for a folder that turns out wrong.
fn read_folder(scratch: &Scratch, folder: &Path) -> Result<Found> {
    let repo = scratch.repository("folder")?;
    let tree = {
        let odb = repo.odb().doing(|| "opening a scratch repository".into())?;
        odb.add_new_mempack_backend(1000)
            .doing(|| "opening a scratch repository".into())?;
        tree::from_folder(&odb, folder)?
    };
    Ok(Found { repo, tree })
}

fn tree_of(repo: &Repository, commit: Oid) -> Result<Oid> {
    let found = repo.find_commit(commit);
    found
        .map(|commit| commit.tree_id())
        .doing(|| format!("reading the commit {commit}"))
}

/// A folder of this run's own for mirrors being read; gone when dropped.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn create(layout: &Layout) -> Result<Self> {
        const PREFIX: &str = "source-";
        let all = layout.scratch();
        fs::create_dir_all(&all).doing(writing(&all))?;
        for item in fs::read_dir(&all).doing(reading(&all))? {
            let item = item.doing(reading(&all))?;
            if item.file_name().to_string_lossy().starts_with(PREFIX) {
                // A killed run's. Its git may live an instant longer and write there: then the
                // next run sweeps it.
                let _ = fs::remove_dir_all(item.path());
            }
        }
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&all);
        Ok(Scratch {
            folder: folder.doing(writing(&all))?,
        })
    }

    fn repository(&self, name: &str) -> Result<Repository> {
        store::init_bare(&self.folder.path().join(name))
    }
}
