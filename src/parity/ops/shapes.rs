//! What the ops' catalogues choose from: formats, types, models, ways to lie in memory.

use crate::parity::float::Float;
use crate::parity::quant::Quant;
use crate::parity::tensor::Dtype;

/// The types of results.
pub const FLOATS: [Float; 3] = [Float::F32, Float::F16, Float::Bf16];

/// The format that most tables vary something else on.
pub const B4G64: Quant = Quant::Affine { bits: 4, group: 64 };

/// Every format of KERNELS: affine widths and groups, and the float formats.
pub fn quants() -> Vec<Quant> {
    let widths = [2, 3, 4, 5, 6, 8];
    let affine = widths
        .iter()
        .flat_map(|bits| [32, 64, 128].map(|group| Quant::Affine { bits: *bits, group }));
    affine
        .chain([Quant::Mxfp4, Quant::Mxfp8, Quant::Nvfp4])
        .collect()
}

/// The formats for which there is a fast path, transposed.
pub fn fast_quants() -> Vec<Quant> {
    quants()
        .into_iter()
        .filter(|quant| is_fast(*quant))
        .collect()
}

/// Whether a format has a fast path.
pub fn is_fast(quant: Quant) -> bool {
    match quant {
        Quant::Affine { bits, .. } => matches!(bits, 2 | 4 | 8),
        Quant::Mxfp4 | Quant::Mxfp8 | Quant::Nvfp4 => true,
    }
}

/// The integer types that indices may have.
pub const INDEX_TYPES: [Dtype; 8] = [
    Dtype::U8,
    Dtype::U16,
    Dtype::U32,
    Dtype::U64,
    Dtype::I8,
    Dtype::I16,
    Dtype::I32,
    Dtype::I64,
];

/// A model's layer. The number of experts is cut: what is not read changes no result; the
/// active ones are those of the model.
pub struct Model {
    /// Its name in case names.
    pub name: &'static str,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of an expert.
    pub expert: usize,
    /// Experts present.
    pub experts: usize,
    /// Experts of a token.
    pub active: usize,
    /// The format.
    pub quant: Quant,
    /// The types in which it is run: stock's float16 is slow.
    pub floats: &'static [Float],
}

impl Model {
    /// Numbers of tokens, beside one, in which it is run: those that a worker computes in
    /// seconds, stock's sums in 16 bits included.
    pub fn batches(&self, float: Float) -> &'static [usize] {
        match (self.name, float) {
            ("qwen3", Float::Bf16) => &[8, 32],
            ("qwen3", Float::F32) => &[32],
            ("glm4-lite-mxfp4" | "lfm2", Float::Bf16) => &[8],
            _ => &[],
        }
    }
}

/// The models of KERNELS, and what of them fits into a run of minutes.
pub const MODELS: &[Model] = &[
    Model {
        name: "qwen3",
        hidden: 2048,
        expert: 768,
        experts: 16,
        active: 8,
        quant: B4G64,
        floats: &FLOATS,
    },
    Model {
        name: "glm4-lite",
        hidden: 2048,
        expert: 1536,
        experts: 8,
        active: 4,
        quant: B4G64,
        floats: &[Float::F32, Float::Bf16],
    },
    Model {
        name: "glm4-lite-mxfp4",
        hidden: 2048,
        expert: 1536,
        experts: 8,
        active: 4,
        quant: Quant::Mxfp4,
        floats: &[Float::F32, Float::Bf16],
    },
    Model {
        name: "lfm2",
        hidden: 2048,
        expert: 1792,
        experts: 8,
        active: 4,
        quant: Quant::Affine { bits: 8, group: 64 },
        floats: &[Float::F32, Float::Bf16],
    },
    Model {
        name: "gpt-oss",
        hidden: 2880,
        expert: 2880,
        experts: 6,
        active: 4,
        quant: Quant::Mxfp4,
        floats: &[Float::F32, Float::Bf16],
    },
    Model {
        name: "deepseek-v3",
        hidden: 7168,
        expert: 2048,
        experts: 3,
        active: 2,
        quant: B4G64,
        floats: &[Float::F32],
    },
    Model {
        name: "mixtral",
        hidden: 4096,
        expert: 14336,
        experts: 2,
        active: 1,
        quant: B4G64,
        floats: &[Float::F32],
    },
];

/// How an input lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Row-major.
    Rows,
    /// The last two axes swapped in memory.
    Swapped,
    /// The axes in reverse order in memory.
    Reversed,
    /// The first entry of the outermost axis, repeated by a stride of 0.
    Repeated,
}
