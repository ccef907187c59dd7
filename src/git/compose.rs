//! Makes the fork: pin, overlay and series as a chain of commits, one a feature.
//!
//! Its ids depend on the base commit and the series alone. Work trees are not touched;
//! the object database gets nothing before everything applies.

use git2::{Oid, Repository, Signature, Time};
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::git::apply::{self, Findings};
use crate::git::draft::{Draft, File, Found};
use crate::git::place::Misfit;
use crate::git::port;
use crate::git::survey;
use crate::layout::Layout;
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
    let mut exact = Draft::of_commit(repo, pin)?;
    let mut findings = Findings::default();
    for feature in needed {
        exact.begin();
        place_overlay(&mut exact, feature, &mut findings.misfits)?;
        apply::exactly(&mut exact, &feature.patch, &mut findings)?;
    }
    refuse(&findings.misfits, &format!("the pin {}", series.base))?;

    let ported = base != pin;
    let draft = if ported || needed.iter().any(|f| !f.selected) {
        let mut target = Draft::of_commit(repo, base)?;
        let mut misfits = Vec::new();
        for (layer, feature) in needed.iter().enumerate().filter(|(_, f)| f.selected) {
            target.begin();
            port::feature(&exact, layer, &mut target, feature, &mut misfits)?;
        }
        refuse(&misfits, &format!("the commit {base}"))?;
        target
    } else {
        exact
    };
    commit(repo, &draft, series, base, ported)
}

/// Overlay files are our own: where upstream has a file, only a patch may change it.
pub(super) fn place_overlay(
    draft: &mut Draft<'_>,
    feature: &Feature,
    misfits: &mut Vec<Misfit>,
) -> Result<()> {
    for file in &feature.overlay {
        match draft.find(&file.target)? {
            Found::Nothing => {}
            Found::Refused(why) => return Err(Draft::refusal(&file.target, &why)),
            Found::File(_) => {
                misfits.push(Misfit {
                    patch: file.source.clone(),
                    path: file.target.clone(),
                    hunk: None,
                    lines: Vec::new(),
                    now: "a file of that name is in the tree already".into(),
                });
                continue;
            }
        }
        if let Some(twin) = draft.case_twin(&file.target)? {
            return Err(Draft::refusal(
                &file.target,
                &format!("differs from {twin} only by case"),
            ));
        }
        let content = file.content.clone();
        draft.set(
            &file.target,
            Some(File {
                content,
                executable: file.executable,
            }),
        );
    }
    Ok(())
}

fn refuse(misfits: &[Misfit], onto: &str) -> Result<()> {
    if misfits.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = misfits.iter().map(|misfit| format!("\n{misfit}")).collect();
    let (count, verb) = match misfits.len() {
        1 => ("1 place".to_string(), "doesn't"),
        n => (format!("{n} places"), "don't"),
    };
    Err(Error::conflict(format!(
        "{count} of the series {verb} fit {onto}; nothing was written{}",
        list.concat()
    ))
    .hint("a patch never applies anywhere but where it says: make it anew against that tree (docs/series.md)"))
}

fn commit(
    repo: &Repository,
    draft: &Draft<'_>,
    series: &Series,
    base: Oid,
    ported: bool,
) -> Result<Fork> {
    let doing = || format!("writing the fork's commits into {}", repo.path().display());
    let mut parent = repo.find_commit(base).doing(doing)?;
    let mut tree = parent.tree_id();
    let mut commits = Vec::new();
    for (feature, id) in series.selected().zip(draft.write()?) {
        let header = &feature.patch.header;
        let time = Time::new(header.seconds, header.offset);
        let who = Signature::new(&header.name, &header.email, &time).doing(doing)?;
        let its_tree = repo.find_tree(id).doing(doing)?;
        let id = repo
            .commit(None, &who, &who, &header.message, &its_tree, &[&parent])
            .doing(doing)?;
        parent = repo.find_commit(id).doing(doing)?;
        tree = its_tree.id();
        commits.push(FeatureCommit {
            feature: feature.name.clone(),
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
