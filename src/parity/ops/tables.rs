//! The tables of cases that all ops with quantized products share.

use super::product::{Build, Ways};
use super::shapes::{B4G64, FLOATS, fast_quants, quants};
use crate::parity::float::Float;
use crate::parity::indices::Indices;
use crate::parity::inputs::Values;
use crate::parity::quant::Quant;
use crate::parity::twist::Twist;

/// All of them.
pub fn shared<C: Build>(base: fn(Quant, Float) -> C) -> Vec<C> {
    let mut all = formats(base);
    all.extend(tails(base));
    all.extend(twisted(base));
    all.extend(token_counts(base));
    all.extend(ways(base));
    all
}

/// Every format, type and orientation, with model-like and with exact values.
fn formats<C: Build>(base: fn(Quant, Float) -> C) -> Vec<C> {
    let mut all = Vec::new();
    for quant in quants() {
        for float in FLOATS {
            for values in [Values::Real, Values::Dyadic] {
                let smoke = values.dyadic() || quant == B4G64;
                all.push(base(quant, float).values(values).smoke_if(smoke));
                let smoke = values.dyadic() && float == Float::Bf16;
                let case = base(quant, float).untransposed();
                all.push(case.values(values).smoke_if(smoke));
            }
        }
    }
    all
}

/// N, and K in groups, that no vector, block of words or tile of rows divides: each of the fast
/// formats meets each N and each K.
const TAILS: [(usize, usize); 12] = [
    (1, 45),
    (1, 1),
    (2, 23),
    (3, 9),
    (3, 1),
    (5, 5),
    (7, 3),
    (7, 2),
    (17, 2),
    (33, 5),
    (130, 3),
    (513, 1),
];

fn tails<C: Build>(base: fn(Quant, Float) -> C) -> Vec<C> {
    let mut all = Vec::new();
    let general = [(3, 32), (5, 32), (6, 64)].map(|(bits, group)| Quant::Affine { bits, group });
    for (row, quant) in fast_quants().into_iter().chain(general).enumerate() {
        for (column, (n, groups)) in TAILS.into_iter().enumerate() {
            for (number, float) in FLOATS.into_iter().enumerate() {
                // The main formats in all types, the others in one after the other.
                let main = matches!(quant, B4G64 | Quant::Mxfp4);
                if !main && (row + column) % 3 != number {
                    continue;
                }
                let k = groups * quant.group();
                let case = base(quant, float).sized(n, k).named(&format!("n{n}-k{k}"));
                let smoke = (n == 7 && quant == B4G64) || (row + column) % 12 == 0;
                all.push(case.values(Values::Dyadic).smoke_if(smoke));
            }
        }
    }
    all
}

/// The formats that stand for all where a table varies something else: the fast ones, and one of
/// each width that has no fast path.
fn representatives() -> Vec<Quant> {
    let general = [3, 5, 6].map(|bits| Quant::Affine { bits, group: 64 });
    fast_quants().into_iter().chain(general).collect()
}

/// Unusual inputs; K long enough for whole vectors and a tail.
fn twisted<C: Build>(base: fn(Quant, Float) -> C) -> Vec<C> {
    let mut all = Vec::new();
    for quant in representatives() {
        for twist in Twist::ALL.into_iter().filter(|twist| twist.suits(quant)) {
            for float in FLOATS {
                for values in [Values::Dyadic, Values::Real] {
                    // Rounding is nothing new where only the scales are.
                    let ends = matches!(twist, Twist::Tiny | Twist::Huge);
                    if values == Values::Real && (!ends || float == Float::F16) {
                        continue;
                    }
                    let case = base(quant, float)
                        .tokens(7, 2, 3, Indices::Valid)
                        .sized(21, 9 * quant.group())
                        .twisted(twist)
                        .values(values);
                    let smoke = quant == B4G64 && float == Float::Bf16 && values.dyadic();
                    all.push(case.smoke_if(smoke));
                }
            }
        }
    }
    all
}

