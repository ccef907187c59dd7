//! gather_qmm_swiglu: activation(x·gate)·(x·up) with experts chosen by indices.

use mlx_fork_sys::Array;

use super::shapes::{
    B4G64, FLOATS, INDEX_TYPES, IndexSpec, MODELS, Places, Storage, common_shape, quants,
};
use crate::Result;
use crate::parity::case::{Case, Computation, Wanted};
use crate::parity::chain::{Activation, gated};
use crate::parity::dot::dots;
use crate::parity::engine::{Engine, Uploaded, done, quantization};
use crate::parity::float::Float;
use crate::parity::inputs::{Indices, Matrix, Values, activations, indices, quantized};
use crate::parity::judge::Expected;
use crate::parity::quant::{Quant, Weights};
use crate::parity::random::Stream;
use crate::parity::tensor::{Dtype, Tensors};

const OP: &str = "gather_qmm_swiglu";
const GATE: [&str; 3] = ["gate_w", "gate_scales", "gate_biases"];
const UP: [&str; 3] = ["up_w", "up_scales", "up_biases"];

/// One case, as its tables vary it.
#[derive(Debug, Clone)]
struct Swiglu {
    name: String,
    smoke: bool,
    quant: Quant,
    x: Float,
    scales: Float,
    transpose: bool,
    values: Values,
    activation: Activation,
    /// Outer dimensions of x, M included: (…, M), K follows.
    rows: Vec<usize>,
    experts: Vec<usize>,
    n: usize,
    k: usize,
    lhs: Option<IndexSpec>,
    rhs: Option<IndexSpec>,
    sorted: bool,
    storage: Storage,
}

impl Swiglu {
    /// The case that the tables start from: 3 tokens, 2 of 5 experts each, N odd, K three
    /// groups; untransposed, the quantized dimension is N.
    fn base(quant: Quant, float: Float) -> Self {
        Swiglu {
            name: format!("{OP}/{}/{}", quant.name(), float.name()),
            smoke: false,
            quant,
            x: float,
            scales: float,
            transpose: true,
            values: Values::Real,
            activation: Activation::Silu,
            rows: vec![3, 1, 1],
            experts: vec![5],
            n: 37,
            k: 3 * quant.group(),
            lhs: None,
            rhs: Some(IndexSpec::valid(Dtype::U32, &[3, 2])),
            sorted: false,
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
        match values {
            Values::Real => self,
            Values::Dyadic => self.named("exact"),
            Values::Large => self.named("large"),
        }
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
            self.x.promote(self.scales)
        } else {
            self.x
        }
    }

    fn x_batch(&self) -> &[usize] {
        &self.rows[..self.rows.len() - 1]
    }

    fn m(&self) -> usize {
        self.rows[self.rows.len() - 1]
    }
}

pub(super) fn cases() -> Vec<Box<dyn Case>> {
    let mut all = formats();
    all.extend(activation_cases());
    all.extend(sizes());
    all.extend(index_cases());
    all.extend(layouts());
    all.extend(models());
    all.into_iter()
        .map(|case| Box::new(case) as Box<dyn Case>)
        .collect()
}

