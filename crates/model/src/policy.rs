//! Policy objects after parsing: what each says, with names completed but not yet resolved against the mesh.
//!
//! `weft-translate` makes these from CRDs; the control plane's index resolves them into [`crate::route`],
//! [`crate::cluster`] and [`crate::inbound`].

use crate::{
    Labels,
    cluster::{LoadBalance, UpstreamTls},
    host::{Host, HostPattern},
    inbound::{MtlsMode, RefusalReason},
    matching::{HttpMatch, Matches},
    mesh::MeshSettings,
    problem::{Problem, Severity},
    source::{ObjectRef, SourceRef},
};
use serde::Serialize;
use std::time::Duration;

/// What every object has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PolicyMeta {
    /// Kind, namespace, name.
    pub object: ObjectRef,
    /// Generation.
    pub generation: i64,
    /// Age order: the smaller is the older. Kubernetes: creation time in seconds; laptop: order of first sight.
    /// Equal values are ordered by namespace and name.
    pub created: i64,
}

impl PolicyMeta {
    /// The object as a source of a decision.
    #[must_use]
    pub fn source(&self) -> SourceRef {
        SourceRef::whole(self.object.clone(), self.generation)
    }

    /// Key that sorts the oldest first.
    #[must_use]
    pub fn age_key(&self) -> (i64, &str, &str) {
        (self.created, &self.object.namespace, &self.object.name)
    }
}

/// A translated object: its value if it can be applied, and what its author should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated<T> {
    /// None if a problem is `Held` or `Invalid`.
    pub value: Option<T>,
    /// All problems, in the order of fields.
    pub problems: Vec<Problem>,
}

impl<T> Translated<T> {
    /// The same problems with another value.
    #[must_use]
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Translated<U> {
        Translated {
            value: self.value.map(convert),
            problems: self.problems,
        }
    }

    /// The worst problem's severity.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.problems.iter().map(|problem| problem.severity).max()
    }
}

/// Any policy, for code that treats them alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind")]
pub enum Policy {
    /// `VirtualService`.
    VirtualService(VirtualService),
    /// `DestinationRule`.
    DestinationRule(DestinationRule),
    /// `PeerAuthentication`.
    PeerAuthentication(PeerAuthentication),
    /// A policy that would restrict access and is not enforced: what it selects is refused to everyone.
    RefuseAll(RefuseAll),
    /// `MeshConfig`.
    MeshConfig(MeshConfigPolicy),
    /// A known kind that has no effect yet (`ServiceEntry`, `WorkloadEntry`); its problems say so.
    Inert(PolicyMeta),
}

impl Policy {
    /// What every object has.
    #[must_use]
    pub fn meta(&self) -> &PolicyMeta {
        match self {
            Self::VirtualService(it) => &it.meta,
            Self::DestinationRule(it) => &it.meta,
            Self::PeerAuthentication(it) => &it.meta,
            Self::RefuseAll(it) => &it.meta,
            Self::MeshConfig(it) => &it.meta,
            Self::Inert(meta) => meta,
        }
    }
}

/// `VirtualService`, as far as sidecars are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct VirtualService {
    /// Kind, name, generation, age.
    pub meta: PolicyMeta,
    /// Hosts, completed.
    pub hosts: Vec<HostPattern>,
    /// Whether it applies to sidecars: `gateways` is absent or names `mesh`.
    pub mesh: bool,
    /// Rules in order. Empty: the hosts keep their default route.
    pub http: Vec<HttpRule>,
}

/// One rule of `http`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct HttpRule {
    /// Index in `spec.http`.
    pub index: u32,
    /// The user's name for it.
    pub name: Option<String>,
    /// When it applies.
    pub matches: Matches<RuleMatch>,
    /// Where it sends.
    pub destinations: Vec<Destination>,
    /// Bound on the whole request.
    pub timeout: Option<Duration>,
}

/// A match block: what is asked of the request, and of the Service port that was addressed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RuleMatch {
    /// What is asked of the request.
    pub request: HttpMatch,
    /// The Service port that must be addressed.
    pub port: Option<u16>,
}

/// A destination of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Destination {
    /// Index in the rule's `route`.
    pub index: u32,
    /// Full name.
    pub host: Host,
    /// Subset of the host's DestinationRule.
    pub subset: Option<String>,
    /// Service port; none: the only one, else the one that was addressed.
    pub port: Option<u16>,
    /// Share as written. A rule's only destination gets everything whatever it says; else 0 gets nothing.
    pub weight: u32,
}

/// `DestinationRule`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct DestinationRule {
    /// Kind, name, generation, age.
    pub meta: PolicyMeta,
    /// The hosts it is about.
    pub host: HostPattern,
    /// Policy of the host as a whole.
    pub traffic: TrafficPolicy,
    /// Named subsets.
    pub subsets: Vec<Subset>,
}

/// A named subset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Subset {
    /// Its name.
    pub name: String,
    /// Labels of its endpoints.
    pub labels: Labels,
    /// Overrides the rule's policy block by block.
    pub traffic: TrafficPolicy,
}

/// The blocks of a traffic policy; none: not said here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct TrafficPolicy {
    /// Load balancing.
    pub load_balance: Option<LoadBalance>,
    /// Mutual TLS.
    pub tls: Option<UpstreamTls>,
}

/// `PeerAuthentication`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PeerAuthentication {
    /// Kind, name, generation, age.
    pub meta: PolicyMeta,
    /// The workloads of its namespace that it selects; none: the namespace (in the root namespace: the mesh).
    pub selector: Option<Labels>,
    /// None: inherit.
    pub mode: Option<MtlsMode>,
}

/// See [`Policy::RefuseAll`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RefuseAll {
    /// Kind, name, generation, age.
    pub meta: PolicyMeta,
    /// The workloads of its namespace that it selects (in the root namespace: of every namespace); none: all of them.
    pub selector: Option<Labels>,
    /// Why.
    pub reason: RefusalReason,
}

/// `MeshConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeshConfigPolicy {
    /// Kind, name, generation, age.
    pub meta: PolicyMeta,
    /// The settings.
    pub settings: MeshSettings,
}
