//! Builds each mutant and has parity judge it, to the first case that fails. A mutant that
//! crashes, hangs or can't be loaded is caught, too: parity tells.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Selection;
use super::catalogue::{Mutant, all, select};
use super::file::MutantsFile;
use super::report::{Report, Row, Verdict};
use crate::build::tools::Tools;
use crate::build::{Options, Recipe, Variant};
use crate::error::{Doing, Error, Kind, Result, reading};
use crate::layout::Layout;
use crate::parity::{self, Plan};
use crate::simd;
use crate::ui::{Silent, Ui};

/// What a run works with.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'a> {
    /// Where things are.
    pub layout: &'a Layout,
    /// How to build.
    pub options: &'a Options,
    /// With what.
    pub tools: &'a Tools,
    /// The program that answers to `parity-worker`.
    pub worker: &'a Path,
}

/// A case that takes longer than this on a mutant hangs: sound, none takes a second.
const HANG: Duration = Duration::from_secs(15);

/// Cases that caught a mutant of the same file lately come first for the next.
const REMEMBERED: usize = 3;

/// The mutants of a project that a selection wants, and its mutants.toml.
pub fn selected(layout: &Layout, selection: &Selection) -> Result<(Vec<Mutant>, MutantsFile)> {
    let listed = MutantsFile::read(&layout.root().join("mutants.toml"))?;
    let mutants = all(&layout.root().join("mlx_primitives"), &listed)?;
    Ok((select(mutants, selection)?, listed))
}

/// Runs the mutants that a selection wants. A mutant that survives is in the report, not an
/// error.
///
/// # Errors
/// [`Kind::Gate`] where the overlay without a fault fails.
pub fn run(bench: Bench, selection: &Selection, ui: &dyn Ui) -> Result<Report> {
    let start = Instant::now();
    let (mutants, listed) = selected(bench.layout, selection)?;
    let available = simd::available();
    let best = available.last().copied().unwrap_or("portable");
    let mut rows: Vec<Option<Row>> = vec![None; mutants.len()];
    let mut paths: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, mutant) in mutants.iter().enumerate() {
        let simd = mutant.simd.as_deref().unwrap_or(best);
        let verdict = match listed.equivalent.iter().find(|e| e.covers(mutant)) {
            Some(equivalent) => Verdict::Equivalent {
                reason: equivalent.reason.clone(),
            },
            None if !available.contains(&simd) => Verdict::NotHere,
            None => {
                paths.entry(simd).or_default().push(place);
                continue;
            }
        };
        rows[place] = Some(row(mutant, verdict, [0.0; 2]));
    }
    let mut done = 0;
    for (simd, mut places) in paths {
        // One file after the other: going on to another one compiles two.
        places.sort_by_key(|place| (&mutants[*place].file, *place));
        let stand = Stand::new(bench, simd, ui)?;
        let mut killers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut last: Option<&str> = None;
        ui.step(&format!("mutants: {simd}"));
        for place in places {
            let mutant = &mutants[place];
            ui.progress(done, mutants.len() as u64, &mutant.name);
            if let Some(file) = last.filter(|file| *file != mutant.file) {
                stand.variant.restore(file)?;
            }
            last = Some(&mutant.file);
            let known = killers.entry(&mutant.file).or_default();
            let row = stand.judge(mutant, known)?;
            if let Verdict::Caught { by, .. } = &row.verdict {
                known.retain(|other| other != by);
                known.insert(0, by.clone());
                known.truncate(REMEMBERED);
            }
            rows[place] = Some(row);
            done += 1;
        }
    }
    Ok(Report::new(
        rows.into_iter().flatten().collect(),
        start.elapsed().as_secs_f64(),
    ))
}

fn row(mutant: &Mutant, verdict: Verdict, seconds: [f64; 2]) -> Row {
    Row {
        mutant: mutant.clone(),
        verdict,
        seconds,
    }
}

/// A variant for one SIMD path, sound when it is made.
struct Stand<'a> {
    bench: Bench<'a>,
    variant: Variant<'a>,
    plan: Plan,
    sound: Vec<Vec<u8>>,
    /// Cases whose bits are promised, then the other quick ones.
    order: Vec<String>,
}

