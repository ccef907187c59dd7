//! The gate, proven: faults that a kernel might have, made on purpose, must be rejected, and
//! the same kernel without a fault must pass. A small float32 kernel stands in for the fork's;
//! faults in what it reads are made in its inputs. Tests only.

use super::arithmetic::Arithmetic;
use super::case::Case;
use super::float::{Float, pow2};
use super::judge::Judgement;
use super::ops::catalogue;
use super::quant::{Quant, Weights};
use super::tensor::{Tensor, Tensors};
use crate::device::Device;

const B4G64: Quant = Quant::Affine { bits: 4, group: 64 };
const EXACT: &str = "gather_qmm_swiglu/affine-b4-g64/bf16/exact";
const REAL: &str = "gather_qmm_swiglu/affine-b4-g64/bf16/qwen3/t1";
const REAL_F16: &str = "gather_qmm_swiglu/affine-b4-g64/f16/qwen3/t1";
const TINY: &str = "gather_qmm_swiglu/affine-b4-g64/f32/tiny";
const TINY_EXACT: &str = "gather_qmm_swiglu/affine-b4-g64/bf16/tiny/exact";
const MIXED_EXACT: &str = "gather_qmm_swiglu/affine-b4-g64/bf16/mixed/exact";
const NOT_FINITE: &str = "gather_qmm_swiglu/affine-b4-g64/bf16/not-finite/exact";
const GROUPED: &str = "gather_qmm_swiglu/affine-b4-g64/bf16/t9-grouped/exact";
const COMBINE: &str = "gather_qmm_downproj_combine/affine-b4-g64/f32/no_fma-wf32/exact/wide";
const COMBINE_BF16: &str = "gather_qmm_downproj_combine/affine-b4-g64/bf16/exact-wf32/exact";

fn case(name: &str) -> Box<dyn Case> {
    let found = catalogue().into_iter().find(|case| case.name() == name);
    found.unwrap_or_else(|| panic!("no case {name}"))
}

/// What the kernel of these tests may do wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Sums in the result's type.
    NarrowSums,
    /// Dequantized weights rounded to the result's type.
    NarrowWeights,
    /// The last elements of each row left out.
    TailDropped,
    /// sigmoid as r(1/(1+exp(−g))).
    OtherSigmoid,
    /// Rounded only at the end.
    LateRounding,
}

/// gather_qmm_swiglu as a kernel would do it, float32 from the dequantized weights.
fn swiglu(inputs: &Tensors, float: Float, fault: Fault) -> Vec<f64> {
    let x = inputs["x"].floats();
    let [gate, up] = [
        ["gate_w", "gate_scales", "gate_biases"],
        ["up_w", "up_scales", "up_biases"],
    ]
    .map(|[w, s, b]| {
        let tensors = (&inputs[w], &inputs[s], inputs.get(b));
        Weights::read(B4G64, true, float, tensors)
    });
    let k = gate.k();
    let active = inputs["rhs_indices"].shape[1];
    let mut out = Vec::new();
    for (place, expert) in inputs["rhs_indices"].integers().into_iter().enumerate() {
        let row = &x[place / active * k..(place / active + 1) * k];
        for n in 0..gate.n() {
            let g = dot(row, &gate, expert as usize, n, float, fault);
            let u = dot(row, &up, expert as usize, n, float, fault);
            out.push(gated(g, u, float, fault));
        }
    }
    out
}

fn dot(x: &[f64], w: &Weights, expert: usize, n: usize, float: Float, fault: Fault) -> f64 {
    let mut column = Vec::new();
    w.column(expert, n, &mut column);
    let used = if fault == Fault::TailDropped {
        x.len() - 8
    } else {
        x.len()
    };
    let mut sum = 0f32;
    for (x, w) in x[..used].iter().zip(&column) {
        let w = match fault {
            Fault::NarrowWeights => float.round(w.value),
            _ => w.value,
        };
        sum += *x as f32 * w as f32;
        if fault == Fault::NarrowSums {
            sum = float.round(f64::from(sum)) as f32;
        }
    }
    match fault {
        Fault::LateRounding => f64::from(sum),
        _ => float.round(f64::from(sum)),
    }
}

