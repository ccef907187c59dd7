//! What the cases of all quantized products have in common: the fields that every table
//! varies, the words that change a case, and the inputs that are made from them.

use super::shapes::{Storage, is_fast};
use crate::device::Device;
use crate::parity::case::{Call, Wanted};
use crate::parity::float::Float;
use crate::parity::indices::Indices;
use crate::parity::inputs::{Matrix, Values};
use crate::parity::inputs::{activation_exponent, activations, quantized};
use crate::parity::quant::{Quant, Weights};
use crate::parity::random::Stream;
use crate::parity::tensor::{Tensor, Tensors};
use crate::parity::twist::Twist;

/// The names of a quantized matrix among a case's inputs: weights, scales, biases.
pub type Names = [&'static str; 3];

/// Other ways to the same bits that a case tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// None.
    None,
    /// Inputs that lie otherwise in memory.
    Layouts,
    /// All tokens are the same, given once by a stride of 0.
    SameTokens,
    /// All experts are the same, given once by a stride of 0.
    SameExperts,
    /// Tokens alone, in reverse order, sorted by their experts.
    Batches,
}

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
    /// What is unusual about them.
    pub twist: Twist,
    /// Columns of the product.
    pub n: usize,
    /// Length of the dot.
    pub k: usize,
    /// How the floating inputs and the weights lie in memory.
    pub storage: Storage,
    /// Other ways to the same bits.
    pub ways: Ways,
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
            twist: Twist::None,
            n: 37,
            k: 3 * quant.group(),
            storage: Storage::Rows,
            ways: Ways::None,
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

    /// The op's arguments, with its own word among them.
    pub fn call(&self, word: &'static str) -> Call {
        Call {
            quant: self.quant,
            transpose: self.transpose,
            float: self.float(),
            storage: self.storage,
            word,
            sorted: false,
        }
    }

    /// The path that is meant for this format and layout. The kernels of GPUs are made for all
    /// formats, and read no row whose elements lie apart on the fast path.
    pub fn wanted(&self, device: Device) -> Wanted {
        let rows = self.transpose && self.storage == Storage::Rows;
        match device {
            Device::Cpu if rows && is_fast(self.quant) => Wanted::Fast,
            Device::Cpu => Wanted::Kernel,
            Device::Gpu if rows => Wanted::Fast,
            Device::Gpu => Wanted::General,
        }
    }

    /// Activations (`outer`…, K).
    pub fn activations(&self, seed: u64, name: &str, outer: &[usize]) -> Tensor {
        let shape = [outer, &[self.k]].concat();
        let how = (self.quant, self.scales, self.values);
        let made = activations(self.stream(seed, name), self.x, &shape, how);
        let mut made = self
            .twist
            .activations(made, self.exponent(), self.values.dyadic());
        if self.ways == Ways::SameTokens {
            made.repeat_first();
        }
        made
    }

    /// The largest activations are about two to this power.
    fn exponent(&self) -> i32 {
        activation_exponent(self.k, (self.quant, self.scales, self.values)) + 2
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
        let mut made = quantized(streams, matrix, self.values);
        let exact = self.values.dyadic();
        self.twist
            .scales(self.quant, &mut made, self.x, self.exponent(), exact);
        if self.ways == Ways::SameExperts {
            let all = [&mut made.w, &mut made.scales].into_iter();
            all.chain(&mut made.biases).for_each(Tensor::repeat_first);
        }
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

    /// Unusual inputs.
    fn twisted(mut self, twist: Twist) -> Self {
        self.product().twist = twist;
        self.named(twist.name())
    }

    /// Other ways to the same bits.
    fn in_ways(mut self, ways: Ways) -> Self {
        self.product().ways = ways;
        self
    }

    /// So many tokens, each with so many active ones of all experts.
    fn tokens(self, tokens: usize, active: usize, experts: usize, kind: Indices) -> Self;

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
