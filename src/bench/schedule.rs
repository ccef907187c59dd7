//! Who is asked when: how many samples an arm gets within a case's time, and their order.

use super::arm::Arm;
use super::inputs::shuffled;
use crate::parity::random::Stream;

/// Samples of each quick arm: at least as many as make an interval worth something, at most as
/// many as make it narrower.
const QUICK: (usize, usize) = (12, 200);

/// Samples of stock beyond its first.
const MOST_STOCK: usize = 100;

/// The part of the quick samples that comes before stock's first call.
const LEAD: usize = 4;

/// How many samples of each quick arm (fork, A/A, read) half of `budget` seconds holds, where
/// one of each takes `round` seconds.
pub fn quick_samples(budget: f64, round: f64) -> usize {
    ((0.5 * budget / round) as usize).clamp(QUICK.0, QUICK.1)
}

/// How many of those come before stock's first call, so that it has neighbours on both sides
/// even where it is its only one.
pub fn lead(quick: usize) -> usize {
    quick / LEAD
}

/// Further samples of stock within what half of `budget` is left after the first, which took
/// `first` seconds. None means that the first is the sample; otherwise it was the warm-up.
pub fn further_stock(budget: f64, first: f64) -> Option<usize> {
    let fit = ((0.5 * budget - first) / first) as usize;
    (fit >= 1).then(|| fit.min(MOST_STOCK))
}

/// An order of `stock` and, for each quick arm, `quick` samples: each arm's are spread evenly
/// over the whole, each at a random place within its share.
pub fn order(stock: usize, quick: usize, stream: Stream) -> Vec<Arm> {
    let counts = [
        (Arm::Stock, stock),
        (Arm::Fork, quick),
        (Arm::Again, quick),
        (Arm::Read, quick),
    ];
    let mut places = Vec::new();
    for (arm, count) in counts {
        for i in 0..count {
            let place = (i as f64 + stream.unit(places.len() as u64)) / count as f64;
            places.push((place, arm));
        }
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.into_iter().map(|(_, arm)| arm).collect()
}

/// The quick arms in random order, for warming up.
pub fn warm_up(stream: Stream) -> Vec<Arm> {
    let quick = [Arm::Fork, Arm::Again, Arm::Read];
    shuffled(stream, 3).into_iter().map(|i| quick[i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(order: &[Arm], arm: Arm) -> usize {
        order.iter().filter(|a| **a == arm).count()
    }

    #[test]
    fn counts_follow_the_budget_between_their_limits() {
        assert_eq!(quick_samples(20.0, 0.2), 50);
        assert_eq!(quick_samples(20.0, 60.0), 12);
        assert_eq!(quick_samples(20.0, 0.001), 200);
        assert_eq!(further_stock(20.0, 1.0), Some(9));
        assert_eq!(further_stock(20.0, 0.001), Some(100));
    }

    #[test]
    fn a_stock_that_is_too_slow_for_a_second_call_is_sampled_by_its_first() {
        assert_eq!(further_stock(20.0, 6.0), None);
        assert_eq!(further_stock(20.0, 370.0), None);
    }

    #[test]
    fn every_part_of_a_run_has_its_share_of_each_arm() {
        let all = order(20, 100, Stream::new(1, &["order"]));
        assert_eq!(all.len(), 320);
        for quarter in all.chunks(80) {
            assert!((3..=7).contains(&count(quarter, Arm::Stock)));
            for arm in [Arm::Fork, Arm::Again, Arm::Read] {
                assert!((20..=30).contains(&count(quarter, arm)), "{arm:?}");
            }
        }
    }

    #[test]
    fn the_order_is_random_by_the_seed() {
        let of = |seed| order(5, 30, Stream::new(seed, &["order"]));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        // Neither arm always comes first.
        let all = of(3);
        let firsts = all
            .windows(2)
            .filter(|w| **w == [Arm::Fork, Arm::Again])
            .count();
        let seconds = all
            .windows(2)
            .filter(|w| **w == [Arm::Again, Arm::Fork])
            .count();
        assert!(firsts > 0 && seconds > 0);
    }
}