fn gated(g: f64, u: f64, float: Float, fault: Fault) -> f64 {
    let r = |v: f64| float.round(v);
    let s = match fault {
        Fault::LateRounding => return r(g / (1.0 + (-g).exp()) * u),
        Fault::OtherSigmoid => r(1.0 / (1.0 + (-g).exp())),
        _ => {
            let y = r(1.0 / r(1.0 + r(g.abs().exp())));
            if g < 0.0 { y } else { r(1.0 - y) }
        }
    };
    r(r(g * s) * u)
}

fn judge(case: &dyn Case, values: &[f64]) -> Judgement {
    judge_on(Arithmetic::CPU, case, values)
}

fn judge_on(arithmetic: Arithmetic, case: &dyn Case, values: &[f64]) -> Judgement {
    let expected = case.expected_on(arithmetic, &case.inputs(1));
    let result = Tensor::of_floats(expected.float, &expected.shape, values);
    expected.judge(&result).unwrap()
}

/// What a perfect kernel computes from inputs that a fault has changed.
fn from_other_inputs(name: &str, change: impl FnOnce(&mut Tensors)) -> Judgement {
    let case = case(name);
    let mut inputs = case.inputs(1);
    let before = inputs.clone();
    change(&mut inputs);
    assert_ne!(inputs, before, "the fault changed nothing");
    let middle = case.expected(&inputs);
    let values: Vec<f64> = middle.admissible.iter().map(|(low, _)| *low).collect();
    judge(case.as_ref(), &values)
}

#[test]
fn a_right_kernel_passes() {
    for (name, float) in [
        (EXACT, Float::Bf16),
        (REAL, Float::Bf16),
        (REAL_F16, Float::F16),
    ] {
        let case = case(name);
        let values = swiglu(&case.inputs(1), float, Fault::None);
        let judged = judge(case.as_ref(), &values);
        assert_eq!(judged.wrong, 0, "{name}: {judged:?}");
    }
}

#[test]
fn faults_of_arithmetic_are_rejected_where_values_are_exact() {
    let case = case(EXACT);
    for fault in [
        Fault::NarrowSums,
        Fault::NarrowWeights,
        Fault::TailDropped,
        Fault::OtherSigmoid,
        Fault::LateRounding,
    ] {
        let values = swiglu(&case.inputs(1), Float::Bf16, fault);
        assert!(judge(case.as_ref(), &values).wrong > 0, "{fault:?}");
    }
}

#[test]
fn narrow_sums_are_rejected_at_a_models_size_too() {
    for (name, float) in [(REAL, Float::Bf16), (REAL_F16, Float::F16)] {
        let case = case(name);
        let values = swiglu(&case.inputs(1), float, Fault::NarrowSums);
        let judged = judge(case.as_ref(), &values);
        assert!(judged.wrong > 0, "{name}: {judged:?}");
    }
}

#[test]
fn one_wrong_element_is_rejected_and_named() {
    for name in [EXACT, REAL] {
        let case = case(name);
        let expected = case.expected(&case.inputs(1));
        let mut values: Vec<f64> = expected.admissible.iter().map(|(low, _)| *low).collect();
        assert_eq!(judge(case.as_ref(), &values).wrong, 0);
        values[11] = expected.float.above(expected.admissible[11].1);
        let judged = judge(case.as_ref(), &values);
        assert_eq!(judged.wrong, 1);
        assert!(judged.worst.unwrap().contains("0, 11]"));
    }
}

#[test]
fn faults_of_reading_are_rejected() {
    let swapped = from_other_inputs(EXACT, |inputs| {
        for byte in &mut inputs.get_mut("gate_w").unwrap().bytes {
            *byte = byte.rotate_left(4);
        }
    });
    let groups = from_other_inputs(EXACT, |inputs| {
        inputs.get_mut("up_scales").unwrap().bytes.rotate_left(2);
    });
    let bias = from_other_inputs(EXACT, |inputs| {
        inputs.get_mut("gate_biases").unwrap().bytes.fill(0);
    });
    let expert = from_other_inputs(EXACT, |inputs| {
        let indices = inputs.get_mut("rhs_indices").unwrap();
        indices.bytes[0] = (indices.bytes[0] + 1) % 5;
    });
    let exchanged = from_other_inputs(EXACT, |inputs| {
        for (gate, up) in [
            ("gate_w", "up_w"),
            ("gate_scales", "up_scales"),
            ("gate_biases", "up_biases"),
        ] {
            let one = inputs[gate].clone();
            let other = inputs.insert(up, one).unwrap();
            inputs.insert(gate, other);
        }
    });
    let row = from_other_inputs(EXACT, |inputs| {
        let x = inputs.get_mut("x").unwrap();
        let row = x.bytes.len() / 3;
        x.bytes.rotate_left(row);
    });
    for (what, judged) in [
        ("nibble order", swapped),
        ("group off by one", groups),
        ("bias lost", bias),
        ("wrong expert", expert),
        ("gate and up exchanged", exchanged),
        ("wrong row", row),
    ] {
        assert!(judged.wrong > 0, "{what}");
    }
}

