//! gather_qmm_swiglu: activation(x·gate)·(x·up) with experts chosen by indices.

mod cases;

use mlx_fork_sys::Array;

use super::places::{IndexSpec, Places, common_shape};
use super::product::{Build, Names, Product, Ways};
use super::shapes::Storage;
use super::ways::{Compute, Layout, MATRIX, same_bits};
use crate::Result;
use crate::device::Device;
use crate::parity::arithmetic::Arithmetic;
use crate::parity::case::{Again, Call, Case, Computation, Wanted};
use crate::parity::chain::{Activation, gated};
use crate::parity::dot::dots;
use crate::parity::engine::{Engine, Uploaded, done, quantization};
use crate::parity::float::Float;
use crate::parity::indices::{Indices, indices};
use crate::parity::judge::Expected;
use crate::parity::quant::Quant;
use crate::parity::tensor::{Dtype, Tensor, Tensors};

pub(super) use cases::cases;

const OP: &str = "gather_qmm_swiglu";
const GATE: Names = ["gate_w", "gate_scales", "gate_biases"];
const UP: Names = ["up_w", "up_scales", "up_biases"];

/// One case, as its tables vary it.
#[derive(Debug, Clone)]
struct Swiglu {
    product: Product,
    activation: Activation,
    /// Outer dimensions of x, M included: (…, M), K follows.
    rows: Vec<usize>,
    experts: Vec<usize>,
    lhs: Option<IndexSpec>,
    rhs: Option<IndexSpec>,
    sorted: bool,
}

impl Build for Swiglu {
    fn product(&mut self) -> &mut Product {
        &mut self.product
    }

    fn tokens(mut self, tokens: usize, active: usize, experts: usize, kind: Indices) -> Self {
        (self.rows, self.experts) = (vec![tokens, 1, 1], vec![experts]);
        self.rhs = Some(IndexSpec::valid(Dtype::U32, &[tokens, active]).with(kind));
        self
    }
}

impl Swiglu {
    /// The case that the tables start from: 3 tokens, 2 of 5 experts each.
    fn base(quant: Quant, float: Float) -> Self {
        Swiglu {
            product: Product::new(OP, quant, float),
            activation: Activation::Silu,
            rows: vec![3, 1, 1],
            experts: vec![5],
            lhs: None,
            rhs: Some(IndexSpec::valid(Dtype::U32, &[3, 2])),
            sorted: false,
        }
    }

    fn x_batch(&self) -> &[usize] {
        &self.rows[..self.rows.len() - 1]
    }

    fn m(&self) -> usize {
        self.rows[self.rows.len() - 1]
    }

    /// Whether it is left to stock on GPUs, which has tiles for it: rows enough for a matrix, or
    /// pairs sorted by matrix (`prefers_composition` in `backend/metal/launch.cpp`).
    fn has_tiles(&self) -> bool {
        if self.m() >= if self.product.transpose { 12 } else { 4 } {
            return true;
        }
        let rhs = self.rhs.as_ref().filter(|_| self.lhs.is_none());
        let Some(rhs) = rhs.filter(|_| self.sorted && self.m() == 1) else {
            return false;
        };
        let pairs: usize = common_shape(self.x_batch(), &rhs.shape).iter().product();
        pairs >= 16 && pairs >= 4 * self.experts.iter().product::<usize>()
    }
}

