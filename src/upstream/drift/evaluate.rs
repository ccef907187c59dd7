//! Carries the series onto each commit, several at a time, and says what became of each patch.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::judge::{Held, Judged, judge};
use super::{Detail, Point, State};
use crate::error::Result;
use crate::git::carry::{Carrier, Chain, Files, Link, Outcome};
use crate::git::trees::Trees;
use crate::ui::Ui;

/// What became of one patch on one commit.
#[derive(Debug, Clone)]
pub struct Landing {
    /// In a word.
    pub state: State,
    files: Files<Judged>,
}

impl Landing {
    fn new(link: &Link, files: Files<Judged>) -> Self {
        let fails = |outcome: &Outcome| matches!(outcome, Outcome::Conflict | Outcome::Refused(_));
        let state = if is_taken(link, &files) {
            State::AlreadyUpstream
        } else if files.iter().any(|file| fails(&file.landed.outcome)) {
            State::Conflicts
        } else if files.iter().any(|file| file.judged.is_lost()) {
            State::Lost
        } else if files.iter().all(|file| file.judged.exact) {
            State::Applies
        } else {
            State::AppliesAfterPort
        };
        Landing { state, files }
    }

    /// What a person should know about it: nothing where all is well.
    pub fn details(&self) -> Vec<Detail> {
        if self.state == State::AlreadyUpstream {
            return Vec::new();
        }
        let details = self.files.iter().flat_map(|file| &file.judged.details);
        details.cloned().collect()
    }
}

/// A feature is upstream's when all its hooks are there; one without hooks, when its files are.
fn is_taken(link: &Link, files: &Files<Judged>) -> bool {
    let has_hooks = link.changes.iter().any(|change| change.hunks.is_some());
    let asked = link.changes.iter().zip(files);
    let mut asked = asked
        .filter(|(change, _)| change.hunks.is_some() == has_hooks)
        .peekable();
    asked.peek().is_some() && asked.all(|(_, file)| file.judged.held == Held::All)
}

/// What became of each patch on each commit: by commit, then by feature.
///
/// # Errors
/// [`crate::Kind::Environment`] where a commit, a tree or a file can't be read.
pub fn evaluate(chain: &Chain, points: &[Point], ui: &dyn Ui) -> Result<Vec<Vec<Landing>>> {
    let carrier = Carrier::new(chain, &judge);
    let done = AtomicU64::new(0);
    // A repository is one thread's; neighbours share most folders, so they stay together.
    let some = points
        .len()
        .div_ceil(rayon::current_num_threads() * 4)
        .max(1);
    let parts: Result<Vec<Vec<Vec<Landing>>>> = points
        .par_chunks(some)
        .map(|points| {
            let mut open: HashMap<&Path, Trees> = HashMap::new();
            let mut landings = Vec::new();
            for point in points {
                let path = point.repository.as_path();
                let trees = match open.entry(path) {
                    std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
                    std::collections::hash_map::Entry::Vacant(new) => {
                        new.insert(Trees::open(path)?)
                    }
                };
                let files = carrier.onto(trees, &point.upstream.id, &is_taken)?;
                let landing = |(link, files)| Landing::new(link, files);
                landings.push(chain.links.iter().zip(files).map(landing).collect());
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                ui.progress(done, points.len() as u64, &point.upstream.subject);
            }
            Ok(landings)
        })
        .collect();
    Ok(parts?.into_iter().flatten().collect())
}
