//! The catalogue of gather_qmm_downproj_combine's cases.

use super::super::product::Build;
use super::super::shapes::{B4G64, FLOATS, INDEX_TYPES, MODELS, Storage};
use super::super::tables::shared;
use super::Combine;
use crate::parity::case::Case;
use crate::parity::combine::Accumulate;
use crate::parity::float::Float;
use crate::parity::inputs::{Indices, Values};
use crate::parity::quant::Quant;
use crate::parity::tensor::Dtype;

pub fn cases() -> Vec<Box<dyn Case>> {
    let mut all = shared(Combine::base);
    all.extend(accumulations());
    all.extend(sizes());
    all.extend(index_cases());
    all.extend(layouts());
    all.extend(models());
    all.into_iter()
        .map(|case| Box::new(case) as Box<dyn Case>)
        .collect()
}

/// Every way of accumulating, with weights of the result's type and of float32: where the
/// products are exact, all of them but `native` are known to the bit.
fn accumulations() -> Vec<Combine> {
    let mut all = Vec::new();
    for float in FLOATS {
        for accumulate in Accumulate::ALL {
            for weights in [float, Float::F32] {
                if weights == float && float == Float::F32 {
                    continue;
                }
                for values in [Values::Real, Values::Dyadic] {
                    let case = Combine::base(B4G64, float)
                        .with(|case| case.tokens = vec![4, 8])
                        .accumulate(accumulate, weights)
                        .values(values);
                    all.push(case.smoke_if(values.dyadic()));
                }
            }
        }
    }
    // float32 throughout, where contraction changes bits most often.
    for accumulate in Accumulate::ALL {
        let case = Combine::base(B4G64, Float::F32)
            .with(|case| (case.tokens, case.product.n) = (vec![4, 8], 513))
            .accumulate(accumulate, Float::F32)
            .values(Values::Dyadic);
        all.push(case.named("wide").smoke_if(true));
    }
    all
}

/// Sizes that no vector width divides; one expert, many experts.
fn sizes() -> Vec<Combine> {
    let mut all = Vec::new();
    for (n, groups, active) in [
        (1, 1, 1),
        (2, 1, 2),
        (7, 2, 3),
        (33, 5, 4),
        (130, 1, 9),
        (513, 9, 2),
    ] {
        for float in FLOATS {
            for quant in [B4G64, Quant::Affine { bits: 5, group: 32 }, Quant::Nvfp4] {
                let k = groups * quant.group();
                let case = Combine::base(quant, float)
                    .with(|case| case.tokens = vec![2, active])
                    .sized(n, k)
                    .named(&format!("n{n}-k{k}-a{active}"))
                    .values(Values::Dyadic);
                all.push(case.smoke_if(n == 7 && quant == B4G64));
            }
        }
    }
    for k in [1, 3, 17, 129] {
        let case = Combine::base(B4G64, Float::F32)
            .untransposed()
            .sized(64, k)
            .named(&format!("k{k}"));
        all.push(case.values(Values::Dyadic));
    }
    all
}

/// Index types, batches, and indices that point nowhere.
fn index_cases() -> Vec<Combine> {
    let mut all = Vec::new();
    for dtype in INDEX_TYPES {
        for (kind, word) in [(Indices::Valid, "index"), (Indices::Wild, "wild")] {
            let case = Combine::base(B4G64, Float::Bf16)
                .values(Values::Dyadic)
                .with(|case| {
                    (case.index, case.kind, case.tokens) = (dtype, kind, vec![8, 2]);
                })
                .named(&format!("{word}-{}", dtype.name()));
            let common = matches!(dtype, Dtype::U32 | Dtype::I32 | Dtype::I64);
            all.push(case.smoke_if(kind == Indices::Wild && common));
        }
    }
    for float in FLOATS {
        for accumulate in Accumulate::ALL {
            let case = Combine::base(B4G64, float)
                .values(Values::Dyadic)
                .accumulate(accumulate, float)
                .with(|case| (case.kind, case.tokens) = (Indices::Wild, vec![8, 2]))
                .named("wild");
            // Stock's composition answers for its own indices.
            if accumulate != Accumulate::Native {
                all.push(case);
            }
        }
        let base = |word: &str| {
            Combine::base(B4G64, float)
                .values(Values::Dyadic)
                .named(word)
        };
        all.push(base("one-token").with(|case| case.tokens = vec![4]));
        all.push(base("outer-batches").with(|case| case.tokens = vec![2, 3, 2]));
        all.push(base("empty").with(|case| case.tokens = vec![0, 2]));
    }
    all
}

/// Other storage than row-major, and types that are promoted.
fn layouts() -> Vec<Combine> {
    let mut all = Vec::new();
    for float in FLOATS {
        let case = Combine::base(B4G64, float)
            .with(|case| case.product.storage = Storage::Swapped)
            .values(Values::Dyadic)
            .named("strided");
        all.push(case.smoke_if(float == Float::F16));
    }
    let pairs = [
        (Float::F16, Float::F32),
        (Float::F32, Float::Bf16),
        (Float::F16, Float::Bf16),
    ];
    for (h, scales) in pairs {
        let case = Combine::base(B4G64, h)
            .with(|case| (case.product.scales, case.weights) = (scales, Float::F32))
            .named(&format!("scales-{}", scales.name()));
        all.push(case.values(Values::Dyadic));
    }
    all
}

/// The layers that the op is for.
fn models() -> Vec<Combine> {
    let mut all = Vec::new();
    for model in MODELS {
        for float in model.floats {
            let layer = |tokens| {
                Combine::base(model.quant, *float)
                    .tokens(tokens, model.active, model.experts, Indices::Valid)
                    .sized(model.hidden, model.expert)
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
    all
}
