//! A tag, branch or commit that is no pin: fetched from git, used, and reported with the
//! lines that would pin it. No crate can serve it: nothing says what its tree should be.

use git2::{ObjectType, Oid, Reference, Repository};

use super::path::{self, Local};
use super::request::is_short_id;
use super::{Choice, Scratch, Served, none_serves, pin_reference, tree_of};
use crate::config::Config;
use crate::error::{Doing, Error, Result};
use crate::git::fetch::{self, Offered, Remote};
use crate::git::store::{self, Content};
use crate::layout::Layout;
use crate::ui::Ui;

pub(super) fn obtain(
    layout: &Layout,
    config: &Config,
    name: &str,
    url: &str,
    choice: &Choice,
    ui: &dyn Ui,
) -> Result<Served> {
    let local = store::open(&layout.mlx_local())?;
    let remembered = local
        .as_ref()
        .and_then(|repo| store::find(repo, &reference_of(name)));
    // A whole id can mean only one commit; a name is asked for anew.
    if let (Some((commit, tree)), 40, true) = (remembered, name.len(), is_short_id(name)) {
        return Ok(served(config, name, commit, tree, "mlx_local", Vec::new()));
    }
    let scratch = Scratch::create(layout)?;
    let mirror = match choice {
        Choice::Path(folder) => format!("path {}", folder.display()),
        _ => format!("git {}", fetch::shown(url)),
    };
    let why = match find(&scratch, name, url, choice, ui) {
        Ok((repo, commit)) => {
            let tree = tree_of(&repo, commit)?;
            keep(layout, config, &repo, name, commit, tree, url)
                .doing(|| format!("taking {name} from {mirror}"))?;
            return Ok(served(config, name, commit, tree, &mirror, Vec::new()));
        }
        Err(e) if e.kind() == crate::Kind::Usage => return Err(e),
        Err(e) => e,
    };
    let passed_over = vec![(mirror, why.to_string())];
    match (choice, remembered) {
        (Choice::Auto, Some((commit, tree))) => {
            ui.warn(&format!(
                "{name} can't be asked for now ({why}): using {commit}, which it was before"
            ));
            Ok(served(config, name, commit, tree, "mlx_local", passed_over))
        }
        _ => Err(none_serves(
            name,
            name,
            choice,
            &passed_over,
            why.hints().to_vec(),
        )),
    }
}

/// The reference of `mlx_local` that keeps what `name` was.
fn reference_of(name: &str) -> String {
    // One level: `a` and `a/b` may both be branches, at different times.
    let flat = name.replace('%', "%25").replace('/', "%2F");
    let reference = format!("refs/mlx-fork/unpinned/{flat}");
    if Reference::is_valid_name(&reference) {
        return reference;
    }
    let hex: String = name.bytes().map(|b| format!("{b:02x}")).collect();
    format!("refs/mlx-fork/unpinned/%{hex}")
}

fn find(
    scratch: &Scratch,
    name: &str,
    url: &str,
    choice: &Choice,
    ui: &dyn Ui,
) -> Result<(Repository, Oid)> {
    match choice {
        Choice::Crate => Err(Error::usage(format!(
            "a crate carries pins only, and {name} is none"
        ))
        .hint("use --source git, or --source path:DIR with a clone of MLX")),
        Choice::Path(folder) => match Local::open(folder)? {
            Local::Repository(repo) => {
                let commit = path::resolve(&repo, name)?;
                Ok((repo, commit))
            }
            Local::Folder(folder) => Err(Error::usage(format!(
                "{} is a plain folder: it has no commits, and {name} is no pin",
                folder.display()
            ))),
        },
        Choice::Auto | Choice::Git => {
            let repo = scratch.repository("git")?;
            let remote = Remote::new(url);
            ui.progress(0, 0, &fetch::shown(url));
            let what = on_remote(&remote, &repo, name)?;
            let commit = remote.fetch(&repo, &what, ui)?;
            Ok((repo, commit))
        }
    }
}

