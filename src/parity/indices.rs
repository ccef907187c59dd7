//! Indices of a case: which entries of a batch they choose, in which order, and where they
//! point nowhere. Made from a stream of numbers, as all inputs are.

use super::random::Stream;
use super::tensor::{Dtype, Tensor};

/// What indices hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indices {
    /// Valid ones.
    Valid,
    /// Valid ones in ascending order.
    Sorted,
    /// About a third of them outside: just past the end, negative, or the type's extremes.
    Wild,
    /// All the same one.
    Same,
    /// The first expert once, the second twice, and so on, mixed; the last gets the rest.
    Grouped,
}

/// Indices below `limit`.
pub fn indices(
    stream: Stream,
    dtype: Dtype,
    shape: &[usize],
    limit: usize,
    kind: Indices,
) -> Tensor {
    let count: usize = shape.iter().product();
    let (least, most) = dtype.integer_range();
    let limit_wide = limit as i128;
    let bad: Vec<i128> = [
        limit_wide,
        -1,
        least,
        most,
        (1 << 32) + 1,
        -limit_wide,
        (1 << 31) + 1,
    ]
    .into_iter()
    .filter(|v| (least..=most).contains(v) && !(0..limit_wide).contains(v))
    .collect();
    let mut values: Vec<i128> = (0..count as u64)
        .map(|i| {
            // The first is always bad, the last always good: a small case has both.
            let wild = kind == Indices::Wild
                && i + 1 < count as u64
                && (i == 0 || stream.below(i + (1 << 40), 3) == 0);
            if wild {
                bad[(stream.below(i + (1 << 41), 97) as usize + i as usize) % bad.len()]
            } else {
                i128::from(stream.below(i, limit as u64))
            }
        })
        .collect();
    match kind {
        Indices::Valid | Indices::Wild => {}
        Indices::Sorted => values.sort_unstable(),
        Indices::Same => values.fill(limit_wide - 1),
        Indices::Grouped => values = grouped(stream, count, limit),
    }
    Tensor::of_integers(dtype, shape, &values)
}

fn grouped(stream: Stream, count: usize, limit: usize) -> Vec<i128> {
    let mut values: Vec<i128> = (0..limit)
        .flat_map(|expert| vec![expert as i128; expert + 1])
        .take(count)
        .collect();
    values.resize(count, limit as i128 - 1);
    for last in (1..count).rev() {
        let other = stream.below((1 << 42) + last as u64, last as u64 + 1) as usize;
        values.swap(last, other);
    }
    values
}

/// The index as a place below `limit`, or none.
pub fn valid(index: i128, limit: usize) -> Option<usize> {
    usize::try_from(index).ok().filter(|i| *i < limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wild_indices_hold_good_and_bad_ones_of_every_type() {
        for dtype in [
            Dtype::U8,
            Dtype::I8,
            Dtype::U32,
            Dtype::I32,
            Dtype::U64,
            Dtype::I64,
        ] {
            let made = indices(Stream::new(1, &["i"]), dtype, &[6, 4], 8, Indices::Wild).integers();
            let good = made.iter().filter(|i| valid(**i, 8).is_some()).count();
            assert!((8..24).contains(&good), "{dtype:?}: {made:?}");
        }
        assert_eq!(
            (valid(-1, 8), valid(8, 8), valid(7, 8)),
            (None, None, Some(7))
        );
    }

    #[test]
    fn grouped_indices_give_each_expert_its_own_number_of_uses() {
        let stream = Stream::new(1, &["i"]);
        let made = indices(stream, Dtype::U32, &[9, 5], 9, Indices::Grouped).integers();
        let uses: Vec<usize> = (0..9)
            .map(|expert| made.iter().filter(|i| **i == expert).count())
            .collect();
        assert_eq!(uses, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(!made.is_sorted());
        let more = indices(stream, Dtype::U32, &[50], 9, Indices::Grouped).integers();
        assert_eq!(more.iter().filter(|i| **i == 8).count(), 14);
    }
}
