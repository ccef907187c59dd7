//! Parity's cases on Metal: every result within what the oracle admits, the same bits whatever
//! the layout of the inputs.

use std::collections::{BTreeMap, BTreeSet};

use mlx_fork::device::Device;
use mlx_fork::emulator::{Build, Kernel, Numerics, Settings};
use mlx_fork::parity::arithmetic::Arithmetic;
use mlx_fork::parity::case::{Case, Wanted};
use mlx_fork::parity::ops::{Storage, catalogue};
use rayon::prelude::*;

use crate::primitive::{Evaluation, evaluation, own_storage};

const SEED: u64 = 1;

/// All small ones, and a token of every model's layer.
fn is_quick(case: &dyn Case) -> bool {
    let name = case.name().trim_end_matches("/exact");
    !is_model(case.name()) || name.ends_with("/t1")
}

/// Whether values are at the lower end of their range.
fn is_tiny(case: &dyn Case) -> bool {
    ["/tiny/", "/mixed/"]
        .iter()
        .any(|part| case.name().contains(part))
}

fn is_model(name: &str) -> bool {
    mlx_fork::parity::ops::MODELS
        .iter()
        .any(|model| name.contains(&format!("/{}/", model.name)))
}

/// Every kernel is compiled once, for all cases that it computes.
fn kernels(evaluations: &[&Evaluation]) -> BTreeMap<String, Kernel<'static>> {
    let names: BTreeMap<&str, &Evaluation> = evaluations
        .iter()
        .map(|evaluation| (evaluation.encoded.kernel.as_str(), *evaluation))
        .collect();
    let compiled = names.into_par_iter().map(|(name, evaluation)| {
        (
            name.to_string(),
            evaluation.kernel(Build::Plain, Numerics::default()),
        )
    });
    compiled.collect()
}

#[test]
fn every_smoke_case_is_within_what_the_oracle_admits() {
    judge_all(|case| case.smoke(), Settings::default(), 200);
}

#[test]
#[ignore = "ten minutes; cargo xtask test --full runs it"]
fn every_case_is_within_what_the_oracle_admits() {
    judge_all(is_quick, Settings::default(), 2300);
}

#[test]
fn where_subnormal_numbers_are_zero_every_case_is_within_what_the_oracle_admits_for_gpus() {
    let flush = Settings {
        flush: true,
        ..Settings::default()
    };
    judge_all(|case| is_tiny(case) || case.smoke(), flush, 250);
}

