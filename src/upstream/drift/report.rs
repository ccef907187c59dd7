//! The answer as a value: each patch's state on each commit, the runs of equal states, and in
//! a range the commits that broke it.

use serde::Serialize;

use super::api::Api;
use super::evaluate::Landing;
use super::{Commits, Detail, Point, State};
use crate::git::carry::Link;
use crate::git::history::Upstream;
use crate::series::Series;

/// The whole answer.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The pin that the series is made for.
    pub base: String,
    /// The commits, in the order of a range or as they were named.
    pub commits: Vec<Point>,
    /// True for a range.
    pub is_range: bool,
    /// Pins that were not at hand.
    pub absent: Vec<String>,
    /// The patches, in the order of the series.
    pub patches: Vec<PatchReport>,
    /// What the overlay would miss of MLX's headers, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
}

/// One patch on all commits.
#[derive(Debug, Clone, Serialize)]
pub struct PatchReport {
    /// The feature.
    pub feature: String,
    /// Its patch file.
    pub patch: String,
    /// Its state on each commit, in their order.
    pub states: Vec<State>,
    /// Neighbours of equal state; outside a range each commit is one of its own.
    pub runs: Vec<Run>,
    /// In a range: each time that it stopped to apply.
    pub breaks: Vec<Break>,
}

/// Neighbouring commits with one state.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// The state.
    pub state: State,
    /// The first commit.
    pub first: Point,
    /// The last one.
    pub last: Point,
    /// How many.
    pub commits: usize,
    /// What a person should know, as it is on the first one.
    pub details: Vec<Detail>,
}

/// A patch stopped to apply.
#[derive(Debug, Clone, Serialize)]
pub struct Break {
    /// The commit that broke it; `None` where it was broken before the range began.
    pub by: Option<Upstream>,
    /// The commit from which on it applies again.
    pub healed: Option<Upstream>,
    /// On how many commits of the range it is broken.
    pub commits: usize,
    /// How, on the first of them.
    pub details: Vec<Detail>,
}

impl Report {
    /// Puts what was found together; `before` is what was found on the commit that a range
    /// begins after.
    pub fn new(
        series: &Series,
        links: &[Link],
        commits: &Commits,
        landings: &[Vec<Landing>],
        before: Option<&Vec<Landing>>,
    ) -> Self {
        let patches = links.iter().enumerate().map(|(number, link)| {
            let column: Vec<&Landing> = landings.iter().map(|row| &row[number]).collect();
            PatchReport {
                feature: link.feature.clone(),
                patch: link.patch.clone(),
                states: column.iter().map(|landing| landing.state).collect(),
                runs: runs(commits, &column),
                breaks: before.map_or(Vec::new(), |before| {
                    breaks(&commits.points, &column, &before[number])
                }),
            }
        });
        Report {
            base: series.base.clone(),
            is_range: commits.is_range,
            absent: commits.absent.clone(),
            patches: patches.collect(),
            commits: commits.points.clone(),
            api: None,
        }
    }
}

fn runs(commits: &Commits, column: &[&Landing]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (point, landing) in commits.points.iter().zip(column) {
        match runs.last_mut() {
            Some(run) if commits.is_range && run.state == landing.state => {
                run.last = point.clone();
                run.commits += 1;
            }
            _ => runs.push(Run {
                state: landing.state,
                first: point.clone(),
                last: point.clone(),
                commits: 1,
                details: landing.details(),
            }),
        }
    }
    runs
}

fn breaks(points: &[Point], column: &[&Landing], before: &Landing) -> Vec<Break> {
    let mut breaks: Vec<Break> = Vec::new();
    let mut broken = before.state.is_broken();
    if broken {
        breaks.push(Break {
            by: None,
            healed: None,
            commits: 0,
            details: before.details(),
        });
    }
    for (point, landing) in points.iter().zip(column) {
        match (landing.state.is_broken(), broken) {
            (true, false) => breaks.push(Break {
                by: Some(point.upstream.clone()),
                healed: None,
                commits: 1,
                details: landing.details(),
            }),
            (true, true) => breaks.last_mut().into_iter().for_each(|b| b.commits += 1),
            (false, true) => {
                let healed = Some(point.upstream.clone());
                breaks
                    .last_mut()
                    .into_iter()
                    .for_each(|b| b.healed = healed.clone());
            }
            (false, false) => {}
        }
        broken = landing.state.is_broken();
    }
    breaks
}
