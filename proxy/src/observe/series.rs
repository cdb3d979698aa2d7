//! Counters of one edge, found without a lock or an allocation: an edge keeps a short list of what has occurred on it.

use super::labels::{EdgeLabels, RequestProtocol};
use crate::respond::Flag;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Upper bounds of the duration histogram, in microseconds: Istio's, and finer ones below 25 ms where a sidecar's
/// requests are.
pub const BOUNDS_MICROS: [u64; 24] = [
    250,
    500,
    1_000,
    2_000,
    3_000,
    5_000,
    7_500,
    10_000,
    15_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
];

/// What tells the requests of one edge apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesKey {
    /// Protocol.
    pub protocol: RequestProtocol,
    /// `response_code`; 0 when the client left before there was one.
    pub code: u16,
    /// `response_flags`.
    pub flag: Flag,
    /// `grpc_response_status`; empty where it is none.
    pub grpc: Option<u8>,
}

/// Counter and histogram of one set of labels. The counter is the histogram's count: the two cannot disagree.
#[derive(Debug)]
pub struct Series {
    /// What it counts.
    pub key: SeriesKey,
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl Series {
    fn new(key: SeriesKey) -> Self {
        Self {
            key,
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_micros: AtomicU64::new(0),
        }
    }

    /// One request that took so long.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many requests, their time in milliseconds, and how many in each bucket (bound in milliseconds).
    #[must_use]
    pub fn read(&self) -> (u64, f64, Vec<(f64, u64)>) {
        let counts = self
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed));
        let bounds = BOUNDS_MICROS
            .iter()
            .map(|micros| *micros as f64 / 1_000.0)
            .chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (
            count,
            self.sum_micros.load(Ordering::Relaxed) as f64 / 1_000.0,
            buckets,
        )
    }
}

/// Everything counted between two workloads to one Service.
#[derive(Debug)]
pub struct Edge {
    /// Its labels.
    pub labels: EdgeLabels,
    series: ArcSwap<Vec<Arc<Series>>>,
    grow: Mutex<()>,
    /// Opaque connections.
    pub tcp: TcpSeries,
}

/// Counters of an edge's opaque connections.
#[derive(Debug, Default)]
pub struct TcpSeries {
    /// Opened.
    pub opened: AtomicU64,
    /// Closed.
    pub closed: AtomicU64,
    /// Bytes that the server sent to the client: Istio's "sent".
    pub sent: AtomicU64,
    /// Bytes that the client sent to the server: Istio's "received".
    pub received: AtomicU64,
}

impl Edge {
    /// An edge on which nothing has happened.
    #[must_use]
    pub fn new(labels: EdgeLabels) -> Self {
        Self {
            labels,
            series: ArcSwap::from_pointee(Vec::new()),
            grow: Mutex::new(()),
            tcp: TcpSeries::default(),
        }
    }

    /// One request.
    pub fn observe(&self, key: SeriesKey, took: Duration) {
        let series = self.series.load();
        if let Some(found) = series.iter().find(|series| series.key == key) {
            return found.observe(took);
        }
        let _one_at_a_time = self.grow.lock();
        let mut next = Vec::clone(&self.series.load());
        let found = match next.iter().find(|series| series.key == key) {
            Some(found) => Arc::clone(found),
            None => {
                let fresh = Arc::new(Series::new(key));
                next.push(Arc::clone(&fresh));
                self.series.store(Arc::new(next));
                fresh
            }
        };
        found.observe(took);
    }

    /// All series, for a scrape.
    #[must_use]
    pub fn series(&self) -> Arc<Vec<Arc<Series>>> {
        self.series.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_falls_into_the_bucket_that_covers_it() {
        let key = SeriesKey {
            protocol: RequestProtocol::Http,
            code: 200,
            flag: Flag::None,
            grpc: None,
        };
        let series = Series::new(key);
        for micros in [250, 251, 5_000_000_000] {
            series.observe(Duration::from_micros(micros));
        }
        let (count, sum, buckets) = series.read();
        assert_eq!(count, 3);
        assert!((sum - 5_000_000.501).abs() < 0.001, "{sum}");
        assert_eq!(buckets[0], (0.25, 1));
        assert_eq!(buckets[1], (0.5, 1));
        assert_eq!(buckets.last().unwrap().1, 1);
    }
}
