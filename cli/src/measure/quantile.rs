//! Quantiles of a histogram, as Prometheus' `histogram_quantile` computes them.

use std::collections::BTreeMap;

/// Cumulative counts by upper bound. Bounds are kept as bits: for numbers that are not negative
/// they have the same order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    counts: BTreeMap<u64, f64>,
}

impl Histogram {
    /// Adds to the count of everything up to `bound`.
    pub fn add(&mut self, bound: f64, count: f64) {
        if bound >= 0.0 {
            *self.counts.entry(bound.to_bits()).or_default() += count;
        }
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (bound, count) in &other.counts {
            *self.counts.entry(*bound).or_default() += count;
        }
    }

    /// The same, each count times `share`.
    #[must_use]
    pub fn scaled(&self, share: f64) -> Self {
        let counts = self
            .counts
            .iter()
            .map(|(bound, count)| (*bound, count * share));
        Self {
            counts: counts.collect(),
        }
    }

    /// The value below which `quantile` of the observations lie: linear within a bucket, whose
    /// lower end is the bound before it. `None` without observations.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let total = *self.counts.values().next_back()?;
        if total <= 0.0 {
            return None;
        }
        let rank = quantile * total;
        let mut below = (0.0, 0.0);
        for (bits, count) in &self.counts {
            let bound = f64::from_bits(*bits);
            if *count >= rank && *count > 0.0 {
                if bound.is_infinite() {
                    // Nothing is known but that it is above the last bound.
                    return Some(below.0);
                }
                let inside = count - below.1;
                let share = if inside > 0.0 {
                    ((rank - below.1) / inside).clamp(0.0, 1.0)
                } else {
                    1.0
                };
                return Some(below.0 + (bound - below.0) * share);
            }
            below = (bound, *count);
        }
        Some(below.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(buckets: &[(f64, f64)], quantile: f64, expected: Option<f64>) {
        let mut histogram = Histogram::default();
        for (bound, count) in buckets {
            histogram.add(*bound, *count);
        }
        assert_eq!(histogram.quantile(quantile), expected, "{buckets:?}");
    }

    #[test]
    fn quantiles_are_interpolated_within_a_bucket() {
        let buckets = [(1.0, 10.0), (2.0, 20.0), (5.0, 20.0), (f64::INFINITY, 20.0)];
        check(&buckets, 0.5, Some(1.0));
        check(&buckets, 0.75, Some(1.5));
        check(&buckets, 0.25, Some(0.5));
        check(&buckets, 1.0, Some(2.0));
        check(&[(1.0, 0.0), (f64::INFINITY, 4.0)], 0.5, Some(1.0));
        check(
            &[(1.0, 0.0), (4.0, 4.0), (f64::INFINITY, 4.0)],
            0.5,
            Some(2.5),
        );
        check(&[(1.0, 0.0), (f64::INFINITY, 0.0)], 0.5, None);
        check(&[], 0.5, None);
    }

    #[test]
    fn histograms_add_up() {
        let mut one = Histogram::default();
        one.add(1.0, 1.0);
        one.add(f64::INFINITY, 2.0);
        let mut two = one.clone();
        two.merge(&one);
        two.add(f64::NAN, 9.0);
        assert_eq!(two.quantile(0.5), Some(1.0));
        assert_eq!(two.counts.len(), 2);
    }
}
