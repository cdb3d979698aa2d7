//! What each proxy is told: a pure view of the index, one immutable resource per name and class of clients.
//!
//! Place: `index -> snapshot -> push`. Resources are made on demand, encoded once, versioned by a hash of their content,
//! and kept until a change affects them; a remade resource that is equal has the same version and is silent.
//!
//! Invariants: a resource is shared only by clients that see the same answer (`Scope`); the kept state equals one made
//! from nothing (tested); no order in it comes from a hash map.

mod names;
mod outbound;
mod reached;
mod workload;

use crate::index::{Affected, Index};
use std::{collections::BTreeMap, sync::Arc};
use weft_api::encode::{self, Encoded};
use weft_model::{
    host::Host,
    resource::{Name, Resource, ResourceName, Version},
    trust::TrustBundle,
    workload::WorkloadName,
};

/// A resource that is ready to be sent to any number of proxies.
#[derive(Debug, Clone)]
pub struct Published {
    /// Content.
    pub resource: Resource,
    /// The same as it travels, with name and version.
    pub encoded: Encoded,
}

impl Published {
    /// Encodes a resource.
    #[must_use]
    pub fn new(resource: Resource) -> Self {
        let encoded = encode::resource(&resource);
        Self { resource, encoded }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ResourceName {
        &self.encoded.name
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.encoded.version
    }
}

/// The class of clients that see the same answer under a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// Everybody.
    Mesh,
    /// Workloads of a namespace that has DestinationRules of its own for a host that takes part.
    Namespace(String),
    /// One workload.
    Workload(WorkloadName),
}

/// What a session reads: the part of the mesh that one proxy sees.
pub trait View {
    /// The resource that answers `name`; none: there is authoritatively nothing.
    fn answer(&mut self, name: &Name) -> Option<ResourceName>;
    /// A resource with everything it names, in the order in which it must arrive: the resource itself is last.
    fn closure(&mut self, name: &ResourceName) -> Vec<Arc<Published>>;
}

/// See the module.
#[derive(Debug)]
pub struct Snapshot {
    trust: TrustBundle,
    resources: BTreeMap<(ResourceName, Scope), Arc<Published>>,
    generation: u64,
}

impl Snapshot {
    /// With nothing made yet.
    #[must_use]
    pub fn new(trust: TrustBundle) -> Self {
        Self {
            trust,
            resources: BTreeMap::new(),
            generation: 0,
        }
    }

    /// Forgets what a change affects. It is made anew when somebody asks.
    pub fn invalidate(&mut self, affected: &Affected) {
        if affected.is_empty() {
            return;
        }
        self.generation += 1;
        if affected.everything {
            self.resources.clear();
            return;
        }
        self.resources.retain(|(name, scope), _| match name {
            ResourceName::Outbound(host, _) | ResourceName::Endpoints(host, _) => {
                !affected.hosts.contains(host)
            }
            ResourceName::Cluster(name) => !affected.hosts.contains(&name.host),
            ResourceName::Inbound(_) | ResourceName::Workload => match scope {
                Scope::Workload(workload) => !affected.workloads.contains(workload),
                Scope::Mesh | Scope::Namespace(_) => false,
            },
            ResourceName::Trust => true,
        });
    }

    /// How many changes have affected something.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The part that `workload` sees.
    pub fn view<'a>(&'a mut self, index: &'a Index, workload: &'a WorkloadName) -> Client<'a> {
        Client {
            snapshot: self,
            index,
            workload,
        }
    }
}

/// One proxy's view.
#[derive(Debug)]
pub struct Client<'a> {
    snapshot: &'a mut Snapshot,
    index: &'a Index,
    workload: &'a WorkloadName,
}

impl View for Client<'_> {
    fn answer(&mut self, name: &Name) -> Option<ResourceName> {
        let resource = names::resource_of(self.index, &self.workload.namespace, name)?;
        self.resource(&resource).map(|_| resource)
    }

    fn closure(&mut self, name: &ResourceName) -> Vec<Arc<Published>> {
        let Some(published) = self.resource(name) else {
            return Vec::new();
        };
        let mut closure = Vec::new();
        if let Resource::Outbound(policy) = &published.resource {
            let clusters = outbound::clusters(policy);
            let mut sets: Vec<(Host, u16)> = clusters
                .iter()
                .map(|it| (it.host.clone(), it.port))
                .collect();
            sets.sort();
            sets.dedup();
            for (host, port) in sets {
                closure.extend(self.resource(&ResourceName::Endpoints(host, port)));
            }
            for cluster in clusters {
                closure.extend(self.resource(&ResourceName::Cluster(cluster)));
            }
        }
        closure.push(published);
        closure
    }
}

impl Client<'_> {
    /// One resource, made if it is not there.
    fn resource(&mut self, name: &ResourceName) -> Option<Arc<Published>> {
        let key = (name.clone(), self.scope(name));
        if let Some(published) = self.snapshot.resources.get(&key) {
            return Some(Arc::clone(published));
        }
        let published = Arc::new(Published::new(self.make(name)?));
        self.snapshot.resources.insert(key, Arc::clone(&published));
        Some(published)
    }

    fn make(&self, name: &ResourceName) -> Option<Resource> {
        let client = self.workload.namespace.as_str();
        match name {
            ResourceName::Outbound(host, port) => {
                outbound::policy(self.index, client, host, *port).map(Resource::Outbound)
            }
            ResourceName::Cluster(name) => {
                reached::cluster(self.index, client, name).map(Resource::Cluster)
            }
            ResourceName::Endpoints(host, port) => {
                reached::endpoints(self.index, host, *port).map(Resource::Endpoints)
            }
            ResourceName::Inbound(port) => {
                workload::inbound(self.index, self.workload, *port).map(Resource::Inbound)
            }
            ResourceName::Workload => {
                workload::config(self.index, self.workload).map(Resource::Workload)
            }
            ResourceName::Trust => Some(Resource::Trust(self.snapshot.trust.clone())),
        }
    }

    fn scope(&self, name: &ResourceName) -> Scope {
        let client = &self.workload.namespace;
        let own_rules = |host: &Host| {
            let service = self.index.service(host).map(|it| &it.name.namespace);
            service != Some(client) && self.index.rule_in(client, host).is_some()
        };
        let narrow = match name {
            ResourceName::Outbound(host, _) => {
                let route = self.index.route(host);
                let sent_to = route
                    .into_iter()
                    .flat_map(|it| &it.http)
                    .flat_map(|it| &it.destinations);
                sent_to.into_iter().any(|it| own_rules(&it.host))
            }
            ResourceName::Cluster(name) => own_rules(&name.host),
            ResourceName::Inbound(_) | ResourceName::Workload => {
                return Scope::Workload(self.workload.clone());
            }
            ResourceName::Endpoints(..) | ResourceName::Trust => false,
        };
        if narrow {
            Scope::Namespace(client.clone())
        } else {
            Scope::Mesh
        }
    }
}

#[cfg(test)]
mod tests;
