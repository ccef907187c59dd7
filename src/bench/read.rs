//! The memory's speed: as many threads as the fork uses read the bytes that a call must read,
//! in the same rotation, and do nothing else with them.
//!
//! The loop reads eight words a step into eight totals. Written out like that it needs no
//! vectoriser: in the tool's own profile (opt-level 1) it reads as fast as AVX-512 loads do
//! optimised, because memory is the limit. So no part of the bench is built differently.

use std::hint::{black_box, spin_loop};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::case::Case;
use super::inputs::Routing;
use crate::parity::random::Stream;

/// As many bytes as a worker's weights, an expert's together.
pub struct Memory {
    seed: u64,
    words: Vec<u64>,
    /// The matrices of an expert that are there.
    matrices: Range<usize>,
    threads: usize,
}

impl Memory {
    /// Room for the weights that the case's op needs, written once, so that it is real memory.
    pub fn new(seed: u64, case: &Case, threads: usize) -> Self {
        let stream = Stream::new(seed, &["memory"]);
        let matrices = case.op.matrices();
        let count = case.shape.rotating_bytes(case.float) * matrices.len() / size_of::<u64>();
        Memory {
            seed,
            words: (0..count as u64).map(|i| stream.bits(i)).collect(),
            matrices,
            threads: threads.max(1),
        }
    }

    /// Seconds of reading what the call at this position reads, and the number of bytes. Right
    /// before it, perhaps, what another reads.
    pub fn call(&self, case: &Case, before: Option<u64>, position: u64) -> (f64, usize) {
        let rounds: Vec<Vec<&[u64]>> = before
            .into_iter()
            .chain([position])
            .map(|at| self.parts(case, at))
            .collect();
        let line = Line::of(self.threads);
        let (line, rounds) = (&line, &rounds);
        let spans: Vec<Option<[Instant; 2]>> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads)
                .map(|thread| scope.spawn(move || self.share(line, rounds, thread)))
                .collect();
            let own = self.share(line, rounds, 0);
            let joined = others.into_iter().map(|other| other.join().ok().flatten());
            joined.chain([own]).collect()
        });
        // From the first thread's start to the last one's end, whichever they are.
        let first = spans.iter().flatten().map(|[start, _]| *start).min();
        let last = spans.iter().flatten().map(|[_, end]| *end).max();
        let seconds = first.zip(last).map(|(first, last)| last - first);
        let parts = rounds.last().into_iter().flatten();
        (
            seconds.unwrap_or_default().as_secs_f64(),
            parts.map(|part| size_of_val(*part)).sum(),
        )
    }

    /// One thread's share of each round, begun when all threads stand ready: when it began and
    /// ended the last.
    fn share(&self, line: &Line, rounds: &[Vec<&[u64]>], thread: usize) -> Option<[Instant; 2]> {
        let mut span = None;
        for parts in rounds {
            line.wait();
            let start = Instant::now();
            for part in parts {
                let share = part.len().div_ceil(self.threads);
                if let Some(mine) = part.chunks(share).nth(thread) {
                    black_box(sum(mine));
                }
            }
            span = Some([start, Instant::now()]);
        }
        span
    }

    fn parts(&self, case: &Case, position: u64) -> Vec<&[u64]> {
        let routing = Routing::at(self.seed, case, position);
        let matrix = case.shape.matrix_bytes(case.float) / size_of::<u64>();
        let used = case.op.matrices();
        let experts = routing.experts().into_iter().map(|expert| {
            let before = routing.set * case.shape.present + expert;
            let from = before * self.matrices.len() + used.start - self.matrices.start;
            &self.words[from * matrix..(from + used.len()) * matrix]
        });
        experts.collect()
    }
}

/// Where threads wait for each other, awake: to be woken takes as long as some reads.
struct Line {
    threads: usize,
    arrived: AtomicUsize,
}

impl Line {
    fn of(threads: usize) -> Self {
        Line {
            threads,
            arrived: AtomicUsize::new(0),
        }
    }

    fn wait(&self) {
        let place = self.arrived.fetch_add(1, Ordering::AcqRel);
        let complete = (place / self.threads + 1) * self.threads;
        let mut spins = 0u32;
        while self.arrived.load(Ordering::Acquire) < complete {
            spins += 1;
            // Where another program has the core of the one that is missing.
            if spins.is_multiple_of(1 << 14) {
                std::thread::yield_now();
            }
            spin_loop();
        }
    }
}

#[inline(never)]
fn sum(words: &[u64]) -> u64 {
    let (chunks, rest) = words.as_chunks::<8>();
    let mut t = [0u64; 8];
    for c in chunks {
        t[0] = t[0].wrapping_add(c[0]);
        t[1] = t[1].wrapping_add(c[1]);
        t[2] = t[2].wrapping_add(c[2]);
        t[3] = t[3].wrapping_add(c[3]);
        t[4] = t[4].wrapping_add(c[4]);
        t[5] = t[5].wrapping_add(c[5]);
        t[6] = t[6].wrapping_add(c[6]);
        t[7] = t[7].wrapping_add(c[7]);
    }
    let all = t.iter().chain(rest);
    all.fold(0, |total, word| total.wrapping_add(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::case::select;

    #[test]
    fn every_word_is_read_once() {
        let words: Vec<u64> = (0..1003).map(|i| i * i).collect();
        assert_eq!(sum(&words), words.iter().sum::<u64>());
    }

    #[test]
    fn it_reads_the_bytes_of_the_experts_of_a_call() {
        let mut case = select(Some("qwen3/t8/f16/combine"), &[8])
            .unwrap()
            .remove(0);
        (case.shape.present, case.shape.sets) = (16, 2);
        let memory = Memory::new(1, &case, 3);
        for position in 0..4 {
            let experts = Routing::at(1, &case, position).experts().len();
            let (seconds, bytes) = memory.call(&case, Some(9), position);
            assert_eq!(bytes, experts * case.shape.matrix_bytes(case.float));
            assert!(seconds > 0.0);
        }
    }
}
