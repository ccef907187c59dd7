//! What an operation makes of the series, worked out in memory: features in their new order
//! on their new base, each carried by a merge, and the patch files that this comes to.
//!
//! A plan is a value: worked out again from the same series with what a person resolved so
//! far, it comes to the same. That is how it goes on after a conflict.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::git::compose::{self, Fork};
use crate::git::draft::Draft;
use crate::git::place::Misfit;
use crate::git::stack::{self, Given, Stack, Step, Stuck};
use crate::git::{Oid, Repository};
use crate::manager::project::Writes;
use crate::manager::{Manager, bump, import, project, refresh};
use crate::series::{Feature, Series};

/// An operation on the series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plan {
    /// Takes what a person changed in `mlx_local` into the project.
    Refresh(refresh::Taken),
    /// Puts the features in another order.
    Reorder {
        /// All of them.
        order: Vec<String>,
    },
    /// Takes features out.
    Drop {
        /// Their names.
        features: Vec<String>,
    },
    /// Makes features of somebody's changes.
    Import(import::Imported),
    /// Makes the series for another pin.
    Bump(bump::Onto),
    /// Writes the patch files as they are to be written.
    Export,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::Refresh(taken) => match &taken.feature {
                Some(feature) => write!(f, "patch refresh {feature}"),
                None => f.write_str("patch refresh"),
            },
            Plan::Reorder { order } => write!(f, "patch reorder {}", order.join(" ")),
            Plan::Drop { features } => write!(f, "patch drop {}", features.join(" ")),
            Plan::Import(imported) => {
                let verb = if imported.is_empty() { "new" } else { "import" };
                write!(f, "patch {verb} {}", imported.names().join(" "))
            }
            Plan::Bump(onto) => write!(f, "bump {}", onto.pin),
            Plan::Export => f.write_str("patch export"),
        }
    }
}

/// The features of a plan before they are carried.
pub struct Work {
    /// In their new order.
    pub steps: Vec<Step>,
    /// The commit that they were made on.
    pub from: Oid,
    /// The commit that they go to, and its name.
    pub base: (Oid, String),
    /// Files of the project that change beside the series.
    pub extra: Writes,
}

/// What a plan comes to.
pub enum Outcome {
    /// Everything fits.
    Done(Box<Done>),
    /// A person has to decide.
    Stopped(Box<Stop>),
}

/// A plan that fits.
pub struct Done {
    /// The series then.
    pub series: Series,
    /// Its fork.
    pub fork: Fork,
    /// What has to be written.
    pub writes: Writes,
}

/// A plan that stopped.
pub struct Stop {
    /// The feature that conflicts first.
    pub at: String,
    /// All that conflicts, of all features, in their order.
    pub stuck: Vec<Stuck>,
    /// The commit with the features before it.
    pub prefix: Oid,
    /// The commit of what `mlx_local` is to hold: that feature with the places to resolve.
    pub worktree: Oid,
}

/// Works a plan out. `given` is what a person resolved, `skipped` what they left out.
///
/// # Errors
/// What the plan itself has wrong; conflicts are an [`Outcome`].
pub fn work_out(
    manager: &Manager<'_>,
    series: &Series,
    plan: &Plan,
    given: &Given,
    skipped: &[String],
) -> Result<Outcome> {
    let mut work = prepare(manager, series, plan).doing(|| format!("planning `{plan}`"))?;
    work.steps
        .retain(|step| !skipped.contains(&step.feature.name));
    check_requirements(&work.steps)?;
    let repo = &manager.repo;
    let mut stack = Stack::new(repo, work.from, work.base.0, &series.resolutions)?;
    let mut stuck = Vec::new();
    for step in &work.steps {
        stuck.extend(stack.push(step, given.get(&step.feature.name))?);
    }
    if let Some(first) = stuck.first() {
        let at = first.feature.clone();
        refuse_overlay(&work, &stuck)?;
        return stop(repo, series, &work, given, at, stuck).map(|s| Outcome::Stopped(Box::new(s)));
    }
    let features = features(&work, &stack, *plan == Plan::Export)?;
    let new = Series {
        base: work.base.1.clone(),
        features,
        resolutions: series.resolutions.clone(),
    };
    let exact = verified(repo, &new, work.base.0, stack.draft())?;
    let fork = compose::commit(
        repo,
        &exact,
        new.features.iter().map(Feature::head),
        work.base.0,
        false,
    )?;
    let mut writes = project::difference(manager.layout, series, &new)?;
    writes.extend(work.extra);
    Ok(Outcome::Done(Box::new(Done {
        series: new,
        fork,
        writes,
    })))
}

