//! Mesh-wide settings: the one `MeshConfig` object of group `weft.dev`, with its defaults.

use crate::{identity::TrustDomain, limits, source::SourceRef};
use serde::Serialize;
use std::time::Duration;

/// How a proxy writes its access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// Nothing is written.
    #[default]
    Off,
    /// One line of text a request.
    Text,
    /// One JSON object a request.
    Json,
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeshSettings {
    /// Access log of every proxy.
    pub access_log: AccessLog,
    /// Life of a workload's certificate, 60 s to 7 days.
    pub certificate_lifetime: Duration,
    /// Trust domain of new identities.
    pub trust_domain: TrustDomain,
    /// The namespace whose policy is mesh-wide.
    pub root_namespace: String,
    /// The object that says so; none while the defaults hold.
    pub source: Option<SourceRef>,
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self {
            access_log: AccessLog::default(),
            certificate_lifetime: limits::CERTIFICATE_LIFETIME,
            trust_domain: TrustDomain::default(),
            root_namespace: limits::DEFAULT_ROOT_NAMESPACE.to_owned(),
            source: None,
        }
    }
}
