//! gather_qmm_downproj_combine: each of a token's experts' products, weighted and summed.

use mlx_fork_sys::Array;

use super::shapes::{B4G64, FLOATS, INDEX_TYPES, MODELS, Places, Storage, quants};
use crate::Result;
use crate::parity::case::{Case, Computation, Wanted};
use crate::parity::combine::{Accumulate, combine};
use crate::parity::dot::dots;
use crate::parity::engine::{Engine, Uploaded, done, quantization};
use crate::parity::float::Float;
use crate::parity::inputs::{
    Indices, Matrix, Values, activations, combine_weights, indices, quantized,
};
use crate::parity::judge::Expected;
use crate::parity::quant::{Quant, Weights};
use crate::parity::random::Stream;
use crate::parity::tensor::{Dtype, Tensors};

const OP: &str = "gather_qmm_downproj_combine";
const DOWN: [&str; 3] = ["w", "scales", "biases"];

/// One case, as its tables vary it.
#[derive(Debug, Clone)]
struct Combine {
    name: String,
    smoke: bool,
    quant: Quant,
    h: Float,
    scales: Float,
    weights: Float,
    transpose: bool,
    values: Values,
    accumulate: Accumulate,
    /// Dimensions before K: tokens and, last, the experts of a token.
    tokens: Vec<usize>,
    experts: usize,
    n: usize,
    k: usize,
    index: Dtype,
    kind: Indices,
    storage: Storage,
}

impl Combine {
    /// The case that the tables start from: 2 tokens, 3 of 5 experts each, N odd.
    fn base(quant: Quant, float: Float) -> Self {
        Combine {
            name: format!("{OP}/{}/{}", quant.name(), float.name()),
            smoke: false,
            quant,
            h: float,
            scales: float,
            weights: float,
            transpose: true,
            values: Values::Real,
            accumulate: Accumulate::Exact,
            tokens: vec![2, 3],
            experts: 5,
            n: 37,
            k: 3 * quant.group(),
            index: Dtype::U32,
            kind: Indices::Valid,
            storage: Storage::Rows,
        }
    }

    fn untransposed(mut self) -> Self {
        self.transpose = false;
        (self.n, self.k) = (2 * self.quant.group(), 75);
        self.named("untransposed")
    }

    fn values(mut self, values: Values) -> Self {
        self.values = values;
        if values.dyadic() {
            self.named("exact")
        } else {
            self
        }
    }

    fn accumulate(mut self, accumulate: Accumulate, weights: Float) -> Self {
        (self.accumulate, self.weights) = (accumulate, weights);
        self.named(&format!("{}-w{}", accumulate.name(), weights.name()))
    }

    fn named(mut self, part: &str) -> Self {
        self.name = format!("{}/{part}", self.name);
        self
    }

    fn smoke_if(mut self, smoke: bool) -> Self {
        self.smoke = smoke;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn stream(&self, seed: u64, word: &str) -> Stream {
        Stream::new(seed, &[&self.name, word])
    }

    fn float(&self) -> Float {
        if self.quant.is_affine() {
            self.h.promote(self.scales)
        } else {
            self.h
        }
    }

    fn active(&self) -> usize {
        self.tokens[self.tokens.len() - 1]
    }
}

pub(super) fn cases() -> Vec<Box<dyn Case>> {
    let mut all = formats();
    all.extend(accumulations());
    all.extend(sizes());
    all.extend(index_cases());
    all.extend(layouts());
    all.extend(models());
    all.into_iter()
        .map(|case| Box::new(case) as Box<dyn Case>)
        .collect()
}

/// Every format, type and orientation, with model-like and with exact values.
fn formats() -> Vec<Combine> {
    let mut all = Vec::new();
    for quant in quants() {
        for float in FLOATS {
            for values in [Values::Real, Values::Dyadic] {
                let base = Combine::base(quant, float);
                let smoke = values.dyadic() || quant == B4G64;
                all.push(base.clone().values(values).smoke_if(smoke));
                let smoke = values.dyadic() && float == Float::Bf16;
                all.push(base.untransposed().values(values).smoke_if(smoke));
            }
        }
    }
    all
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
            .with(|case| (case.tokens, case.n) = (vec![4, 8], 513))
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
                    .with(|case| (case.n, case.k, case.tokens) = (n, k, vec![2, active]))
                    .named(&format!("n{n}-k{k}-a{active}"))
                    .values(Values::Dyadic);
                all.push(case.smoke_if(n == 7 && quant == B4G64));
            }
        }
    }
    for k in [1, 3, 17, 129] {
        let case = Combine::base(B4G64, Float::F32)
            .untransposed()
            .with(|case| (case.n, case.k) = (64, k))
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
            .with(|case| case.storage = Storage::Swapped)
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
            .with(|case| (case.scales, case.weights) = (scales, Float::F32))
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
            let case = Combine::base(model.quant, *float).with(|case| {
                (case.tokens, case.experts) = (vec![1, model.active], model.experts);
                (case.n, case.k) = (model.hidden, model.expert);
            });
            let case = case.named(model.name).named("t1");
            let first = model.name == "qwen3" && *float == Float::Bf16;
            all.push(case.clone().values(Values::Dyadic).smoke_if(first));
            all.push(case.smoke_if(first));
        }
    }
    all
}

