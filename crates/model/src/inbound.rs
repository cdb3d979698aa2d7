//! What an inbound sidecar is told about one port of its own workload.

use crate::{protocol::Protocol, source::SourceRef};
use serde::Serialize;

/// The policy of one container port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct InboundPolicy {
    /// The container port that the manifests declare.
    pub port: u16,
    /// What it declares to speak.
    pub protocol: Protocol,
    /// Who may connect.
    pub mtls: MtlsMode,
    /// Everything is refused, with the reason. Set where a policy selects the workload that is not enforced yet: access
    /// is never widened.
    pub refuse: Option<Refusal>,
    /// The objects that say so.
    pub sources: Vec<SourceRef>,
}

/// `PeerAuthentication` mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MtlsMode {
    /// Plaintext only is expected; peers do not use mutual TLS.
    Disable,
    /// Both are admitted.
    #[default]
    Permissive,
    /// A connection without a mesh certificate is reset.
    Strict,
}

/// Why everything is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Refusal {
    /// Which kind of policy cannot be enforced.
    pub reason: RefusalReason,
    /// The object.
    pub source: SourceRef,
}

/// See [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// An AuthorizationPolicy selects the workload.
    AuthorizationNotEnforced,
    /// A RequestAuthentication selects the workload.
    RequestAuthenticationNotEnforced,
}
