//! A batch of the control plane becomes the next snapshot.
//!
//! Invariants: a batch is applied whole and swapped once; what does not decode is rejected by name and field, keeps its
//! last good version and is never recorded as held; a delta is checked against the version that it promises. What no
//! subscribed name leads to any more is forgotten.

use crate::{
    balance::ClusterHandle,
    tables::{Answer, NameEntry, Snapshot},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use weft_api::{decode, encode, names, pb};
use weft_model::{
    cluster::{Cluster, ClusterName},
    endpoint::{Endpoint, Endpoints},
    host::Host,
    resource::{Name, Resource, ResourceName},
    route::{Backend, OutboundPolicy, RouteAction},
    selects,
};

/// What applying a batch gave.
#[derive(Debug)]
pub struct Applied {
    /// The next snapshot.
    pub snapshot: Snapshot,
    /// What was refused, for the acknowledgement.
    pub rejects: Vec<pb::Reject>,
}

/// Applies `batch` on top of `previous`. An answer to a name that is not `wanted` any more was under way when the name was
/// given up: kept, it would never be corrected.
#[must_use]
pub fn apply(
    previous: &Snapshot,
    batch: &pb::ServerMsg,
    wanted: impl Fn(&Name) -> bool,
) -> Applied {
    let mut next = Batch::on(previous);
    for bytes in &batch.upsert {
        match decode::resource(bytes) {
            Ok(decoded) => next.upsert(decoded),
            Err(refused) => next.reject(&refused.name, &refused.version, &refused.error),
        }
    }
    for delta in &batch.endpoints {
        if let Err(error) = next.delta(delta) {
            next.reject(&delta.name, &delta.version, &error);
        }
    }
    for removed in &batch.removed {
        if let Ok(name) = removed.parse() {
            next.remove(&name);
        }
    }
    for answer in &batch.answers {
        next.answer(answer, &wanted);
    }
    next.refresh_clusters();
    next.forget_unreachable();
    Applied {
        snapshot: next.snapshot,
        rejects: next.rejects,
    }
}

/// Forgets names (unsubscribed) and what only they led to.
#[must_use]
pub fn forget(previous: &Snapshot, names: &[Name]) -> Snapshot {
    let mut next = Batch::on(previous);
    for name in names {
        next.snapshot.names.remove(name);
    }
    next.forget_unreachable();
    next.snapshot
}

struct Batch {
    snapshot: Snapshot,
    rejects: Vec<pb::Reject>,
    /// Clusters whose handle must be made anew, with their new definition if that changed.
    stale: BTreeMap<ClusterName, Option<Cluster>>,
}

impl Batch {
    fn on(previous: &Snapshot) -> Self {
        Self {
            snapshot: previous.clone(),
            rejects: Vec::new(),
            stale: BTreeMap::new(),
        }
    }

    fn reject(&mut self, name: &str, version: &[u8], error: &decode::DecodeError) {
        tracing::warn!(
            resource = name,
            field = error.field,
            reason = error.reason,
            "configuration rejected"
        );
        self.rejects.push(pb::Reject {
            name: name.to_owned(),
            version: bytes::Bytes::copy_from_slice(version),
            field: error.field.clone(),
            reason: error.reason.clone(),
        });
    }

    fn upsert(&mut self, decoded: decode::Decoded) {
        let snapshot = &mut self.snapshot;
        match decoded.resource {
            Resource::Outbound(it) => {
                snapshot
                    .outbound
                    .insert((it.host.clone(), it.port), Arc::new(it));
            }
            Resource::Cluster(it) => {
                // The handle is made in `refresh_clusters`, once the whole batch is in.
                self.stale.insert(it.name.clone(), Some(it));
            }
            Resource::Endpoints(it) => self.store_endpoints(it),
            Resource::Inbound(it) => {
                snapshot.inbound.insert(it.port, Arc::new(it));
            }
            Resource::Trust(it) => snapshot.trust = Some(Arc::new(it)),
            Resource::Workload(it) => snapshot.workload = Some(Arc::new(it)),
        }
        self.snapshot.versions.insert(decoded.name, decoded.version);
    }

    fn store_endpoints(&mut self, set: Endpoints) {
        let key = (set.host.clone(), set.port);
        self.endpoints_changed(&key.0, key.1);
        self.snapshot.endpoints.insert(key, Arc::new(set));
    }

    fn endpoints_changed(&mut self, host: &Host, port: u16) {
        for name in self.snapshot.clusters.keys() {
            if name.host == *host && name.port == port {
                self.stale.entry(name.clone()).or_default();
            }
        }
    }

    fn delta(&mut self, delta: &pb::EndpointDelta) -> Result<(), decode::DecodeError> {
        let wrong = |field: &str, reason: &str| decode::DecodeError {
            field: field.to_owned(),
            reason: reason.to_owned(),
        };
        let name: ResourceName = delta
            .name
            .parse()
            .map_err(|_| wrong("name", "is no resource name"))?;
        let ResourceName::Endpoints(host, port) = &name else {
            return Err(wrong("name", "is no endpoint set"));
        };
        let key = (host.clone(), *port);
        let base = decode::version(&delta.base)?;
        let held = self.snapshot.versions.get(&name);
        let Some(set) = self
            .snapshot
            .endpoints
            .get(&key)
            .filter(|_| held == Some(&base))
        else {
            return Err(wrong("base", "is not the version held here"));
        };
        let mut next = Endpoints::clone(set);
        next.endpoints
            .retain(|endpoint| !delta.remove.contains(&endpoint.id.0));
        for endpoint in &delta.upsert {
            let endpoint = decode::endpoint(endpoint)?;
            match next.endpoints.iter_mut().find(|old| old.id == endpoint.id) {
                Some(old) => *old = endpoint,
                None => next.endpoints.push(endpoint),
            }
        }
        next.endpoints.sort_by_key(|endpoint| endpoint.id);
        next.sources = decode::sources(&delta.sources)?;
        let version = decode::version(&delta.version)?;
        let resource = Resource::Endpoints(next);
        if encode::version(&resource) != version {
            return Err(wrong("version", "is not that of the delta's result"));
        }
        if let Resource::Endpoints(next) = resource {
            self.store_endpoints(next);
        }
        self.snapshot.versions.insert(name, version);
        Ok(())
    }

    fn remove(&mut self, name: &ResourceName) {
        match name {
            ResourceName::Outbound(host, port) => {
                self.snapshot.outbound.remove(&(host.clone(), *port));
            }
            ResourceName::Cluster(name) => {
                self.stale.remove(name);
                self.snapshot.clusters.remove(name);
            }
            ResourceName::Endpoints(host, port) => {
                self.snapshot.endpoints.remove(&(host.clone(), *port));
                self.endpoints_changed(host, *port);
            }
            ResourceName::Inbound(port) => {
                self.snapshot.inbound.remove(port);
            }
            // Without these two there is no workload; a server that removes them is not believed.
            ResourceName::Trust | ResourceName::Workload => return,
        }
        self.snapshot.versions.remove(name);
    }

    fn answer(&mut self, answer: &pb::Answer, wanted: impl Fn(&Name) -> bool) {
        let Some(Ok(name)) = answer.name.as_ref().map(names::decode) else {
            return;
        };
        if !wanted(&name) {
            return;
        }
        let meaning = match answer.resource.parse() {
            Ok(ResourceName::Outbound(host, port)) => Answer::Outbound(host, port),
            Ok(_) => Answer::Other,
            Err(_) => Answer::NotFound,
        };
        match self.snapshot.names.get_mut(&name) {
            Some(entry) => entry.answer = meaning,
            None => {
                self.snapshot.names.insert(name, NameEntry::new(meaning));
            }
        }
    }

    /// Keeps what some name leads to: policy, its clusters, their endpoints.
    fn forget_unreachable(&mut self) {
        let snapshot = &mut self.snapshot;
        let policies: BTreeSet<(Host, u16)> = snapshot
            .names
            .values()
            .filter_map(|entry| match &entry.answer {
                Answer::Outbound(host, port) => Some((host.clone(), *port)),
                Answer::Other | Answer::NotFound => None,
            })
            .collect();
        snapshot.outbound.retain(|key, _| policies.contains(key));
        let clusters: BTreeSet<ClusterName> = snapshot
            .outbound
            .values()
            .flat_map(|policy| clusters_of(policy))
            .cloned()
            .collect();
        snapshot.clusters.retain(|name, _| clusters.contains(name));
        let sets: BTreeSet<(Host, u16)> = clusters
            .iter()
            .map(|name| (name.host.clone(), name.port))
            .collect();
        snapshot.endpoints.retain(|key, _| sets.contains(key));
        snapshot.versions.retain(|name, _| match name {
            ResourceName::Outbound(host, port) => policies.contains(&(host.clone(), *port)),
            ResourceName::Cluster(name) => clusters.contains(name),
            ResourceName::Endpoints(host, port) => sets.contains(&(host.clone(), *port)),
            ResourceName::Inbound(_) | ResourceName::Trust | ResourceName::Workload => true,
        });
    }

    /// Gives each stale cluster its endpoints; what its balancer learned is kept.
    fn refresh_clusters(&mut self) {
        for (name, definition) in std::mem::take(&mut self.stale) {
            let previous = self.snapshot.clusters.get(&name);
            let Some(cluster) = definition.or_else(|| Some(previous?.cluster.clone())) else {
                continue;
            };
            let endpoints: Vec<Endpoint> = self
                .snapshot
                .endpoints
                .get(&(name.host.clone(), name.port))
                .map(|set| {
                    let wanted = |it: &&Endpoint| selects(&cluster.labels, &it.labels);
                    set.endpoints.iter().filter(wanted).cloned().collect()
                })
                .unwrap_or_default();
            let handle = match previous {
                Some(previous) => ClusterHandle::updated(previous, cluster, &endpoints),
                None => ClusterHandle::new(cluster, &endpoints),
            };
            self.snapshot.clusters.insert(name, Arc::new(handle));
        }
    }
}

/// Every cluster that a policy names.
fn clusters_of(policy: &OutboundPolicy) -> impl Iterator<Item = &ClusterName> {
    let http = policy.http.iter().flat_map(|route| {
        let RouteAction::Forward(backends) = &route.action;
        backends
    });
    http.chain(&policy.tcp)
        .filter_map(|weighted| match &weighted.backend {
            Backend::Cluster(name) => Some(name),
            Backend::Invalid(_) => None,
        })
}

#[cfg(test)]
mod tests;