impl Case for Combine {
    fn op(&self) -> &'static str {
        OP
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn smoke(&self) -> bool {
        self.smoke
    }

    fn inputs(&self, seed: u64) -> Tensors {
        let mut inputs = Tensors::new();
        let shape = [&self.tokens[..], &[self.k]].concat();
        let h = activations(
            self.stream(seed, "h"),
            self.h,
            &shape,
            (self.quant, self.scales, self.values),
        );
        inputs.insert("h", h);
        let matrix = Matrix {
            quant: self.quant,
            scales: self.scales,
            transpose: self.transpose,
            batch: &[self.experts],
            n: self.n,
            k: self.k,
        };
        let made = quantized(
            DOWN.map(|name| self.stream(seed, name)),
            matrix,
            self.values,
        );
        inputs.insert(DOWN[0], made.w);
        inputs.insert(DOWN[1], made.scales);
        if let Some(biases) = made.biases {
            inputs.insert(DOWN[2], biases);
        }
        let places = self.stream(seed, "rhs_indices");
        let made = indices(places, self.index, &self.tokens, self.experts, self.kind);
        inputs.insert("rhs_indices", made);
        let weights = combine_weights(self.stream(seed, "weights"), self.weights, &self.tokens);
        inputs.insert("weights", weights);
        inputs
    }

    fn expected(&self, inputs: &Tensors) -> Expected {
        let float = self.float();
        let experts = Places::of(inputs.get("rhs_indices"), &[self.experts]);
        let pairs: Vec<_> = experts
            .places
            .iter()
            .enumerate()
            .map(|(row, expert)| expert.map(|expert| (row, expert)))
            .collect();
        let h: Vec<f64> = inputs["h"]
            .floats()
            .into_iter()
            .map(|v| float.round(v))
            .collect();
        let tensors = (&inputs[DOWN[0]], &inputs[DOWN[1]], inputs.get(DOWN[2]));
        let matrix = Weights::read(self.quant, self.transpose, float, tensors);
        let p = dots(&h, &matrix, &pairs, float, self.values.dyadic());
        let weights = inputs["weights"].floats();
        let (active, n) = (self.active(), self.n);
        let tokens = weights.len() / active.max(1);
        let mut expected = Expected {
            float: self.accumulate.result(float, self.weights),
            shape: [&self.tokens[..self.tokens.len() - 1], &[n]].concat(),
            truth: Vec::with_capacity(tokens * n),
            admissible: Vec::with_capacity(tokens * n),
        };
        for token in 0..tokens {
            let w = &weights[token * active..(token + 1) * active];
            for column in 0..n {
                let of = |j: usize| p[(token * active + j) * n + column];
                let parts: Vec<_> = (0..active).map(|j| (of(j).low, of(j).high)).collect();
                let truth = (0..active).map(|j| of(j).exact * w[j]).sum();
                expected.truth.push(truth);
                let types = (float, self.weights);
                expected
                    .admissible
                    .push(combine(self.accumulate, types, &parts, w));
            }
        }
        expected
    }

    fn not_on_stock(&self) -> Option<&'static str> {
        (self.kind == Indices::Wild).then_some("stock reads outside its buffers")
    }

    fn wanted(&self) -> Wanted {
        if self.tokens.contains(&0) || self.accumulate == Accumulate::Native {
            Wanted::Any
        } else {
            Wanted::Kernel
        }
    }

    fn composition<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>> {
        let given = self.upload(engine, inputs)?;
        Ok(Box::new(move || {
            let h = done(given.h.expand_dims(-2))?;
            let y = done(engine.lib.gather_qmm(
                &h,
                given.down.matrix(),
                None,
                Some(&given.rhs),
                quantization(self.quant, self.transpose),
                false,
            ))?;
            let weighted = done(y.squeeze(-2))
                .and_then(|y| done(y.multiply(&done(given.weights.expand_dims(-1))?)))?;
            done(weighted.sum(-2, false))
        }))
    }

    fn primitive<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>> {
        let given = self.upload(engine, inputs)?;
        Ok(Box::new(move || {
            done(engine.lib.gather_qmm_downproj_combine(
                &given.h,
                given.down.matrix(),
                &given.rhs,
                &given.weights,
                quantization(self.quant, self.transpose),
                self.accumulate.name(),
            ))
        }))
    }
}

/// The inputs on the device.
struct Given {
    h: Array,
    down: Uploaded,
    rhs: Array,
    weights: Array,
}

impl Combine {
    fn upload(&self, engine: &Engine, inputs: &Tensors) -> Result<Given> {
        Ok(Given {
            h: engine.upload(&inputs["h"], self.storage)?,
            down: engine.matrix(inputs, DOWN, self.storage)?,
            rhs: engine.upload(&inputs["rhs_indices"], Storage::Rows)?,
            weights: engine.upload(&inputs["weights"], Storage::Rows)?,
        })
    }
}