impl<'a> Stand<'a> {
    fn new(bench: Bench<'a>, simd: &str, ui: &dyn Ui) -> Result<Self> {
        let recipe = Recipe {
            name: format!("mutants-{simd}"),
            compile: vec!["-O1".into(), "-DNDEBUG".into()],
            link: Vec::new(),
        };
        let variant = Variant::open(bench.layout, bench.options, bench.tools, &recipe, ui)?;
        leave_out_others(&variant, simd)?;
        variant.build(ui)?;
        let plan = Plan {
            library: Some(variant.library()),
            stock: false,
            env: vec![(simd::VARIABLE.into(), simd.into())],
            hang: HANG,
            ..Plan::default()
        };
        let cases = parity::select(&plan)?;
        let mut smoke: Vec<&str> = cases
            .iter()
            .filter(|c| c.smoke())
            .map(|c| c.name())
            .collect();
        smoke.sort_by_key(|name| !name.contains("/exact"));
        let order = smoke.into_iter().map(String::from).collect();
        let stand = Stand {
            sound: libraries(&variant)?,
            bench,
            variant,
            plan,
            order,
        };
        stand
            .parity(&[], false, ui)?
            .check()
            .doing(|| format!("running parity on {simd} without a fault"))?;
        Ok(stand)
    }

    fn parity(&self, first: &[String], fail_fast: bool, ui: &dyn Ui) -> Result<parity::Report> {
        let plan = Plan {
            first: first.iter().chain(&self.order).cloned().collect(),
            fail_fast,
            ..self.plan.clone()
        };
        parity::run(self.bench.layout, &plan, self.bench.worker, ui)
    }

    fn judge(&self, mutant: &Mutant, killers: &[String]) -> Result<Row> {
        self.variant.write(&mutant.file, &mutant.faulty())?;
        let start = Instant::now();
        let built = self.variant.build(&Silent);
        let compiling = start.elapsed().as_secs_f64();
        let verdict = match built {
            Err(error) if error.kind() == Kind::Gate => Verdict::Unbuildable {
                why: first_error(&error),
            },
            Err(error) => return Err(error),
            Ok(_) if libraries(&self.variant)? == self.sound => Verdict::SameCode,
            Ok(_) => match self.parity(killers, true, &Silent) {
                Ok(report) => verdict(&report, killers),
                // The worker ended before its first case: the library can't be loaded.
                Err(error) if error.kind() == Kind::Environment => Verdict::Caught {
                    by: "loading the library".into(),
                    how: error.what().into(),
                },
                Err(error) => return Err(error),
            },
        };
        let running = start.elapsed().as_secs_f64() - compiling;
        Ok(row(mutant, verdict, [compiling, running]))
    }
}

/// The case that caught it: one that did before, else the first in the report.
fn verdict(report: &parity::Report, killers: &[String]) -> Verdict {
    let failed = || {
        let fail = parity::report::Verdict::Fail;
        report.cases.iter().filter(move |case| case.verdict == fail)
    };
    let known = failed().find(|case| killers.contains(&case.name));
    match known.or_else(|| failed().next()) {
        Some(case) => Verdict::Caught {
            by: case.name.clone(),
            how: case.reasons.join("\n"),
        },
        None => Verdict::Survived,
    }
}

/// Leaves the kernels of other paths out of a variant: they are not run, and templates that
/// all share take long to compile for each.
fn leave_out_others(variant: &Variant, simd: &str) -> Result<()> {
    for other in ["portable", "avx2", "avx512", "neon"] {
        let file = format!("backend/cpu/kernels_{other}.cpp");
        if other != simd && variant.sources().join(&file).is_file() {
            let text = format!(
                "#include \"mlx/fused/backend/cpu/kernels.h\"\n\
                 namespace mlx::core::fused::cpu {{\n\
                 const Kernels* {other}_kernels() {{\n  return nullptr;\n}}\n}}\n"
            );
            variant.write(&file, &text)?;
        }
    }
    Ok(())
}

/// The bytes of what was built.
fn libraries(variant: &Variant) -> Result<Vec<Vec<u8>>> {
    variant
        .libraries()?
        .iter()
        .map(|path| std::fs::read(path).doing(reading(path)))
        .collect()
}

fn first_error(error: &Error) -> String {
    let said = error.what().lines().find(|line| line.contains("error: "));
    said.unwrap_or(error.what()).trim().to_string()
}
