//! Istio's families, written at scrape time from the edges.

use super::{
    labels::{EdgeLabels, RequestProtocol, UNKNOWN},
    series::{Edge, SeriesKey, TcpSeries},
};
use hashbrown::HashMap;
use parking_lot::RwLock;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder},
    metrics::{MetricType, counter::ConstCounter},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Edges kept. Beyond it everything new is counted as unknown: labels come from peers, and memory is bounded.
const EDGES_MAX: usize = 10_000;

/// All edges of the process.
#[derive(Debug, Default)]
pub struct Edges {
    known: RwLock<HashMap<EdgeLabels, Arc<Edge>>>,
}

impl Edges {
    /// The edge with these labels.
    #[must_use]
    pub fn edge(&self, mut labels: EdgeLabels) -> Arc<Edge> {
        if let Some(edge) = self.known.read().get(&labels) {
            return Arc::clone(edge);
        }
        let mut known = self.known.write();
        if known.len() >= EDGES_MAX {
            labels.source = Default::default();
            labels.destination = Default::default();
            labels.service = Default::default();
        }
        let edge = known
            .entry(labels.clone())
            .or_insert_with(|| Arc::new(Edge::new(labels)));
        Arc::clone(edge)
    }

    fn all(&self) -> Vec<Arc<Edge>> {
        self.known.read().values().cloned().collect()
    }
}

/// Writes [`Edges`].
#[derive(Debug)]
pub(super) struct EdgeCollector(pub(super) Arc<Edges>);

/// One series' labels.
#[derive(Debug)]
struct SeriesLabels<'a> {
    edge: &'a EdgeLabels,
    key: SeriesKey,
}

impl EncodeLabelSet for SeriesLabels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        self.edge.encode(encoder)?;
        ("request_protocol", self.key.protocol.as_str()).encode(encoder.encode_label())?;
        ("response_code", u64::from(self.key.code)).encode(encoder.encode_label())?;
        match self.key.grpc {
            Some(status) => {
                ("grpc_response_status", u64::from(status)).encode(encoder.encode_label())?;
            }
            None => ("grpc_response_status", "").encode(encoder.encode_label())?,
        }
        ("response_flags", self.key.flag.as_str()).encode(encoder.encode_label())
    }
}

/// An opaque connection's labels.
#[derive(Debug)]
struct TcpLabels<'a>(&'a EdgeLabels);

impl EncodeLabelSet for TcpLabels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.encode(encoder)?;
        ("request_protocol", RequestProtocol::Tcp.as_str()).encode(encoder.encode_label())?;
        ("response_flags", "-").encode(encoder.encode_label())
    }
}

/// Name, help and which counter.
type TcpFamily = (&'static str, &'static str, fn(&TcpSeries) -> &AtomicU64);

const TCP: [TcpFamily; 4] = [
    (
        "istio_tcp_connections_opened",
        "Opaque connections opened",
        |tcp| &tcp.opened,
    ),
    (
        "istio_tcp_connections_closed",
        "Opaque connections closed",
        |tcp| &tcp.closed,
    ),
    (
        "istio_tcp_sent_bytes",
        "Bytes sent by the server over opaque connections",
        |tcp| &tcp.sent,
    ),
    (
        "istio_tcp_received_bytes",
        "Bytes received by the server over opaque connections",
        |tcp| &tcp.received,
    ),
];

/// Istio's request counter, without the `_total` that the exposition adds.
pub const REQUESTS: &str = "istio_requests";
/// The counter as it is exposed.
pub const REQUESTS_TOTAL: &str = "istio_requests_total";
/// Istio's request histogram, without the suffixes that the exposition adds.
pub const DURATION: &str = "istio_request_duration_milliseconds";
/// The histogram's buckets as they are exposed.
pub const DURATION_BUCKET: &str = "istio_request_duration_milliseconds_bucket";

impl Collector for EdgeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let edges = self.0.all();
        let mut family = encoder.encode_descriptor(
            REQUESTS,
            "Requests, counted by each side when the response has ended",
            None,
            MetricType::Counter,
        )?;
        for edge in &edges {
            for series in edge.series().iter() {
                let labels = SeriesLabels {
                    edge: &edge.labels,
                    key: series.key,
                };
                let (count, _, _) = series.read();
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            DURATION,
            "Time from a request's head to the end of its response",
            None,
            MetricType::Histogram,
        )?;
        for edge in &edges {
            for series in edge.series().iter() {
                let labels = SeriesLabels {
                    edge: &edge.labels,
                    key: series.key,
                };
                let (count, sum, buckets) = series.read();
                family
                    .encode_family(&labels)?
                    .encode_histogram::<[(&str, &str); 0]>(sum, count, &buckets, None)?;
            }
        }
        for (name, help, counter) in TCP {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for edge in edges
                .iter()
                .filter(|edge| edge.tcp.opened.load(Ordering::Relaxed) > 0)
            {
                let count = counter(&edge.tcp).load(Ordering::Relaxed);
                ConstCounter::new(count).encode(family.encode_family(&TcpLabels(&edge.labels))?)?;
            }
        }
        Ok(())
    }
}

/// Whether a label's value says nothing.
pub(super) fn is_unknown(text: &str) -> bool {
    text.is_empty() || text == UNKNOWN
}
