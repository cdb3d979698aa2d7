//! Names and versions of what the control plane gives to a proxy.
//!
//! A proxy *subscribes* by [`Name`]: what it wants to know. The control plane answers with [`Resource`]s, each under one
//! canonical [`ResourceName`]; one resource may answer several names (aliases).

use crate::{
    cluster::{Cluster, ClusterName},
    endpoint::Endpoints,
    host::Host,
    inbound::InboundPolicy,
    route::OutboundPolicy,
    source::SourceRef,
    trust::TrustBundle,
    workload::WorkloadConfig,
};
use serde::{Serialize, Serializer};
use std::{fmt, net::SocketAddr};

/// What a proxy asks about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// The original destination of a redirected connection.
    Outbound(SocketAddr),
    /// The authority that an application addressed, as it wrote it (`payment-service`, `payment-service.production`, ...),
    /// lower case, with its port.
    Authority {
        /// Host part.
        host: String,
        /// Port.
        port: u16,
    },
    /// A container port of the proxy's own workload.
    Inbound(u16),
    /// The trust bundle.
    Trust,
    /// The proxy's own settings.
    Workload,
}

/// A resource's canonical name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceName {
    /// [`OutboundPolicy`] of a Service port.
    Outbound(Host, u16),
    /// [`Cluster`].
    Cluster(ClusterName),
    /// [`Endpoints`] of a Service port.
    Endpoints(Host, u16),
    /// [`InboundPolicy`] of a container port.
    Inbound(u16),
    /// [`TrustBundle`].
    Trust,
    /// [`WorkloadConfig`].
    Workload,
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outbound(host, port) => write!(f, "outbound/{host}:{port}"),
            Self::Cluster(name) => write!(f, "cluster/{name}"),
            Self::Endpoints(host, port) => write!(f, "endpoints/{host}:{port}"),
            Self::Inbound(port) => write!(f, "inbound/{port}"),
            Self::Trust => f.write_str("trust"),
            Self::Workload => f.write_str("workload"),
        }
    }
}

/// The text names no resource.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a resource name")]
pub struct ResourceNameError(String);

impl std::str::FromStr for ResourceName {
    type Err = ResourceNameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ResourceNameError(text.to_owned());
        let host_port = |rest: &str| -> Option<(Host, u16)> {
            let (host, port) = rest.rsplit_once(':')?;
            Some((host.parse().ok()?, port.parse().ok()?))
        };
        match text.split_once('/') {
            None if text == "trust" => Ok(Self::Trust),
            None if text == "workload" => Ok(Self::Workload),
            Some(("outbound", rest)) => host_port(rest)
                .map(|(h, p)| Self::Outbound(h, p))
                .ok_or_else(error),
            Some(("endpoints", rest)) => host_port(rest)
                .map(|(h, p)| Self::Endpoints(h, p))
                .ok_or_else(error),
            Some(("cluster", rest)) => rest.parse().map(Self::Cluster).map_err(|_| error()),
            Some(("inbound", rest)) => rest.parse().map(Self::Inbound).map_err(|_| error()),
            _ => Err(error()),
        }
    }
}

impl Serialize for ResourceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Hash of a resource's canonical encoding: equal content has equal versions in every process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub [u8; 16]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(6)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A resource's content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Towards a Service port.
    Outbound(OutboundPolicy),
    /// How to reach endpoints.
    Cluster(Cluster),
    /// The endpoints.
    Endpoints(Endpoints),
    /// A port of the workload itself.
    Inbound(InboundPolicy),
    /// Trust anchors.
    Trust(TrustBundle),
    /// The workload itself.
    Workload(WorkloadConfig),
}

impl Resource {
    /// The name that belongs to the content.
    #[must_use]
    pub fn name(&self) -> ResourceName {
        match self {
            Self::Outbound(it) => ResourceName::Outbound(it.host.clone(), it.port),
            Self::Cluster(it) => ResourceName::Cluster(it.name.clone()),
            Self::Endpoints(it) => ResourceName::Endpoints(it.host.clone(), it.port),
            Self::Inbound(it) => ResourceName::Inbound(it.port),
            Self::Trust(_) => ResourceName::Trust,
            Self::Workload(_) => ResourceName::Workload,
        }
    }

    /// The objects that produced it.
    #[must_use]
    pub fn sources(&self) -> &[SourceRef] {
        match self {
            Self::Outbound(it) => &it.sources,
            Self::Cluster(it) => &it.sources,
            Self::Endpoints(it) => &it.sources,
            Self::Inbound(it) => &it.sources,
            Self::Trust(_) => &[],
            Self::Workload(it) => &it.sources,
        }
    }
}
