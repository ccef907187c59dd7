//! Many runs of one launch, over all that a GPU and a compiler may choose: every pair of choices
//! is seen. Merges what they find, and says how far their outputs are apart; whether that is too
//! far is the caller's.

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};

use super::agreement::{Agreement, agreements};
use super::compile::{Build, Habit, Numerics};
use super::launch::{Launch, Outcome, Reduction, Schedule, Settings};
use super::program::{Kernel, Program};
use super::report::{Fault, Report};
use super::spec;

/// The fewest runs of a check.
pub const LEAST: usize = 20;

/// The most: what they write is all kept.
pub const MOST: usize = 10_000;

const REDUCTIONS: [Reduction; 4] = [
    Reduction::ButterflyDown,
    Reduction::ButterflyUp,
    Reduction::Forward,
    Reduction::Backward,
];
const SCHEDULES: [Schedule; 3] = [Schedule::Random, Schedule::Forward, Schedule::Reverse];

/// How many choices there are: reduction, contraction, habit, flush, schedule.
const LEVELS: [usize; 5] = [4, 2, 2, 2, 3];

/// What one run chooses, by number in each of [`LEVELS`].
type Row = [usize; 5];

/// A pair of choices: `(factor, choice, factor, choice)`.
type Pair = (usize, usize, usize, usize);

/// One run's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// True where `a * b + c` was contracted.
    pub contract: bool,
    /// True where 16-bit expressions kept float32.
    pub excess: bool,
    /// The rest.
    pub settings: Settings,
}

/// A kernel under check.
#[derive(Debug, Clone, Copy)]
pub struct Check<'p> {
    program: &'p Program<'p>,
    kernel: &'p str,
    runs: usize,
    seed: u64,
}

/// One run of a check.
#[derive(Debug)]
pub struct Run {
    /// What it chose.
    pub choice: Choice,
    /// What it came to.
    pub outcome: Outcome,
}

/// What a check came to.
#[derive(Debug)]
pub struct CheckReport {
    /// Run by run.
    pub runs: Vec<Run>,
    /// All faults, each place once, with how many runs have it.
    pub faults: Vec<Fault>,
    /// Pairs of choices that were seen.
    pub pairs: usize,
    /// Pairs of choices that there are.
    pub pairs_in_all: usize,
}

impl CheckReport {
    /// Nothing, or all faults as an error.
    ///
    /// # Errors
    /// [`crate::Kind::Gate`] where there is a fault.
    pub fn clean(&self) -> Result<()> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let count = self.runs.len();
        let lines = self
            .faults
            .iter()
            .map(|fault| format!("{fault} ({} of {count} runs)", fault.runs));
        Err(Error::gate(lines.collect::<Vec<_>>().join("\n")))
    }
}

/// What a check came to, without the runs' buffers: for JSON.
#[derive(Debug, Serialize)]
pub struct Summary<'r> {
    faults: &'r [Fault],
    buffers: Vec<Agreement>,
    pairs: usize,
    pairs_in_all: usize,
    runs: Vec<(Choice, &'r Report)>,
}

impl CheckReport {
    /// The report without the runs' buffers.
    pub fn summary(&self) -> Summary<'_> {
        let runs = self.runs.iter();
        Summary {
            faults: &self.faults,
            buffers: self.agreements(),
            pairs: self.pairs,
            pairs_in_all: self.pairs_in_all,
            runs: runs.map(|run| (run.choice, &run.outcome.report)).collect(),
        }
    }

    /// How far the runs' outputs are apart, buffer by buffer.
    pub fn agreements(&self) -> Vec<Agreement> {
        agreements(&self.runs.iter().map(|run| &run.outcome).collect::<Vec<_>>())
    }

    /// The settings of the first run that has a fault, as `spec::settings` reads them.
    pub fn first_with(&self, fault: &Fault) -> Option<String> {
        let has = |run: &&Run| run.outcome.report.faults.iter().any(|f| same(f, fault));
        self.runs.iter().find(has).map(|run| run.choice.show())
    }
}

impl Choice {
    /// As `spec::settings` reads it.
    pub fn show(&self) -> String {
        let habit = match self.excess {
            true => Habit::Excess,
            false => Habit::Each,
        };
        let contract = self.contract;
        spec::show(self.settings, Numerics { contract, habit })
    }
}

impl<'p> Check<'p> {
    /// A check of [`LEAST`] runs.
    pub fn new(program: &'p Program<'p>, kernel: &'p str) -> Self {
        Check {
            program,
            kernel,
            runs: LEAST,
            seed: 1,
        }
    }

    /// So many runs; never fewer than [`LEAST`], nor more than [`MOST`].
    #[must_use]
    pub fn runs(mut self, runs: usize) -> Self {
        self.runs = runs.clamp(LEAST, MOST);
        self
    }

