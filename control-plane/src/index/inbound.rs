//! What holds for connections into a workload: the mode of mutual TLS, and a refusal where a policy cannot be enforced.
//!
//! Source: Istio PeerAuthentication: workload over namespace over mesh; at each level the oldest wins, UNSET inherits; a
//! selector in the root namespace selects nothing. AuthorizationPolicy and RequestAuthentication of the root namespace
//! hold in every namespace, their selectors too.

use super::Index;
use crate::source::Workload;
use weft_model::{
    inbound::{MtlsMode, Refusal},
    policy::{PeerAuthentication, Policy, RefuseAll},
    selects,
    source::SourceRef,
};

/// The mode in force for a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveMtls {
    /// The mode.
    pub mode: MtlsMode,
    /// The objects it was read from, the deciding one last. Empty: the default.
    pub sources: Vec<SourceRef>,
}

/// How near a PeerAuthentication is to what it decides; the nearest that says something wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Workload,
    Namespace,
    Mesh,
}

impl Index {
    pub(super) fn peer_authentications(&self) -> impl Iterator<Item = &PeerAuthentication> {
        self.in_force().filter_map(|policy| match policy {
            Policy::PeerAuthentication(it) => Some(it),
            Policy::VirtualService(_)
            | Policy::DestinationRule(_)
            | Policy::RefuseAll(_)
            | Policy::MeshConfig(_)
            | Policy::Inert(_) => None,
        })
    }

    /// The level at which a PeerAuthentication speaks; none where it speaks to nobody.
    pub(super) fn level(&self, policy: &PeerAuthentication) -> Option<Level> {
        let in_root = policy.meta.object.namespace == self.settings.root_namespace;
        match (
            in_root,
            policy.selector.as_ref().is_some_and(|it| !it.is_empty()),
        ) {
            (true, true) => None,
            (true, false) => Some(Level::Mesh),
            (false, true) => Some(Level::Workload),
            (false, false) => Some(Level::Namespace),
        }
    }

    /// Whether the policy, at its level, speaks to `workload`.
    pub(super) fn speaks_to(&self, policy: &PeerAuthentication, workload: &Workload) -> bool {
        let same_namespace = policy.meta.object.namespace == workload.name.namespace;
        match self.level(policy) {
            None => false,
            Some(Level::Mesh) => true,
            Some(Level::Namespace) => same_namespace,
            Some(Level::Workload) => {
                let selector = policy.selector.as_ref();
                same_namespace && selector.is_some_and(|it| selects(it, &workload.labels))
            }
        }
    }

    /// The mode of mutual TLS into `workload`.
    #[must_use]
    pub fn mtls(&self, workload: &Workload) -> EffectiveMtls {
        let mut sources = Vec::new();
        for level in [Level::Workload, Level::Namespace, Level::Mesh] {
            let oldest = self
                .peer_authentications()
                .filter(|it| self.level(it) == Some(level) && self.speaks_to(it, workload))
                .min_by_key(|it| it.meta.age_key());
            let Some(oldest) = oldest else { continue };
            sources.push(oldest.meta.source());
            if let Some(mode) = oldest.mode {
                return EffectiveMtls { mode, sources };
            }
        }
        EffectiveMtls {
            mode: MtlsMode::default(),
            sources,
        }
    }

    /// Why everything into `workload` is refused, if it is.
    #[must_use]
    pub fn refusal(&self, workload: &Workload) -> Option<Refusal> {
        let selects_workload = |it: &RefuseAll| {
            let namespace = &it.meta.object.namespace;
            let in_reach =
                *namespace == self.settings.root_namespace || *namespace == workload.name.namespace;
            in_reach
                && it
                    .selector
                    .as_ref()
                    .is_none_or(|labels| selects(labels, &workload.labels))
        };
        self.in_force()
            .filter_map(|policy| match policy {
                Policy::RefuseAll(it) if selects_workload(it) => Some(it),
                Policy::RefuseAll(_)
                | Policy::VirtualService(_)
                | Policy::DestinationRule(_)
                | Policy::PeerAuthentication(_)
                | Policy::MeshConfig(_)
                | Policy::Inert(_) => None,
            })
            .min_by_key(|it| (it.meta.age_key(), &it.meta.object.kind))
            .map(|it| Refusal {
                reason: it.reason,
                source: it.meta.source(),
            })
    }
}
