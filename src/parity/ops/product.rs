//! What the cases of all quantized products have in common: the fields that every table
//! varies, the words that change a case, the inputs that are made from them, and the tables
//! that are the same for each op.

use super::shapes::{FLOATS, Storage, quants};
use crate::parity::float::Float;
use crate::parity::inputs::{Matrix, Values, activations, quantized};
use crate::parity::quant::{Quant, Weights};
use crate::parity::random::Stream;
use crate::parity::tensor::{Tensor, Tensors};

/// The names of a quantized matrix among a case's inputs: weights, scales, biases.
pub type Names = [&'static str; 3];

/// A product with quantized matrices, as the tables vary it.
#[derive(Debug, Clone)]
pub struct Product {
    /// The case's name.
    pub name: String,
    /// One of the quick ones.
    pub smoke: bool,
    /// The weights' format.
    pub quant: Quant,
    /// Type of the activations.
    pub x: Float,
    /// Type of scales and biases of the affine mode.
    pub scales: Float,
    /// Weights as (N, K) rather than (K, N).
    pub transpose: bool,
    /// How large the numbers are.
    pub values: Values,
    /// Columns of the product.
    pub n: usize,
    /// Length of the dot.
    pub k: usize,
    /// How the floating inputs and the weights lie in memory.
    pub storage: Storage,
}

impl Product {
    /// Where tables start: N odd, K three groups.
    pub fn new(op: &str, quant: Quant, float: Float) -> Self {
        Product {
            name: format!("{op}/{}/{}", quant.name(), float.name()),
            smoke: false,
            quant,
            x: float,
            scales: float,
            transpose: true,
            values: Values::Real,
            n: 37,
            k: 3 * quant.group(),
            storage: Storage::Rows,
        }
    }

    /// The numbers of one input.
    pub fn stream(&self, seed: u64, word: &str) -> Stream {
        Stream::new(seed, &[&self.name, word])
    }

    /// The type in which the op computes.
    pub fn float(&self) -> Float {
        if self.quant.is_affine() {
            self.x.promote(self.scales)
        } else {
            self.x
        }
    }

    /// Activations (`outer`…, K).
    pub fn activations(&self, seed: u64, name: &str, outer: &[usize]) -> Tensor {
        let shape = [outer, &[self.k]].concat();
        let how = (self.quant, self.scales, self.values);
        activations(self.stream(seed, name), self.x, &shape, how)
    }

    /// Adds the quantized matrices of all experts to the inputs.
    pub fn add_matrix(&self, inputs: &mut Tensors, seed: u64, names: Names, experts: &[usize]) {
        let matrix = Matrix {
            quant: self.quant,
            scales: self.scales,
            transpose: self.transpose,
            batch: experts,
            n: self.n,
            k: self.k,
        };
        let streams = names.map(|name| self.stream(seed, name));
        let made = quantized(streams, matrix, self.values);
        inputs.insert(names[0], made.w);
        inputs.insert(names[1], made.scales);
        if let Some(biases) = made.biases {
            inputs.insert(names[2], biases);
        }
    }

    /// The matrices among the inputs, as the oracle reads them.
    pub fn weights(&self, inputs: &Tensors, [w, scales, biases]: Names) -> Weights {
        let tensors = (&inputs[w], &inputs[scales], inputs.get(biases));
        Weights::read(self.quant, self.transpose, self.float(), tensors)
    }

    /// The activations in the type in which the op computes.
    pub fn rounded(&self, x: &Tensor) -> Vec<f64> {
        let float = self.float();
        x.floats().into_iter().map(|v| float.round(v)).collect()
    }
}

/// A case that is made by changing another.
pub trait Build: Clone {
    /// The part that all ops have.
    fn product(&mut self) -> &mut Product;

    /// A further part of the name.
    fn named(mut self, part: &str) -> Self {
        let name = &mut self.product().name;
        *name = format!("{name}/{part}");
        self
    }

    /// Other values.
    fn values(mut self, values: Values) -> Self {
        self.product().values = values;
        match values {
            Values::Real => self,
            Values::Dyadic => self.named("exact"),
            Values::Large => self.named("large"),
        }
    }

    /// Weights (K, N), where the quantized dimension is N.
    fn untransposed(mut self) -> Self {
        let product = self.product();
        product.transpose = false;
        (product.n, product.k) = (2 * product.quant.group(), 75);
        self.named("untransposed")
    }

    /// Other sizes.
    fn sized(mut self, n: usize, k: usize) -> Self {
        let product = self.product();
        (product.n, product.k) = (n, k);
        self
    }

    /// One of the quick ones, or not.
    fn smoke_if(mut self, smoke: bool) -> Self {
        self.product().smoke = smoke;
        self
    }

    /// Any other change.
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// Every format, type and orientation, with model-like and with exact values.
pub fn formats<C: Build>(base: fn(Quant, Float) -> C) -> Vec<C> {
    let mut all = Vec::new();
    for quant in quants() {
        for float in FLOATS {
            for values in [Values::Real, Values::Dyadic] {
                let smoke = values.dyadic() || quant == super::shapes::B4G64;
                all.push(base(quant, float).values(values).smoke_if(smoke));
                let smoke = values.dyadic() && float == Float::Bf16;
                let case = base(quant, float).untransposed();
                all.push(case.values(values).smoke_if(smoke));
            }
        }
    }
    all
}
