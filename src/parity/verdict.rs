//! The verdict on a case: from what each worker answered and from the oracle. Knows neither
//! workers nor MLX.

use std::path::PathBuf;

use super::arithmetic::Arithmetic;
use super::case::Case;
use super::judge::{self, Expected};
use super::report::{CaseReport, Outcome, SideReport, Verdict};
use super::tensor::Tensor;
use super::worker::{Answer, Form, Loaded};
use crate::device::Device;
use crate::simd;

/// What came of a case in one arm.
pub(super) struct Computed {
    pub outcome: Outcome,
    /// The file of its result.
    pub file: PathBuf,
}

/// What came of a case on the fork, with one choice of SIMD instructions.
pub(super) struct Fork<'a> {
    /// The instructions that were asked for.
    pub asked: Option<&'a str>,
    /// What the build says of itself.
    pub loaded: &'a Loaded,
    /// With its own choice of threads.
    pub own: Computed,
    /// With other thread counts.
    pub others: Vec<(i32, Computed)>,
}

/// The verdict on a case, for each of the fork's ways.
pub(super) fn judged(
    case: &dyn Case,
    seed: u64,
    stock: &Computed,
    forks: Vec<Fork>,
) -> Vec<CaseReport> {
    let inputs = case.inputs(seed);
    let expected = case.expected(&inputs);
    let stock = Judged::new(Form::Stock, stock, &expected);
    forks
        .into_iter()
        .map(|fork| {
            let path = match &fork.own.outcome {
                Outcome::Done(answer) => answer.path.as_deref(),
                _ => None,
            };
            match Arithmetic::of(fork.loaded.device, path) {
                Arithmetic::CPU => report(case, seed, &expected, stock.clone(), fork),
                other => {
                    let expected = case.expected_on(other, &inputs);
                    report(case, seed, &expected, stock.clone(), fork)
                }
            }
        })
        .collect()
}

fn report(
    case: &dyn Case,
    seed: u64,
    expected: &Expected,
    stock: Judged,
    fork: Fork,
) -> CaseReport {
    let ours = Judged::new(Form::Fork, &fork.own, expected);
    let simd = fork.loaded.simd.clone().or(fork.asked.map(String::from));
    let mut reasons = [stock.reasons, ours.reasons].concat();
    if ours.report.outcome == "done" {
        let path = ours.report.path.as_deref();
        let (device, simd) = (fork.loaded.device, fork.loaded.simd.as_deref());
        let wanted = case.wanted(device);
        let admitted = match device {
            Device::Cpu => wanted.admits(path, simd),
            Device::Gpu if path == Some("composition") && !device.has_kernels() => true,
            // The name of a processor's instructions, which are none of its own.
            Device::Gpu => wanted.admits(path, Some("gpu")),
        };
        if !admitted {
            reasons.push(format!(
                "fork: meant for {wanted}, it took the path {}",
                path.unwrap_or("none")
            ));
        }
        let own = (&fork.own, fork.loaded.threads, ours.tensor.as_ref());
        let differences = fork.others.iter();
        reasons.extend(differences.filter_map(|(count, other)| differs(own, *count, other)));
    }
    let both = stock.tensor.as_ref().zip(ours.tensor.as_ref());
    let mut asked = fork
        .asked
        .map_or_else(String::new, |simd| format!(" --simd {simd}"));
    if fork.loaded.device != Device::default() {
        asked += &format!(" --device {}", fork.loaded.device.name());
    }
    CaseReport {
        name: case.name().to_string(),
        simd,
        verdict: if reasons.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
        reasons,
        ulps: both.and_then(|(a, b)| judge::ulps(a, b)),
        bits_equal: both.map(|(a, b)| a == b),
        stock: stock.report,
        fork: ours.report,
        rerun: format!(
            "cargo xtask parity --seed {seed}{asked} --filter '{}'",
            case.name()
        ),
    }
}

/// One side of a case, judged.
#[derive(Clone)]
struct Judged {
    report: SideReport,
    /// The result, where there is one of the right type and shape.
    tensor: Option<Tensor>,
    /// Why the case fails for it.
    reasons: Vec<String>,
}

impl Judged {
    fn new(form: Form, computed: &Computed, expected: &Expected) -> Self {
        let mut judged = Judged {
            report: SideReport::new(&computed.outcome),
            tensor: None,
            reasons: Vec::new(),
        };
        let mut reason = |what: &str| judged.reasons.push(format!("{}: {what}", form.name()));
        let answer = match &computed.outcome {
            Outcome::Done(answer) => answer,
            Outcome::NotRun(_) => return judged,
            Outcome::Failed(what) => {
                reason(what);
                return judged;
            }
            Outcome::Missing => {
                reason("no answer");
                return judged;
            }
        };
        for what in &answer.differing {
            reason(what);
        }
        let result = result(answer, &computed.file)
            .and_then(|tensor| expected.judge(&tensor).map(|judgement| (tensor, judgement)));
        match result {
            Ok((tensor, judgement)) => {
                if form == Form::Fork && judgement.wrong > 0 {
                    reason(&format!(
                        "{} of {} elements are outside what is admissible: {}",
                        judgement.wrong,
                        judgement.elements,
                        judgement.worst.as_deref().unwrap_or("")
                    ));
                }
                judged.report.judgement = Some(judgement);
                judged.tensor = Some(tensor);
            }
            Err(what) => {
                // Another accumulation may give stock another type than ours.
                if form == Form::Fork {
                    reason(&what);
                }
                judged.report.detail = Some(what);
            }
        }
        judged
    }
}