/// Every format, type and orientation, with model-like and with exact values.
fn formats() -> Vec<Swiglu> {
    let mut all = Vec::new();
    for quant in quants() {
        for float in FLOATS {
            for values in [Values::Real, Values::Dyadic] {
                let base = Swiglu::base(quant, float);
                let smoke = values.dyadic() || quant == B4G64;
                all.push(base.clone().values(values).smoke_if(smoke));
                let smoke = values.dyadic() && float == Float::Bf16;
                all.push(base.untransposed().values(values).smoke_if(smoke));
            }
        }
    }
    all
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

/// Sizes that no vector width divides, and one group.
fn sizes() -> Vec<Swiglu> {
    let mut all = Vec::new();
    for (n, groups) in [(1, 1), (2, 1), (7, 2), (33, 5), (130, 1), (513, 9)] {
        for float in FLOATS {
            for quant in [B4G64, Quant::Affine { bits: 3, group: 32 }, Quant::Nvfp4] {
                let k = groups * quant.group();
                let case = Swiglu::base(quant, float)
                    .with(|case| (case.n, case.k) = (n, k))
                    .named(&format!("n{n}-k{k}"))
                    .values(Values::Dyadic);
                all.push(case.smoke_if(n == 7 && quant == B4G64));
            }
        }
    }
    // Untransposed, K may be anything.
    for k in [1, 3, 17, 129] {
        let case = Swiglu::base(B4G64, Float::F32)
            .untransposed()
            .with(|case| (case.n, case.k) = (64, k))
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

/// Other storage than row-major, and types that are promoted.
fn layouts() -> Vec<Swiglu> {
    let mut all = Vec::new();
    for float in FLOATS {
        let case = Swiglu::base(B4G64, float)
            .with(|case| (case.rows, case.storage) = (vec![3, 1, 4], Storage::Swapped))
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
            .with(|case| case.scales = scales)
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
            let case = Swiglu::base(model.quant, *float).with(|case| {
                (case.rows, case.experts) = (vec![1, 1, 1], vec![model.experts]);
                (case.n, case.k) = (model.expert, model.hidden);
                case.rhs = Some(IndexSpec::valid(Dtype::U32, &[1, model.active]));
            });
            let case = case.named(model.name).named("t1");
            let first = model.name == "qwen3" && *float == Float::Bf16;
            all.push(case.clone().values(Values::Dyadic).smoke_if(first));
            all.push(case.smoke_if(first));
        }
    }
    // A prompt: tokens sorted by expert, as mlx-lm passes them.
    let prompt = Swiglu::base(B4G64, Float::F32)
        .named("qwen3/t8-sorted")
        .with(|case| {
            (case.rows, case.experts, case.sorted) = (vec![64, 1], vec![16], true);
            (case.n, case.k) = (768, 2048);
            case.rhs = Some(IndexSpec::valid(Dtype::U32, &[64]).with(Indices::Sorted));
        });
    all.push(prompt);
    all
}

impl Case for Swiglu {
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
        let shape = [&self.rows[..], &[self.k]].concat();
        let x = activations(
            self.stream(seed, "x"),
            self.x,
            &shape,
            (self.quant, self.scales, self.values),
        );
        inputs.insert("x", x);
        let matrix = Matrix {
            quant: self.quant,
            scales: self.scales,
            transpose: self.transpose,
            batch: &self.experts,
            n: self.n,
            k: self.k,
        };
        for names in [GATE, UP] {
            let made = quantized(
                names.map(|name| self.stream(seed, name)),
                matrix,
                self.values,
            );
            inputs.insert(names[0], made.w);
            inputs.insert(names[1], made.scales);
            if let Some(biases) = made.biases {
                inputs.insert(names[2], biases);
            }
        }
        for (name, spec, batch) in [
            ("lhs_indices", &self.lhs, self.x_batch()),
            ("rhs_indices", &self.rhs, &self.experts),
        ] {
            if let Some(spec) = spec {
                let limit = batch.iter().product();
                let stream = self.stream(seed, name);
                let made = indices(stream, spec.dtype, &spec.shape, limit, spec.kind);
                inputs.insert(name, made);
            }
        }
        inputs
    }

    fn expected(&self, inputs: &Tensors) -> Expected {
        let float = self.float();
        let lhs = Places::of(inputs.get("lhs_indices"), self.x_batch());
        let rhs = Places::of(inputs.get("rhs_indices"), &self.experts);
        let outer = common_shape(&lhs.shape, &rhs.shape);
        let (lhs, rhs) = (lhs.broadcast(&outer), rhs.broadcast(&outer));
        let m = self.m();
        let pairs: Vec<_> = lhs
            .iter()
            .zip(&rhs)
            .flat_map(|(lhs, rhs)| (0..m).map(move |row| Some(((*lhs)? * m + row, (*rhs)?))))
            .collect();
        let x: Vec<f64> = inputs["x"]
            .floats()
            .into_iter()
            .map(|v| float.round(v))
            .collect();
        let [g, u] = [GATE, UP].map(|[w, scales, biases]| {
            let tensors = (&inputs[w], &inputs[scales], inputs.get(biases));
            let weights = Weights::read(self.quant, self.transpose, float, tensors);
            dots(&x, &weights, &pairs, float, self.values.dyadic())
        });
        Expected {
            float,
            shape: [&outer[..], &[m, self.n]].concat(),
            truth: g
                .iter()
                .zip(&u)
                .map(|(g, u)| self.activation.exact(g.exact) * u.exact)
                .collect(),
            admissible: g
                .iter()
                .zip(&u)
                .map(|(g, u)| gated(float, self.activation, *g, *u))
                .collect(),
        }
    }

    fn not_on_stock(&self) -> Option<&'static str> {
        let wild =
            |spec: &Option<IndexSpec>| spec.as_ref().is_some_and(|spec| spec.kind == Indices::Wild);
        (wild(&self.lhs) || wild(&self.rhs)).then_some("stock reads outside its buffers")
    }

    fn wanted(&self) -> Wanted {
        if self.rows.contains(&0) {
            Wanted::Any
        } else {
            Wanted::Kernel
        }
    }

    fn composition<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>> {
        let given = self.upload(engine, inputs)?;
        Ok(Box::new(move || {
            let product = |matrix: &Uploaded| {
                done(engine.lib.gather_qmm(
                    &given.x,
                    matrix.matrix(),
                    given.lhs.as_ref(),
                    given.rhs.as_ref(),
                    quantization(self.quant, self.transpose),
                    self.sorted,
                ))
            };
            let (g, u) = (product(&given.gate)?, product(&given.up)?);
            let a = match self.activation {
                Activation::Silu => done(g.multiply(&done(g.sigmoid())?))?,
                Activation::GeluApprox => gelu_approx(engine, self.float(), &g)?,
            };
            done(a.multiply(&u))
        }))
    }

    fn primitive<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>> {
        let given = self.upload(engine, inputs)?;
        Ok(Box::new(move || {
            done(engine.lib.gather_qmm_swiglu(
                &given.x,
                given.gate.matrix(),
                given.up.matrix(),
                given.lhs.as_ref(),
                given.rhs.as_ref(),
                quantization(self.quant, self.transpose),
                self.activation.name(),
                self.sorted,
            ))
        }))
    }
}