/// Judges the chosen cases, of which at least so many must be launches of ours.
fn judge_all(chosen: impl Fn(&dyn Case) -> bool, settings: Settings, least: usize) {
    let arithmetic = Arithmetic {
        flushes: settings.flush,
        ..Arithmetic::CPU
    };
    let cases = catalogue();
    let chosen: Vec<&dyn Case> = cases
        .iter()
        .map(AsRef::as_ref)
        .filter(|case| chosen(*case))
        .collect();
    let judged: Vec<_> = chosen
        .par_iter()
        .map(|case| {
            let inputs = case.inputs(SEED);
            let expected = case.expected_on(arithmetic, &inputs);
            let form = (expected.float, &expected.shape[..]);
            let storage = own_storage(&case.call());
            (case, evaluation(*case, &inputs, form, &storage), expected)
        })
        .collect();
    let launched: Vec<&Evaluation> = judged.iter().filter_map(|(_, e, _)| e.as_ref()).collect();
    let kernels = kernels(&launched);
    let wrong: Vec<String> = judged
        .par_iter()
        .filter_map(|(case, evaluation, expected)| {
            let Some(evaluation) = evaluation else {
                // What stock does better, and what is not ours to compute.
                let wanted = case.wanted(Device::Gpu);
                let not_ours = matches!(wanted, Wanted::Any | Wanted::Composition);
                return (!not_ours).then(|| format!("{}: no kernel", case.name()));
            };
            let launch = evaluation.launch(&kernels[&evaluation.encoded.kernel]);
            let launch = launch.settings(settings);
            let judgement = evaluation
                .result(launch.run().unwrap())
                .and_then(|tensor| expected.judge(&tensor));
            let why = match judgement {
                Ok(judgement) if judgement.wrong == 0 => return None,
                Ok(judgement) => judgement.worst.unwrap_or_default(),
                Err(why) => why,
            };
            Some(format!(
                "{} ({}): {why}",
                case.name(),
                evaluation.encoded.kernel
            ))
        })
        .collect();
    let names: BTreeSet<&str> = launched.iter().map(|e| e.encoded.kernel.as_str()).collect();
    println!("{} launches of {} kernels", launched.len(), names.len());
    assert!(
        launched.len() >= least,
        "only {} cases were launched",
        launched.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        launched.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
}

#[test]
fn every_layout_of_the_inputs_gives_the_same_bits() {
    let cases = catalogue();
    let chosen: Vec<&dyn Case> = cases
        .iter()
        .map(AsRef::as_ref)
        .filter(|case| case.name().ends_with("/layouts"))
        .collect();
    assert!(chosen.len() > 20);
    let paths: Vec<(bool, usize)> = chosen
        .par_iter()
        .map(|case| {
            let inputs = case.inputs(SEED);
            let expected = case.expected(&inputs);
            let form = (expected.float, &expected.shape[..]);
            let mut bits: Vec<Vec<u8>> = Vec::new();
            let mut general = 0;
            let layouts = [Storage::Rows, Storage::Reversed, Storage::Swapped];
            for (matrix, other) in layouts
                .iter()
                .flat_map(|m| layouts.map(|other| (*m, other)))
            {
                let storage = |name: &str| match name {
                    "x" | "h" | "rhs_indices" | "weights" => other,
                    _ => matrix,
                };
                let evaluation = evaluation(*case, &inputs, form, &storage).unwrap();
                general += usize::from(!evaluation.encoded.fast);
                let kernel = evaluation.kernel(Build::Plain, Numerics::default());
                let outcome = evaluation.launch(&kernel).run().unwrap();
                bits.push(evaluation.result(outcome).unwrap().bytes);
            }
            assert!(bits.iter().all(|b| *b == bits[0]), "{}", case.name());
            (case.call().transpose, general)
        })
        .collect();
    // Both kernels were among those compared.
    assert!(
        paths
            .iter()
            .any(|(transpose, general)| *transpose && (1..9).contains(general))
    );
}

#[test]
fn a_token_has_the_same_bits_in_any_company() {
    let cases = catalogue();
    let chosen: Vec<&dyn Case> = cases
        .iter()
        .map(AsRef::as_ref)
        .filter(|case| case.name().ends_with("/batches") && !case.name().contains("long"))
        .collect();
    assert!(chosen.len() >= 10, "{} cases", chosen.len());
    chosen.par_iter().for_each(|case| {
        let by_token = match case.op() {
            "gather_qmm_swiglu" => &["x", "rhs_indices"][..],
            _ => &["h", "rhs_indices", "weights"],
        };
        let inputs = case.inputs(SEED);
        let expected = case.expected(&inputs);
        let run = |tokens: Option<usize>| {
            let mut inputs = inputs.clone();
            let mut shape = expected.shape.clone();
            if let Some(token) = tokens {
                shape[0] = 1;
                for name in by_token {
                    let taken = inputs[*name].take(&[token]);
                    inputs.insert(name, taken);
                }
            }
            let form = (expected.float, &shape[..]);
            let evaluation = evaluation(*case, &inputs, form, &own_storage(&case.call())).unwrap();
            let kernel = evaluation.kernel(Build::Plain, Numerics::default());
            let outcome = evaluation.launch(&kernel).run().unwrap();
            evaluation.result(outcome).unwrap().bytes
        };
        let together = run(None);
        let alone: Vec<u8> = (0..3).flat_map(|token| run(Some(token))).collect();
        assert!(together.starts_with(&alone), "{}", case.name());
    });
}
