//! The kinds that exist here: group, versions, schema. The one list of them.

use crate::{
    authorization_policy::AuthorizationPolicy, crd, destination_rule::DestinationRule,
    mesh_config::MeshConfig, peer_authentication::PeerAuthentication,
    request_authentication::RequestAuthentication, service_entry::ServiceEntry,
    virtual_service::VirtualService, workload_entry::WorkloadEntry,
};
use serde_json::Value;
use std::{fmt, sync::LazyLock};

/// A policy kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `VirtualService`.
    VirtualService,
    /// `DestinationRule`.
    DestinationRule,
    /// `ServiceEntry`.
    ServiceEntry,
    /// `WorkloadEntry`.
    WorkloadEntry,
    /// `PeerAuthentication`.
    PeerAuthentication,
    /// `AuthorizationPolicy`.
    AuthorizationPolicy,
    /// `RequestAuthentication`.
    RequestAuthentication,
    /// `MeshConfig`.
    MeshConfig,
}

/// Whether objects of a kind are in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// One for the cluster.
    Cluster,
}

/// Group of the kinds that route.
pub const NETWORKING: &str = "networking.istio.io";
/// Group of the kinds that restrict.
pub const SECURITY: &str = "security.istio.io";
/// Group of our own kinds.
pub const WEFT: &str = "weft.dev";

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::VirtualService,
        Self::DestinationRule,
        Self::ServiceEntry,
        Self::WorkloadEntry,
        Self::PeerAuthentication,
        Self::AuthorizationPolicy,
        Self::RequestAuthentication,
        Self::MeshConfig,
    ];

    /// The kind of a document, whichever of the served versions it is written in.
    #[must_use]
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/')?;
        Self::ALL
            .into_iter()
            .find(|it| it.name() == kind && it.group() == group && it.versions().contains(&version))
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VirtualService => "VirtualService",
            Self::DestinationRule => "DestinationRule",
            Self::ServiceEntry => "ServiceEntry",
            Self::WorkloadEntry => "WorkloadEntry",
            Self::PeerAuthentication => "PeerAuthentication",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
            Self::RequestAuthentication => "RequestAuthentication",
            Self::MeshConfig => "MeshConfig",
        }
    }

    /// Its API group.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::VirtualService
            | Self::DestinationRule
            | Self::ServiceEntry
            | Self::WorkloadEntry => NETWORKING,
            Self::PeerAuthentication | Self::AuthorizationPolicy | Self::RequestAuthentication => {
                SECURITY
            }
            Self::MeshConfig => WEFT,
        }
    }

    /// Served versions, the stored one first. All have one schema.
    #[must_use]
    pub fn versions(self) -> &'static [&'static str] {
        match self.group() {
            NETWORKING => &["v1", "v1beta1", "v1alpha3"],
            SECURITY => &["v1", "v1beta1"],
            _ => &["v1"],
        }
    }

    /// Whether its objects are in a namespace.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self {
            Self::MeshConfig => Scope::Cluster,
            Self::VirtualService
            | Self::DestinationRule
            | Self::ServiceEntry
            | Self::WorkloadEntry
            | Self::PeerAuthentication
            | Self::AuthorizationPolicy
            | Self::RequestAuthentication => Scope::Namespaced,
        }
    }

    /// Its CustomResourceDefinition, complete.
    #[must_use]
    pub fn definition(self) -> Value {
        match self {
            Self::VirtualService => crd::definition::<VirtualService>(self),
            Self::DestinationRule => crd::definition::<DestinationRule>(self),
            Self::ServiceEntry => crd::definition::<ServiceEntry>(self),
            Self::WorkloadEntry => crd::definition::<WorkloadEntry>(self),
            Self::PeerAuthentication => crd::definition::<PeerAuthentication>(self),
            Self::AuthorizationPolicy => crd::definition::<AuthorizationPolicy>(self),
            Self::RequestAuthentication => crd::definition::<RequestAuthentication>(self),
            Self::MeshConfig => crd::definition::<MeshConfig>(self),
        }
    }

    /// The schema of its `spec`.
    #[must_use]
    pub fn spec_schema(self) -> &'static Value {
        static SCHEMAS: LazyLock<Vec<(Kind, Value)>> = LazyLock::new(|| {
            Kind::ALL
                .into_iter()
                .map(|kind| (kind, crd::spec_schema(&kind.definition())))
                .collect()
        });
        SCHEMAS
            .iter()
            .find_map(|(kind, schema)| (*kind == self).then_some(schema))
            .unwrap_or(&Value::Null)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
