//! What the controller counts of itself.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Bounds of [`Metrics::programming_seconds`]: a second is the promise, five the patience.
const PROGRAMMING_BOUNDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0];

/// State of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StreamLabels {
    /// `serving` or `held` (its workload is not known yet).
    pub state: &'static str,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// One of a fixed set of words.
    pub reason: &'static str,
}

/// How a request for a certificate ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// `signed`, `unknown_token`, `bad_request` or `failed`.
    pub outcome: &'static str,
}

/// State of a policy object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PolicyLabels {
    /// `accepted`, or `kept_back`: its latest generation is invalid or held.
    pub state: &'static str,
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Open streams.
    pub streams: Family<StreamLabels, Gauge>,
    /// Streams that were refused.
    pub streams_refused: Family<ReasonLabels, Counter>,
    /// Batches sent.
    pub batches: Counter,
    /// Resources sent whole or as a delta.
    pub resources: Counter,
    /// Bytes of resources sent whole.
    pub resource_bytes: Counter,
    /// Resources that proxies refused.
    pub rejections: Counter,
    /// Requests for certificates.
    pub certificates: Family<OutcomeLabels, Counter>,
    /// Handshakes on the port that failed.
    pub handshake_failures: Family<ReasonLabels, Counter>,
    /// Policy objects.
    pub policies: Family<PolicyLabels, Gauge>,
    /// From an edit to the last acknowledgement.
    pub programming_seconds: Histogram,
}

impl Metrics {
    /// Registers every family.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            streams: Family::default(),
            streams_refused: Family::default(),
            batches: Counter::default(),
            resources: Counter::default(),
            resource_bytes: Counter::default(),
            rejections: Counter::default(),
            certificates: Family::default(),
            handshake_failures: Family::default(),
            policies: Family::default(),
            programming_seconds: Histogram::new(PROGRAMMING_BOUNDS),
        };
        let it = metrics.clone();
        registry.register(
            "weft_controller_streams",
            "Open streams of proxies",
            it.streams,
        );
        registry.register(
            "weft_controller_streams_refused",
            "Streams refused, by reason",
            it.streams_refused,
        );
        registry.register(
            "weft_controller_batches",
            "Batches sent to proxies",
            it.batches,
        );
        registry.register(
            "weft_controller_resources",
            "Resources sent to proxies, whole or as a delta",
            it.resources,
        );
        registry.register(
            "weft_controller_resource_bytes",
            "Bytes of resources sent whole",
            it.resource_bytes,
        );
        registry.register(
            "weft_controller_rejections",
            "Resources that proxies refused; a bug each",
            it.rejections,
        );
        registry.register(
            "weft_controller_certificates",
            "Requests for certificates, by outcome",
            it.certificates,
        );
        registry.register(
            "weft_controller_handshake_failures",
            "Failed TLS handshakes on the port for proxies, by reason",
            it.handshake_failures,
        );
        registry.register(
            "weft_controller_policies",
            "Policy objects, by state",
            it.policies,
        );
        registry.register(
            "weft_controller_programming_seconds",
            "From an edit to the acknowledgement of the last proxy that needs it",
            it.programming_seconds,
        );
        metrics
    }
}