impl Case for Swiglu {
    fn op(&self) -> &'static str {
        OP
    }

    fn name(&self) -> &str {
        &self.product.name
    }

    fn smoke(&self) -> bool {
        self.product.smoke
    }

    fn call(&self) -> Call {
        Call {
            sorted: self.sorted,
            ..self.product.call(self.activation.name())
        }
    }

    fn inputs(&self, seed: u64) -> Tensors {
        let mut inputs = Tensors::new();
        let x = self.product.activations(seed, "x", &self.rows);
        inputs.insert("x", x);
        for names in [GATE, UP] {
            self.product
                .add_matrix(&mut inputs, seed, names, &self.experts);
        }
        for (name, spec, batch) in [
            ("lhs_indices", &self.lhs, self.x_batch()),
            ("rhs_indices", &self.rhs, &self.experts),
        ] {
            if let Some(spec) = spec {
                let limit = batch.iter().product();
                let stream = self.product.stream(seed, name);
                let mut made = indices(stream, spec.dtype, &spec.shape, limit, spec.kind);
                if self.product.ways == Ways::SameTokens {
                    made.repeat_first();
                }
                inputs.insert(name, made);
            }
        }
        inputs
    }

    fn expected_on(&self, arithmetic: Arithmetic, inputs: &Tensors) -> Expected {
        let float = self.product.float();
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
        let x = self.product.rounded(&inputs["x"]);
        let [g, u] = [GATE, UP].map(|names| {
            let weights = self.product.weights(inputs, names);
            let how = (float, self.product.values.dyadic());
            dots(&x, &weights, &pairs, how, arithmetic)
        });
        Expected {
            float,
            shape: [&outer[..], &[m, self.product.n]].concat(),
            truth: g
                .iter()
                .zip(&u)
                .map(|(g, u)| self.activation.exact(g.exact) * u.exact)
                .collect(),
            admissible: g
                .iter()
                .zip(&u)
                .map(|(g, u)| gated((float, arithmetic), self.activation, *g, *u))
                .collect(),
        }
    }

    fn not_on_stock(&self) -> Option<&'static str> {
        let wild =
            |spec: &Option<IndexSpec>| spec.as_ref().is_some_and(|spec| spec.kind == Indices::Wild);
        (wild(&self.lhs) || wild(&self.rhs)).then_some("stock reads outside its buffers")
    }

    fn wanted(&self, device: Device) -> Wanted {
        if self.rows.contains(&0) {
            Wanted::Any
        } else if device == Device::Gpu && self.has_tiles() {
            Wanted::Composition
        } else {
            self.product.wanted(device)
        }
    }

    fn composition<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>> {
        let given = self.upload(engine, inputs, &self.storage())?;
        Ok(Box::new(move || {
            let product = |matrix: &Uploaded| {
                done(engine.lib.gather_qmm(
                    &given.x,
                    matrix.matrix(),
                    given.lhs.as_ref(),
                    given.rhs.as_ref(),
                    self.quantization(),
                    self.sorted,
                ))
            };
            let (g, u) = (product(&given.gate)?, product(&given.up)?);
            let a = match self.activation {
                Activation::Silu => done(g.multiply(&done(g.sigmoid())?))?,
                Activation::GeluApprox => gelu_approx(engine, self.product.float(), &g)?,
            };
            done(a.multiply(&u))
        }))
    }

    fn primitive<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>> {
        let given = self.upload(engine, inputs, &self.storage())?;
        Ok(Box::new(move || self.ours(engine, &given)))
    }

    fn same_bits(&self, engine: &Engine, inputs: &Tensors) -> Result<Vec<Again>> {
        let compute = Compute {
            of: &|inputs| self.once(engine, inputs, &|_| Storage::Rows),
            stored: &|storage| self.once(engine, inputs, storage),
        };
        let ways = self.product.ways;
        let mut all = same_bits(ways, inputs, &["x", "rhs_indices"], &compute)?;
        if ways == Ways::Batches {
            all.push(self.sorted_by_expert(engine, inputs)?);
        }
        Ok(all)
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
    fn quantization(&self) -> mlx_fork_sys::Quantization<'static> {
        quantization(self.product.quant, self.product.transpose)
    }

    /// How the case's own inputs lie in memory.
    fn storage(&self) -> impl Fn(&str) -> Storage {
        |name| match name {
            "x" | MATRIX => self.product.storage,
            _ => Storage::Rows,
        }
    }

    fn once(&self, engine: &Engine, inputs: &Tensors, storage: &Layout) -> Result<Tensor> {
        let given = self.upload(engine, inputs, storage)?;
        engine.download(&self.ours(engine, &given)?)
    }

    /// As mlx-lm passes many tokens: pairs of a token and an expert, sorted by expert. The
    /// case's indices are (tokens, active).
    fn sorted_by_expert(&self, engine: &Engine, inputs: &Tensors) -> Result<Again> {
        let experts = inputs["rhs_indices"].integers();
        let active = inputs["rhs_indices"].shape[1];
        let mut order: Vec<usize> = (0..experts.len()).collect();
        order.sort_by_key(|pair| experts[*pair]);
        let index = |of: &dyn Fn(usize) -> i128| {
            let values: Vec<i128> = order.iter().map(|pair| of(*pair)).collect();
            Tensor::of_integers(Dtype::U32, &[order.len()], &values)
        };
        let mut inputs = inputs.clone();
        inputs.insert("lhs_indices", index(&|pair| (pair / active) as i128));
        inputs.insert("rhs_indices", index(&|pair| experts[pair]));
        let case = Swiglu {
            sorted: true,
            ..self.clone()
        };
        let sorted = case.once(engine, &inputs, &|_| Storage::Rows)?;
        let mut back = vec![0; order.len()];
        for (place, pair) in order.iter().enumerate() {
            back[*pair] = place;
        }
        Ok(Again {
            what: "with the pairs sorted by expert".into(),
            bytes: sorted.take(&back).bytes,
        })
    }

    fn upload(&self, engine: &Engine, inputs: &Tensors, storage: &Layout) -> Result<Given> {
        let index = |name: &str| {
            let tensor = inputs.get(name);
            tensor
                .map(|tensor| engine.upload(tensor, storage(name)))
                .transpose()
        };
        Ok(Given {
            x: engine.upload(&inputs["x"], storage("x"))?,
            gate: engine.matrix(inputs, GATE, storage(MATRIX))?,
            up: engine.matrix(inputs, UP, storage(MATRIX))?,
            lhs: index("lhs_indices")?,
            rhs: index("rhs_indices")?,
        })
    }

    fn ours(&self, engine: &Engine, given: &Given) -> Result<Array> {
        done(engine.lib.gather_qmm_swiglu(
            &given.x,
            given.gate.matrix(),
            given.up.matrix(),
            given.lhs.as_ref(),
            given.rhs.as_ref(),
            self.quantization(),
            self.activation.name(),
            self.sorted,
        ))
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
