//! Kernels looked at access by access, over all that a GPU and a compiler may choose: no fault,
//! the same bits each time, and indices that point nowhere read nothing.

use mlx_fork::emulator::Check;
use mlx_fork::parity::case::Case;
use mlx_fork::parity::ops::catalogue;

use crate::primitive::{evaluation, own_storage, program};

/// One case for each way through the kernels: formats whose chunks differ, both orientations,
/// tails of rows, lanes and experts, indices that point nowhere.
const CASES: [&str; 14] = [
    "gather_qmm_swiglu/affine-b4-g64/bf16/n2-k1472/exact",
    "gather_qmm_swiglu/affine-b3-g32/f32/exact",
    "gather_qmm_swiglu/affine-b5-g32/f16/n7-k96/exact",
    "gather_qmm_swiglu/affine-b6-g64/bf16",
    "gather_qmm_swiglu/affine-b8-g128/f32",
    "gather_qmm_swiglu/mxfp8/f16",
    "gather_qmm_swiglu/affine-b4-g64/f16/exact/strided",
    "gather_qmm_swiglu/affine-b3-g64/f32/untransposed",
    "gather_qmm_swiglu/affine-b4-g64/bf16/exact/wild-i64",
    "gather_qmm_downproj_combine/affine-b4-g64/bf16/n2-k1472/exact",
    "gather_qmm_downproj_combine/nvfp4/f32",
    "gather_qmm_downproj_combine/affine-b4-g64/f32/n130-k64-a9/exact",
    "gather_qmm_downproj_combine/affine-b2-g32/f16/untransposed",
    "gather_qmm_downproj_combine/affine-b4-g64/bf16/t12-wild/exact",
];

fn case(name: &str) -> Box<dyn Case> {
    let found = catalogue().into_iter().find(|case| case.name() == name);
    found.unwrap_or_else(|| panic!("there is no case {name}"))
}

#[test]
fn every_choice_of_a_gpu_and_a_compiler_gives_the_same_bits_and_no_fault() {
    for name in CASES {
        let case = case(name);
        let inputs = case.inputs(1);
        let expected = case.expected(&inputs);
        let form = (expected.float, &expected.shape[..]);
        let storage = own_storage(&case.call());
        let evaluation = evaluation(case.as_ref(), &inputs, form, &storage).unwrap();
        let program = program(case.op());
        let check = Check::new(program, &evaluation.encoded.kernel);
        let report = check.run(|kernel| evaluation.launch(kernel)).unwrap();
        report.clean().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(report.pairs, report.pairs_in_all);
        let out = &evaluation.encoded.out;
        let first = &report.runs[0].outcome.buffers[out];
        for run in &report.runs {
            let same = run.outcome.buffers[out] == *first;
            assert!(same, "{name}: other bits with {:?}", run.choice);
        }
        let tensor = evaluation.result(report.runs[0].outcome.clone()).unwrap();
        let judgement = expected.judge(&tensor).unwrap();
        assert_eq!(judgement.wrong, 0, "{name}: {:?}", judgement.worst);
    }
}