fn prepare(manager: &Manager<'_>, series: &Series, plan: &Plan) -> Result<Work> {
    let pin = manager.pin(&series.base)?;
    let (steps, misfits) = stack::steps(&manager.repo, series, pin)?;
    stack::refuse(&misfits, &format!("the pin {}", series.base)).map_err(|error| {
        error.hint("the series has to fit its own pin before anything is done with it: `cargo xtask patch check`")
    })?;
    let mut work = Work {
        steps,
        from: pin,
        base: (pin, series.base.clone()),
        extra: Writes::new(),
    };
    match plan {
        Plan::Refresh(taken) => refresh::apply(manager, &mut work, taken)?,
        Plan::Reorder { order } => reorder(&mut work, order)?,
        Plan::Drop { features } => drop_features(&mut work, features)?,
        Plan::Import(imported) => import::apply(manager, &mut work, imported)?,
        Plan::Bump(onto) => bump::apply(manager, &mut work, onto)?,
        Plan::Export => {}
    }
    Ok(work)
}

/// Where a feature stands in a series.
///
/// # Errors
/// [`crate::Kind::Usage`] with the names that there are.
pub fn position<'s>(names: impl Iterator<Item = &'s str>, name: &str) -> Result<usize> {
    let known: Vec<&str> = names.collect();
    known
        .iter()
        .position(|known| *known == name)
        .ok_or_else(|| {
            Error::usage(format!("no feature named \"{name}\"")).hint(format!(
                "the features of patches/series.toml are {}",
                known.join(", ")
            ))
        })
}

fn reorder(work: &mut Work, order: &[String]) -> Result<()> {
    let mut steps = Vec::new();
    for name in order {
        let names = work.steps.iter().map(|step| step.feature.name.as_str());
        steps.push(work.steps[position(names, name)?].clone());
    }
    for step in &work.steps {
        let name = &step.feature.name;
        let wrong = match order.iter().filter(|other| *other == name).count() {
            0 => "is missing",
            1 => continue,
            _ => "is there twice",
        };
        return Err(Error::usage(format!(
            "an order names each feature once, and {name} {wrong}"
        )));
    }
    work.steps = steps;
    Ok(())
}

fn drop_features(work: &mut Work, features: &[String]) -> Result<()> {
    for name in features {
        let names = work.steps.iter().map(|step| step.feature.name.as_str());
        position(names, name)?;
    }
    work.steps
        .retain(|step| !features.contains(&step.feature.name));
    Ok(())
}

fn check_requirements(steps: &[Step]) -> Result<()> {
    let mut before: Vec<&str> = Vec::new();
    for step in steps {
        let feature = &step.feature;
        let missing = feature
            .requires
            .iter()
            .find(|r| !before.contains(&r.as_str()));
        if let Some(missing) = missing {
            return Err(Error::usage(format!(
                "{} requires {missing}, which would not be before it any more",
                feature.name
            ))
            .hint(format!(
                "move or drop {} too, or change its `requires` in patches/series.toml",
                feature.name
            )));
        }
        before.push(&feature.name);
    }
    Ok(())
}

