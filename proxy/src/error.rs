//! Why a request or connection cannot go on: every fault of the data path, with whose fault it is.
//!
//! Place: each stage returns these; [`crate::respond`] turns them into a reply, a flag and a remedy. The text says what
//! happened, never what to do: that is the table's. Cheap to clone, because several requests may wait for one connect.

use crate::tables::LookupError;
use std::{net::SocketAddr, time::Duration};
use weft_model::{cluster::ClusterName, host::Host, identity::SpiffeId, source::SourceRef};

/// See the module.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProxyError {
    /// The control plane has not answered. Whose fault: control.
    #[error(transparent)]
    ConfigUnavailable(#[from] LookupError),
    /// Rules exist and none matches. Whose fault: policy or client.
    #[error("no rule of {host}:{port} matches the request")]
    RouteNotFound {
        /// The Service addressed.
        host: Host,
        /// Its port.
        port: u16,
    },
    /// A rule names something that is gone. Whose fault: policy.
    #[error("the destination of the rule cannot be used: {reason}")]
    BackendInvalid {
        /// What the control plane says.
        reason: String,
    },
    /// A policy names a cluster that this proxy was not given. Whose fault: control.
    #[error("cluster {cluster} is not known to this proxy")]
    ClusterMissing {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Nothing to send to. Whose fault: upstream.
    #[error("cluster {cluster} has no endpoint that takes traffic")]
    NoEndpoints {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Mutual TLS is demanded of an endpoint that has no sidecar. Whose fault: policy.
    #[error("cluster {cluster} demands mutual TLS, and endpoint {instance} has no identity")]
    IdentityMissing {
        /// The cluster.
        cluster: ClusterName,
        /// The endpoint.
        instance: String,
    },
    /// This proxy has no valid certificate. Whose fault: control or us.
    #[error("this proxy has no certificate to present: {reason}")]
    NotCertified {
        /// Why.
        reason: String,
    },
    /// TCP connect failed. Whose fault: upstream.
    #[error("cannot connect to {address}: {reason}")]
    ConnectFailed {
        /// Where to.
        address: SocketAddr,
        /// What the kernel says.
        reason: String,
    },
    /// Connect and handshake took too long. Whose fault: upstream.
    #[error("no connection to {address} within {after:?}")]
    ConnectTimeout {
        /// Where to.
        address: SocketAddr,
        /// The bound.
        after: Duration,
    },
    /// The TLS handshake failed: another identity, another authority, an expired certificate. Whose fault: upstream.
    #[error("{address} is not {expected}: {reason}")]
    PeerRejected {
        /// Where to.
        address: SocketAddr,
        /// The identity wanted.
        expected: SpiffeId,
        /// What the handshake says.
        reason: String,
    },
    /// The connection ended before a response began. Whose fault: upstream.
    #[error("{address} closed the connection before it answered: {reason}")]
    UpstreamClosed {
        /// The peer.
        address: SocketAddr,
        /// What was seen.
        reason: String,
    },
    /// What came back is not HTTP. Whose fault: upstream.
    #[error("{address} answered with something that is not HTTP: {reason}")]
    UpstreamInvalid {
        /// The peer.
        address: SocketAddr,
        /// What was seen.
        reason: String,
    },
    /// The route's timeout passed. Whose fault: upstream.
    #[error("no complete response within the route's timeout of {after:?}")]
    RequestTimeout {
        /// The timeout.
        after: Duration,
    },
    /// The request does not say where it goes, or says it twice. Whose fault: client.
    #[error("the request has no usable authority: {reason}")]
    BadAuthority {
        /// What is wrong.
        reason: String,
    },
    /// `CONNECT` where no proxy protocol is spoken. Whose fault: client.
    #[error("CONNECT is understood by the explicit proxy listener only, over HTTP/1.1")]
    ConnectUnsupported,
    /// The destination is a listener of this proxy. Whose fault: client.
    #[error("{address} is a listener of this proxy itself")]
    LoopDetected {
        /// The destination.
        address: SocketAddr,
    },
    /// The name of a destination outside the mesh does not resolve. Whose fault: client.
    #[error("{host} does not resolve: {reason}")]
    NameUnresolved {
        /// The name.
        host: String,
        /// What the resolver says.
        reason: String,
    },
    /// The port is declared HTTP and something else came. Whose fault: client.
    #[error("port {port} is declared to speak HTTP and the connection does not")]
    ProtocolMismatch {
        /// The port.
        port: u16,
    },
    /// The control plane has said nothing about an inbound port. Whose fault: control.
    #[error("no policy for port {port} of this workload is known")]
    InboundPolicyMissing {
        /// The port.
        port: u16,
    },
    /// An AuthorizationPolicy selects the workload and cannot be enforced. Whose fault: policy.
    #[error("{source_ref} selects this workload and is not enforced")]
    AuthorizationNotEnforced {
        /// The object.
        source_ref: SourceRef,
    },
    /// A RequestAuthentication selects the workload and cannot be enforced. Whose fault: policy.
    #[error("{source_ref} selects this workload and is not enforced")]
    RequestAuthenticationNotEnforced {
        /// The object.
        source_ref: SourceRef,
    },
    /// The application does not take connections. Whose fault: application.
    #[error("the application does not accept connections at {address}: {reason}")]
    AppUnreachable {
        /// Where it was dialled.
        address: SocketAddr,
        /// What the kernel says.
        reason: String,
    },
    /// The application closed before it answered. Whose fault: application.
    #[error("the application at {address} closed the connection before it answered: {reason}")]
    AppClosed {
        /// Where it was dialled.
        address: SocketAddr,
        /// What was seen.
        reason: String,
    },
}
