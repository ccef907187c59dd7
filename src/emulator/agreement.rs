//! Whether several runs of one launch gave the same, buffer by buffer, and else how far they are
//! apart. Not whether any of them is right.

use std::collections::BTreeSet;

use half::{bf16, f16};
use serde::Serialize;

use super::data::{Element, scalar};
use super::launch::Outcome;

/// How far the runs' contents of one buffer are apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The runs that gave it; one that crashed has none.
    pub runs: usize,
    /// Metal's name of its elements' type; `None` where that is no number or vector of such.
    #[serde(rename = "type")]
    pub ty: Option<&'static str>,
    /// Its elements; its bytes where their type isn't known.
    pub elements: usize,
    /// Those in which not all runs agree bit for bit.
    pub different: usize,
    /// The largest difference of two runs in one element; `None` where all agree or the type
    /// isn't known, infinite where a NaN or an infinity differs from a number.
    #[serde(serialize_with = "number_or_text")]
    pub largest: Option<f64>,
}

/// JSON has no infinity.
fn number_or_text<S: serde::Serializer>(largest: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match largest {
        Some(largest) if largest.is_infinite() => to.serialize_str("infinite"),
        _ => largest.serialize(to),
    }
}

impl std::fmt::Display for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Agreement {
            index, name, runs, ..
        } = self;
        write!(f, "buffer {index} ({name}): ")?;
        if self.different == 0 {
            return write!(f, "the same bits in {runs} runs");
        }
        let what = match self.ty {
            Some(ty) => format!("{} {ty} elements", self.elements),
            None => format!("{} bytes", self.elements),
        };
        write!(f, "{} of {what} differ in {runs} runs", self.different)?;
        match self.largest {
            Some(largest) => write!(f, ", by {largest:e} at the most"),
            None => Ok(()),
        }
    }
}

/// The agreement of each buffer that the kernel may write.
pub(super) fn agreements(outcomes: &[&Outcome]) -> Vec<Agreement> {
    let indices: BTreeSet<u32> = outcomes
        .iter()
        .flat_map(|outcome| outcome.buffers.keys().copied())
        .collect();
    let one = |index: u32| {
        let reports = outcomes.iter().map(|outcome| &outcome.report);
        let mut arguments = reports.flat_map(|report| &report.arguments);
        let argument = arguments.find(|a| a.kind == "buffer" && a.index == index);
        let contents: Vec<&[u8]> = outcomes
            .iter()
            .filter_map(|outcome| outcome.buffers.get(&index).map(Vec::as_slice))
            .collect();
        let ty = argument.and_then(|argument| element(&argument.ty));
        let (elements, different, largest) = match ty {
            Some(ty) => apart(ty, &contents),
            None => differing::<u8>(&contents, |_| 0.0),
        };
        Agreement {
            index,
            name: argument.map_or_else(String::new, |argument| argument.name.clone()),
            runs: contents.len(),
            ty,
            elements,
            different,
            largest: largest.filter(|_| ty.is_some()),
        }
    };
    indices.into_iter().map(one).collect()
}

/// The type of the numbers that a parameter points to: of `metal::vec<float, 4> *` it is float.
fn element(clang: &str) -> Option<&'static str> {
    let inner = clang
        .split_once("vec<")
        .and_then(|(_, rest)| rest.split_once(','));
    scalar(inner.map_or(clang, |(inner, _)| inner))
}

fn apart(ty: &str, contents: &[&[u8]]) -> (usize, usize, Option<f64>) {
    #[expect(clippy::cast_precision_loss, reason = "a difference for people")]
    match ty {
        "float" => differing::<f32>(contents, f64::from),
        "half" => differing::<f16>(contents, f16::to_f64),
        "bfloat" => differing::<bf16>(contents, bf16::to_f64),
        "uchar" => differing::<u8>(contents, f64::from),
        "char" => differing::<i8>(contents, f64::from),
        "ushort" => differing::<u16>(contents, f64::from),
        "short" => differing::<i16>(contents, f64::from),
        "uint" => differing::<u32>(contents, f64::from),
        "int" => differing::<i32>(contents, f64::from),
        "ulong" => differing::<u64>(contents, |n| n as f64),
        "long" => differing::<i64>(contents, |n| n as f64),
        _ => differing::<u8>(contents, f64::from),
    }
}

