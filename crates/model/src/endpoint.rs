//! The instances behind a Service's port.

use crate::{Labels, host::Host, identity::SpiffeId, protocol::Protocol, source::SourceRef};
use serde::Serialize;
use std::net::SocketAddr;

/// Stable number of an endpoint: a balancer keeps what it learned of it over updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EndpointId(pub u64);

/// All endpoints of one Service port, whatever their subset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Endpoints {
    /// Full name of the Service.
    pub host: Host,
    /// The Service's port.
    pub port: u16,
    /// Sorted by id.
    pub endpoints: Vec<Endpoint>,
    /// Objects that shaped the set besides the Service itself (a PeerAuthentication that disables mutual TLS).
    pub sources: Vec<SourceRef>,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Endpoint {
    /// Its number.
    pub id: EndpointId,
    /// Where to dial.
    pub address: SocketAddr,
    /// Relative share; 1 where nothing is said.
    pub weight: u32,
    /// Its identity. None: it has no sidecar, or its policy disables mutual TLS; it is dialled in plaintext.
    pub identity: Option<SpiffeId>,
    /// Instance name, for example `payment-service-v2-0`.
    pub instance: String,
    /// The Deployment (or other owner) it belongs to: metric label `destination_workload`.
    pub workload: String,
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: Labels,
    /// What its port speaks.
    pub protocol: Protocol,
    /// It is going away: no new work.
    pub draining: bool,
}
