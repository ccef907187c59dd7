//! A run of parity: a worker for each build and each way of computing, a judgement for each
//! case. At the end the counts must agree.

use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;

use super::arm::{Answers, Arm, Given};
use super::case::Case;
use super::plan::{Plan, select};
use super::report::{ArmReport, CaseReport, Outcome, Report, Verdict};
use super::verdict::{Computed, Fork, judged};
use super::worker::Loaded;
use crate::device::Device;
use crate::error::{Doing, Result, writing};
use crate::layout::Layout;
use crate::side::Side;
use crate::ui::Ui;

/// Runs the cases on both builds and judges the fork. `worker` is the program that answers to
/// `parity-worker`. A failed case is in the report, not an error.
pub fn run(layout: &Layout, plan: &Plan, worker: &Path, ui: &dyn Ui) -> Result<Report> {
    let start = Instant::now();
    let cases = select(plan)?;
    let scratch = layout.scratch();
    std::fs::create_dir_all(&scratch).doing(writing(&scratch))?;
    let folder = tempfile::tempdir_in(&scratch).doing(writing(&scratch))?;
    let (stock, fork) = match plan.extension {
        true => (Side::Extension, Side::Extension),
        false => (Side::Stock, Side::Fork),
    };
    let given = Given {
        plan,
        worker,
        folder: folder.path(),
    };
    let stock = Arm::stock(&given, &layout.prefix(stock.name()));
    let fork = layout.prefix(fork.name());
    let mut simds: Vec<Option<&str>> = plan.simds.iter().map(|name| Some(&**name)).collect();
    if simds.is_empty() {
        simds.push(None);
    }
    let forks: Vec<Arm> = simds
        .into_iter()
        .map(|simd| Arm::fork(&given, &fork, simd))
        .collect();
    for arm in [&stock].into_iter().chain(&forks) {
        arm.must_exist()?;
    }
    let mut whole = Whole {
        stock: Loaded::default(),
        forks: vec![Loaded::default(); forks.len()],
        cases: Vec::new(),
    };
    for batch in batches(&cases, plan.fail_fast) {
        whole.run(&stock, &forks, batch, plan, ui)?;
        let failed = |case: &CaseReport| case.verdict == Verdict::Fail;
        if plan.fail_fast && whole.cases.iter().any(failed) {
            break;
        }
    }
    let planned = if plan.fail_fast {
        whole.cases.len()
    } else {
        cases.len() * forks.len()
    };
    let ids = [whole.stock.id, whole.forks[0].id.clone()];
    let arms = whole.forks.into_iter().map(|fork| ArmReport {
        simd: fork.simd,
        threads: fork.threads,
        same_bits_with: counts(plan, fork.threads),
    });
    let seconds = start.elapsed().as_secs_f64();
    Report::new(
        plan.seed,
        plan.device,
        ids,
        arms.collect(),
        planned,
        whole.cases,
        seconds,
    )
}

/// The thread counts whose bits are compared with those of the fork's own; none where the
/// build has no threads to count, or computes on another processor than theirs.
fn counts(plan: &Plan, own: Option<i32>) -> Vec<i32> {
    let Some(own) = own.filter(|_| plan.device == Device::Cpu) else {
        return Vec::new();
    };
    let others = plan.threads.iter().copied();
    others.filter(|count| *count != own).collect()
}

/// All at once; to end early, few at first, because most faults show in any case.
fn batches(mut cases: &[Box<dyn Case>], fail_fast: bool) -> Vec<&[Box<dyn Case>]> {
    let mut size = if fail_fast { 4 } else { cases.len() };
    let mut all = Vec::new();
    while !cases.is_empty() {
        let (some, rest) = cases.split_at(size.min(cases.len()));
        all.push(some);
        cases = rest;
        size *= 4;
    }
    all
}

/// What a run has found so far.
struct Whole {
    stock: Loaded,
    /// In the order of the plan's SIMD instructions.
    forks: Vec<Loaded>,
    cases: Vec<CaseReport>,
}

/// What the fork answered with one choice of SIMD instructions.
struct ForkAnswers<'a> {
    own: (&'a Arm<'a>, Answers),
    /// With other thread counts.
    others: Vec<(i32, Arm<'a>, Answers)>,
}

impl Whole {
    fn run(
        &mut self,
        stock: &Arm,
        forks: &[Arm],
        cases: &[Box<dyn Case>],
        plan: &Plan,
        ui: &dyn Ui,
    ) -> Result<()> {
        let stock_answers = stock.compute(cases, None, ui)?;
        remember(&mut self.stock, &stock_answers.loaded);
        let mut all = Vec::new();
        for (arm, loaded) in forks.iter().zip(&mut self.forks) {
            let own = arm.compute(cases, None, ui)?;
            remember(loaded, &own.loaded);
            arm.must_be_as_asked(&own.loaded)?;
            let mut others = Vec::new();
            for count in counts(plan, own.loaded.threads) {
                let other = arm.with_threads(count);
                let answers = other.compute(cases, Some(&own), ui)?;
                other.must_be_as_asked(&answers.loaded)?;
                others.push((count, other, answers));
            }
            all.push(ForkAnswers {
                own: (arm, own),
                others,
            });
        }
        ui.step("parity: judging");
        let computed = |(arm, answers): (&Arm, &Answers), number: usize| Computed {
            outcome: answers.outcomes[number].clone(),
            file: arm.result(number),
        };
        let judge = |number: usize| {
            let forks = all.iter().filter(|fork| {
                // A run that ends early leaves cases of its last batch untouched.
                !plan.fail_fast || fork.own.1.outcomes[number] != Outcome::Missing
            });
            let forks = forks.map(|fork| Fork {
                asked: fork.own.0.simd(),
                loaded: &fork.own.1.loaded,
                own: computed((fork.own.0, &fork.own.1), number),
                others: fork
                    .others
                    .iter()
                    .map(|(count, arm, answers)| (*count, computed((arm, answers), number)))
                    .collect(),
            });
            let stock = computed((stock, &stock_answers), number);
            judged(cases[number].as_ref(), plan.seed, &stock, forks.collect())
        };
        let numbers = 0..cases.len();
        self.cases.extend(
            numbers
                .into_par_iter()
                .flat_map_iter(judge)
                .collect::<Vec<_>>(),
        );
        Ok(())
    }
}

/// Keeps what a build has said of itself: a worker that was not needed says nothing.
fn remember(known: &mut Loaded, said: &Loaded) {
    if !said.id.is_empty() {
        known.clone_from(said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_may_end_early_begins_with_few_cases() {
        let cases = select(&Plan::default()).unwrap();
        let sizes: Vec<usize> = batches(&cases, true).iter().map(|b| b.len()).collect();
        assert_eq!((sizes[0], sizes.iter().sum()), (4, cases.len()));
        assert_eq!(batches(&cases, false).len(), 1);
    }

    #[test]
    fn bits_are_compared_with_every_other_thread_count() {
        let mut plan = Plan {
            device: Device::Cpu,
            ..Plan::default()
        };
        assert_eq!(counts(&plan, Some(2)), [1, 3]);
        assert_eq!(counts(&plan, Some(16)), [1, 2, 3]);
        assert!(counts(&plan, None).is_empty());
        plan.device = Device::Gpu;
        assert!(counts(&plan, Some(2)).is_empty());
    }
}
