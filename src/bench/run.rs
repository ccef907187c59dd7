//! A run of the bench: the workers of a layer's weights are started, its cases measured, the
//! workers ended. A worker that dies costs its case; the run goes on, and says so at the end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::arm::{ARMS, Arm, Start, Worker};
use super::case::{self, Case, Op};
use super::course::{self, Team};
use super::machine::{self, Machine};
use super::report::{CaseReport, Report};
use super::worker::Ready;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::side::Side;
use crate::ui::Ui;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which cases: parts of a name, or a pattern with `*` and `?`.
    pub case: Option<String>,
    /// Numbers of tokens.
    pub tokens: Vec<usize>,
    /// The seed of inputs, order and resampling.
    pub seed: u64,
    /// Seconds for a case.
    pub budget: f64,
    /// The same experts in every call, so that what caches hold stays there.
    pub hot: bool,
    /// The extension's build on both sides, instead of stock's and the fork's.
    pub extension: bool,
    /// A worker that does not answer for this long hangs.
    pub hang: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            case: None,
            tokens: vec![1, 8, 32],
            seed: 1,
            budget: 20.0,
            hot: false,
            extension: false,
            // Stock takes six minutes for DeepSeek's layer in float16 at 32 tokens.
            hang: Duration::from_secs(1800),
        }
    }
}

/// The cases of a plan.
pub fn select(plan: &Plan) -> Result<Vec<Case>> {
    case::select(plan.case.as_deref(), &plan.tokens)
}

/// Measures the cases. `program` answers to `bench-worker`. A case that could not be measured
/// is in the report, not an error.
pub fn run(layout: &Layout, plan: &Plan, program: &Path, ui: &dyn Ui) -> Result<Report> {
    let start = Instant::now();
    let cases = select(plan)?;
    let (stock, fork) = match plan.extension {
        true => (Side::Extension, Side::Extension),
        false => (Side::Stock, Side::Fork),
    };
    let mut bench = Bench {
        plan,
        program,
        libraries: [library(layout, stock)?, library(layout, fork)?],
        machine: Machine::here(),
        about: Default::default(),
    };
    let load = machine::load_average();
    ui.step("bench");
    let mut reports = Vec::new();
    for group in cases.chunk_by(Case::same_weights) {
        let (mut team, widest) = (None, widest(group));
        for (number, case) in group.iter().enumerate() {
            ui.progress(reports.len() as u64, cases.len() as u64, &case.name());
            if team.is_none() {
                match bench.start(&widest) {
                    Ok(started) => team = Some(started),
                    // The others of these weights would fare no better.
                    Err(error) => {
                        reports.extend(group[number..].iter().map(|case| {
                            CaseReport::new(case, Err(error.clone()), bench.rerun(case))
                        }));
                        break;
                    }
                }
            }
            let came = match &mut team {
                Some(workers) => course::measure(plan, workers, case),
                None => Err(Error::bug("no workers")),
            };
            team = team.filter(|workers: &Team| workers.iter().all(|w| w.id().is_some()));
            reports.push(CaseReport::new(case, came, bench.rerun(case)));
        }
    }
    let [stock, fork] = &bench.about;
    let report = Report {
        seed: plan.seed,
        budget: plan.budget,
        hot: plan.hot,
        stock_id: stock.id.clone(),
        fork_id: fork.id.clone(),
        simd: fork.simd.clone(),
        threads: bench.threads(),
        machine: bench.machine,
        read_gb_per_s: None,
        load: [load, machine::load_average()],
        planned: cases.len(),
        measured: 0,
        failed: 0,
        seconds: start.elapsed().as_secs_f64(),
        warnings: Vec::new(),
        cases: reports,
    };
    Ok(report.finish())
}

/// A case whose weights are all that these cases need.
fn widest(group: &[Case]) -> Case {
    let mut widest = group[0].clone();
    if group.iter().any(|case| case.op != widest.op) {
        widest.op = Op::Layer;
    }
    widest
}

fn library(layout: &Layout, side: Side) -> Result<PathBuf> {
    let folder = layout.prefix(side.name()).join("lib");
    let library = folder.join(mlx_fork_sys::Library::file_name());
    if library.is_file() {
        return Ok(library);
    }
    Err(Error::environment(format!("no {}", library.display()))
        .doing(format!("looking for the build of {}", side.name()))
        .hint(format!("`{}` builds it", side.maker())))
}

/// A run's constant part, and what the workers have said of their builds.
struct Bench<'a> {
    plan: &'a Plan,
    program: &'a Path,
    /// Stock's and the fork's.
    libraries: [PathBuf; 2],
    machine: Machine,
    about: [Ready; 2],
}

impl Bench<'_> {
    fn threads(&self) -> usize {
        self.about[1].threads.unwrap_or(self.machine.cores)
    }

    fn rerun(&self, case: &Case) -> String {
        let plan = self.plan;
        let mut command = format!("cargo xtask bench --case {}", case.name());
        if !Plan::default().tokens.contains(&case.tokens) {
            command += &format!(" --tokens {}", case.tokens);
        }
        command += &format!(" --seed {} --budget {}", plan.seed, plan.budget);
        for (given, name) in [(plan.hot, " --hot"), (plan.extension, " --extension")] {
            command += if given { name } else { "" };
        }
        command
    }

    /// Starts the builds' workers, then the plain read's, which needs their number of threads.
    fn start(&mut self, case: &Case) -> Result<Team> {
        enough_memory(case)?;
        let worker = |bench: &Self, arm: Arm| {
            let start = Start {
                program: bench.program,
                library: &bench.libraries[usize::from(arm != Arm::Stock)],
                case,
                seed: bench.plan.seed,
                threads: bench.threads(),
            };
            Worker::start(arm, start, bench.plan.hang)
        };
        let mut builds = [
            worker(self, ARMS[0])?,
            worker(self, ARMS[1])?,
            worker(self, ARMS[2])?,
        ];
        for build in &mut builds {
            let ready = build.ready()?;
            let known = &mut self.about[usize::from(build.arm() != Arm::Stock)];
            if !known.id.is_empty() && known.id != ready.id {
                let (was, is, arm) = (&known.id, &ready.id, build.arm().name());
                let what = format!("{arm} was {was} when the run began and is {is} now");
                return Err(Error::gate(what).hint("let nothing be built during a run"));
            }
            *known = ready;
        }
        let mut read = worker(self, Arm::Read)?;
        read.ready()?;
        let [stock, fork, again] = builds;
        Ok([stock, fork, again, read])
    }
}

/// Four workers hold the weights, and three of them a matrix twice while they load it.
fn enough_memory(case: &Case) -> Result<()> {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let (shape, float) = (&case.shape, case.float);
    let held = 4 * shape.rotating_bytes(float) * case.op.matrices().len();
    let needed = (held + 3 * shape.matrix_bytes(float) * shape.present) as u64;
    match machine::available_memory() {
        Some(free) if free < needed => Err(Error::environment(format!(
            "{:.1} GiB of memory are needed, {:.1} GiB are available",
            gib(needed),
            gib(free)
        ))),
        _ => Ok(()),
    }
}
