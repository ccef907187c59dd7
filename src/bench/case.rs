//! What is measured: an op at a model's shape, a number of tokens and a type.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::shapes::{Shape, shapes};
use crate::error::{Error, Result};
use crate::parity::float::Float;
use crate::parity::plan::glob;

/// The ops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// gather_qmm_swiglu: gate, up and the gate's activation.
    Swiglu,
    /// gather_qmm_downproj_combine: down, and the weighted sum over a token's experts.
    Combine,
    /// Both, one after the other: a decode step's layer without its router.
    Layer,
}

/// All of them, in the order of reports.
pub const OPS: [Op; 3] = [Op::Swiglu, Op::Combine, Op::Layer];

/// The types of activations, scales and biases.
pub const FLOATS: [Float; 3] = [Float::F32, Float::F16, Float::Bf16];

impl Op {
    /// `swiglu`, `combine`, `layer`.
    pub fn name(self) -> &'static str {
        match self {
            Op::Swiglu => "swiglu",
            Op::Combine => "combine",
            Op::Layer => "layer",
        }
    }

    /// Which of an expert's matrices (gate, up, down) it reads.
    pub fn matrices(self) -> Range<usize> {
        match self {
            Op::Swiglu => 0..2,
            Op::Combine => 2..3,
            Op::Layer => 0..3,
        }
    }

    /// The primitives that it is, by their names in Python.
    pub fn primitives(self) -> &'static [&'static str] {
        const BOTH: [&str; 2] = ["gather_qmm_swiglu", "gather_qmm_downproj_combine"];
        match self {
            Op::Swiglu => &BOTH[..1],
            Op::Combine => &BOTH[1..],
            Op::Layer => &BOTH,
        }
    }
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The layer.
    pub shape: Shape,
    /// Tokens of a call.
    pub tokens: usize,
    /// The type.
    pub float: Float,
    /// What is called.
    pub op: Op,
}

impl Case {
    /// `qwen3/t1/bf16/layer`.
    pub fn name(&self) -> String {
        let (float, op) = (self.float.name(), self.op.name());
        format!("{}/t{}/{float}/{op}", self.shape.name, self.tokens)
    }

    /// True where both can be measured with the same loaded weights.
    pub fn same_weights(&self, other: &Case) -> bool {
        self.shape == other.shape && self.float == other.float
    }
}

/// The cases for these numbers of tokens whose name matches `pattern` (with `*` or `?`) or has
/// its parts in a row; all where there is none. Those of the same weights are neighbours.
///
/// # Errors
/// A gate's where none is left: nothing measured is no success.
pub fn select(pattern: Option<&str>, tokens: &[usize]) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for shape in shapes() {
        for float in FLOATS {
            for tokens in tokens {
                cases.extend(OPS.map(|op| Case {
                    shape: shape.clone(),
                    tokens: *tokens,
                    float,
                    op,
                }));
            }
        }
    }
    if let Some(pattern) = pattern {
        cases.retain(|case| match case.name() {
            name if pattern.contains(['*', '?']) => glob(pattern, &name),
            // Whole parts: t1 is not t16, and glm4-lite is not glm4-lite-mxfp4.
            name => format!("/{name}/").contains(&format!("/{pattern}/")),
        });
    }
    if cases.is_empty() {
        let what = pattern.unwrap_or("no number of tokens");
        return Err(
            Error::gate(format!("no case matches {what}: nothing was measured")).hint(
                "`cargo xtask bench --list` names all cases; --tokens adds other numbers of tokens",
            ),
        );
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str) -> Vec<String> {
        let cases = select(Some(pattern), &[1, 8, 32]).unwrap();
        cases.iter().map(Case::name).collect()
    }

    #[test]
    fn cases_are_chosen_by_shape_tokens_type_and_op() {
        assert_eq!(select(None, &[1, 8, 32]).unwrap().len(), 7 * 3 * 3 * 3);
        assert_eq!(names("qwen3/t1/bf16").len(), 3);
        assert_eq!(names("qwen3/t1/bf16/layer"), ["qwen3/t1/bf16/layer"]);
        assert_eq!(names("*/t8/f16/swiglu").len(), 7);
        assert_eq!(names("glm4-lite").len(), 27);
    }

    #[test]
    fn no_case_is_a_failed_gate() {
        let error = select(Some("qwen3/t2"), &[1]).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Gate);
        assert!(error.hints()[0].contains("--tokens"), "{error}");
    }

    #[test]
    fn cases_of_the_same_weights_are_neighbours() {
        let cases = select(None, &[1, 8]).unwrap();
        let starts = cases
            .windows(2)
            .filter(|pair| !pair[0].same_weights(&pair[1]));
        assert_eq!(starts.count() + 1, 7 * 3);
    }
}
