//! Stock's Metal kernels, run by the same emulator on the same inputs: how far both are from
//! float64, and what both read.

use mlx_fork::emulator::{Build, Data, Launch, Numerics};
use mlx_fork::parity::ops::catalogue;

use crate::primitive::{emulator, evaluation, own_storage};

#[test]
fn a_token_of_qwen3_is_as_near_to_the_truth_as_with_stocks_kernels() {
    let name = "gather_qmm_swiglu/affine-b4-g64/f32/qwen3/t1";
    let case = catalogue()
        .into_iter()
        .find(|case| case.name() == name)
        .unwrap();
    let inputs = case.inputs(1);
    let expected = case.expected(&inputs);
    let form = (expected.float, &expected.shape[..]);
    let ours = evaluation(case.as_ref(), &inputs, form, &own_storage(&case.call())).unwrap();
    let kernel = ours.kernel(Build::Plain, Numerics::default());
    let result = ours.result(ours.launch(&kernel).run().unwrap()).unwrap();

    let program = emulator()
        .read("mlx/backend/metal/kernels/quantized.metal")
        .unwrap();
    let stock = program
        .kernel(
            "affine_gather_qmv_fast_float_gs_64_b_4",
            Build::Plain,
            Numerics::default(),
        )
        .unwrap();
    let bytes = |name: &str| Data::untyped(inputs[name].bytes.clone());
    let (n, k, active) = (768i32, 2048i32, 8i32);
    let product = |matrix: &str| {
        let experts = inputs[format!("{matrix}_w").as_str()].shape[0] as i32;
        let part = |part: &str| bytes(&format!("{matrix}_{part}"));
        let outcome = Launch::new(&stock)
            .buffer(0, "w", part("w"))
            .buffer(1, "scales", part("scales"))
            .buffer(2, "biases", part("biases"))
            .buffer(3, "x", bytes("x"))
            .buffer(4, "lhs_indices", &vec![0u32; 8])
            .buffer(5, "rhs_indices", bytes("rhs_indices"))
            .output(6, "y", (n * active * 4) as u64)
            .value(7, "in_vec_size", k)
            .value(8, "out_vec_size", n)
            .value(9, "x_batch_ndims", 1i32)
            .bytes(10, "x_shape", [1i32, 1, k])
            .bytes(11, "x_strides", [i64::from(k), i64::from(k), 1])
            .value(12, "w_batch_ndims", 1i32)
            .bytes(13, "w_shape", [experts, n, k / 8])
            .bytes(14, "w_strides", [i64::from(n * k / 8), i64::from(k / 8), 1])
            .bytes(
                15,
                "s_strides",
                [i64::from(n * k / 64), i64::from(k / 64), 1],
            )
            .bytes(
                16,
                "b_strides",
                [i64::from(n * k / 64), i64::from(k / 64), 1],
            )
            .value(17, "batch_ndims", 1i32)
            .bytes(18, "batch_shape", [active])
            .bytes(19, "lhs_strides", [1i64])
            .bytes(20, "rhs_strides", [1i64])
            .threadgroups([1, n as u32 / 8, active as u32])
            .group([32, 2, 1])
            .run()
            .unwrap();
        assert!(
            outcome.report.faults.is_empty(),
            "{}",
            outcome.report.faults[0]
        );
        outcome.values::<f32>(6)
    };
    let (g, u) = (product("gate"), product("up"));
    let composed: Vec<f64> = g
        .iter()
        .zip(&u)
        .map(|(g, u)| {
            let y = 1.0 / (1.0 + g.abs().exp());
            let s = if *g < 0.0 { y } else { 1.0 - y };
            f64::from(g * s * u)
        })
        .collect();
    let rms = |of: &dyn Fn(usize) -> f64| {
        let count = composed.len();
        ((0..count).map(|i| of(i) * of(i)).sum::<f64>() / count as f64).sqrt()
    };
    let values = result.floats();
    let truth = &expected.truth;
    let scale = rms(&|i| truth[i]);
    let ours = rms(&|i| values[i] - truth[i]) / scale;
    let stocks = rms(&|i| composed[i] - truth[i]) / scale;
    println!("error against float64, rms of the result: ours {ours:.2e}, stock's {stocks:.2e}");
    assert!(ours < 1e-6 && stocks < 1e-6);
    assert!(ours < 1.5 * stocks);
}
