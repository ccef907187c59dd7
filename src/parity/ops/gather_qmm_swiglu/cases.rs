//! The catalogue of gather_qmm_swiglu's cases.

use super::super::places::IndexSpec;
use super::super::product::Build;
use super::super::shapes::{B4G64, FLOATS, INDEX_TYPES, MODELS, Storage};
use super::super::tables::shared;
use super::Swiglu;
use crate::parity::case::Case;
use crate::parity::chain::Activation;
use crate::parity::float::Float;
use crate::parity::indices::Indices;
use crate::parity::inputs::Values;
use crate::parity::quant::Quant;
use crate::parity::tensor::Dtype;
use crate::parity::twist::Twist;

pub fn cases() -> Vec<Box<dyn Case>> {
    let mut all = shared(Swiglu::base);
    // Its scales have no room to make up for the activations: the products of such dots are all
    // 0 or infinite.
    let ends = [Twist::Tiny, Twist::Huge];
    all.retain(|case| !(case.product.quant == Quant::Nvfp4 && ends.contains(&case.product.twist)));
    all.extend(activation_cases());
    all.extend(sizes());
    all.extend(index_cases());
    all.extend(prompts());
    all.extend(layouts());
    all.extend(models());
    all.into_iter()
        .map(|case| Box::new(case) as Box<dyn Case>)
        .collect()
}

/// Both activations, where they bend and where they saturate.
fn activation_cases() -> Vec<Swiglu> {
    let mut all = Vec::new();
    for float in FLOATS {
        for activation in [Activation::Silu, Activation::GeluApprox] {
            for values in [Values::Real, Values::Dyadic, Values::Large] {
                if activation == Activation::Silu && values != Values::Large {
                    continue;
                }
                for quant in [B4G64, Quant::Mxfp4] {
                    let case = Swiglu::base(quant, float)
                        .with(|case| case.activation = activation)
                        .named(activation.name())
                        .values(values);
                    all.push(case.smoke_if(quant == B4G64 && values.dyadic()));
                }
            }
        }
    }
    all
}

/// Lengths of the dot that nothing divides: untransposed, K may be anything.
fn sizes() -> Vec<Swiglu> {
    let mut all = Vec::new();
    for k in [1, 3, 17, 129] {
        let case = Swiglu::base(B4G64, Float::F32)
            .untransposed()
            .sized(64, k)
            .named(&format!("k{k}"));
        all.push(case.values(Values::Dyadic));
    }
    all
}

/// Index types, both sides, broadcasting, batches, and indices that point nowhere.
fn index_cases() -> Vec<Swiglu> {
    let mut all = Vec::new();
    let base = || Swiglu::base(B4G64, Float::Bf16).values(Values::Dyadic);
    for dtype in INDEX_TYPES {
        for kind in [Indices::Valid, Indices::Wild] {
            let spec = IndexSpec::valid(dtype, &[3, 2]).with(kind);
            let word = if kind == Indices::Wild {
                "wild"
            } else {
                "index"
            };
            let wild = kind == Indices::Wild;
            all.push(
                base()
                    .with(|case| case.rhs = Some(spec.clone()))
                    .named(&format!("{word}-{}", dtype.name()))
                    .smoke_if(wild && matches!(dtype, Dtype::U32 | Dtype::I32 | Dtype::I64)),
            );
            all.push(
                base()
                    .with(|case| {
                        case.rows = vec![4, 3];
                        (case.lhs, case.rhs) = (Some(spec), Some(IndexSpec::valid(dtype, &[2])));
                    })
                    .named(&format!("lhs-{word}-{}", dtype.name()))
                    .smoke_if(wild && dtype == Dtype::I32),
            );
        }
    }
    for float in FLOATS {
        let base = |word: &str| {
            Swiglu::base(B4G64, float)
                .values(Values::Dyadic)
                .named(word)
        };
        all.push(base("no-indices").with(|case| {
            (case.rhs, case.rows, case.experts) = (None, vec![2, 3], Vec::new());
        }));
        all.push(base("no-indices-batched").with(|case| {
            (case.rhs, case.rows, case.experts) = (None, vec![5, 2], vec![5]);
        }));
        all.push(base("lhs-only").with(|case| {
            (case.rows, case.rhs) = (vec![4, 1], None);
            case.lhs = Some(IndexSpec::valid(Dtype::U32, &[2, 1]));
        }));
        all.push(base("m3").with(|case| case.rows = vec![3, 1, 3]));
        all.push(base("outer-batches").with(|case| {
            (case.rows, case.experts) = (vec![2, 3, 2], vec![2, 3]);
            case.lhs = Some(IndexSpec::valid(Dtype::I64, &[4, 1]));
            case.rhs = Some(IndexSpec::valid(Dtype::I64, &[3]));
        }));
        all.push(base("sorted").with(|case| {
            (case.rows, case.sorted) = (vec![12, 1], true);
            case.rhs = Some(IndexSpec::valid(Dtype::U32, &[12]).with(Indices::Sorted));
        }));
        all.push(base("empty").with(|case| {
            case.rows = vec![0, 1, 1];
            case.rhs = Some(IndexSpec::valid(Dtype::U32, &[0, 2]));
        }));
    }
    all
}

