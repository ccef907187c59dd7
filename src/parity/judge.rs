//! The judgement of one result: is every element in the set that the specification admits, and
//! how far is it from the truth. Knows nothing of ops, workers or MLX.

use serde::Serialize;

use super::chain::Interval;
use super::float::Float;
use super::tensor::Tensor;

/// The interval that stands for "infinite or NaN": it is empty, no number lies in it.
pub const NOT_FINITE: Interval = (f64::INFINITY, f64::NEG_INFINITY);

/// What a case's result must be.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Type of the result.
    pub float: Float,
    /// Shape of the result.
    pub shape: Vec<usize>,
    /// For each element the result without any rounding; NaN where NaN is promised.
    pub truth: Vec<f64>,
    /// For each element the admissible values, NaN where NaN is promised, [`NOT_FINITE`] where
    /// anything but a number is.
    pub admissible: Vec<Interval>,
}

/// One result against what it must be.
#[derive(Debug, Clone, Serialize)]
pub struct Judgement {
    /// Elements outside the admissible set.
    pub wrong: usize,
    /// Elements in all.
    pub elements: usize,
    /// Largest |value − truth|.
    pub error_max: f64,
    /// `error_max` as a part of the root mean square of the truth.
    pub error_rel: f64,
    /// Distance from the middle of the admissible interval as a part of its half width (and
    /// half an ulp), the largest of all elements: 1 or less is inside. Infinite for a NaN that
    /// is not promised.
    #[serde(serialize_with = "finite")]
    pub part_of_bound: f64,
    /// The worst element, in words, where one is wrong.
    pub worst: Option<String>,
}

/// JSON has no infinity: the largest number stands for it.
fn finite<S: serde::Serializer>(v: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(v.min(f64::MAX))
}

impl Expected {
    /// Judges a result. A wrong type or shape is an error in words.
    pub fn judge(&self, result: &Tensor) -> Result<Judgement, String> {
        if result.dtype != self.float.dtype() {
            return Err(format!(
                "the result is {}, not {}",
                result.dtype.name(),
                self.float.name()
            ));
        }
        if result.shape != self.shape {
            return Err(format!(
                "the result's shape is {:?}, not {:?}",
                result.shape, self.shape
            ));
        }
        let values = result.floats();
        let count: usize = self.shape.iter().product();
        if values.len() != count || self.admissible.len() != count || self.truth.len() != count {
            return Err(format!(
                "{} values came back for {count} elements ({} intervals)",
                values.len(),
                self.admissible.len()
            ));
        }
        Ok(self.compare(&values))
    }

    fn compare(&self, values: &[f64]) -> Judgement {
        let mut judged = Judgement {
            wrong: 0,
            elements: values.len(),
            error_max: 0.0,
            error_rel: 0.0,
            part_of_bound: 0.0,
            worst: None,
        };
        let (mut squares, mut finite) = (0.0, 0usize);
        for (at, ((v, admissible), truth)) in values
            .iter()
            .zip(&self.admissible)
            .zip(&self.truth)
            .enumerate()
        {
            let part = part_of_bound(self.float, *v, *admissible);
            if part > 1.0 {
                judged.wrong += 1;
                if part > judged.part_of_bound {
                    judged.worst = Some(self.in_words(at, *v, *admissible));
                }
            }
            judged.part_of_bound = judged.part_of_bound.max(part);
            if truth.is_finite() {
                squares += truth * truth;
                finite += 1;
                if v.is_finite() {
                    judged.error_max = judged.error_max.max((v - truth).abs());
                }
            }
        }
        let rms = (squares / finite.max(1) as f64).sqrt();
        if rms > 0.0 {
            judged.error_rel = judged.error_max / rms;
        }
        judged
    }

    fn in_words(&self, at: usize, v: f64, (low, high): Interval) -> String {
        let mut place = at;
        let mut index = vec![0; self.shape.len()];
        for (slot, extent) in index.iter_mut().zip(&self.shape).rev() {
            *slot = place % extent;
            place /= extent;
        }
        if low.is_nan() {
            format!("element {index:?} is {v:e}, must be NaN")
        } else if (low, high) == NOT_FINITE {
            format!("element {index:?} is {v:e}, must be infinite or NaN")
        } else if low.to_bits() == high.to_bits() {
            format!("element {index:?} is {v:e}, must be exactly {low:e}")
        } else {
            format!("element {index:?} is {v:e}, must lie in {low:e} … {high:e}")
        }
    }
}

