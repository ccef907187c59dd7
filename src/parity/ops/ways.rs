//! Other ways to the same bits, which a case may try beside its own: inputs that lie otherwise
//! in memory, tokens in other company. The ops say how a result is made from inputs.

use super::product::Ways;
use super::shapes::Storage;
use crate::Result;
use crate::parity::case::Again;
use crate::parity::tensor::{Tensor, Tensors};

/// What the storage of the quantized matrices is asked by; other inputs by their names.
pub const MATRIX: &str = "matrix";

/// How each input is to lie in memory, by its name.
pub type Layout<'a> = dyn Fn(&str) -> Storage + 'a;

/// How an op computes its result.
pub struct Compute<'a> {
    /// From inputs as given, row-major.
    pub of: &'a dyn Fn(&Tensors) -> Result<Tensor>,
    /// From the case's own inputs, each laid out as told.
    pub stored: &'a dyn Fn(&Layout) -> Result<Tensor>,
}

/// The result in all these ways. `by_token` names the inputs whose outermost axis is the tokens',
/// as the result's is.
pub fn same_bits(
    ways: Ways,
    inputs: &Tensors,
    by_token: &[&'static str],
    compute: &Compute,
) -> Result<Vec<Again>> {
    match ways {
        Ways::None => Ok(Vec::new()),
        Ways::Layouts => {
            let mut all = stored(by_token, Storage::Reversed, compute)?;
            all.extend(stored(&[MATRIX], Storage::Reversed, compute)?);
            all.extend(stored(&[MATRIX], Storage::Swapped, compute)?);
            let bytes = (compute.stored)(&|_| Storage::Reversed)?.bytes;
            let what = "with all inputs transposed in memory".into();
            all.push(Again { what, bytes });
            Ok(all)
        }
        Ways::SameTokens => stored(by_token, Storage::Repeated, compute),
        Ways::SameExperts => stored(&[MATRIX], Storage::Repeated, compute),
        Ways::Batches => batches(inputs, by_token, compute),
    }
}

fn stored(names: &[&'static str], storage: Storage, compute: &Compute) -> Result<Vec<Again>> {
    let one = |name: &&'static str| {
        let choose = |asked: &str| {
            if asked == *name {
                storage
            } else {
                Storage::Rows
            }
        };
        Ok(Again {
            what: format!("with {name} {}", storage.describe()),
            bytes: (compute.stored)(&choose)?.bytes,
        })
    };
    names.iter().map(one).collect()
}

fn batches(inputs: &Tensors, by_token: &[&'static str], compute: &Compute) -> Result<Vec<Again>> {
    let some = |places: &[usize]| {
        let mut inputs = inputs.clone();
        for name in by_token {
            let taken = inputs[name].take(places);
            inputs.insert(name, taken);
        }
        (compute.of)(&inputs)
    };
    let tokens = inputs[by_token[0]].shape[0];
    let mut alone = Vec::new();
    for token in 0..tokens {
        alone.extend(some(&[token])?.bytes);
    }
    let backwards: Vec<usize> = (0..tokens).rev().collect();
    let (first, second) = backwards.split_at(tokens / 2);
    // The two halves of the reversed batch, put back in order.
    let halves = [some(second)?.reversed(), some(first)?.reversed()];
    Ok(vec![
        Again {
            what: "with each token alone".into(),
            bytes: alone,
        },
        Again {
            what: "with the tokens in reverse order".into(),
            bytes: some(&backwards)?.reversed().bytes,
        },
        Again {
            what: "with the tokens in two batches".into(),
            bytes: halves.map(|half| half.bytes).concat(),
        },
    ])
}

impl Storage {
    fn describe(self) -> &'static str {
        match self {
            Storage::Rows => "row-major",
            Storage::Swapped => "with its last axes swapped in memory",
            Storage::Reversed => "transposed in memory",
            Storage::Repeated => "repeated by a stride of 0",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parity::tensor::Dtype;

    /// An op that adds a token's number and its neighbour count, where it is faulty.
    fn ways(faulty: bool) -> Vec<bool> {
        let x = Tensor::of_integers(Dtype::U8, &[5, 1], &[1, 2, 3, 4, 5]);
        let inputs = Tensors::from([("x", x)]);
        let of = |inputs: &Tensors| {
            let mut x = inputs["x"].clone();
            let company = x.shape[0] as u8;
            for byte in &mut x.bytes {
                *byte += if faulty { company } else { 7 };
            }
            Ok(x)
        };
        let compute = Compute {
            of: &of,
            stored: &|_| of(&inputs),
        };
        let own = of(&inputs).unwrap().bytes;
        let all = same_bits(Ways::Batches, &inputs, &["x"], &compute).unwrap();
        all.iter().map(|again| again.bytes == own).collect()
    }

    #[test]
    fn a_token_that_depends_on_its_company_shows() {
        assert_eq!(ways(false), [true; 3]);
        assert_eq!(ways(true), [false, true, false]);
    }
}