/// A file of ours where upstream has one of that name: no merge can settle that.
fn refuse_overlay(work: &Work, stuck: &[Stuck]) -> Result<()> {
    let ours = |stuck: &&Stuck| {
        let step = work.steps.iter().find(|s| s.feature.name == stuck.feature);
        step.is_some_and(|s| {
            s.feature
                .overlay
                .iter()
                .any(|file| file.target == stuck.path)
        })
    };
    let misfits: Vec<Misfit> = stuck
        .iter()
        .filter(ours)
        .flat_map(|s| s.misfits.clone())
        .collect();
    stack::refuse(&misfits, &work.base.1).map_err(|error| {
        error.hint("give the overlay file another place in patches/series.toml (its second path), or take it out")
    })
}

/// The features with their patches as they stand on the stack.
fn features(work: &Work, stack: &Stack<'_>, all: bool) -> Result<Vec<Feature>> {
    let mut features: Vec<Feature> = work.steps.iter().map(|s| s.feature.clone()).collect();
    number(&mut features);
    for (layer, feature) in features.iter_mut().enumerate() {
        let patch = stack.export(layer, feature)?;
        // A file that says the same in other words is left as a person wrote it.
        if all || patch.files != feature.patch.files {
            feature.patch = patch;
        }
        feature.selected = true;
    }
    Ok(features)
}

/// Names patch files so that their order is that of the series; names that are in order stay.
fn number(features: &mut [Feature]) {
    let number =
        |feature: &Feature| -> Option<usize> { feature.patch.name.split('-').next()?.parse().ok() };
    let numbers: Vec<Option<usize>> = features.iter().map(number).collect();
    if numbers.iter().all(Option::is_some) && numbers.is_sorted_by(|a, b| a < b) {
        return;
    }
    for (at, feature) in features.iter_mut().enumerate() {
        let name = feature.patch.name.clone();
        let digits = name.len() - name.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = name[digits..].trim_start_matches('-');
        feature.patch.name = format!("{:04}-{rest}", at + 1);
    }
}

/// Applies what would be written, exactly, and compares: what the patch files say has to be
/// what the merges made.
fn verified<'r>(
    repo: &'r Repository,
    new: &Series,
    base: Oid,
    made: &Draft<'_>,
) -> Result<Draft<'r>> {
    let (exact, misfits) = stack::exactly(repo, new, base)?;
    let wrong = |what: &str| Error::bug(format!("the patches that would be written {what}"));
    if let Some(misfit) = misfits.first() {
        return Err(wrong(&format!("don't apply: {misfit}")));
    }
    for layer in 0..made.layers().len() {
        for draft in [made, &exact] {
            for path in draft.layers()[layer].keys() {
                if made.find_below(layer + 1, path)? != exact.find_below(layer + 1, path)? {
                    return Err(wrong(&format!("make something else of {path}")));
                }
            }
        }
    }
    Ok(exact)
}

/// Writes what a person needs to resolve the first feature that conflicts.
fn stop(
    repo: &Repository,
    series: &Series,
    work: &Work,
    given: &Given,
    at: String,
    stuck: Vec<Stuck>,
) -> Result<Stop> {
    let before = work.steps.iter().take_while(|step| step.feature.name != at);
    let mut stack = Stack::new(repo, work.from, work.base.0, &series.resolutions)?;
    let mut names = Vec::new();
    for step in before {
        stack.push(step, given.get(&step.feature.name))?;
        names.push(step.feature.head());
    }
    let count = names.len();
    let prefix = compose::commit(repo, stack.draft(), names.into_iter(), work.base.0, false)?;
    let Some(step) = work.steps.get(count) else {
        return Err(Error::bug(format!("the feature {at} isn't in its plan")));
    };
    let mut shown: BTreeMap<_, _> = BTreeMap::new();
    for place in stack.push(step, None)? {
        shown.insert(place.path, place.shown);
    }
    let mut draft = stack.into_draft();
    draft.begin();
    for (path, file) in shown {
        draft.set(&path, file);
    }
    let features = work.steps[..=count].iter().map(|s| s.feature.head());
    // The conflicts belong to the last feature's commit.
    draft.join();
    let worktree = compose::commit(repo, &draft, features, work.base.0, false)?;
    Ok(Stop {
        at,
        stuck,
        prefix: crate::manager::id(&prefix.id)?,
        worktree: crate::manager::id(&worktree.id)?,
    })
}
