//! The numbers that go into calls: weights quickly and by the gigabyte, and for each call its
//! experts. The same in every worker of a seed. Values only have to be sane: parity asks whether
//! results are right.

use super::case::{Case, Op};
use crate::parity::inputs::{Matrix, Values, activations, combine_weights, quantized};
use crate::parity::random::Stream;
use crate::parity::tensor::{Dtype, Tensor, Tensors};

/// The names of one matrix's tensors in [`weights`].
pub const NAMES: [&str; 3] = ["w", "scales", "biases"];

fn stream(seed: u64, case: &Case, word: &str) -> Stream {
    Stream::new(seed, &["bench", case.shape.name, case.float.name(), word])
}

/// One matrix (0 gate, 1 up, 2 down) of all experts of a set: (experts, N, K), quantized.
/// The packed elements are random throughout; scales and biases are one expert's, repeated.
pub fn weights(seed: u64, case: &Case, set: usize, matrix: usize) -> Tensors {
    let shape = &case.shape;
    let (n, k) = match matrix {
        2 => (shape.hidden, shape.expert),
        _ => (shape.expert, shape.hidden),
    };
    let one = quantized(
        NAMES.map(|name| stream(seed, case, name)),
        Matrix {
            quant: shape.quant,
            scales: case.float,
            transpose: true,
            batch: &[1],
            n,
            k,
        },
        Values::Real,
    );
    let words = stream(seed, case, &format!("{set} {matrix}"));
    let extents = |tensor: &Tensor| [&[shape.present], &tensor.shape[1..]].concat();
    let w = Tensor {
        dtype: Dtype::U32,
        shape: extents(&one.w),
        bytes: random_bytes(words, shape.present * one.w.bytes.len()),
    };
    let repeated = |tensor: Tensor| Tensor {
        dtype: tensor.dtype,
        shape: extents(&tensor),
        bytes: tensor.bytes.repeat(shape.present),
    };
    let mut made = Tensors::from([(NAMES[0], w), (NAMES[1], repeated(one.scales))]);
    made.extend(one.biases.map(|biases| (NAMES[2], repeated(biases))));
    made
}

fn random_bytes(stream: Stream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (i, chunk) in chunks.iter_mut().enumerate() {
        *chunk = stream.bits(i as u64).to_le_bytes();
    }
    bytes
}

/// Activations of a call: x (tokens, 1, 1, hidden) for the gate, h (tokens, k, expert) for
/// `combine`. Number `variant` of several.
pub fn activation(seed: u64, case: &Case, variant: usize) -> Tensor {
    let (tokens, shape) = (case.tokens, &case.shape);
    let extents = match case.op {
        Op::Swiglu | Op::Layer => vec![tokens, 1, 1, shape.hidden],
        Op::Combine => vec![tokens, shape.active, shape.expert],
    };
    let stream = stream(seed, case, &format!("x{variant}"));
    let values = (shape.quant, case.float, Values::Real);
    activations(stream, case.float, &extents, values)
}

/// What a call's position in the rotation decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// Which set of experts.
    pub set: usize,
    /// (tokens, k), uint32, ascending for each token as the fork's router gives them.
    pub indices: Tensor,
    /// (tokens, k), of the case's type; a token's sum to 1.
    pub weights: Tensor,
}

impl Routing {
    /// The call at this position. One token takes experts that have not been used for longest,
    /// so that no cache has them; several tokens choose independently, as a router's do, and
    /// touch most of a set.
    pub fn at(seed: u64, case: &Case, position: u64) -> Self {
        let shape = &case.shape;
        let (sets, slots) = (shape.sets as u64, (shape.present / shape.active) as u64);
        let (set, rows) = if case.tokens == 1 {
            // A pass: every set's experts, shuffled and dealt out by k; then the hands, shuffled.
            let (pass, place) = (position / (sets * slots), position % (sets * slots));
            let deal = |word: &str| stream(seed, case, &format!("{word} {pass}"));
            let hand = shuffled(deal("hands"), (sets * slots) as usize)[place as usize];
            let set = hand % shape.sets;
            let experts = shuffled(deal(&format!("deal {set}")), shape.present);
            let from = hand / shape.sets * shape.active;
            (set, vec![experts[from..from + shape.active].to_vec()])
        } else {
            let of = |word: &str| stream(seed, case, &format!("{word} {position}"));
            let rows = (0..case.tokens).map(|token| {
                let mut experts = shuffled(of(&format!("token {token}")), shape.present);
                experts.truncate(shape.active);
                experts
            });
            (of("set").below(0, sets) as usize, rows.collect())
        };
        let extents = [case.tokens, shape.active];
        let sorted = rows.into_iter().flat_map(|mut row: Vec<usize>| {
            row.sort_unstable();
            row.into_iter().map(|expert| expert as i128)
        });
        let weights = stream(seed, case, &format!("weights {position}"));
        Routing {
            set,
            indices: Tensor::of_integers(Dtype::U32, &extents, &sorted.collect::<Vec<_>>()),
            weights: combine_weights(weights, case.float, &extents),
        }
    }

    /// The experts that are read, each once.
    pub fn experts(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self
            .indices
            .integers()
            .into_iter()
            .map(|i| i as usize)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// 0 … n−1 in random order.
pub fn shuffled(stream: Stream, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, stream.below(i as u64, i as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bench::case::select;

    fn case(name: &str) -> Case {
        select(Some(name), &[1, 8]).unwrap().remove(0)
    }

    #[test]
    fn one_token_reads_every_expert_before_any_a_second_time() {
        let case = case("qwen3/t1/bf16/layer");
        let calls = case.shape.sets * case.shape.present / case.shape.active;
        let mut seen = BTreeSet::new();
        for position in 0..calls as u64 {
            let routing = Routing::at(1, &case, position);
            assert_eq!(routing.indices.shape, [1, 8]);
            for expert in routing.experts() {
                assert!(seen.insert((routing.set, expert)), "at {position}");
            }
        }
        assert_eq!(seen.len(), case.shape.sets * case.shape.present);
        // The next pass is another order.
        assert_ne!(
            Routing::at(1, &case, 0),
            Routing::at(1, &case, calls as u64)
        );
    }

    #[test]
    fn each_of_several_tokens_has_different_experts_and_they_overlap() {
        let case = case("qwen3/t8/bf16/layer");
        let routing = Routing::at(1, &case, 3);
        for token in routing.indices.integers().chunks(8) {
            assert!(token.windows(2).all(|pair| pair[0] < pair[1]), "{token:?}");
        }
        assert!((40..64).contains(&routing.experts().len()));
    }

    #[test]
    fn a_position_gives_the_same_inputs_in_every_process_and_a_seed_others() {
        let case = case("mixtral/t8/f16/combine");
        assert_eq!(Routing::at(1, &case, 5), Routing::at(1, &case, 5));
        assert_ne!(Routing::at(1, &case, 5), Routing::at(2, &case, 5));
        assert_eq!(activation(1, &case, 0).shape, [8, 2, 14336]);
    }

    #[test]
    fn weights_are_as_large_as_the_bytes_that_are_reckoned_with() {
        for name in ["lfm2/t1/f16/layer", "glm4-lite-mxfp4/t1/f32/layer"] {
            let mut case = case(name);
            case.shape.present = 2;
            let bytes: usize = (0..3)
                .flat_map(|matrix| weights(1, &case, 0, matrix).into_values())
                .map(|tensor| tensor.bytes.len())
                .sum();
            assert_eq!(bytes, 2 * 3 * case.shape.matrix_bytes(case.float), "{name}");
        }
    }
}
