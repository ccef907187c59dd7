//! Parity's cases on the overlay compiled with a sanitizer: no access out of bounds, no
//! undefined behaviour, no data race. Not what a right result is: parity judges that too.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::build::{Options, Recipe, Tools, Variant};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::parity::report::{CaseReport, Verdict};
use crate::parity::{self, Plan};
use crate::process::Command;
use crate::simd;
use crate::ui::Ui;

/// One of the compiler's sanitizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sanitizer {
    /// Accesses outside of what was allocated, or after it was freed.
    Address,
    /// What the language leaves undefined: overflows, shifts, conversions, alignment.
    Undefined,
    /// Data races.
    Thread,
}

/// Which cases to run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// As parity's filter.
    pub filter: Option<String>,
    /// Every case on every SIMD path of this processor; else the quick ones on the default one.
    pub full: bool,
}

/// What a sanitizer came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// `address`, `undefined`, `thread`.
    pub sanitizer: &'static str,
    /// The SIMD paths that the cases ran on.
    pub simd: Vec<String>,
    /// Cases that were run, counted on each path.
    pub cases: usize,
    /// What was found: none in a sound overlay.
    pub findings: Vec<Finding>,
    /// Seconds, compiling included.
    pub seconds: f64,
}

/// A case that failed.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Its name.
    pub case: String,
    /// The SIMD path; none where the worker ended before it said so.
    pub simd: Option<String>,
    /// The sanitizer's report, shortened; parity's words where the sanitizer said nothing.
    pub what: String,
    /// The command that runs it again.
    pub rerun: String,
}

impl Sanitizer {
    /// All of them.
    pub const ALL: [Sanitizer; 3] = [Sanitizer::Address, Sanitizer::Undefined, Sanitizer::Thread];

    /// The name in commands and in `-fsanitize=`.
    pub fn name(self) -> &'static str {
        match self {
            Sanitizer::Address => "address",
            Sanitizer::Undefined => "undefined",
            Sanitizer::Thread => "thread",
        }
    }

    /// The overlay's variant that is compiled with it.
    pub fn recipe(self) -> Recipe {
        let checks = match self {
            // The standard library's own checks see an index that stays within the heap block.
            Sanitizer::Address => "-fsanitize=address -D_GLIBCXX_ASSERTIONS",
            Sanitizer::Undefined => "-fsanitize=undefined,float-cast-overflow",
            Sanitizer::Thread => "-fsanitize=thread",
        };
        let mut compile = vec!["-O1", "-g", "-fno-omit-frame-pointer"];
        compile.extend(["-fno-sanitize-recover=all", checks]);
        Recipe {
            name: self.name().into(),
            compile: compile.into_iter().map(Into::into).collect(),
            link: vec![format!("-fsanitize={}", self.name())],
        }
    }

    /// A plan of parity for a library that was built so: its worker's environment, and limits
    /// that it can keep.
    ///
    /// # Errors
    /// [`crate::Kind::Environment`] where the compiler has no such sanitizer.
    pub fn plan(self, library: PathBuf, tools: &Tools) -> Result<Plan> {
        let (options, settings) = match self {
            // Leaks: MLX keeps its streams and its threads until the process ends.
            Sanitizer::Address => (
                "ASAN_OPTIONS",
                "detect_leaks=0:detect_stack_use_after_return=1:print_legend=0",
            ),
            Sanitizer::Undefined => ("UBSAN_OPTIONS", "print_stacktrace=1"),
            // MLX is not compiled with it, so the atomics that order MLX's own accesses are not
            // seen: what MLX reads, writes and frees is left out. Its locks count.
            Sanitizer::Thread => (
                "TSAN_OPTIONS",
                "halt_on_error=1:second_deadlock_stack=1:ignore_noninstrumented_modules=1",
            ),
        };
        let env = [
            ("LD_PRELOAD", self.runtime(tools)?.display().to_string()),
            (options, settings.to_string()),
            // As many on every machine, and more than one.
            (simd::THREADS, "4".to_string()),
        ];
        Ok(Plan {
            library: Some(library),
            // What is compiled so runs on the processor.
            device: Device::Cpu,
            stock: false,
            env: env.map(|(name, value)| (name.into(), value)).into(),
            // Parity compares bits between thread counts by itself.
            threads: Vec::new(),
            hang: Duration::from_secs(600),
            // The shadow of the whole address space is mapped.
            memory_mib: u64::MAX,
            last_lines: 100,
            ..Plan::default()
        })
    }

    /// The sanitizer's library, which must be in the process before all others: the worker
    /// itself is not compiled with it.
    fn runtime(self, tools: &Tools) -> Result<PathBuf> {
        let name = match self {
            Sanitizer::Address => "libasan.so",
            Sanitizer::Undefined => "libubsan.so",
            Sanitizer::Thread => "libtsan.so",
        };
        let asked = format!("-print-file-name={name}");
        let output = Command::new(&tools.cxx.path).arg(asked).run()?;
        let path = PathBuf::from(output.stdout.trim());
        if cfg!(target_os = "linux") && path.is_absolute() && path.exists() {
            return Ok(path);
        }
        let what = format!("{} has no {name}", tools.cxx.path.display());
        Err(Error::environment(what)
            .doing(format!("preparing the {} sanitizer", self.name()))
            .hint("sanitizers are run with GCC on Linux: CXX=g++ chooses it"))
    }
}

