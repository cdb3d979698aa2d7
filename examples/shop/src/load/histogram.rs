//! Latencies in a fixed number of buckets: 64 of one microsecond, then 32 to each doubling, so that a
//! quantile is right to about 3 % and memory does not grow with the number of requests.

use std::time::Duration;

/// Below this every microsecond has a bucket of its own.
const LINEAR: u64 = 64;
/// Buckets to a doubling, as a power of two.
const SUB_BITS: u32 = 5;
/// The longest latency told apart, about 19 hours; longer ones count as this.
const MAX_BITS: u32 = 36;
const BUCKETS: usize = LINEAR as usize + ((MAX_BITS - 6) as usize) * (1 << SUB_BITS);

/// Counts of latencies.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS].into(),
            count: 0,
            max: Duration::ZERO,
        }
    }
}

impl Histogram {
    /// Counts one latency.
    pub(super) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(index(micros)) {
            *bucket += 1;
        }
        self.count += 1;
        self.max = self.max.max(latency);
    }

    /// Adds the counts of another.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// The latency that this share of all is not over, zero if there is none. Not over the longest.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let rank = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper(index)).min(self.max);
            }
        }
        self.max
    }

    /// The longest latency.
    pub(super) const fn max(&self) -> Duration {
        self.max
    }
}

fn index(micros: u64) -> usize {
    let micros = micros.min((1 << MAX_BITS) - 1);
    if micros < LINEAR {
        return micros as usize;
    }
    let exponent = micros.ilog2();
    let sub = (micros >> (exponent - SUB_BITS)) & ((1 << SUB_BITS) - 1);
    LINEAR as usize + ((exponent - 6) as usize) * (1 << SUB_BITS) + sub as usize
}

/// The longest latency of a bucket, in microseconds.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    let Some(above) = index.checked_sub(LINEAR) else {
        return index;
    };
    let (doubling, sub) = (above >> SUB_BITS, above & ((1 << SUB_BITS) - 1));
    let width = 1 << (doubling + 1);
    (((1 << SUB_BITS) + sub) * width) + width - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_in_a_bucket_near_it() {
        let mut micros = 0_u64;
        while micros < 1 << MAX_BITS {
            let bound = upper(index(micros));
            assert!(bound >= micros, "{micros} {bound}");
            assert!(
                (bound - micros) as f64 <= micros as f64 / 31.0,
                "{micros} {bound}"
            );
            micros += 1 + micros / 50;
        }
        assert_eq!(index(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn bounds_rise_and_belong_to_their_bucket() {
        for bucket in 0..BUCKETS {
            assert_eq!(index(upper(bucket)), bucket);
        }
    }

    #[test]
    fn quantiles() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        for millis in 1..=100 {
            histogram.record(Duration::from_millis(millis));
        }
        let near = |share, expected: f64| {
            let got = histogram.quantile(share).as_secs_f64() * 1e3;
            assert!((got - expected).abs() <= expected * 0.04, "{share}: {got}");
        };
        near(0.5, 50.0);
        near(0.9, 90.0);
        near(0.99, 99.0);
        assert_eq!(histogram.quantile(1.0), Duration::from_millis(100));
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!(twice.quantile(0.5), histogram.quantile(0.5));
        assert_eq!(twice.count, 200);
    }
}