/// Why another thread count makes the case fail: no result, other bits, another path.
fn differs(
    (own, threads, tensor): (&Computed, Option<i32>, Option<&Tensor>),
    count: i32,
    other: &Computed,
) -> Option<String> {
    let threads = threads.map_or_else(|| "?".into(), |threads| threads.to_string());
    let with = format!("fork: with {}={count}", simd::THREADS);
    let (Outcome::Done(own), answer) = (&own.outcome, &other.outcome) else {
        return None;
    };
    let answer = match answer {
        Outcome::Done(answer) => answer,
        Outcome::Failed(what) => return Some(format!("{with}: {what}")),
        Outcome::NotRun(_) | Outcome::Missing => return Some(format!("{with}: no answer")),
    };
    if answer.path != own.path {
        let name = |path: &Option<String>| path.clone().unwrap_or_else(|| "none".into());
        return Some(format!(
            "{with} it took the path {}, with {threads} threads {}",
            name(&answer.path),
            name(&own.path)
        ));
    }
    let difference = match (result(answer, &other.file), tensor) {
        (Err(what), _) => return Some(format!("{with}: {what}")),
        (Ok(_), None) => return None,
        (Ok(other), Some(own)) => first_difference(own, &other)?,
    };
    Some(format!(
        "{with} other bits than with {threads}: {difference}"
    ))
}

/// In words, where two results part; none where they are the same bytes.
fn first_difference(a: &Tensor, b: &Tensor) -> Option<String> {
    if a.dtype != b.dtype || a.shape != b.shape {
        return Some("another type or shape".into());
    }
    let size = a.dtype.size();
    let pairs = a.bytes.chunks(size).zip(b.bytes.chunks(size));
    let different: Vec<usize> = pairs
        .enumerate()
        .filter(|(_, (a, b))| a != b)
        .map(|(place, _)| place)
        .collect();
    let first = *different.first()?;
    let value = |tensor: &Tensor| tensor.floats().get(first).copied().unwrap_or(f64::NAN);
    Some(format!(
        "{} of {} elements, the first at {first}, {:e} instead of {:e}",
        different.len(),
        a.len(),
        value(b),
        value(a)
    ))
}

fn result(answer: &Answer, file: &std::path::Path) -> Result<Tensor, String> {
    let bytes = std::fs::read(file).map_err(|e| format!("its result can't be read: {e}"))?;
    let size = |bytes: usize, extent: &usize| bytes.checked_mul(*extent);
    let wanted = answer.shape.iter().try_fold(answer.dtype.size(), size);
    if wanted != Some(bytes.len()) {
        return Err(format!(
            "its result has {} bytes, not those of the shape {:?}",
            bytes.len(),
            answer.shape
        ));
    }
    Ok(Tensor {
        dtype: answer.dtype,
        shape: answer.shape.clone(),
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::super::float::{Float, pow2};
    use super::super::ops::catalogue;
    use super::*;

    const TINY: &str = "gather_qmm_swiglu/affine-b4-g64/bf16/tiny/exact";

    /// What is said of a result of a perfect kernel that takes subnormal activations for 0, by
    /// this path on this device.
    fn reasons(name: &str, device: Device, path: &str) -> Vec<String> {
        let cases = catalogue();
        let case = cases.iter().find(|case| case.name() == name).unwrap();
        let mut inputs = case.inputs(1);
        let x = inputs.get_mut("x").unwrap();
        let float = x.dtype.float().unwrap();
        let kept = |v: f64| if v.abs() < pow2(-126) { 0.0 } else { v };
        let flushed: Vec<f64> = x.floats().into_iter().map(kept).collect();
        *x = Tensor::of_floats(float, &x.shape, &flushed);
        let made = case.expected(&inputs);
        let values: Vec<f64> = made.admissible.iter().map(|(low, _)| *low).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        let result = Tensor::of_floats(Float::Bf16, &made.shape, &values);
        std::fs::write(file.path(), result.bytes).unwrap();
        let computed = |outcome: Outcome| Computed {
            outcome,
            file: file.path().into(),
        };
        let loaded = Loaded {
            device,
            simd: Some("avx2".into()),
            ..Loaded::default()
        };
        let answer = Answer {
            case: 0,
            dtype: float.dtype(),
            shape: made.shape.clone(),
            path: Some(path.into()),
            seconds: 0.0,
            differing: Vec::new(),
        };
        let fork = Fork {
            asked: None,
            loaded: &loaded,
            own: computed(Outcome::Done(answer)),
            others: Vec::new(),
        };
        let stock = computed(Outcome::NotRun("not asked for".into()));
        let mut reports = judged(case.as_ref(), 1, &stock, vec![fork]);
        reports.remove(0).reasons
    }

    #[test]
    fn a_gpu_is_judged_by_what_gpus_may_do() {
        assert!(reasons(TINY, Device::Gpu, "fast").is_empty());
        let [reason] = &reasons(TINY, Device::Cpu, "fast")[..] else {
            panic!("a processor may not do that");
        };
        assert!(reason.contains("outside what is admissible"), "{reason}");
    }

    #[test]
    fn a_gpu_must_take_the_path_that_the_host_decides_on() {
        let usual = "gather_qmm_swiglu/affine-b4-g64/bf16/exact";
        let prompt = "gather_qmm_swiglu/affine-b4-g64/bf16/m12/exact";
        let columns = "gather_qmm_swiglu/affine-b4-g64/bf16/untransposed/exact";
        for (name, right, wrong) in [
            (usual, "fast", "general"),
            (columns, "general", "fast"),
            (prompt, "composition", "fast"),
        ] {
            assert!(reasons(name, Device::Gpu, right).is_empty(), "{name}");
            let [reason] = &reasons(name, Device::Gpu, wrong)[..] else {
                panic!("{name} may not take the path {wrong}");
            };
            assert!(reason.contains("it took the path"), "{reason}");
        }
    }
}
