//! The models' layers, with all the experts that the models have, as far as memory allows.

use crate::parity::float::Float;
use crate::parity::ops::MODELS;
use crate::parity::quant::Quant;

/// Experts of each of parity's models: all, and of a token. Parity cuts both.
const EXPERTS: [(&str, usize, usize); 7] = [
    ("qwen3", 128, 8),
    ("glm4-lite", 64, 4),
    ("glm4-lite-mxfp4", 64, 4),
    ("lfm2", 32, 4),
    ("gpt-oss", 32, 4),
    ("deepseek-v3", 256, 8),
    ("mixtral", 8, 2),
];

/// No cache holds this much; the smallest op's weights are more.
const LEAST: usize = 256 << 20;

/// Four workers hold their weights at once: what an ordinary machine has.
const MOST: usize = 2 << 30;

/// A layer. Where one layer's weights are few there are several `sets` of them, as a model has
/// several layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The model's name, as in parity's cases.
    pub name: &'static str,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of an expert.
    pub expert: usize,
    /// Experts that the model has.
    pub experts: usize,
    /// Experts of a set: fewer than the model's where those would not fit.
    pub present: usize,
    /// Experts of a token.
    pub active: usize,
    /// Sets of experts.
    pub sets: usize,
    /// The format.
    pub quant: Quant,
}

/// All of them. The numbers of experts and sets are those of float32 and of 16-bit types, so
/// that all types have the same.
pub fn shapes() -> Vec<Shape> {
    let known = |name| EXPERTS.iter().find(|(known, ..)| *known == name);
    let made = MODELS.iter().filter_map(|model| {
        let (_, experts, active) = *known(model.name)?;
        let mut shape = Shape {
            name: model.name,
            hidden: model.hidden,
            expert: model.expert,
            experts,
            present: 0,
            active,
            sets: 0,
            quant: model.quant,
        };
        let matrix = |float| shape.matrix_bytes(float);
        let present = experts.min(MOST / (3 * matrix(Float::F32)));
        let sets = LEAST.div_ceil(present * matrix(Float::Bf16));
        (shape.present, shape.sets) = (present, sets);
        Some(shape)
    });
    made.collect()
}

impl Shape {
    /// Bytes of one of an expert's three matrices, with scales and biases of this type.
    pub fn matrix_bytes(&self, float: Float) -> usize {
        let weights = self.hidden * self.expert;
        let group = match self.quant.is_affine() {
            true => 2 * float.dtype().size(),
            false => 1,
        };
        weights * self.quant.bits() / 8 + weights / self.quant.group() * group
    }

    /// Bytes of that matrix for all experts of all sets.
    pub fn rotating_bytes(&self, float: Float) -> usize {
        self.matrix_bytes(float) * self.present * self.sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_of_parity_is_benched() {
        let names: Vec<&str> = shapes().iter().map(|shape| shape.name).collect();
        let wanted: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
        assert_eq!(names, wanted);
    }

    #[test]
    fn no_cache_holds_the_weights_of_an_op_and_memory_holds_all() {
        for shape in shapes() {
            assert!(shape.present >= shape.active, "{}", shape.name);
            for float in [Float::F32, Float::F16, Float::Bf16] {
                let least = shape.rotating_bytes(float);
                assert!(
                    (LEAST..=MOST / 3).contains(&least),
                    "{}: {least}",
                    shape.name
                );
            }
        }
    }

    #[test]
    fn only_a_model_too_large_for_memory_is_cut() {
        let cut: Vec<&str> = shapes()
            .iter()
            .filter(|shape| shape.present < shape.experts)
            .map(|shape| shape.name)
            .collect();
        assert_eq!(cut, ["deepseek-v3"]);
    }

    #[test]
    fn a_qwen3_layer_of_eight_experts_has_the_bytes_that_were_measured_against() {
        let shape = &shapes()[0];
        let megabytes = |float| (3 * 8 * shape.matrix_bytes(float)) as f64 / 1e6;
        assert!((megabytes(Float::Bf16) - 21.2).abs() < 0.1);
        assert!((megabytes(Float::F32) - 23.6).abs() < 0.1);
    }
}
