//! What is learned of an endpoint: how long it takes (peak-EWMA) and how often it succeeds.
//!
//! Pure numbers over time. `now` may run backwards by a little, as it does between threads; then no time has passed.

use std::time::{Duration, Instant};
use weft_model::limits::EWMA_DECAY;

/// No estimate falls below this: at zero, requests in flight would no longer count after an idle hour.
const LEAST: Duration = Duration::from_micros(1);

/// The share of one request in the success rate: about ten requests are remembered, so that an endpoint that begins to
/// fail is known after a few and one failure in a hundred moves nothing for long.
const SUCCESS_STEP: f64 = 0.1;

/// No success rate falls below this: it bounds the cost of an endpoint that only fails, which decays from there until it
/// is tried again (about 70 s beside idle peers: ln 1000 times the decay).
const LEAST_SUCCESS: f64 = 0.001;

/// The part of an estimate that remains after `elapsed`.
fn remains(elapsed: Duration) -> f64 {
    (-elapsed.as_secs_f64() / EWMA_DECAY.as_secs_f64()).exp()
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

fn duration(nanos: f64) -> Duration {
    Duration::try_from_secs_f64(nanos / 1e9).unwrap_or(Duration::MAX)
}

/// Latency that rises at once and falls slowly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    /// As of `since`.
    nanos: f64,
    since: Instant,
}

impl Estimate {
    pub(super) fn new(latency: Duration, now: Instant) -> Self {
        Self {
            nanos: nanos(latency.max(LEAST)),
            since: now,
        }
    }

    pub(super) fn nanos_at(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.since);
        (self.nanos * remains(elapsed)).max(nanos(LEAST))
    }

    pub(super) fn at(&self, now: Instant) -> Duration {
        duration(self.nanos_at(now))
    }

    /// Learns of a request that took `latency`.
    pub(super) fn sample(&mut self, latency: Duration, now: Instant) {
        let sample = nanos(latency);
        let current = self.nanos_at(now);
        self.nanos = if sample > current {
            sample
        } else {
            let elapsed = now.saturating_duration_since(self.since);
            current + sample * (1.0 - remains(elapsed))
        };
        self.since = self.since.max(now);
    }

    /// Learns of a request that would have taken longer than `latency`.
    pub(super) fn raise(&mut self, latency: Duration, now: Instant) {
        if nanos(latency) > self.nanos_at(now) {
            self.sample(latency, now);
        }
    }
}

/// Latency that follows the samples evenly.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Average(Option<(f64, Instant)>);

impl Average {
    /// None before the first sample.
    pub(super) fn get(&self) -> Option<Duration> {
        self.0.map(|(nanos, _)| duration(nanos))
    }

    pub(super) fn sample(&mut self, latency: Duration, now: Instant) {
        let sample = nanos(latency);
        let (value, since) = self.0.unwrap_or((sample, now));
        let kept = remains(now.saturating_duration_since(since));
        self.0 = Some((value * kept + sample * (1.0 - kept), since.max(now)));
    }
}

/// Recent share of successes.
#[derive(Debug, Clone, Copy)]
pub(super) struct SuccessRate(f64);

impl Default for SuccessRate {
    fn default() -> Self {
        Self(1.0)
    }
}

impl SuccessRate {
    pub(super) fn get(self) -> f64 {
        self.0
    }

    pub(super) fn succeeded(&mut self) {
        self.0 += SUCCESS_STEP * (1.0 - self.0);
    }

    pub(super) fn failed(&mut self) {
        self.0 = (self.0 * (1.0 - SUCCESS_STEP)).max(LEAST_SUCCESS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    const MS: Duration = Duration::from_millis(1);

    fn close(actual: Duration, expected_ms: f64) {
        let actual = actual.as_secs_f64() * 1e3;
        assert!(
            (actual - expected_ms).abs() < 1e-3 * expected_ms,
            "{actual} ms, expected {expected_ms} ms"
        );
    }

    #[test]
    fn an_estimate_rises_at_once_and_falls_with_time() {
        let start = fixture::start();
        let mut estimate = Estimate::new(30 * MS, start);
        close(estimate.at(start), 30.0);
        close(estimate.at(start + EWMA_DECAY), 30.0 / std::f64::consts::E);
        estimate.sample(200 * MS, start);
        close(estimate.at(start), 200.0);
        // A lower sample in the same instant says nothing new; one decay later it has drawn the estimate down by 1 - 1/e.
        estimate.sample(10 * MS, start);
        close(estimate.at(start), 200.0);
        let later = start + EWMA_DECAY;
        estimate.sample(10 * MS, later);
        let kept = 1.0 / std::f64::consts::E;
        close(estimate.at(later), 200.0 * kept + 10.0 * (1.0 - kept));
    }

    #[test]
    fn an_estimate_settles_at_what_is_measured_however_often_it_is_read() {
        let mut now = fixture::start();
        let mut estimate = Estimate::new(30 * MS, now);
        for _ in 0..100_000 {
            now += MS;
            let _ = estimate.nanos_at(now);
            estimate.sample(5 * MS, now);
        }
        close(estimate.at(now), 5.0);
    }

    #[test]
    fn an_estimate_never_reaches_zero_and_survives_a_clock_that_steps_back() {
        let start = fixture::start();
        let mut estimate = Estimate::new(30 * MS, start + EWMA_DECAY);
        close(estimate.at(start), 30.0);
        estimate.sample(40 * MS, start);
        close(estimate.at(start + EWMA_DECAY), 40.0);
        estimate.sample(Duration::ZERO, start + 1000 * EWMA_DECAY);
        assert_eq!(estimate.at(start + 1000 * EWMA_DECAY), LEAST);
        estimate.sample(Duration::MAX, start + 1000 * EWMA_DECAY);
        assert!(estimate.at(start + 1000 * EWMA_DECAY) > EWMA_DECAY);
    }

    #[test]
    fn an_unfinished_request_only_raises() {
        let start = fixture::start();
        let mut estimate = Estimate::new(30 * MS, start);
        estimate.raise(MS, start + EWMA_DECAY);
        close(estimate.at(start), 30.0);
        estimate.raise(50 * MS, start);
        close(estimate.at(start), 50.0);
    }

    #[test]
    fn the_average_starts_at_its_first_sample() {
        let mut now = fixture::start();
        let mut average = Average::default();
        assert_eq!(average.get(), None);
        average.sample(500 * MS, now);
        close(average.get().unwrap(), 500.0);
        for _ in 0..100 {
            now += EWMA_DECAY;
            average.sample(10 * MS, now);
        }
        close(average.get().unwrap(), 10.0);
    }

    #[test]
    fn success_rate_follows_shares_and_is_bounded() {
        let mut rate = SuccessRate::default();
        for _ in 0..1000 {
            rate.failed();
        }
        assert!((rate.get() - LEAST_SUCCESS).abs() < f64::EPSILON);
        for _ in 0..100 {
            rate.succeeded();
        }
        assert!(rate.get() > 0.99);
        rate.failed();
        assert!(rate.get() > 0.89);
    }
}
