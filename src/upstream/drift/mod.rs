//! The series through time: what becomes of each patch on any set of upstream's commits.
//!
//! Everything happens in memory and nothing is written: this answers questions, and `bump`
//! and the patch manager act on the answers.

pub mod api;
mod commits;
mod evaluate;
mod judge;
pub mod places;
mod report;

pub use commits::{Commits, Point, Wanted};
pub use evaluate::{Landing, evaluate};
pub use judge::{Detail, Judged, What};
pub use report::{Break, PatchReport, Report, Run};

use serde::Serialize;

use crate::error::Result;
use crate::git::carry;
use crate::series::Series;
use crate::ui::Ui;

/// What becomes of a patch on a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every hunk stands at the line that the patch names.
    Applies,
    /// A three-way merge from the pin is clean.
    AppliesAfterPort,
    /// Upstream has the change already.
    AlreadyUpstream,
    /// The merge is clean, and lines are gone, twice there, or in another place.
    Lost,
    /// The merge has conflicts.
    Conflicts,
}

impl State {
    /// It in words.
    pub fn words(self) -> &'static str {
        match self {
            State::Applies => "applies",
            State::AppliesAfterPort => "applies after port",
            State::AlreadyUpstream => "already upstream",
            State::Lost => "lost",
            State::Conflicts => "conflicts",
        }
    }

    /// True where a person has to do something before this patch does its work there.
    pub fn is_broken(self) -> bool {
        matches!(self, State::Lost | State::Conflicts)
    }
}

/// Evaluates the series on these commits; with `needs`, also what its overlay needs of them.
///
/// # Errors
/// [`crate::Kind::Conflict`] where the series doesn't apply to its own pin;
/// [`crate::Kind::Environment`] where objects can't be read.
pub fn drift(
    series: &Series,
    commits: &Commits,
    needs: Option<&api::Needs>,
    ui: &dyn Ui,
) -> Result<Report> {
    ui.step("drift");
    let chain = carry::chain(&commits.base.repository, series, &commits.base.upstream.id)?;
    let points: Vec<Point> = commits
        .before
        .iter()
        .chain(&commits.points)
        .cloned()
        .collect();
    let landings = evaluate(&chain, &points, ui)?;
    let (before, landings) = landings.split_at(usize::from(commits.before.is_some()));
    let mut report = Report::new(series, &chain.links, commits, landings, before.first());
    if let Some(needs) = needs {
        ui.step("drift: headers");
        report.api = Some(needs.against(commits)?);
    }
    Ok(report)
}
