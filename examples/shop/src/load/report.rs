//! What the load generator tells: while it runs (a snapshot) and at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::mix::Kind;

/// Latencies in milliseconds, of requests that got a reply.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50_ms: f64,
    /// Nine of ten were not slower.
    pub p90_ms: f64,
    /// 99 of 100 were not slower.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// How requests ended. Each is counted once: as succeeded, refused, failed or injected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that ended.
    pub requests: u64,
    /// Transport errors and 5xx, but for injected ones.
    pub failed: u64,
    /// Of the failed: no reply, or none in time.
    pub transport_errors: u64,
    /// Of the failed: a 5xx.
    pub server_errors: u64,
    /// Replies of 4xx: the shop said no.
    pub refused: u64,
    /// Replies that say of themselves that a policy made them fail.
    pub injected: u64,
}

/// One kind of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KindReport {
    /// How they ended.
    #[serde(flatten)]
    pub counts: Counts,
    /// How long they took.
    #[serde(flatten)]
    pub latency: Latency,
}

/// Counts and latencies since the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where the requests went.
    pub target: String,
    /// Seconds since the start, to the last reply in a final report.
    pub duration_s: f64,
    /// The rate that was asked for.
    pub rate: f64,
    /// The rate at which requests ended.
    pub rps: f64,
    /// How all ended.
    #[serde(flatten)]
    pub counts: Counts,
    /// Requests that were not sent because none of the slots came free in time.
    pub missed: u64,
    /// Requests that are under way.
    pub in_flight: u64,
    /// How long all took.
    #[serde(flatten)]
    pub latency: Latency,
    /// The kinds.
    pub kinds: BTreeMap<Kind, KindReport>,
    /// What the latest failure was.
    pub last_failure: Option<String>,
}

impl std::ops::Deref for Report {
    type Target = Counts;

    fn deref(&self) -> &Counts {
        &self.counts
    }
}

/// How one request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    Refused,
    ServerError,
    Injected,
    NoReply,
}

/// Counts of one kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    counts: Counts,
    latencies: Histogram,
}

impl Tally {
    pub(super) fn count(&mut self, outcome: Outcome, latency: Duration) {
        let counts = &mut self.counts;
        counts.requests += 1;
        match outcome {
            Outcome::Succeeded => {}
            Outcome::Refused => counts.refused += 1,
            Outcome::Injected => counts.injected += 1,
            Outcome::ServerError => {
                counts.failed += 1;
                counts.server_errors += 1;
            }
            Outcome::NoReply => {
                counts.failed += 1;
                counts.transport_errors += 1;
            }
        }
        if outcome != Outcome::NoReply {
            self.latencies.record(latency);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (&mut self.counts, &other.counts);
        mine.requests += theirs.requests;
        mine.failed += theirs.failed;
        mine.transport_errors += theirs.transport_errors;
        mine.server_errors += theirs.server_errors;
        mine.refused += theirs.refused;
        mine.injected += theirs.injected;
        self.latencies.merge(&other.latencies);
    }

    pub(super) fn report(&self) -> KindReport {
        let ms = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let latency = Latency {
            p50_ms: ms(self.latencies.quantile(0.5)),
            p90_ms: ms(self.latencies.quantile(0.9)),
            p99_ms: ms(self.latencies.quantile(0.99)),
            max_ms: ms(self.latencies.max()),
        };
        KindReport {
            counts: self.counts,
            latency,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} for {:.1} s at {:.1}/s: {} requests, {} failed ({} without reply, {} 5xx), {} refused, {} missed",
            self.target,
            self.duration_s,
            self.rps,
            self.counts.requests,
            self.counts.failed,
            self.counts.transport_errors,
            self.counts.server_errors,
            self.counts.refused,
            self.missed,
        )?;
        writeln!(
            f,
            "{:<12}{:>9}{:>8}{:>9}{:>10}{:>10}{:>10}",
            "kind", "requests", "failed", "refused", "p50 ms", "p90 ms", "p99 ms"
        )?;
        let kinds = self
            .kinds
            .iter()
            .map(|(kind, report)| (kind.name(), report.counts, report.latency));
        for (name, counts, latency) in kinds.chain([("all", self.counts, self.latency)]) {
            writeln!(
                f,
                "{name:<12}{:>9}{:>8}{:>9}{:>10.2}{:>10.2}{:>10.2}",
                counts.requests,
                counts.failed,
                counts.refused,
                latency.p50_ms,
                latency.p90_ms,
                latency.p99_ms
            )?;
        }
        match &self.last_failure {
            Some(failure) => writeln!(f, "latest failure: {failure}"),
            None => Ok(()),
        }
    }
}