/// What stock's tiles are for on a GPU, which leaves it to them: many rows for a matrix, and
/// pairs of a token and an expert that are sorted by expert.
fn prompts() -> Vec<Swiglu> {
    let mut all = Vec::new();
    for quant in [B4G64, Quant::Affine { bits: 8, group: 32 }, Quant::Mxfp4] {
        for float in FLOATS {
            for values in [Values::Real, Values::Dyadic] {
                let base = || Swiglu::base(quant, float).sized(64, 128);
                let rows = base()
                    .with(|case| case.rows = vec![3, 1, 12])
                    .named("m12")
                    .values(values);
                let sorted = base()
                    .with(|case| {
                        (case.rows, case.experts, case.sorted) = (vec![64, 1], vec![8], true);
                        case.rhs = Some(IndexSpec::valid(Dtype::U32, &[64]).with(Indices::Sorted));
                    })
                    .named("p64-sorted")
                    .values(values);
                all.extend([rows, sorted]);
            }
        }
    }
    all
}

/// Other storage than row-major, and types that are promoted.
fn layouts() -> Vec<Swiglu> {
    let mut all = Vec::new();
    for float in FLOATS {
        let case = Swiglu::base(B4G64, float)
            .with(|case| {
                (case.rows, case.product.storage) = (vec![3, 1, 4], Storage::Swapped);
            })
            .values(Values::Dyadic)
            .named("strided");
        all.push(case.smoke_if(float == Float::F16));
    }
    let pairs = [
        (Float::F16, Float::F32),
        (Float::F32, Float::Bf16),
        (Float::F16, Float::Bf16),
    ];
    for (x, scales) in pairs {
        let case = Swiglu::base(B4G64, x)
            .with(|case| case.product.scales = scales)
            .named(&format!("scales-{}", scales.name()));
        all.push(case.values(Values::Dyadic));
    }
    all
}

/// The layers that the op is for.
fn models() -> Vec<Swiglu> {
    let mut all = Vec::new();
    for model in MODELS {
        for float in model.floats {
            let layer = |tokens| {
                Swiglu::base(model.quant, *float)
                    .tokens(tokens, model.active, model.experts, Indices::Valid)
                    .sized(model.expert, model.hidden)
                    .named(&format!("{}/t{tokens}", model.name))
            };
            let first = model.name == "qwen3" && *float == Float::Bf16;
            let case = layer(1);
            all.push(case.clone().values(Values::Dyadic).smoke_if(first));
            all.push(case.smoke_if(first));
            for tokens in model.batches(*float) {
                all.push(layer(*tokens));
            }
        }
    }
    // A prompt: tokens sorted by expert, as mlx-lm passes them.
    let prompt = Swiglu::base(B4G64, Float::F32)
        .named("qwen3/t8-sorted")
        .with(|case| {
            (case.rows, case.experts, case.sorted) = (vec![64, 1], vec![16], true);
            case.rhs = Some(IndexSpec::valid(Dtype::U32, &[64]).with(Indices::Sorted));
        })
        .sized(768, 2048);
    all.push(prompt);
    all
}
