//! Which backend of a rule gets a request: an independent draw by weight.
//!
//! Each request is drawn by itself, so of n requests a share s gets n·s ± a few times √(n·s·(1−s)). Taking turns would
//! be smoother for one client and wrong for many: every sidecar would send its first requests to the same backend.

use crate::chance::Chance;
use std::num::NonZeroU64;
use weft_model::route::WeightedBackend;

/// One of `backends`, each with probability weight / sum of weights. None only if there are none.
#[must_use]
pub fn choose<'p>(
    backends: &'p [WeightedBackend],
    chance: &mut impl Chance,
) -> Option<&'p WeightedBackend> {
    if let [only] = backends {
        return Some(only);
    }
    let mut rest = chance.below(NonZeroU64::new(total(backends))?);
    backends.iter().find(|backend| {
        let weight = u64::from(backend.weight.get());
        let here = rest < weight;
        rest = rest.saturating_sub(weight);
        here
    })
}

/// Sum of all weights.
pub(crate) fn total(backends: &[WeightedBackend]) -> u64 {
    backends
        .iter()
        .map(|backend| u64::from(backend.weight.get()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use proptest::prelude::*;

    /// A draw that is always the same.
    struct Always(u64);
    impl Chance for Always {
        fn below(&mut self, bound: NonZeroU64) -> u64 {
            assert!(self.0 < bound.get());
            self.0
        }
    }

    fn chosen(weights: &[u32], draw: u64) -> Option<usize> {
        let backends = fixture::backends(weights);
        let choice = choose(&backends, &mut Always(draw))?;
        backends
            .iter()
            .position(|backend| backend.backend == choice.backend)
    }

    #[test]
    fn each_draw_belongs_to_exactly_one_backend() {
        let cases: [(&[u32], u64, Option<usize>); 9] = [
            (&[], 0, None),
            (&[7], 0, Some(0)),
            (&[90, 10], 0, Some(0)),
            (&[90, 10], 89, Some(0)),
            (&[90, 10], 90, Some(1)),
            (&[90, 10], 99, Some(1)),
            (&[1, 2, 3], 2, Some(1)),
            (&[1, 2, 3], 3, Some(2)),
            (&[u32::MAX, u32::MAX], u64::from(u32::MAX), Some(1)),
        ];
        for (weights, draw, expected) in cases {
            assert_eq!(chosen(weights, draw), expected, "{weights:?} at {draw}");
        }
    }

    #[test]
    fn shares_are_exact_over_all_draws() {
        let weights = [3, 1, 6, 2];
        let mut counts = [0_u32; 4];
        for draw in 0..12 {
            counts[chosen(&weights, draw).unwrap()] += 1;
        }
        assert_eq!(counts, weights);
    }

    /// Draws are independent: what follows the small side is again the small side as often as ever.
    #[test]
    fn draws_do_not_depend_on_each_other() {
        let backends = fixture::backends(&[90, 10]);
        let mut rng = fastrand::Rng::with_seed(11);
        let mut small = || choose(&backends, &mut rng).unwrap().weight.get() == 10;
        let (mut pairs, mut firsts) = (0_u32, 0_u32);
        let mut last = false;
        for _ in 0..100_000 {
            let now = small();
            firsts += u32::from(last);
            pairs += u32::from(last && now);
            last = now;
        }
        let share = f64::from(pairs) / f64::from(firsts);
        assert!((0.09..0.11).contains(&share), "{share}");
    }

    proptest! {
        /// Within seven standard deviations of the binomial distribution, so that no run fails by chance.
        #[test]
        fn shares_follow_the_weights(weights in prop::collection::vec(1_u32..1000, 1..6), seed: u64) {
            const DRAWS: u32 = 10_000;
            let backends = fixture::backends(&weights);
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut counts = vec![0_u32; weights.len()];
            for _ in 0..DRAWS {
                let choice = choose(&backends, &mut rng).unwrap();
                let index = backends.iter().position(|b| std::ptr::eq(b, choice)).unwrap();
                counts[index] += 1;
            }
            let sum: u32 = weights.iter().sum();
            for (weight, count) in weights.iter().zip(counts) {
                let share = f64::from(*weight) / f64::from(sum);
                let mean = f64::from(DRAWS) * share;
                let deviation = (mean * (1.0 - share)).sqrt();
                prop_assert!((f64::from(count) - mean).abs() <= 7.0 * deviation + 5.0);
            }
        }
    }
}
