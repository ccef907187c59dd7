//! Our kernels, broken in small ways: parity's oracle, or a fault, shows each change.

use std::path::Path;

use mlx_fork::emulator::{Emulator, Outcome};
use mlx_fork::parity::case::Case;
use mlx_fork::parity::ops::catalogue;

use crate::host;
use crate::primitive::{evaluation, own_storage};

#[path = "../common/broken_kernels.rs"]
mod broken_kernels;

use broken_kernels::{Book, Scenario};

/// Changes of each kernel.
const COUNT: usize = 6;
const SEED: u64 = 1;

/// Proves a case's kernel.
fn prove(
    name: &'static str,
    file: &'static str,
    changed: &'static [(&'static str, &'static [&'static str])],
) {
    let cases = catalogue();
    let case: &dyn Case = cases
        .iter()
        .find(|case| case.name() == name)
        .unwrap_or_else(|| panic!("there is no case {name}"))
        .as_ref();
    let inputs = case.inputs(1);
    let expected = case.expected(&inputs);
    let form = (expected.float, &expected.shape[..]);
    let evaluation = evaluation(case, &inputs, form, &own_storage(&case.call())).unwrap();
    let judge = |outcome: &Outcome| {
        let judgement = match evaluation.result(outcome.clone()) {
            Ok(tensor) => expected.judge(&tensor),
            Err(why) => Err(why),
        };
        match judgement {
            Ok(judgement) if judgement.wrong == 0 => None,
            Ok(judgement) => judgement.worst,
            Err(why) => Some(why),
        }
    };
    let scenario = Scenario {
        name,
        file,
        kernel: evaluation.encoded.kernel.clone(),
        changed,
        launch: Box::new(|kernel| evaluation.launch(kernel)),
        judge: Box::new(judge),
    };
    let layout = host::layout();
    let emulator = |folder: &Path| {
        let emulator = Emulator::new(&layout).unwrap();
        emulator.include(host::overlay()).include(folder)
    };
    let book = Book::page(include_str!("broken.toml"), name);
    let tree = host::overlay();
    let table = broken_kernels::prove(&scenario, (tree, &emulator), (COUNT, SEED), &book);
    println!("{table}");
}

const SWIGLU: &str = "mlx/backend/metal/kernels/gather_qmm_swiglu.metal";
const COMBINE: &str = "mlx/backend/metal/kernels/gather_qmm_downproj_combine.metal";

#[test]
fn a_broken_swiglu_of_rows_shows() {
    prove(
        "gather_qmm_swiglu/affine-b4-g64/bf16/exact/wild-i64",
        SWIGLU,
        &[
            (
                "mlx/backend/metal/kernels/fused/gather_qmm_swiglu.h",
                &["find_operands", "gather_qmm_swiglu_rows"],
            ),
            (
                "mlx/backend/metal/kernels/fused/operands.h",
                &["locate", "read_index", "select"],
            ),
        ],
    );
}

#[test]
fn a_broken_dot_of_rows_shows() {
    prove(
        "gather_qmm_swiglu/affine-b4-g64/bf16/n2-k1472/exact",
        SWIGLU,
        &[(
            "mlx/backend/metal/kernels/fused/dots.h",
            &["total_of_row", "first_row", "add_rows"],
        )],
    );
}

#[test]
fn a_broken_format_shows() {
    prove(
        "gather_qmm_swiglu/mxfp8/f16",
        SWIGLU,
        &[(
            "mlx/backend/metal/kernels/fused/format.h",
            &["e4m3", "decode", "scale_at", "codes", "load"],
        )],
    );
}

#[test]
fn a_broken_elementwise_chain_shows() {
    prove(
        "gather_qmm_swiglu/affine-b5-g32/f16/n7-k96/exact",
        SWIGLU,
        &[(
            "mlx/backend/metal/kernels/fused/elementwise.h",
            &["round_to", "silu", "gate"],
        )],
    );
}

#[test]
fn a_broken_swiglu_of_columns_shows() {
    prove(
        "gather_qmm_swiglu/affine-b3-g64/f32/untransposed",
        SWIGLU,
        &[
            (
                "mlx/backend/metal/kernels/fused/gather_qmm_swiglu.h",
                &["gather_qmm_swiglu_columns"],
            ),
            (
                "mlx/backend/metal/kernels/fused/dots.h",
                &["add_columns", "total_of_column"],
            ),
        ],
    );
}

#[test]
fn a_broken_combine_of_rows_shows() {
    prove(
        "gather_qmm_downproj_combine/affine-b4-g64/f32/n130-k64-a9/exact",
        COMBINE,
        &[(
            "mlx/backend/metal/kernels/fused/gather_qmm_downproj_combine.h",
            &["gather_qmm_downproj_combine_rows", "weight_at", "store"],
        )],
    );
}

#[test]
fn a_broken_combine_of_columns_shows() {
    prove(
        "gather_qmm_downproj_combine/affine-b2-g32/f16/untransposed",
        COMBINE,
        &[(
            "mlx/backend/metal/kernels/fused/gather_qmm_downproj_combine.h",
            &["find_operands", "gather_qmm_downproj_combine_columns"],
        )],
    );
}