/// What to fetch for `name`: a whole id as it is, else the reference that git would take.
fn on_remote(remote: &Remote, repo: &Repository, name: &str) -> Result<String> {
    if name.len() == 40 && is_short_id(name) {
        return Ok(name.to_ascii_lowercase());
    }
    let offers = remote.offers(repo.path(), Some(name))?;
    let order = ["", "refs/", "refs/tags/", "refs/heads/"];
    let taken = order
        .iter()
        .map(|prefix| format!("{prefix}{name}"))
        .find(|full| offers.iter().any(|offer| &offer.name == full));
    if let Some(full) = taken {
        return Ok(full);
    }
    if is_short_id(name) {
        let id = abbreviated(&remote.offers(repo.path(), None)?, name);
        return id.map(|id| id.to_string()).ok_or_else(|| {
            Error::mirror(format!(
                "no tag or branch of it stands at one commit {name}…, and a remote can't \
                 complete other ids"
            ))
            .hint("give all 40 digits of the commit")
        });
    }
    Err(Error::mirror(format!("it has no tag or branch {name}"))
        .hint("MLX_REF takes a tag, a branch or a commit of MLX"))
}

/// The one commit among the offers whose id starts so.
fn abbreviated(offers: &[Offered], start: &str) -> Option<Oid> {
    let start = start.to_ascii_lowercase();
    let mut found: Vec<Oid> = offers
        .iter()
        .map(|offer| offer.id)
        .filter(|id| id.to_string().starts_with(&start))
        .collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [one] => Some(one),
        _ => None,
    }
}

fn keep(
    layout: &Layout,
    config: &Config,
    repo: &Repository,
    name: &str,
    commit: Oid,
    tree: Oid,
    url: &str,
) -> Result<()> {
    let doing = || format!("reading the commit {commit}");
    let odb = repo.odb().doing(doing)?;
    let raw = odb.read(commit).doing(doing)?;
    debug_assert_eq!(raw.kind(), ObjectType::Commit);
    let mut references = vec![reference_of(name)];
    references.extend(pin_at(config, commit).map(|pin| pin_reference(&pin)));
    for reference in &references {
        let content = Content {
            from: repo,
            tree,
            commit: raw.data(),
            reference,
            url,
        };
        store::put(&layout.mlx_local(), &content)?;
    }
    Ok(())
}

fn pin_at(config: &Config, commit: Oid) -> Option<String> {
    let id = commit.to_string();
    let pin = config.pins.iter().find(|(_, pin)| pin.commit == id);
    pin.map(|(name, _)| name.clone())
}

fn served(
    config: &Config,
    name: &str,
    commit: Oid,
    tree: Oid,
    mirror: &str,
    passed_over: Vec<(String, String)>,
) -> Served {
    let pin = pin_at(config, commit);
    let unpinned = pin.is_none().then(|| pin_lines(name, commit, tree));
    Served {
        commit: commit.to_string(),
        tree: tree.to_string(),
        pin,
        mirror: mirror.to_string(),
        passed_over,
        unpinned,
    }
}

/// What to add to fork.toml, and as comments the commands for the pin's two files.
fn pin_lines(name: &str, commit: Oid, tree: Oid) -> String {
    let id = commit.to_string();
    // A tag's name stands for one commit; a branch moves on, so its name gets the commit's.
    let looks_like_tag =
        name.starts_with('v') && name[1..].starts_with(|c: char| c.is_ascii_digit());
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let pin = if looks_like_tag {
        plain
    } else if is_short_id(name) {
        format!("commit-{}", &id[..10])
    } else {
        format!("{plain}-{}", &id[..10])
    };
    format!(
        "[pins.\"{pin}\"]\ncommit = \"{commit}\"\ntree = \"{tree}\"\n\
         # git -C mlx_local cat-file commit {commit} > patches/pins/{pin}.commit\n\
         # git -C mlx_local ls-tree -r {commit} > patches/pins/{pin}.tree\n"
    )
}
