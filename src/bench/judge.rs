//! Faster, slower, or no difference: a ratio's interval against the noise of the same run.

use serde::Serialize;

use super::stats::{self, Estimate, quantile};
use crate::parity::random::Stream;

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The fork takes less time, by more than the noise.
    Faster,
    /// It takes more, by more than the noise.
    Slower,
    /// The noise covers what difference there is.
    NoDifference,
}

impl Verdict {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::NoDifference => "no difference",
        }
    }
}

/// The samples of a case, in seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Stock's.
    pub stock: Vec<f64>,
    /// The fork's.
    pub fork: Vec<f64>,
    /// Those of the fork's second process.
    pub again: Vec<f64>,
}

/// What they say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judgement {
    /// Stock's median divided by the fork's: how many times faster the fork is. The interval's
    /// ends are NaN (null in JSON) where stock has a single sample.
    pub ratio: Estimate,
    /// The fork's second process against its first; 1 but for noise.
    pub drift: Estimate,
    /// The largest factor that the noise explains: how far `drift`'s interval reaches from 1.
    pub floor: f64,
    /// The comparison.
    pub verdict: Verdict,
}

/// Compares. A single sample of stock has no interval of its own; for the verdict it is given
/// the spread of the fork's single samples.
pub fn judge(samples: &Samples, stream: impl Fn(&str) -> Stream) -> Judgement {
    let drift = stats::ratio(&samples.again, &samples.fork, stream("a/a"));
    let floor = drift.high.max(1.0 / drift.low);
    let mut ratio = stats::ratio(&samples.stock, &samples.fork, stream("ratio"));
    let mut reach = (ratio.low, ratio.high);
    if samples.stock.len() == 1 {
        let middle = stats::median(&samples.fork);
        reach.0 *= quantile(&samples.fork, 0.025) / middle;
        reach.1 *= quantile(&samples.fork, 0.975) / middle;
        // One sample says nothing of stock's spread: no interval may be shown.
        (ratio.low, ratio.high) = (f64::NAN, f64::NAN);
    }
    // Written so that a NaN is no difference.
    let verdict = if reach.0 > floor {
        Verdict::Faster
    } else if reach.1 < 1.0 / floor {
        Verdict::Slower
    } else {
        Verdict::NoDifference
    };
    Judgement {
        ratio,
        drift,
        floor,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(seed: u64, word: &str, n: u64, mean: f64, part: f64) -> Vec<f64> {
        let stream = Stream::new(seed, &[word]);
        (0..n)
            .map(|i| mean * (1.0 + part * stream.bell(i)))
            .collect()
    }

    /// Stock and fork with these means, the A/A arm with the fork's times `drift`.
    fn verdict(seed: u64, [stock, fork, drift]: [f64; 3], noise: f64, n: u64) -> Verdict {
        let samples = Samples {
            stock: noisy(seed, "stock", n, stock, noise),
            fork: noisy(seed, "fork", 60, fork, noise),
            again: noisy(seed, "again", 60, fork * drift, noise),
        };
        judge(&samples, |word| Stream::new(seed, &[word])).verdict
    }

    #[test]
    fn a_clear_difference_is_called_by_its_direction() {
        assert_eq!(verdict(1, [1.1, 1.0, 1.0], 0.02, 20), Verdict::Faster);
        assert_eq!(verdict(1, [1.0, 1.1, 1.0], 0.02, 20), Verdict::Slower);
    }

    #[test]
    fn the_same_difference_drowns_in_more_noise() {
        assert_eq!(verdict(1, [1.1, 1.0, 1.0], 0.5, 20), Verdict::NoDifference);
    }

    #[test]
    fn a_difference_that_two_processes_of_one_build_show_too_is_none() {
        for drift in [1.2, 1.0 / 1.2] {
            assert_eq!(
                verdict(1, [1.1, 1.0, drift], 0.02, 20),
                Verdict::NoDifference
            );
            assert_eq!(
                verdict(1, [1.0, 1.1, drift], 0.02, 20),
                Verdict::NoDifference
            );
        }
    }

    #[test]
    fn equal_builds_are_rarely_called_different() {
        let called = (0..100)
            .filter(|seed| verdict(*seed, [1.0, 1.0, 1.0], 0.1, 40) != Verdict::NoDifference)
            .count();
        assert!(called <= 2, "{called} of 100");
    }

    #[test]
    fn five_percent_is_found_where_the_noise_is_one_percent() {
        let found = (0..50)
            .filter(|seed| verdict(*seed, [1.05, 1.0, 1.0], 0.01, 20) == Verdict::Faster)
            .count();
        assert_eq!(found, 50);
    }

    #[test]
    fn one_sample_of_stock_must_stand_out_of_the_forks_spread() {
        assert_eq!(verdict(1, [200.0, 1.0, 1.0], 0.05, 1), Verdict::Faster);
        assert_eq!(verdict(1, [1.05, 1.0, 1.0], 0.05, 1), Verdict::NoDifference);
        assert_eq!(verdict(1, [0.1, 1.0, 1.0], 0.05, 1), Verdict::Slower);
    }

    #[test]
    fn no_samples_are_no_difference() {
        let judgement = judge(&Samples::default(), |word| Stream::new(1, &[word]));
        assert_eq!(judgement.verdict, Verdict::NoDifference);
    }
}
