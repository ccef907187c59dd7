//! Builds each mutant and has parity judge it, to the first case that fails. A mutant that
//! crashes, hangs or can't be loaded is caught, too: parity tells.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Selection;
use super::catalogue::{Mutant, all, select};
use super::file::MutantsFile;
use super::report::{Report, Row, Verdict};
use crate::build::files::{copy, files_below};
use crate::build::tools::Tools;
use crate::build::{Options, Recipe, Variant};
use crate::device::Device;
use crate::error::{Doing, Error, Kind, Result, reading, writing};
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
    /// Which cases judge, as parity's filter; all of them where there is none.
    pub cases: Option<&'a str>,
}

/// A case that takes longer than this on a mutant hangs; sound, the slowest takes two.
const HANG: Duration = Duration::from_secs(20);

/// What catches a mutant before any case could.
const LOADING: &str = "loading the library";

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
    let general = simd::general();
    let mut rows: Vec<Option<Row>> = vec![None; mutants.len()];
    let mut paths: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, mutant) in mutants.iter().enumerate() {
        let simd = mutant.simd.unwrap_or(general);
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
            if row.verdict == Verdict::Survived {
                ui.note(&format!("{}: SURVIVED", mutant.name));
            }
            if let Verdict::Caught { by, .. } = &row.verdict {
                ui.note(&format!("{}: caught by {by}", mutant.name));
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

/// A variant for one SIMD path.
struct Stand<'a> {
    bench: Bench<'a>,
    variant: Variant<'a>,
    plan: Plan,
    /// The libraries without a fault, and the cases that are known to pass on them.
    sound: Sound,
    passes: RefCell<BTreeSet<String>>,
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
            filter: bench.cases.map(String::from),
            // Deliberate faults are those of a processor's kernels.
            device: Device::Cpu,
            stock: false,
            simds: vec![simd.into()],
            // One other than most machines have: enough to see that the count matters.
            threads: vec![3],
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
        Ok(Stand {
            sound: Sound::keep(bench.layout, &variant)?,
            passes: RefCell::default(),
            bench,
            variant,
            plan,
            order,
        })
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
            Ok(_) if self.sound.is_same(&self.variant)? => Verdict::SameCode,
            Ok(_) => self.caught(killers)?,
        };
        let running = start.elapsed().as_secs_f64() - compiling;
        Ok(row(mutant, verdict, [compiling, running]))
    }

    fn caught(&self, killers: &[String]) -> Result<Verdict> {
        let plan = Plan {
            library: Some(self.variant.library()),
            first: killers.iter().chain(&self.order).cloned().collect(),
            fail_fast: true,
            ..self.plan.clone()
        };
        let Bench { layout, worker, .. } = self.bench;
        let run = || parity::run(layout, &plan, worker, &Silent);
        let unloadable = |error: &Error| error.kind() == Kind::Environment;
        let report = match run() {
            // Either the library can't be loaded, or the machine has a trouble that is not the
            // mutant's: then a sound library fails too, or this one does not twice.
            Err(error) if unloadable(&error) => {
                self.check_sound(&self.order[0])?;
                run()
            }
            report => report,
        };
        let verdict = match report {
            Ok(report) => verdict(&report, killers),
            Err(error) if unloadable(&error) => Verdict::Caught {
                by: LOADING.into(),
                how: error.what().into(),
            },
            Err(error) => return Err(error),
        };
        match &verdict {
            Verdict::Caught { by, .. } if by != LOADING => self.must_pass_without(by)?,
            _ => {}
        }
        Ok(verdict)
    }

    /// A case that fails without a fault proves nothing.
    fn must_pass_without(&self, case: &str) -> Result<()> {
        if !self.passes.borrow_mut().insert(case.into()) {
            return Ok(());
        }
        self.check_sound(case)
    }

    fn check_sound(&self, case: &str) -> Result<()> {
        let plan = Plan {
            library: Some(self.sound.library()),
            filter: Some(case.into()),
            ..self.plan.clone()
        };
        parity::run(self.bench.layout, &plan, self.bench.worker, &Silent)
            .and_then(|report| report.check())
            .doing(|| "running parity without a fault".into())
    }
}

/// A copy of what was built of the sources as they are.
struct Sound {
    folder: tempfile::TempDir,
    bytes: Vec<Vec<u8>>,
}

impl Sound {
    fn keep(layout: &Layout, variant: &Variant) -> Result<Self> {
        let scratch = layout.scratch();
        std::fs::create_dir_all(&scratch).doing(writing(&scratch))?;
        let folder = tempfile::tempdir_in(&scratch).doing(writing(&scratch))?;
        for library in variant.libraries()? {
            let name = library.file_name().unwrap_or_default();
            copy(&library, &folder.path().join(name))?;
        }
        Ok(Sound {
            folder,
            bytes: bytes(variant)?,
        })
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join(mlx_fork_sys::Library::file_name())
    }

    fn is_same(&self, variant: &Variant) -> Result<bool> {
        Ok(bytes(variant)? == self.bytes)
    }
}

fn bytes(variant: &Variant) -> Result<Vec<Vec<u8>>> {
    let libraries = variant.libraries()?;
    let read = |path: &PathBuf| std::fs::read(path).doing(reading(path));
    libraries.iter().map(read).collect()
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
    for path in files_below(&variant.sources().join("backend/cpu"))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(other) = name
            .strip_prefix("kernels_")
            .and_then(|n| n.strip_suffix(".cpp"))
        else {
            continue;
        };
        if !simd::includes(simd, other) {
            let text = format!(
                "#include \"mlx/fused/backend/cpu/kernels.h\"\n\
                 namespace mlx::core::fused::cpu {{\n\
                 const Kernels* {other}_kernels() {{\n  return nullptr;\n}}\n}}\n"
            );
            variant.write(&format!("backend/cpu/{name}"), &text)?;
        }
    }
    Ok(())
}

fn first_error(error: &Error) -> String {
    let said = error.what().lines().find(|line| line.contains("error: "));
    said.unwrap_or(error.what()).trim().to_string()
}
