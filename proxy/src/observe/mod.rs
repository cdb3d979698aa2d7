//! What the proxy says of what it does: Istio's standard metrics, its own few, and the access log.
//!
//! On the way of a request nothing is formatted and no lock is taken: an endpoint (or, inbound, a connection) remembers its
//! edge, an edge its counters; labels are written at scrape time.

pub mod access_log;
mod exchange;
mod families;
pub mod labels;
mod observed;
mod open_tcp;
mod own;
pub mod peer;
pub mod series;

pub use exchange::Exchange;
pub use families::{DURATION, DURATION_BUCKET, Edges, REQUESTS, REQUESTS_TOTAL};
pub use observed::{BodyError, Observed};
pub use open_tcp::OpenTcp;
pub use own::{EdgeCache, Own};

use crate::{balance::EndpointHandle, connect::Held};
use access_log::{AccessLog, Entry};
use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue};
use labels::{EdgeLabels, Party, Reporter, Security, Service};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use series::Edge;
use std::sync::Arc;
use weft_model::{host::Host, mesh::AccessLog as Mode, workload::WorkloadConfig};

/// A family with one label.
type ByLabel = Family<[(&'static str, &'static str); 1], Counter>;

/// See the module. Shared by all shards.
#[derive(Debug)]
pub struct Observe {
    edges: Arc<Edges>,
    own: ArcSwap<Own>,
    /// The access log.
    pub access: AccessLog,
    /// Finished mutual TLS handshakes.
    pub handshakes: Handshakes,
    refused_inbound: ByLabel,
    refused_outbound: ByLabel,
    pool: Family<[(&'static str, &'static str); 1], Gauge>,
}

/// See [`Observe::handshakes`].
#[derive(Debug)]
pub struct Handshakes {
    /// By this proxy as a server.
    pub inbound: Counter,
    /// By this proxy as a client.
    pub outbound: Counter,
}

impl Observe {
    /// Registers every family of the data path.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Arc<Self> {
        Self::with_access_log(registry, AccessLog::default())
    }

    /// As [`Observe::new`], with the access log going elsewhere than to the standard output.
    #[must_use]
    pub fn with_access_log(registry: &mut Registry, access: AccessLog) -> Arc<Self> {
        let edges = Arc::new(Edges::default());
        registry.register_collector(Box::new(families::EdgeCollector(Arc::clone(&edges))));
        let handshakes = ByLabel::default();
        registry.register(
            "weft_handshakes",
            "Mutual TLS handshakes that succeeded",
            handshakes.clone(),
        );
        let refused_inbound = ByLabel::default();
        registry.register(
            "weft_inbound_refused",
            "Inbound connections refused, by reason",
            refused_inbound.clone(),
        );
        let refused_outbound = ByLabel::default();
        registry.register(
            "weft_outbound_refused",
            "Outbound handshakes that failed, by reason",
            refused_outbound.clone(),
        );
        let pool = Family::<[(&'static str, &'static str); 1], Gauge>::default();
        registry.register(
            "weft_pool_connections",
            "Connections held by the pools of all shards",
            pool.clone(),
        );
        let side = |side| handshakes.get_or_create(&[("side", side)]).clone();
        Arc::new(Self {
            edges,
            own: ArcSwap::from_pointee(Own::default()),
            access,
            handshakes: Handshakes {
                inbound: side("inbound"),
                outbound: side("outbound"),
            },
            refused_inbound,
            refused_outbound,
            pool,
        })
    }

    /// A refused inbound connection.
    pub fn refused_inbound(&self, reason: &'static str) {
        self.refused_inbound
            .get_or_create(&[("reason", reason)])
            .inc();
    }

    /// A failed outbound handshake.
    pub fn refused_outbound(&self, reason: &'static str) {
        self.refused_outbound
            .get_or_create(&[("reason", reason)])
            .inc();
    }

    /// One shard's part of the pool gauge.
    #[must_use]
    pub fn pool_gauge(&self) -> PoolGauge {
        let kind = |kind| self.pool.get_or_create(&[("kind", kind)]).clone();
        PoolGauge {
            h2: kind("h2"),
            h1_idle: kind("h1_idle"),
            held: Held::default(),
        }
    }

    /// The own workload as `config` says.
    #[must_use]
    pub fn own(&self, config: Option<&Arc<WorkloadConfig>>) -> Arc<Own> {
        let known = self.own.load();
        if known.is_of(config) {
            return Arc::clone(&known);
        }
        let fresh = Arc::new(Own::new(config.cloned()));
        self.own.store(Arc::clone(&fresh));
        fresh
    }

    /// A request begins. `entry` is asked only while the access log is on.
    #[must_use]
    pub fn begin(
        self: &Arc<Self>,
        config: Option<&Arc<WorkloadConfig>>,
        headers: &HeaderMap,
        entry: impl FnOnce() -> Entry,
    ) -> Exchange {
        let own = self.own(config);
        let log = (own.access_log != Mode::Off).then(|| Box::new(entry()));
        Exchange::new(Arc::clone(self), own, headers, log)
    }

    /// The edge to an endpoint, and the peer header for it.
    #[must_use]
    pub fn outbound(
        &self,
        own: &Arc<Own>,
        host: &Host,
        endpoint: &EndpointHandle,
    ) -> (Arc<Edge>, HeaderValue) {
        own::outbound(&self.edges, own, host, endpoint)
    }

    /// The edge to a Service whose endpoint is not known: a reply that the proxy made before it chose one.
    #[must_use]
    pub fn to_service(&self, own: &Own, service: Service) -> Arc<Edge> {
        self.edges.edge(EdgeLabels {
            reporter: Reporter::Source,
            source: own.party.clone(),
            destination: Party::default(),
            service,
            security: Security::Unknown,
        })
    }

    /// The edge from a client to the own workload.
    #[must_use]
    pub fn inbound(
        &self,
        own: &Own,
        source: Party,
        service: Service,
        security: Security,
    ) -> Arc<Edge> {
        self.edges.edge(EdgeLabels {
            reporter: Reporter::Destination,
            source,
            destination: own.party.clone(),
            service,
            security,
        })
    }
}

/// Adds a shard's pools to the gauge, and takes them out again when dropped.
#[derive(Debug)]
pub struct PoolGauge {
    h2: Gauge,
    h1_idle: Gauge,
    held: Held,
}

impl PoolGauge {
    /// What the shard holds now.
    pub fn set(&mut self, held: Held) {
        let difference = |new: usize, old: usize| {
            i64::try_from(new).unwrap_or(i64::MAX) - i64::try_from(old).unwrap_or(i64::MAX)
        };
        self.h2.inc_by(difference(held.h2, self.held.h2));
        self.h1_idle
            .inc_by(difference(held.h1_idle, self.held.h1_idle));
        self.held = held;
    }
}

impl Drop for PoolGauge {
    fn drop(&mut self) {
        self.set(Held::default());
    }
}
