//! Medians and what they are worth: percentile bootstrap with a seeded generator. Not what the
//! numbers mean; that is `judge`'s.

use serde::Serialize;

use crate::parity::random::Stream;

/// Resamples of a bootstrap: enough for two digits of a 95 % interval's ends.
const RESAMPLES: usize = 2000;

/// A value and its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The median, or the ratio of two.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Estimate {
    /// The inverse: of a ratio the other way round.
    pub fn inverse(self) -> Self {
        Estimate {
            value: 1.0 / self.value,
            low: 1.0 / self.high,
            high: 1.0 / self.low,
        }
    }
}

/// The middle of the numbers, the mean of the middle two; NaN of none.
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// The quantile, linear between neighbours; NaN of none.
pub fn quantile(samples: &[f64], part: f64) -> f64 {
    quantile_in(&mut samples.to_vec(), part)
}

/// The same, in place: resampling needs thousands, so nothing is sorted that needn't be.
fn quantile_in(samples: &mut [f64], part: f64) -> f64 {
    let Some(last) = samples.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = part * last as f64;
    let (_, below, rest) = samples.select_nth_unstable_by(place as usize, f64::total_cmp);
    let below = *below;
    match rest.iter().copied().min_by(f64::total_cmp) {
        Some(above) => below + (above - below) * place.fract(),
        None => below,
    }
}

/// The median of the samples; its interval is a point where there is only one sample.
pub fn estimate(samples: &[f64], stream: Stream) -> Estimate {
    bootstrap([samples, &[1.0]], stream)
}

/// The ratio of the medians, both resampled.
pub fn ratio(above: &[f64], below: &[f64], stream: Stream) -> Estimate {
    bootstrap([above, below], stream)
}

fn bootstrap([above, below]: [&[f64]; 2], stream: Stream) -> Estimate {
    let (mut drawn, mut resample) = (0, Vec::new());
    let mut again = |samples: &[f64]| {
        resample.clear();
        resample.extend(samples.iter().map(|_| {
            drawn += 1;
            samples[stream.below(drawn, samples.len() as u64) as usize]
        }));
        quantile_in(&mut resample, 0.5)
    };
    let ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| again(above) / again(below))
        .collect();
    Estimate {
        value: median(above) / median(below),
        low: quantile(&ratios, 0.025),
        high: quantile(&ratios, 0.975),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(seed: u64, n: usize, mean: f64, deviation: f64) -> Vec<f64> {
        let stream = Stream::new(seed, &["samples"]);
        (0..n as u64)
            .map(|i| mean + deviation * stream.bell(i))
            .collect()
    }

    #[test]
    fn medians_and_quantiles_of_few_numbers() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(quantile(&[0.0, 10.0, 20.0], 0.25), 5.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn one_sample_has_a_point_for_an_interval() {
        let one = estimate(&[2.0], Stream::new(1, &[]));
        assert_eq!((one.low, one.value, one.high), (2.0, 2.0, 2.0));
    }

    #[test]
    fn a_seed_gives_the_same_interval_again_and_another_seed_another() {
        let samples = normal(1, 40, 1.0, 0.1);
        let of = |seed| estimate(&samples, Stream::new(seed, &["ci"]));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn nearly_95_of_100_intervals_hold_the_true_median() {
        let held = (0..400u64)
            .filter(|seed| {
                let e = estimate(&normal(*seed, 31, 5.0, 1.0), Stream::new(*seed, &["ci"]));
                e.low <= 5.0 && 5.0 <= e.high
            })
            .count();
        assert!((356..=392).contains(&held), "{held} of 400");
    }

    #[test]
    fn the_interval_of_a_ratio_grows_with_the_spread_of_either_side() {
        let width = |a: f64, b: f64| {
            let (a, b) = (normal(1, 50, 4.0, a), normal(2, 50, 2.0, b));
            let e = ratio(&a, &b, Stream::new(3, &[]));
            assert!((e.value - 2.0).abs() < 0.3);
            e.high - e.low
        };
        assert!(width(0.4, 0.01) > 3.0 * width(0.01, 0.01));
        assert!(width(0.01, 0.4) > 3.0 * width(0.01, 0.01));
    }

    #[test]
    fn the_inverse_of_a_ratio_keeps_its_ends_in_order() {
        let e = Estimate {
            value: 2.0,
            low: 1.0,
            high: 4.0,
        };
        let i = e.inverse();
        assert_eq!((i.low, i.value, i.high), (0.25, 0.5, 1.0));
    }
}