/// Changes each activation.
fn each_x(inputs: &mut Tensors, mut change: impl FnMut(usize, f64) -> f64) {
    let x = inputs.get_mut("x").unwrap();
    let float = x.dtype.float().unwrap();
    let values: Vec<f64> = x
        .floats()
        .into_iter()
        .enumerate()
        .map(|(place, v)| float.round(change(place, v)))
        .collect();
    *x = Tensor::of_floats(float, &x.shape, &values);
}

#[test]
fn bits_that_are_lost_below_the_normal_range_are_rejected() {
    for name in [TINY, TINY_EXACT] {
        // The values of the highest nibbles but one, scaled as a mask in place asks for.
        let scaled = from_other_inputs(name, |inputs| {
            each_x(inputs, |place, v| match place % 8 {
                6 => Float::F32.round(v * pow2(-24)) * pow2(24),
                _ => v,
            });
        });
        assert!(scaled.wrong > 0, "{name}");
    }
    let flushed = from_other_inputs(TINY_EXACT, |inputs| {
        each_x(inputs, |_, v| if v.abs() < pow2(-126) { 0.0 } else { v });
    });
    assert!(flushed.wrong > 0);
}

/// What a perfect kernel makes of activations of which subnormal ones are taken for 0.
fn with_flushed_activations(case: &dyn Case) -> Vec<f64> {
    let mut inputs = case.inputs(1);
    each_x(
        &mut inputs,
        |_, v| if v.abs() < pow2(-126) { 0.0 } else { v },
    );
    let middle = case.expected(&inputs);
    middle.admissible.iter().map(|(low, _)| *low).collect()
}

#[test]
fn a_gpu_may_take_subnormal_numbers_for_zero_and_nothing_else() {
    for name in [TINY_EXACT, MIXED_EXACT] {
        let case = case(name);
        let mut values = with_flushed_activations(case.as_ref());
        assert!(judge(case.as_ref(), &values).wrong > 0, "{name}");
        let judged = judge_on(Arithmetic::GPU, case.as_ref(), &values);
        assert_eq!(judged.wrong, 0, "{name}: {:?}", judged.worst);
        values.iter_mut().for_each(|v| *v += 1e3);
        let judged = judge_on(Arithmetic::GPU, case.as_ref(), &values);
        assert_eq!(judged.wrong, judged.elements, "{name}");
    }
    // Rows without subnormal numbers are as sharp as ever, beside such rows too.
    let case = case(MIXED_EXACT);
    let flushing = Arithmetic {
        flushes: true,
        ..Arithmetic::CPU
    };
    let [cpu, gpu] = [Arithmetic::CPU, flushing]
        .map(|arithmetic| case.expected_on(arithmetic, &case.inputs(1)).admissible);
    let token = gpu.len() / 7;
    for usual in [0, 2, 3, 5, 6] {
        let places = usual * token..(usual + 1) * token;
        assert_eq!(gpu[places.clone()], cpu[places]);
    }
}

#[test]
fn stocks_tiles_may_round_weights_and_nothing_else() {
    let tiles = Arithmetic::of(Device::Gpu, Some("composition"));
    let case = case(EXACT);
    for (fault, passes) in [
        (Fault::None, true),
        (Fault::NarrowWeights, true),
        (Fault::TailDropped, false),
    ] {
        let values = swiglu(&case.inputs(1), Float::Bf16, fault);
        let judged = judge_on(tiles, case.as_ref(), &values);
        assert_eq!(judged.wrong == 0, passes, "{fault:?}: {judged:?}");
    }
}

