//! The proxy's own workload as metrics and logs see it, and edges found once per endpoint.

use super::{
    families::Edges,
    labels::{EdgeLabels, Party, Reporter, Security, Service},
    peer,
    series::Edge,
};
use crate::balance::EndpointHandle;
use arc_swap::ArcSwapOption;
use http::HeaderValue;
use std::sync::Arc;
use weft_model::{host::Host, mesh::AccessLog, workload::WorkloadConfig};

/// See the module. One per version of the workload's settings.
#[derive(Debug, Default)]
pub struct Own {
    pub(super) config: Option<Arc<WorkloadConfig>>,
    /// Its labels.
    pub party: Party,
    /// How the access log is written.
    pub access_log: AccessLog,
}

impl Own {
    pub(super) fn new(config: Option<Arc<WorkloadConfig>>) -> Self {
        match &config {
            Some(it) => Self {
                party: Party::own(it),
                access_log: it.access_log,
                config,
            },
            None => Self::default(),
        }
    }

    pub(super) fn is_of(&self, config: Option<&Arc<WorkloadConfig>>) -> bool {
        match (&self.config, config) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

/// Where an endpoint keeps its edge, so that a request finds it without labels in hand.
#[derive(Debug, Default)]
pub struct EdgeCache(ArcSwapOption<Cached>);

#[derive(Debug)]
struct Cached {
    own: Arc<Own>,
    edge: Arc<Edge>,
    peer: HeaderValue,
}

/// The edge from the own workload to `endpoint`, and the value of the peer header for it.
#[must_use]
pub(super) fn outbound(
    edges: &Edges,
    own: &Arc<Own>,
    host: &Host,
    endpoint: &EndpointHandle,
) -> (Arc<Edge>, HeaderValue) {
    if let Some(cached) = &*endpoint.edges.0.load()
        && Arc::ptr_eq(&cached.own, own)
    {
        return (Arc::clone(&cached.edge), cached.peer.clone());
    }
    let service = Service::of(host);
    let it = &endpoint.endpoint;
    let id = endpoint.upstream.peer.as_ref();
    let peer = peer::encode(&own.party, &service);
    let edge = edges.edge(EdgeLabels {
        reporter: Reporter::Source,
        source: own.party.clone(),
        destination: Party::new(&it.workload, &it.namespace, id, &it.labels),
        service,
        security: Security::Unknown,
    });
    let cached = Cached {
        own: Arc::clone(own),
        edge: Arc::clone(&edge),
        peer: peer.clone(),
    };
    endpoint.edges.0.store(Some(Arc::new(cached)));
    (edge, peer)
}
