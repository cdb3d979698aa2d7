//! What a sidecar is told about the workload it stands beside.

use crate::{Labels, identity::SpiffeId, mesh::AccessLog, source::SourceRef};
use serde::Serialize;
use std::{fmt, str::FromStr, time::Duration};

/// An instance: `<namespace>/<pod>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct WorkloadName {
    /// Namespace.
    pub namespace: String,
    /// Pod (on a laptop: instance) name.
    pub name: String,
}

/// The text is not `<namespace>/<pod>`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a workload name: <namespace>/<pod>")]
pub struct WorkloadNameError(String);

impl FromStr for WorkloadName {
    type Err = WorkloadNameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
            {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err(WorkloadNameError(text.to_owned())),
        }
    }
}

impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Settings of one sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct WorkloadConfig {
    /// The instance.
    pub name: WorkloadName,
    /// The Deployment (or other owner): metric label `source_workload`.
    pub workload: String,
    /// The identity that the sidecar's certificate carries.
    pub identity: SpiffeId,
    /// Labels of the instance (`app`, `version`, ... become metric labels).
    pub labels: Labels,
    /// Container ports that the manifests declare; the sidecar subscribes to the inbound policy of each.
    pub ports: Vec<u16>,
    /// Access log.
    pub access_log: AccessLog,
    /// Life to ask for at the next renewal.
    pub certificate_lifetime: Duration,
    /// The objects that say so.
    pub sources: Vec<SourceRef>,
}