/// The inputs on the device.
struct Given {
    x: Array,
    gate: Uploaded,
    up: Uploaded,
    lhs: Option<Array>,
    rhs: Option<Array>,
}

impl Swiglu {
    fn upload(&self, engine: &Engine, inputs: &Tensors) -> Result<Given> {
        Ok(Given {
            x: engine.upload(&inputs["x"], self.storage)?,
            gate: engine.matrix(inputs, GATE, self.storage)?,
            up: engine.matrix(inputs, UP, self.storage)?,
            lhs: engine.optional(inputs, "lhs_indices")?,
            rhs: engine.optional(inputs, "rhs_indices")?,
        })
    }
}

/// 0.5·g·(1 + tanh(√(2/π)·(g + 0.044715·g³))), operation by operation.
fn gelu_approx(engine: &Engine, float: Float, g: &Array) -> Result<Array> {
    let scalar = |v| engine.scalar(float, v);
    let cube = done(g.power(&scalar(3.0)?))?;
    let bent = done(g.add(&done(cube.multiply(&scalar(0.044_715)?))?))?;
    let scale = (2.0 / std::f64::consts::PI).sqrt();
    let h = done(done(bent.multiply(&scalar(scale)?))?.tanh())?;
    let half = done(g.multiply(&scalar(0.5)?))?;
    done(half.multiply(&done(h.add(&scalar(1.0)?))?))
}
