//! Makes the fork: pin, overlay and series as a chain of commits, one a feature.
//!
//! Its ids depend on the base commit and the series alone. Work trees are not touched;
//! the object database gets nothing before everything applies.

use git2::{Oid, Repository, Signature, Time};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::git::draft::Draft;
use crate::git::stack::{self, Stack};
use crate::git::survey;
use crate::layout::Layout;
use crate::series::header::Header;
use crate::series::{Feature, Series};

/// A composed fork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The fork id: the id of its last commit.
    pub id: String,
    /// The id of its tree.
    pub tree: String,
    /// The upstream commit that it stands on.
    pub base: String,
    /// True where that commit isn't the one that the patches were made for.
    pub ported: bool,
    /// One commit a feature, in order.
    pub commits: Vec<FeatureCommit>,
}

/// The commit of one feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureCommit {
    /// The feature's name.
    pub feature: String,
    /// The commit's id.
    pub id: String,
}

/// True when `mlx_local` has this fork's last commit: what was composed needn't be again.
pub fn is_there(layout: &Layout, fork: &Fork) -> Result<bool> {
    let repo = survey::open(layout)?;
    let id = Oid::from_str(&fork.id).doing(|| "reading a fork id".into())?;
    Ok(repo
        .find_commit(id)
        .is_ok_and(|commit| commit.tree_id().to_string() == fork.tree))
}

/// Composes the fork of `series` on `base_commit`, in `mlx_local`'s object database.
///
/// The series is first applied exactly to its own pin, all of it up to the last selected
/// feature. Where `base_commit` is another commit, or a feature in between is left out,
/// each selected feature is then carried over by a three-way merge.
///
/// `mlx_local` must have both commits with their trees, and the pin's reference
/// `refs/mlx-fork/pins/NAME`: `source::obtain` and `source::obtain_objects_of_pin` see to that.
///
/// # Errors
/// - [`crate::Kind::Conflict`]: hunks that don't fit, all of them, each with its lines and
///   the nearest place where they stand now;
/// - [`crate::Kind::Usage`]: a patch that touches what none may touch;
/// - [`crate::Kind::Bug`]: the pin's reference is missing, which the caller had to see to.
pub fn compose(layout: &Layout, series: &Series, base_commit: &str) -> Result<Fork> {
    let repo = survey::open(layout)?;
    let doing = || "composing the fork".to_string();
    let reference = format!("refs/mlx-fork/pins/{}", series.base);
    let pin = repo.refname_to_id(&reference).map_err(|_| {
        Error::bug(format!(
            "mlx_local lacks {reference}, the pin that the series is made for"
        ))
        .doing(doing())
        .hint("source::obtain_objects_of_pin has to come before series::compose")
    })?;
    let base = Oid::from_str(base_commit).doing(doing)?;
    in_repository(&repo, series, pin, base).doing(doing)
}

fn in_repository(repo: &Repository, series: &Series, pin: Oid, base: Oid) -> Result<Fork> {
    let last = series.features.iter().rposition(|f| f.selected);
    let needed = &series.features[..last.map_or(0, |last| last + 1)];
    let (exact, misfits) = stack::exactly(repo, series, pin)?;
    stack::refuse(&misfits, &format!("the pin {}", series.base)).map_err(|error| {
        error.hint("a patch never applies anywhere but where it says: `cargo xtask patch` makes it anew (docs/patch.md)")
    })?;
    let ported = base != pin;
    if !ported && needed.iter().all(|f| f.selected) {
        return commit(
            repo,
            &exact,
            series.selected().map(Feature::head),
            base,
            ported,
        );
    }
    let mut stack = Stack::new(repo, pin, base, &series.resolutions)?;
    let mut misfits = Vec::new();
    for (layer, feature) in needed.iter().enumerate().filter(|(_, f)| f.selected) {
        let stuck = stack.push(&stack::step(&exact, layer, feature)?, None)?;
        misfits.extend(stuck.into_iter().flat_map(|stuck| stuck.misfits));
    }
    stack::refuse(&misfits, &format!("the commit {base}")).map_err(|error| {
        error
            .hint("`cargo xtask bump` carries the series there and lets you resolve what conflicts")
    })?;
    commit(
        repo,
        stack.draft(),
        series.selected().map(Feature::head),
        base,
        ported,
    )
}

/// Writes the layers of a draft as a chain of commits on `base`, one for each of `heads`: the
/// names of features, and what their commits say.
pub fn commit<'f>(
    repo: &Repository,
    draft: &Draft<'_>,
    heads: impl Iterator<Item = (&'f str, &'f Header)>,
    base: Oid,
    ported: bool,
) -> Result<Fork> {
    let doing = || format!("writing the fork's commits into {}", repo.path().display());
    let mut parent = repo.find_commit(base).doing(doing)?;
    let mut tree = parent.tree_id();
    let mut commits = Vec::new();
    for ((feature, header), id) in heads.zip(draft.write()?) {
        let time = Time::new(header.seconds, header.offset);
        let who = Signature::new(&header.name, &header.email, &time).doing(doing)?;
        let its_tree = repo.find_tree(id).doing(doing)?;
        let id = repo
            .commit(None, &who, &who, &header.message, &its_tree, &[&parent])
            .doing(doing)?;
        parent = repo.find_commit(id).doing(doing)?;
        tree = its_tree.id();
        commits.push(FeatureCommit {
            feature: feature.into(),
            id: id.to_string(),
        });
    }
    Ok(Fork {
        id: parent.id().to_string(),
        tree: tree.to_string(),
        base: base.to_string(),
        ported,
        commits,
    })
}