impl FromStr for Sanitizer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|sanitizer| sanitizer.name() == text)
            .ok_or_else(|| "there are address, undefined and thread".to_string())
    }
}

/// Builds the sanitizer's variant and runs the cases on it. What was found is in the outcome,
/// not an error.
pub fn run(
    layout: &Layout,
    options: &Options,
    tools: &Tools,
    sanitizer: Sanitizer,
    selection: &Selection,
    worker: &Path,
    ui: &dyn Ui,
) -> Result<Outcome> {
    let start = Instant::now();
    let variant = Variant::open(layout, options, tools, &sanitizer.recipe(), ui)?;
    variant.build(ui)?;
    let mut plan = Plan {
        filter: selection.filter.clone(),
        smoke: !selection.full && selection.filter.is_none(),
        ..sanitizer.plan(variant.library(), tools)?
    };
    if selection.full {
        plan.simds = simd::available().into_iter().map(String::from).collect();
    }
    let _fixed = FixedAddresses::take(sanitizer);
    let report = parity::run(layout, &plan, worker, ui)?;
    let failed = |case: &&CaseReport| case.verdict == Verdict::Fail;
    let finding = |case: &CaseReport| Finding {
        case: case.name.clone(),
        simd: case.simd.clone(),
        what: brief(&case.reasons.join("\n")),
        rerun: format!(
            "cargo xtask sanitize {} --full --filter '{}'",
            sanitizer.name(),
            case.name
        ),
    };
    Ok(Outcome {
        sanitizer: sanitizer.name(),
        simd: report.arms.into_iter().filter_map(|arm| arm.simd).collect(),
        cases: report.planned,
        findings: report.cases.iter().filter(failed).map(finding).collect(),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Lines of a report that are kept.
const BRIEF: usize = 14;

/// The part of a sanitizer's report that names the fault: where it begins, and its summary.
pub fn brief(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &&str| {
        line.contains("ERROR: AddressSanitizer")
            || line.contains("WARNING: ThreadSanitizer")
            || line.contains(": runtime error: ")
            || line.contains("Assertion '")
    };
    let Some(first) = lines.iter().position(begins) else {
        return lines[lines.len().saturating_sub(BRIEF)..].join("\n");
    };
    let rest = &lines[first..];
    let mut kept: Vec<&str> = rest.iter().take(BRIEF).copied().collect();
    let summary = rest.iter().skip(BRIEF).find(|l| l.contains("SUMMARY: "));
    kept.extend(summary);
    kept.join("\n")
}

/// Children get their memory at the same addresses as long as this lives: GCC's thread
/// sanitizer finds no room for its shadow where a kernel spreads them widely.
struct FixedAddresses {
    #[cfg(target_os = "linux")]
    before: Option<libc::c_int>,
}

impl FixedAddresses {
    #[cfg(target_os = "linux")]
    fn take(sanitizer: Sanitizer) -> Self {
        const ASK: libc::c_ulong = 0xffff_ffff;
        if sanitizer != Sanitizer::Thread {
            return FixedAddresses { before: None };
        }
        // SAFETY: personality(2) changes a flag of this thread, which its children inherit.
        let before = unsafe { libc::personality(ASK) };
        if before >= 0 {
            let fixed = before as libc::c_ulong | libc::ADDR_NO_RANDOMIZE as libc::c_ulong;
            // A container may forbid it; most kernels don't spread that widely.
            // SAFETY: as above.
            unsafe { libc::personality(fixed) };
        }
        FixedAddresses {
            before: (before >= 0).then_some(before),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn take(_: Sanitizer) -> Self {
        FixedAddresses {}
    }
}

#[cfg(target_os = "linux")]
impl Drop for FixedAddresses {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // SAFETY: as above.
            unsafe { libc::personality(before as libc::c_ulong) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_cut_down_to_the_fault_and_its_summary() {
        let frames: String = (0..40).map(|i| format!("    #{i} in f\n")).collect();
        let text = format!(
            "fork: the worker ended with exit code 1:\n=====\n==1==ERROR: AddressSanitizer: \
             heap-buffer-overflow\n{frames}SUMMARY: AddressSanitizer: qmm.cpp:3\nshadow bytes\n"
        );
        let brief = brief(&text);
        let lines: Vec<&str> = brief.lines().collect();
        assert_eq!(lines.len(), BRIEF + 1);
        assert!(lines[0].contains("heap-buffer-overflow"));
        assert!(lines[BRIEF].starts_with("SUMMARY"));
    }

    #[test]
    fn words_of_another_kind_are_kept_from_their_end() {
        assert_eq!(brief("fork: 3 of 4 elements"), "fork: 3 of 4 elements");
    }
}
