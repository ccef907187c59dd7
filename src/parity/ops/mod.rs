//! The ops and their cases. A further op is a file here and a row in [`OPS`].

mod gather_qmm_downproj_combine;
mod gather_qmm_swiglu;
mod places;
mod product;
mod shapes;
mod tables;
mod ways;

pub use shapes::{MODELS, Model, Storage};

use super::case::Case;

/// An op: its name, which is its feature's in the series, and its cases.
pub struct Op {
    /// The op's name.
    pub name: &'static str,
    /// Makes its cases.
    pub cases: fn() -> Vec<Box<dyn Case>>,
}

/// Every op that parity knows.
pub const OPS: &[Op] = &[
    Op {
        name: "gather_qmm_downproj_combine",
        cases: gather_qmm_downproj_combine::cases,
    },
    Op {
        name: "gather_qmm_swiglu",
        cases: gather_qmm_swiglu::cases,
    },
];

/// All cases of all ops.
pub fn catalogue() -> Vec<Box<dyn Case>> {
    OPS.iter().flat_map(|op| (op.cases)()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::parity::judge::NOT_FINITE;

    #[test]
    fn names_are_unique_and_begin_with_their_op() {
        let all = catalogue();
        let names: BTreeSet<&str> = all.iter().map(|case| case.name()).collect();
        assert_eq!(names.len(), all.len());
        for case in &all {
            assert!(case.name().starts_with(&format!("{}/", case.op())));
        }
    }

    #[test]
    fn every_op_has_smoke_cases() {
        for op in OPS {
            let cases = (op.cases)();
            assert!(cases.iter().any(|case| case.smoke()), "{}", op.name);
            assert!(cases.iter().all(|case| case.op() == op.name));
        }
    }

    /// The oracle against itself: what it expects must have the shape it says, and the truth
    /// must lie near what it admits.
    #[test]
    fn expectations_of_every_small_case_are_whole() {
        for case in catalogue() {
            if !case.smoke() || case.name().contains("qwen3") {
                continue;
            }
            let expected = case.expected(&case.inputs(1));
            let count: usize = expected.shape.iter().product();
            assert_eq!(expected.admissible.len(), count, "{}", case.name());
            assert_eq!(expected.truth.len(), count, "{}", case.name());
            for ((low, high), truth) in expected.admissible.iter().zip(&expected.truth) {
                let number = !low.is_nan() && (*low, *high) != NOT_FINITE;
                assert_eq!(number, !truth.is_nan(), "{}", case.name());
                assert!(!number || low <= high, "{}", case.name());
            }
        }
    }
}