/// Tokens that share experts, so that a kernel may take several at once: all group sizes from 1
/// to 9, up to 256 pairs, in every order.
fn token_counts<C: Build>(base: fn(Quant, Float) -> C) -> Vec<C> {
    let mut all = Vec::new();
    let tables = [
        ("grouped", 9, 5, 9, Indices::Grouped),
        ("sorted", 24, 2, 5, Indices::Sorted),
        ("one-expert", 11, 3, 4, Indices::Same),
        ("wild", 12, 3, 4, Indices::Wild),
        ("many", 32, 8, 3, Indices::Valid),
    ];
    for (row, quant) in representatives().into_iter().enumerate() {
        for (column, (word, tokens, active, experts, kind)) in tables.into_iter().enumerate() {
            for (number, float) in FLOATS.into_iter().enumerate() {
                let main = matches!(quant, B4G64 | Quant::Mxfp4);
                if !main && (row + column) % 3 != number {
                    continue;
                }
                let case = base(quant, float)
                    .tokens(tokens, active, experts, kind)
                    .sized(21, 5 * quant.group())
                    .named(&format!("t{tokens}-{word}"));
                let smoke = quant == B4G64 && float == Float::Bf16;
                all.push(case.values(Values::Dyadic).smoke_if(smoke));
            }
        }
    }
    // Every number of tokens that meet in one expert.
    for tokens in 1..=9 {
        for quant in [B4G64, Quant::Mxfp4, Quant::Affine { bits: 3, group: 64 }] {
            let case = base(quant, Float::Bf16)
                .tokens(tokens, 1, 2, Indices::Same)
                .named(&format!("t{tokens}-one-expert"));
            all.push(case.values(Values::Dyadic));
        }
    }
    // The largest batches that decoding and short prompts make.
    for (tokens, active, kind, word) in [
        (256, 1, Indices::Valid, "many"),
        (64, 4, Indices::Sorted, "sorted"),
        (128, 2, Indices::Same, "one-expert"),
        (256, 1, Indices::Wild, "wild"),
    ] {
        for float in FLOATS {
            let case = base(B4G64, float)
                .tokens(tokens, active, 6, kind)
                .named(&format!("t{tokens}-{word}"));
            all.push(case.values(Values::Dyadic));
        }
    }
    all
}

/// The same bits in other ways: with values whose sums do round, so that another order shows.
fn ways<C: Build>(base: fn(Quant, Float) -> C) -> Vec<C> {
    let mut all = Vec::new();
    let tables = [
        ("layouts", 3, 2, Ways::Layouts),
        ("same-tokens", 5, 2, Ways::SameTokens),
        ("same-experts", 4, 2, Ways::SameExperts),
        ("batches", 17, 4, Ways::Batches),
    ];
    for (row, quant) in representatives().into_iter().enumerate() {
        for (column, (word, tokens, active, ways)) in tables.into_iter().enumerate() {
            for (number, float) in FLOATS.into_iter().enumerate() {
                let main = matches!(quant, B4G64 | Quant::Mxfp4);
                if !main && (row + column) % 3 != number {
                    continue;
                }
                let case = base(quant, float)
                    .tokens(tokens, active, 3, Indices::Valid)
                    .sized(37, 9 * quant.group())
                    .in_ways(ways)
                    .named(word);
                all.push(case.smoke_if(quant == B4G64 && float != Float::F16));
            }
        }
        // Untransposed weights have ways of their own to be split.
        for (word, ways) in [("layouts", Ways::Layouts), ("batches", Ways::Batches)] {
            let case = base(quant, FLOATS[row % 3])
                .tokens(9, 2, 3, Indices::Valid)
                .untransposed()
                .in_ways(ways)
                .named(word);
            all.push(case);
        }
    }
    // Rows that a kernel treats apart, beside others.
    for quant in fast_quants() {
        for float in [Float::F32, Float::Bf16] {
            let case = base(quant, float)
                .tokens(10, 3, 2, Indices::Valid)
                .sized(19, 9 * quant.group())
                .twisted(Twist::Mixed)
                .in_ways(Ways::Batches)
                .named("batches");
            all.push(case);
        }
    }
    // A dot as long as a model's.
    for quant in [B4G64, Quant::Affine { bits: 8, group: 64 }, Quant::Mxfp4] {
        for float in FLOATS {
            let case = base(quant, float)
                .tokens(9, 3, 4, Indices::Valid)
                .sized(70, 2880 / quant.group() * quant.group())
                .in_ways(Ways::Batches)
                .named("long/batches");
            all.push(case);
        }
    }
    all
}