fn part_of_bound(float: Float, v: f64, (low, high): Interval) -> f64 {
    if low.is_nan() || high.is_nan() {
        return if v.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if (low, high) == NOT_FINITE {
        return if v.is_finite() { f64::INFINITY } else { 0.0 };
    }
    if v.is_nan() {
        return f64::INFINITY;
    }
    if low == high {
        // Exactly one value, its sign of zero included (an interval -0 … +0 admits both).
        let sign = v.is_sign_negative() == low.is_sign_negative()
            || low.is_sign_negative() != high.is_sign_negative();
        return match (v == low, sign) {
            (true, true) => 0.0,
            (true, false) => 2.0,
            _ if v.is_infinite() || low.is_infinite() => f64::INFINITY,
            _ => (v - low).abs() / (float.ulp(low) / 2.0),
        };
    }
    if low <= v && v <= high {
        if !(low.is_finite() && high.is_finite()) {
            return 0.0;
        }
        let half = (high - low) / 2.0;
        return (v - low - half).abs() / (half + float.ulp(v.abs()) / 2.0);
    }
    // Outside: whatever the arithmetic of the ends, the part is more than 1.
    let half = (high - low) / 2.0;
    let part = (v - low - half).abs() / (half + float.ulp(low.abs().max(high.abs())) / 2.0);
    if part.is_finite() {
        part.max(1.0 + f64::EPSILON)
    } else {
        f64::INFINITY
    }
}

/// The largest difference of two results in steps of their type, where both are floats of the
/// same type and shape; a NaN against a number is the largest there is.
pub fn ulps(a: &Tensor, b: &Tensor) -> Option<u64> {
    let float = a.dtype.float()?;
    if a.dtype != b.dtype || a.shape != b.shape {
        return None;
    }
    let steps = |(a, b): (&f64, &f64)| match (a.is_nan(), b.is_nan()) {
        (true, true) => 0,
        (false, false) => float.order(*a).abs_diff(float.order(*b)),
        _ => u64::MAX,
    };
    let (a, b) = (a.floats(), b.floats());
    Some(a.iter().zip(&b).map(steps).max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(admissible: &[Interval]) -> Expected {
        Expected {
            float: Float::F32,
            shape: vec![1, admissible.len()],
            truth: admissible.iter().map(|(a, b)| (a + b) / 2.0).collect(),
            admissible: admissible.to_vec(),
        }
    }

    fn judge(values: &[f64], admissible: &[Interval]) -> Judgement {
        let result = Tensor::of_floats(Float::F32, &[1, values.len()], values);
        expected(admissible).judge(&result).unwrap()
    }

    #[test]
    fn inside_passes_and_one_step_outside_fails() {
        let (low, high) = (1.0, 1.5);
        assert_eq!(judge(&[1.0, 1.5, 1.2], &[(low, high); 3]).wrong, 0);
        let above = Float::F32.above(high);
        let judged = judge(&[1.0, above], &[(low, high); 2]);
        assert_eq!(judged.wrong, 1);
        assert!(judged.part_of_bound > 1.0 && judged.worst.unwrap().contains("[0, 1]"));
    }

    #[test]
    fn an_exact_element_must_have_its_bits() {
        assert_eq!(judge(&[1.0], &[(1.0, 1.0)]).wrong, 0);
        assert_eq!(judge(&[Float::F32.above(1.0)], &[(1.0, 1.0)]).wrong, 1);
        assert_eq!(judge(&[-0.0], &[(0.0, 0.0)]).wrong, 1);
        assert_eq!(judge(&[-0.0], &[(-0.0, 0.0)]).wrong, 0);
        assert_eq!(
            judge(&[f64::INFINITY], &[(f64::INFINITY, f64::INFINITY)]).wrong,
            0
        );
    }

    #[test]
    fn nan_is_right_only_where_it_is_promised() {
        let nan = (f64::NAN, f64::NAN);
        assert_eq!(judge(&[f64::NAN], &[nan]).wrong, 0);
        assert_eq!(judge(&[0.0], &[nan]).wrong, 1);
        assert_eq!(judge(&[f64::NAN], &[(0.0, 1.0)]).wrong, 1);
    }

    #[test]
    fn a_number_is_wrong_where_none_can_be() {
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!(judge(&values, &[NOT_FINITE; 3]).wrong, 0);
        let judged = judge(&[1e38], &[NOT_FINITE]);
        assert!(judged.wrong == 1 && judged.worst.unwrap().contains("infinite or NaN"));
    }

    #[test]
    fn a_wrong_type_or_shape_is_no_result() {
        let values = Tensor::of_floats(Float::F16, &[1, 1], &[1.0]);
        assert!(expected(&[(1.0, 1.0)]).judge(&values).is_err());
        let values = Tensor::of_floats(Float::F32, &[1], &[1.0]);
        assert!(expected(&[(1.0, 1.0)]).judge(&values).is_err());
    }

    #[test]
    fn differences_are_counted_in_steps() {
        let of = |values: &[f64]| Tensor::of_floats(Float::Bf16, &[values.len()], values);
        let step = Float::Bf16.above(1.0);
        assert_eq!(ulps(&of(&[1.0, 2.0]), &of(&[step, 2.0])), Some(1));
        assert_eq!(ulps(&of(&[0.0]), &of(&[-0.0])), Some(0));
        assert_eq!(ulps(&of(&[f64::NAN]), &of(&[1.0])), Some(u64::MAX));
        assert_eq!(ulps(&of(&[f64::NAN]), &of(&[f64::NAN])), Some(0));
    }
}
