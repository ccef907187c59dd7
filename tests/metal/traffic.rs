//! What a token costs: the launch and the bytes of the shapes that the primitives are for.

use mlx_fork::emulator::{Build, Numerics, Report};
use mlx_fork::parity::ops::catalogue;

use crate::primitive::{Evaluation, evaluation, own_storage};

fn decode(name: &str) -> (Evaluation, Report) {
    let case = catalogue().into_iter().find(|case| case.name() == name);
    let case = case.unwrap_or_else(|| panic!("there is no case {name}"));
    let inputs = case.inputs(1);
    let expected = case.expected(&inputs);
    let form = (expected.float, &expected.shape[..]);
    let evaluation = evaluation(case.as_ref(), &inputs, form, &own_storage(&case.call())).unwrap();
    let kernel = evaluation.kernel(Build::Checked, Numerics::default());
    let outcome = evaluation.launch(&kernel).coalescing(64).run().unwrap();
    assert!(
        outcome.report.faults.is_empty(),
        "{:?}",
        outcome.report.faults[0].to_string()
    );
    (evaluation, outcome.report)
}

/// Bytes of the matrices of the experts that a token has, each counted once.
fn fewest(evaluation: &Evaluation) -> u64 {
    let integers = |name: &str| {
        let (_, array) = evaluation
            .inputs
            .iter()
            .find(|(own, _)| *own == name)
            .unwrap();
        let values: Vec<u32> = array
            .bytes
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        values
    };
    let experts = integers("rhs_indices").len() as u64;
    let weights = evaluation.inputs.iter().filter(|(name, _)| is_matrix(name));
    weights
        .map(|(_, array)| array.bytes.len() as u64 / array.shape[0] as u64 * experts)
        .sum()
}

fn is_matrix(name: &str) -> bool {
    name.ends_with("w") || name.ends_with("scales") || name.ends_with("biases")
}

#[test]
fn a_token_of_qwen3_reads_each_byte_of_its_experts_once() {
    for op in ["gather_qmm_swiglu", "gather_qmm_downproj_combine"] {
        let (evaluation, report) = decode(&format!("{op}/affine-b4-g64/bf16/qwen3/t1"));
        let counts = &report.counts;
        let read: u64 = counts
            .buffers
            .iter()
            .filter(|buffer| is_matrix(&buffer.name))
            .map(|buffer| buffer.read)
            .sum();
        let fewest = fewest(&evaluation);
        let ratio = read as f64 / fewest as f64;
        let x = counts
            .buffers
            .iter()
            .find(|b| b.name == "x" || b.name == "h")
            .unwrap();
        println!(
            "{op}: {} threadgroups of {} threads; {read} of {fewest} bytes of matrices \
             ({ratio:.4}); {} bytes of {}, {} different ones",
            report.threadgroups, evaluation.encoded.threads, x.read, x.name, x.distinct_read
        );
        assert!(evaluation.encoded.fast);
        assert!((1.0..1.02).contains(&ratio), "{op}: {ratio}");
        assert!(report.threadgroups >= 500, "{op}: {}", report.threadgroups);
    }
}

#[test]
fn a_simd_group_loads_weights_that_lie_together() {
    for op in ["gather_qmm_swiglu", "gather_qmm_downproj_combine"] {
        let (_, report) = decode(&format!("{op}/affine-b4-g64/bf16/qwen3/t1"));
        let loads = report
            .loads
            .iter()
            .filter(|load| load.buffer.ends_with('w'));
        let (mut lines, mut bytes) = (0, 0);
        for load in loads {
            lines += load.lines_128;
            bytes += load.distinct_bytes;
        }
        println!("{op}: {bytes} bytes of weights in {lines} lines of 128");
        assert!(bytes > 0);
        // Whole lines, but for where an odd row ends.
        assert!(
            lines * 128 <= bytes * 11 / 10,
            "{op}: {lines} lines for {bytes} bytes"
        );
    }
}
