//! Indices of a case: what to make, where they point, and their broadcasting as `gather_qmm`
//! does it.

use crate::parity::indices::{Indices, valid};
use crate::parity::tensor::{Dtype, Tensor};

/// An index tensor to make.
#[derive(Debug, Clone)]
pub struct IndexSpec {
    /// Its type.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it holds.
    pub kind: Indices,
}

impl IndexSpec {
    /// Valid indices of this type and shape.
    pub fn valid(dtype: Dtype, shape: &[usize]) -> Self {
        IndexSpec {
            dtype,
            shape: shape.to_vec(),
            kind: Indices::Valid,
        }
    }

    /// The same with other contents.
    pub fn with(self, kind: Indices) -> Self {
        IndexSpec { kind, ..self }
    }
}

/// Indices with a shape; none where an index is not valid.
pub struct Places {
    /// The shape.
    pub shape: Vec<usize>,
    /// The places, row-major.
    pub places: Vec<Option<usize>>,
}

impl Places {
    /// From an input below `limit`, or, absent, all places of `batch` in order.
    pub fn of(indices: Option<&Tensor>, batch: &[usize]) -> Self {
        let limit = batch.iter().product();
        match indices {
            Some(tensor) => Places {
                shape: tensor.shape.clone(),
                places: tensor
                    .integers()
                    .into_iter()
                    .map(|i| valid(i, limit))
                    .collect(),
            },
            None => Places {
                shape: batch.to_vec(),
                places: (0..limit).map(Some).collect(),
            },
        }
    }

    /// Repeated up to a shape with which it is compatible.
    pub fn broadcast(&self, shape: &[usize]) -> Vec<Option<usize>> {
        let missing = shape.len() - self.shape.len();
        let count: usize = shape.iter().product();
        (0..count)
            .map(|flat| {
                let (mut rest, mut at, mut stride) = (flat, 0, 1);
                for (axis, extent) in shape.iter().enumerate().rev() {
                    let place = rest % extent;
                    rest /= extent;
                    if axis >= missing {
                        let own = self.shape[axis - missing];
                        at += if own == 1 { 0 } else { place * stride };
                        stride *= own;
                    }
                }
                self.places[at]
            })
            .collect()
    }
}

/// The shape to which both broadcast.
pub fn common_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .map_or(1, |axis| shape[axis])
    };
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (1, other) | (other, 1) => other,
            (a, _) => a,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_broadcast_from_the_right() {
        let shape = common_shape(&[3, 1], &[2]);
        assert_eq!(shape, [3, 2]);
        let column = Places::of(None, &[3, 1]).broadcast(&shape);
        assert_eq!(column, [0, 0, 1, 1, 2, 2].map(Some));
        let row = Places::of(None, &[2]).broadcast(&shape);
        assert_eq!(row, [0, 1, 0, 1, 0, 1].map(Some));
        assert_eq!(common_shape(&[0], &[1]), [0]);
    }
}