#[test]
fn a_row_that_is_not_finite_must_be_so_alone() {
    let tamed = from_other_inputs(NOT_FINITE, |inputs| {
        each_x(inputs, |_, v| if v.is_finite() { v } else { 0.0 });
    });
    let leaked = from_other_inputs(NOT_FINITE, |inputs| {
        let row = inputs["x"].len() / 7;
        each_x(
            inputs,
            |place, v| if place == 5 * row { f64::NAN } else { v },
        );
    });
    for judged in [tamed, leaked] {
        assert!(judged.wrong > 0 && judged.part_of_bound.is_infinite());
    }
}

#[test]
fn a_token_in_the_place_of_another_of_its_group_is_rejected() {
    let exchanged = from_other_inputs(GROUPED, |inputs| {
        let x = inputs["x"].take(&[0, 1, 2, 3, 5, 4, 6, 7, 8]);
        inputs.insert("x", x);
    });
    assert!(exchanged.wrong > 0);
}

#[test]
fn an_index_that_wraps_around_or_is_cut_to_32_bits_is_rejected() {
    for dtype in ["i64", "u64", "i32"] {
        let name = format!("gather_qmm_swiglu/affine-b4-g64/bf16/exact/wild-{dtype}");
        let judged = from_other_inputs(&name, |inputs| {
            let indices = inputs.get_mut("rhs_indices").unwrap();
            let wrapped: Vec<i128> = indices.integers().iter().map(|i| i.rem_euclid(5)).collect();
            *indices = Tensor::of_integers(indices.dtype, &indices.shape, &wrapped);
        });
        assert!(
            judged.wrong > 0 && judged.part_of_bound.is_infinite(),
            "{dtype}"
        );
    }
}

/// The products of a combine case, exact, and the case's weights.
fn products(inputs: &Tensors) -> (Vec<f64>, Vec<f64>, usize, usize) {
    let tensors = (&inputs["w"], &inputs["scales"], inputs.get("biases"));
    let weights = Weights::read(B4G64, true, Float::F32, tensors);
    let h = inputs["h"].floats();
    let pairs: Vec<_> = inputs["rhs_indices"]
        .integers()
        .iter()
        .enumerate()
        .map(|(row, expert)| Some((row, *expert as usize)))
        .collect();
    let float = inputs["h"].dtype.float().unwrap();
    let dots = super::dot::dots(&h, &weights, &pairs, (float, true), Arithmetic::CPU);
    let p = dots.iter().map(|dot| dot.low).collect();
    let active = *inputs["weights"].shape.last().unwrap();
    (p, inputs["weights"].floats(), active, weights.n())
}

fn combined(name: &str, step: impl Fn(f64, f64, f64) -> f64, backwards: bool) -> Judgement {
    let case = case(name);
    let inputs = case.inputs(1);
    let (p, w, active, n) = products(&inputs);
    let float = case.expected(&inputs).float;
    let mut values = Vec::new();
    for token in 0..w.len() / active {
        for column in 0..n {
            let mut order: Vec<usize> = (0..active).collect();
            if backwards {
                order.reverse();
            }
            let sum = order.into_iter().fold(0.0, |sum, j| {
                let row = token * active + j;
                step(sum, p[row * n + column], w[row])
            });
            values.push(float.round(sum));
        }
    }
    judge(case.as_ref(), &values)
}

#[test]
fn contraction_is_rejected_where_it_is_forbidden() {
    let apart = |sum: f64, p: f64, w: f64| f64::from(sum as f32 + p as f32 * w as f32);
    let fused = |sum: f64, p: f64, w: f64| f64::from((p as f32).mul_add(w as f32, sum as f32));
    assert_eq!(combined(COMBINE, apart, false).wrong, 0);
    assert!(combined(COMBINE, fused, false).wrong > 100);
    assert!(
        combined(COMBINE, apart, true).wrong > 100,
        "order of experts"
    );
}

#[test]
fn steps_that_are_not_rounded_are_rejected_in_exact() {
    let r = |v| Float::Bf16.round(v);
    let right = |sum: f64, p: f64, w: f64| r(sum + r(p * r(w)));
    assert_eq!(combined(COMBINE_BF16, right, false).wrong, 0);
    assert!(combined(COMBINE_BF16, |sum, p, w| r(sum + r(p * w)), false).wrong > 0);
    assert!(combined(COMBINE_BF16, |sum, p, w| r(sum + p * r(w)), false).wrong > 0);
    assert!(combined(COMBINE_BF16, |sum, p, w| sum + p * w, false).wrong > 0);
}
