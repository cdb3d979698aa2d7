//! Who is affected by a change: the part of the snapshot that must be looked at again.
//!
//! It may name too much, which costs a comparison of versions, never too little: a test holds the snapshot that was kept
//! up to date by it against one made from nothing.

use super::{Accepted, Index};
use crate::source::Service;
use std::collections::BTreeSet;
use weft_model::{
    Labels,
    host::{Host, HostPattern},
    policy::{Policy, VirtualService},
    selects,
    workload::WorkloadName,
};

/// Services and workloads whose resources may differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    /// Everything is.
    pub everything: bool,
    /// Services: their policies, clusters and endpoints.
    pub hosts: BTreeSet<Host>,
    /// Workloads: their settings and inbound policies.
    pub workloads: BTreeSet<WorkloadName>,
}

impl Affected {
    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everything && self.hosts.is_empty() && self.workloads.is_empty()
    }
}

impl Index {
    /// A Service names the protocol of the ports that it stands for.
    pub(super) fn service_affected(&self, service: &Service, affected: &mut Affected) {
        let picked = self.workloads.values().filter(|workload| {
            workload.name.namespace == service.name.namespace
                && !service.selector.is_empty()
                && selects(&service.selector, &workload.labels)
        });
        affected
            .workloads
            .extend(picked.map(|workload| workload.name.clone()));
    }

    /// A workload shows in its own settings and in the endpoints of every Service that it stands behind.
    pub(super) fn workload_affected(&self, name: &WorkloadName, affected: &mut Affected) {
        affected.workloads.insert(name.clone());
        for (host, ports) in &self.members {
            if ports
                .values()
                .flatten()
                .any(|member| member.workload == *name)
            {
                affected.hosts.insert(host.clone());
            }
        }
    }

    /// A policy came into force or went out of it.
    pub(super) fn policy_affected(&self, accepted: Option<&Accepted>, affected: &mut Affected) {
        let Some(accepted) = accepted else { return };
        match &accepted.policy {
            Policy::VirtualService(it) => self.covered(&it.hosts, affected),
            Policy::DestinationRule(it) => self.covered(std::slice::from_ref(&it.host), affected),
            Policy::PeerAuthentication(it) => {
                self.selected(&it.meta.object.namespace, it.selector.as_ref(), affected);
            }
            Policy::RefuseAll(it) => {
                self.selected(&it.meta.object.namespace, it.selector.as_ref(), affected);
            }
            // Its own comparison of settings tells.
            Policy::MeshConfig(_) | Policy::Inert(_) => {}
        }
    }

    fn covered(&self, patterns: &[HostPattern], affected: &mut Affected) {
        for pattern in patterns {
            match pattern {
                HostPattern::Exact(host) => {
                    affected.hosts.insert(host.clone());
                }
                HostPattern::Suffix(_) | HostPattern::Any => {
                    let covered = self.services.keys().filter(|host| pattern.covers(host));
                    affected.hosts.extend(covered.cloned());
                }
            }
        }
    }

    fn selected(&self, namespace: &str, selector: Option<&Labels>, affected: &mut Affected) {
        let mesh_wide = namespace == self.settings.root_namespace;
        let picked: Vec<WorkloadName> = self
            .workloads
            .values()
            .filter(|workload| mesh_wide || workload.name.namespace == namespace)
            .filter(|workload| selector.is_none_or(|it| selects(it, &workload.labels)))
            .map(|workload| workload.name.clone())
            .collect();
        for name in picked {
            self.workload_affected(&name, affected);
        }
    }

    /// A policy towards one host depends on the rules of every host it sends to.
    pub(super) fn spread(&self, affected: &mut Affected) {
        let mut more = Affected::default();
        for policy in self.in_force() {
            if let Policy::VirtualService(it) = policy
                && destinations(it).any(|host| affected.hosts.contains(host))
            {
                self.covered(&it.hosts, &mut more);
            }
        }
        affected.hosts.extend(more.hosts);
    }
}

/// Every host that a VirtualService sends to.
pub(super) fn destinations(service: &VirtualService) -> impl Iterator<Item = &Host> {
    service
        .http
        .iter()
        .flat_map(|rule| &rule.destinations)
        .map(|it| &it.host)
}