/// How many elements there are, in how many not all runs agree, and the largest difference.
fn differing<T: Element>(
    contents: &[&[u8]],
    value: impl Fn(T) -> f64,
) -> (usize, usize, Option<f64>) {
    let Some((first, others)) = contents.split_first() else {
        return (0, 0, None);
    };
    let elements = first.len() / T::SIZE;
    let (mut different, mut largest) = (0, None::<f64>);
    for at in (0..elements).map(|i| i * T::SIZE) {
        let of = |bytes: &&[u8]| bytes.get(at..at + T::SIZE).map(<[u8]>::to_vec);
        let same = others.iter().all(|other| of(other) == of(first));
        if same {
            continue;
        }
        different += 1;
        let values = contents
            .iter()
            .filter_map(of)
            .map(|bytes| value(T::take(&bytes)));
        let apart = spread(&values.collect::<Vec<_>>());
        largest = Some(largest.map_or(apart, |largest| largest.max(apart)));
    }
    (elements, different, largest)
}

/// The largest difference of two of them.
fn spread(values: &[f64]) -> f64 {
    let nans = values.iter().filter(|value| value.is_nan()).count();
    if nans > 0 {
        // Those that differ in their bits only are all no number.
        return if nans == values.len() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    // Of two infinities there is none.
    if most == least { 0.0 } else { most - least }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::data::Data;
    use crate::emulator::report::{Argument, Fault, Report};

    fn outcome(index: u32, ty: &str, data: Data) -> Outcome {
        let mut report = Report::lost("k", true, Fault::default());
        report.arguments.push(Argument {
            kind: "buffer".into(),
            index,
            name: "out".into(),
            space: "device".into(),
            is_const: false,
            size: 4,
            align: 4,
            reference: false,
            optional: false,
            ty: ty.into(),
        });
        Outcome {
            buffers: [(index, data.bytes)].into(),
            report,
        }
    }

    fn only(outcomes: &[Outcome]) -> Agreement {
        let all = agreements(&outcomes.iter().collect::<Vec<_>>());
        assert_eq!(all.len(), 1);
        all[0].clone()
    }

    #[test]
    fn runs_that_agree_say_so() {
        let of = || outcome(3, "float *", [1f32, f32::NAN].into());
        let agreement = only(&[of(), of()]);
        assert_eq!((agreement.different, agreement.largest), (0, None));
        let shown = agreement.to_string();
        assert_eq!(shown, "buffer 3 (out): the same bits in 2 runs");
    }

    #[test]
    fn the_largest_difference_is_that_of_any_two_runs() {
        let of = |a: f32, b: f32| outcome(1, "metal::vec<float, 4> *", [a, b, 7.0].into());
        let agreement = only(&[of(1.0, 0.0), of(1.5, -0.0), of(0.25, 0.0)]);
        assert_eq!((agreement.elements, agreement.different), (3, 2));
        assert_eq!(agreement.largest, Some(1.25));
        let shown = agreement.to_string();
        let expected =
            "buffer 1 (out): 2 of 3 float elements differ in 3 runs, by 1.25e0 at the most";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_nan_beside_a_number_is_infinitely_far() {
        let of = |a: f32| outcome(1, "float *", [a].into());
        assert_eq!(only(&[of(1.0), of(f32::NAN)]).largest, Some(f64::INFINITY));
        assert_eq!(
            only(&[of(f32::INFINITY), of(2.0)]).largest,
            Some(f64::INFINITY)
        );
        assert_eq!(only(&[of(f32::NAN), of(-f32::NAN)]).largest, Some(0.0));
        let json = serde_json::to_value(only(&[of(1.0), of(f32::NAN)])).unwrap();
        assert_eq!(json["largest"], "infinite");
    }

    #[test]
    fn of_other_types_the_bytes_are_compared() {
        let of = |a: u32| outcome(1, "S *", [a, 5].into());
        let agreement = only(&[of(0x0101), of(0x0100)]);
        assert_eq!((agreement.elements, agreement.different), (8, 1));
        assert_eq!((agreement.ty, agreement.largest), (None, None));
    }
}