    /// The first run's seed; each further one has the next, after the last the first.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs what `describe` binds, on all cores, every access looked at.
    ///
    /// # Errors
    /// Those of [`Program::kernel`] and of [`Launch::run`].
    pub fn run<F>(&self, describe: F) -> Result<CheckReport>
    where
        F: for<'k> Fn(&'k Kernel<'k>) -> Launch<'k> + Sync,
    {
        let variants: Vec<Numerics> = [Habit::Each, Habit::Excess]
            .into_iter()
            .flat_map(|habit| [false, true].map(|contract| Numerics { contract, habit }))
            .collect();
        let kernels: Vec<Kernel<'_>> = variants
            .par_iter()
            .map(|numerics| self.program.kernel(self.kernel, Build::Checked, *numerics))
            .collect::<Result<_>>()?;
        let rows = rows(self.runs);
        let numbered: Vec<(usize, Row)> = rows.iter().copied().enumerate().collect();
        let runs: Vec<Run> = numbered
            .into_par_iter()
            .map(|(number, row)| {
                let kernel = &kernels[row[2] * 2 + row[1]];
                let settings = Settings {
                    seed: self.seed.wrapping_add(number as u64),
                    schedule: SCHEDULES[row[4]],
                    reduction: REDUCTIONS[row[0]],
                    flush: row[3] == 1,
                    workers: 1,
                };
                let outcome = describe(kernel).settings(settings).run()?;
                let choice = Choice {
                    contract: row[1] == 1,
                    excess: row[2] == 1,
                    settings,
                };
                Ok(Run { choice, outcome })
            })
            .collect::<Result<_>>()?;
        Ok(CheckReport {
            faults: merged(&runs),
            pairs: pairs(&rows).len(),
            pairs_in_all: all_pairs().len(),
            runs,
        })
    }
}

/// The faults of all runs, those of one place and kind together.
fn merged(runs: &[Run]) -> Vec<Fault> {
    let mut all: Vec<Fault> = Vec::new();
    for run in runs {
        for fault in &run.outcome.report.faults {
            match all.iter_mut().find(|known| same(known, fault)) {
                Some(known) => known.runs += 1,
                None => all.push(fault.clone()),
            }
        }
    }
    all
}

fn same(a: &Fault, b: &Fault) -> bool {
    a.kind == b.kind && a.place() == b.place() && a.buffer == b.buffer
}

fn pairs(rows: &[Row]) -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    for row in rows {
        for a in 0..row.len() {
            for b in a + 1..row.len() {
                pairs.insert((a, row[a], b, row[b]));
            }
        }
    }
    pairs
}

fn all_rows() -> Vec<Row> {
    let mut rows = vec![[0; 5]];
    for (factor, levels) in LEVELS.into_iter().enumerate() {
        rows = rows
            .into_iter()
            .flat_map(|row: Row| {
                (0..levels).map(move |level| {
                    let mut row = row;
                    row[factor] = level;
                    row
                })
            })
            .collect();
    }
    rows
}

fn all_pairs() -> BTreeSet<Pair> {
    pairs(&all_rows())
}

/// Rows that have every pair between them, then more with the random schedule, which finds what
/// fixed ones don't.
fn rows(count: usize) -> Vec<Row> {
    let mut left = all_pairs();
    let mut rest = all_rows();
    let mut rows: Vec<Row> = Vec::new();
    while !left.is_empty() {
        let gain = |row: &Row| pairs(&[*row]).intersection(&left).count();
        let best = (0..rest.len()).max_by_key(|&i| (gain(&rest[i]), std::cmp::Reverse(i)));
        let Some(best) = best else { break };
        let row = rest.remove(best);
        for pair in pairs(&[row]) {
            left.remove(&pair);
        }
        rows.push(row);
    }
    let random: Vec<Row> = rest.into_iter().filter(|row| row[4] == 0).collect();
    // Spread over the rest: 5 has no factor in common with its length, 32 less what is taken.
    let mut next = 0;
    while rows.len() < count {
        rows.push(random[next % random.len()]);
        next += 5;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_choices_is_seen_in_twenty_runs() {
        let rows = rows(LEAST);
        assert_eq!(rows.len(), LEAST);
        // 4·2·3 with reduction, 3 pairs of two-level factors, 2·3 with schedule.
        let expected = 4 * 2 * 3 + 4 * 3 + 3 * 4 + 3 * 2 * 3;
        assert_eq!(all_pairs().len(), expected);
        assert_eq!(pairs(&rows), all_pairs());
    }

    #[test]
    fn most_runs_have_a_random_schedule() {
        let rows = rows(40);
        let random = rows.iter().filter(|row| row[4] == 0).count();
        assert!(rows.len() == 40 && random >= 24, "{random}");
    }

    #[test]
    fn fewer_runs_than_the_least_miss_pairs() {
        assert_ne!(pairs(&rows(LEAST)[..8]), all_pairs());
    }
}
