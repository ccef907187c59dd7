//! gather_qmm_downproj_combine: each of a token's experts' products, weighted and summed.

mod cases;

use mlx_fork_sys::Array;

use super::places::Places;
use super::product::{Build, Names, Product, Ways};
use super::shapes::Storage;
use super::ways::{Compute, Layout, MATRIX, same_bits};
use crate::Result;
use crate::device::Device;
use crate::parity::arithmetic::Arithmetic;
use crate::parity::case::{Again, Call, Case, Computation, Wanted};
use crate::parity::combine::{Accumulate, combine};
use crate::parity::dot::dots;
use crate::parity::engine::{Engine, Uploaded, done, quantization};
use crate::parity::float::Float;
use crate::parity::indices::{Indices, indices};
use crate::parity::inputs::combine_weights;
use crate::parity::judge::Expected;
use crate::parity::quant::Quant;
use crate::parity::tensor::{Dtype, Tensors};

pub(super) use cases::cases;

const OP: &str = "gather_qmm_downproj_combine";
const DOWN: Names = ["w", "scales", "biases"];

/// One case, as its tables vary it.
#[derive(Debug, Clone)]
struct Combine {
    product: Product,
    weights: Float,
    accumulate: Accumulate,
    /// Dimensions before K: tokens and, last, the experts of a token.
    tokens: Vec<usize>,
    experts: usize,
    index: Dtype,
    kind: Indices,
}

impl Build for Combine {
    fn product(&mut self) -> &mut Product {
        &mut self.product
    }

    fn tokens(mut self, tokens: usize, active: usize, experts: usize, kind: Indices) -> Self {
        (self.tokens, self.experts) = (vec![tokens, active], experts);
        self.kind = kind;
        self
    }
}

impl Combine {
    /// The case that the tables start from: 2 tokens, 3 of 5 experts each.
    fn base(quant: Quant, float: Float) -> Self {
        Combine {
            product: Product::new(OP, quant, float),
            weights: float,
            accumulate: Accumulate::Exact,
            tokens: vec![2, 3],
            experts: 5,
            index: Dtype::U32,
            kind: Indices::Valid,
        }
    }

    fn accumulate(mut self, accumulate: Accumulate, weights: Float) -> Self {
        (self.accumulate, self.weights) = (accumulate, weights);
        self.named(&format!("{}-w{}", accumulate.name(), weights.name()))
    }

    fn active(&self) -> usize {
        self.tokens[self.tokens.len() - 1]
    }
}

impl Case for Combine {
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
        self.product.call(self.accumulate.name())
    }

    fn inputs(&self, seed: u64) -> Tensors {
        let mut inputs = Tensors::new();
        let product = &self.product;
        inputs.insert("h", product.activations(seed, "h", &self.tokens));
        product.add_matrix(&mut inputs, seed, DOWN, &[self.experts]);
        let places = product.stream(seed, "rhs_indices");
        let mut made = indices(places, self.index, &self.tokens, self.experts, self.kind);
        let mut weights =
            combine_weights(product.stream(seed, "weights"), self.weights, &self.tokens);
        if product.ways == Ways::SameTokens {
            made.repeat_first();
            weights.repeat_first();
        }
        inputs.insert("rhs_indices", made);
        inputs.insert("weights", weights);
        inputs
    }

    fn expected_on(&self, arithmetic: Arithmetic, inputs: &Tensors) -> Expected {
        // Each row has a matrix of its own, for which stock has no tiles.
        let arithmetic = Arithmetic {
            tiles: false,
            ..arithmetic
        };
        let float = self.product.float();
        let experts = Places::of(inputs.get("rhs_indices"), &[self.experts]);
        let pairs: Vec<_> = experts
            .places
            .iter()
            .enumerate()
            .map(|(row, expert)| expert.map(|expert| (row, expert)))
            .collect();
        let h = self.product.rounded(&inputs["h"]);
        let matrix = self.product.weights(inputs, DOWN);
        let how = (float, self.product.values.dyadic());
        let p = dots(&h, &matrix, &pairs, how, arithmetic);
        let weights = inputs["weights"].floats();
        let (active, n) = (self.active(), self.product.n);
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
                    .push(combine(self.accumulate, types, &parts, w, arithmetic));
            }
        }
        expected
    }

    fn not_on_stock(&self) -> Option<&'static str> {
        (self.kind == Indices::Wild).then_some("stock reads outside its buffers")
    }

    fn wanted(&self, device: Device) -> Wanted {
        if self.tokens.contains(&0) || self.accumulate == Accumulate::Native {
            Wanted::Any
        } else {
            self.product.wanted(device)
        }
    }

    fn composition<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>> {
        let given = self.upload(engine, inputs, &self.storage())?;
        Ok(Box::new(move || {
            let h = done(given.h.expand_dims(-2))?;
            let y = done(engine.lib.gather_qmm(
                &h,
                given.down.matrix(),
                None,
                Some(&given.rhs),
                self.quantization(),
                false,
            ))?;
            let weighted = done(y.squeeze(-2))
                .and_then(|y| done(y.multiply(&done(given.weights.expand_dims(-1))?)))?;
            done(weighted.sum(-2, false))
        }))
    }

    fn primitive<'a>(&'a self, engine: &'a Engine, inputs: &Tensors) -> Result<Computation<'a>> {
        let given = self.upload(engine, inputs, &self.storage())?;
        Ok(Box::new(move || self.ours(engine, &given)))
    }

    fn same_bits(&self, engine: &Engine, inputs: &Tensors) -> Result<Vec<Again>> {
        let once = |inputs: &Tensors, storage: &Layout| {
            let given = self.upload(engine, inputs, storage)?;
            engine.download(&self.ours(engine, &given)?)
        };
        let compute = Compute {
            of: &|inputs| once(inputs, &|_| Storage::Rows),
            stored: &|storage| once(inputs, storage),
        };
        let by_token = ["h", "rhs_indices", "weights"];
        same_bits(self.product.ways, inputs, &by_token, &compute)
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
    fn quantization(&self) -> mlx_fork_sys::Quantization<'static> {
        quantization(self.product.quant, self.product.transpose)
    }

    /// How the case's own inputs lie in memory.
    fn storage(&self) -> impl Fn(&str) -> Storage {
        |name| match name {
            "h" | MATRIX => self.product.storage,
            _ => Storage::Rows,
        }
    }

    fn upload(&self, engine: &Engine, inputs: &Tensors, storage: &Layout) -> Result<Given> {
        let upload = |name| engine.upload(&inputs[name], storage(name));
        Ok(Given {
            h: upload("h")?,
            down: engine.matrix(inputs, DOWN, storage(MATRIX))?,
            rhs: upload("rhs_indices")?,
            weights: upload("weights")?,
        })
    }

    fn ours(&self, engine: &Engine, given: &Given) -> Result<Array> {
        done(engine.lib.gather_qmm_downproj_combine(
            &given.h,
            given.down.matrix(),
            &given.rhs,
            &given.weights,
            self.quantization(),
            self.accumulate.name(),
        ))
    }
}
