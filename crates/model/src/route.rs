//! What an outbound sidecar is told about one destination: Service and port.

use crate::{
    cluster::ClusterName,
    host::Host,
    matching::{HttpMatch, Matches},
    protocol::Protocol,
    source::SourceRef,
};
use serde::Serialize;
use std::{num::NonZeroU32, time::Duration};

/// The policy towards one port of one Service, for one class of clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct OutboundPolicy {
    /// Full name of the Service.
    pub host: Host,
    /// Short name of the Service: metric label `destination_service_name`.
    pub service: String,
    /// Namespace of the Service.
    pub namespace: String,
    /// The Service's port.
    pub port: u16,
    /// What the port declares.
    pub protocol: Protocol,
    /// HTTP rules in order; the first that matches wins, and where none matches the reply is 404 (flag NR).
    /// Without a VirtualService this is one catch-all to the Service itself.
    pub http: Vec<HttpRoute>,
    /// Where connections go whose requests nobody can tell apart.
    pub tcp: Vec<WeightedBackend>,
    /// All objects that took part, also those that only hold a reference.
    pub sources: Vec<SourceRef>,
}

/// One HTTP rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct HttpRoute {
    /// The user's name for it.
    pub name: Option<String>,
    /// When it applies.
    pub matches: Matches<HttpMatch>,
    /// What it does.
    pub action: RouteAction,
    /// Bound on the whole request, response body's start included. None: no bound.
    pub timeout: Option<Duration>,
    /// The rule that says so. None for the default route.
    pub source: Option<SourceRef>,
}

/// What a rule does with a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteAction {
    /// Forward to one of these.
    Forward(Vec<WeightedBackend>),
}

/// A destination and its share. Shares are relative; a backend that gets nothing is left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct WeightedBackend {
    /// Where to.
    pub backend: Backend,
    /// Its share.
    pub weight: NonZeroU32,
}

/// See [`WeightedBackend`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// A cluster.
    Cluster(ClusterName),
    /// The reference is broken while in use (a subset was deleted): 503 with this reason.
    Invalid(String),
}
