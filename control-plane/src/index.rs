//! Everything that is known of the mesh, and what is in force of it.
//!
//! Place: `watch -> index -> snapshot`. A pure store: changes in, who is affected out. It resolves references and decides
//! which generation of each policy object is in force; what a proxy is told follows from that in `snapshot`.
//!
//! Invariants: an object whose latest generation is invalid, held or does not resolve leaves the generation that was
//! accepted before in force, or none; an accepted generation stays in force when a reference of it breaks later (its
//! destinations become invalid, the rest works on); the oldest object wins wherever two claim the same. It does no I/O,
//! knows no wire and no clock.

mod affected;
mod conflict;
mod inbound;
mod resolve;
mod routing;
mod rules;
#[cfg(test)]
pub(crate) mod tests;

pub use affected::Affected;
pub use inbound::EffectiveMtls;
pub use rules::MergedRule;

use crate::source::{Change, Member, PolicyObject, Service, ServiceName, Workload};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use weft_model::{
    host::Host,
    identity::{SpiffeId, TrustDomain},
    limits,
    mesh::MeshSettings,
    policy::Policy,
    problem::Problem,
    source::ObjectRef,
    workload::WorkloadName,
};

/// A generation that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// What it says.
    pub policy: Policy,
    /// Its manifest, so that it survives a restart.
    pub manifest: Arc<serde_json::Value>,
}

impl Accepted {
    /// Its generation.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.policy.meta().generation
    }
}

/// A policy object: its latest generation and the one in force.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The latest generation, as the source delivered it.
    pub latest: PolicyObject,
    /// The generation in force.
    pub in_force: Option<Accepted>,
    /// References of the latest generation that lead nowhere.
    pub unresolved: Vec<Problem>,
}

impl Entry {
    /// Whether the latest generation is the one in force.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.in_force
            .as_ref()
            .is_some_and(|it| it.generation() == self.latest.generation)
    }
}

/// What a set of changes did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Which resources may differ now.
    pub affected: Affected,
    /// Objects that the changes did not name, whose latest generation came into force because its references resolve now.
    pub released: BTreeSet<ObjectRef>,
    /// Objects that the changes did not name, whose references lead nowhere since.
    pub broken: BTreeSet<ObjectRef>,
    /// Whether the set of accepted generations differs, so that it must be kept anew.
    pub accepted_changed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Index {
    domain: String,
    trust_domain: TrustDomain,
    settings: MeshSettings,
    services: BTreeMap<Host, Arc<Service>>,
    workloads: BTreeMap<WorkloadName, Arc<Workload>>,
    members: BTreeMap<Host, BTreeMap<u16, Vec<Member>>>,
    objects: BTreeMap<ObjectRef, Entry>,
}

impl Index {
    /// An empty index of a mesh with the given trust domain, which holds for the life of the process: identities of a new
    /// domain would be strangers to those of the old.
    #[must_use]
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self {
            domain: limits::DEFAULT_CLUSTER_DOMAIN.to_owned(),
            trust_domain,
            settings: MeshSettings::default(),
            services: BTreeMap::new(),
            workloads: BTreeMap::new(),
            members: BTreeMap::new(),
            objects: BTreeMap::new(),
        }
    }

    /// Applies changes together: references between them resolve in whatever order they come.
    pub fn apply(&mut self, changes: Vec<Change>) -> Outcome {
        self.apply_with(changes, BTreeMap::new())
    }

    /// The first listing: `accepted` are the generations that were in force before a restart. Those whose object is gone
    /// are forgotten.
    pub fn reset(
        &mut self,
        changes: Vec<Change>,
        accepted: BTreeMap<ObjectRef, Accepted>,
    ) -> Outcome {
        self.apply_with(changes, accepted)
    }

    fn apply_with(
        &mut self,
        changes: Vec<Change>,
        mut accepted: BTreeMap<ObjectRef, Accepted>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut named = BTreeSet::new();
        for change in changes {
            match change {
                Change::ApplyService(service) => self.store_service(service, &mut outcome.affected),
                Change::DeleteService(name) => self.remove_service(&name, &mut outcome.affected),
                Change::ApplyWorkload(workload) => {
                    self.workload_affected(&workload.name, &mut outcome.affected);
                    self.workloads
                        .insert(workload.name.clone(), Arc::new(workload));
                }
                Change::DeleteWorkload(name) => {
                    self.workload_affected(&name, &mut outcome.affected);
                    self.workloads.remove(&name);
                }
                Change::ApplyEndpoints(set) => {
                    if let Some(host) = self.host_of(&set.service) {
                        outcome.affected.hosts.insert(host.clone());
                        self.members.insert(host, set.ports);
                    }
                }
                Change::DeleteEndpoints(service) => {
                    if let Some(host) = self.host_of(&service) {
                        self.members.remove(&host);
                        outcome.affected.hosts.insert(host);
                    }
                }
                Change::ApplyPolicy(object) => {
                    named.insert(object.object.clone());
                    self.store_object(*object, &mut accepted, &mut outcome);
                }
                Change::DeletePolicy(object) => {
                    named.insert(object.clone());
                    if let Some(entry) = self.objects.remove(&object) {
                        self.policy_affected(entry.in_force.as_ref(), &mut outcome.affected);
                        outcome.accepted_changed |= entry.in_force.is_some();
                    }
                }
            }
        }
        self.accept(&named, &mut outcome);
        self.refresh_settings(&mut outcome.affected);
        self.spread(&mut outcome.affected);
        outcome
    }

    fn store_service(&mut self, service: Service, affected: &mut Affected) {
        let Some(host) = self.host_of(&service.name) else {
            return;
        };
        self.service_affected(&service, affected);
        if let Some(old) = self.services.get(&host).cloned() {
            self.service_affected(&old, affected);
        }
        affected.hosts.insert(host.clone());
        self.services.insert(host, Arc::new(service));
    }

    fn remove_service(&mut self, name: &ServiceName, affected: &mut Affected) {
        let Some(host) = self.host_of(name) else {
            return;
        };
        if let Some(old) = self.services.remove(&host) {
            self.service_affected(&old, affected);
        }
        affected.hosts.insert(host);
    }

    fn store_object(
        &mut self,
        object: PolicyObject,
        accepted: &mut BTreeMap<ObjectRef, Accepted>,
        outcome: &mut Outcome,
    ) {
        let restored = accepted.remove(&object.object);
        match self.objects.get_mut(&object.object) {
            Some(entry) => entry.latest = object,
            None => {
                let name = object.object.clone();
                self.policy_affected(restored.as_ref(), &mut outcome.affected);
                let entry = Entry {
                    latest: object,
                    in_force: restored,
                    unresolved: Vec::new(),
                };
                self.objects.insert(name, entry);
            }
        }
    }

    /// The Service's full name; none when its parts are no DNS labels, which Kubernetes does not admit.
    #[must_use]
    pub fn host_of(&self, service: &ServiceName) -> Option<Host> {
        Host::service(&service.name, &service.namespace, &self.domain).ok()
    }

    /// DNS domain of the cluster.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The mesh's settings in force.
    #[must_use]
    pub fn settings(&self) -> &MeshSettings {
        &self.settings
    }

    /// The trust domain of all identities.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The Service behind a full name.
    #[must_use]
    pub fn service(&self, host: &Host) -> Option<&Arc<Service>> {
        self.services.get(host)
    }

    /// All Services.
    pub fn services(&self) -> impl Iterator<Item = (&Host, &Arc<Service>)> {
        self.services.iter()
    }

    /// A workload.
    #[must_use]
    pub fn workload(&self, name: &WorkloadName) -> Option<&Arc<Workload>> {
        self.workloads.get(name)
    }

    /// All workloads.
    pub fn workloads(&self) -> impl Iterator<Item = &Arc<Workload>> {
        self.workloads.values()
    }

    /// The ready members of a Service port.
    #[must_use]
    pub fn members(&self, host: &Host, port: u16) -> &[Member] {
        self.members
            .get(host)
            .and_then(|ports| ports.get(&port))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// All policy objects.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectRef, &Entry)> {
        self.objects.iter()
    }

    /// One policy object.
    #[must_use]
    pub fn object(&self, object: &ObjectRef) -> Option<&Entry> {
        self.objects.get(object)
    }

    /// The policies in force, in the order of their names.
    pub fn in_force(&self) -> impl Iterator<Item = &Policy> {
        self.objects
            .values()
            .filter_map(|entry| entry.in_force.as_ref())
            .map(|it| &it.policy)
    }

    /// The identity of a workload's sidecar; none when a part of it is no name that SPIFFE admits.
    #[must_use]
    pub fn identity(&self, workload: &Workload) -> Option<SpiffeId> {
        SpiffeId::new(
            &self.trust_domain,
            &workload.name.namespace,
            &workload.service_account,
        )
        .ok()
    }

    /// Everything wrong with an object: what its translation said, references, conflicts with older objects.
    #[must_use]
    pub fn problems(&self, object: &ObjectRef) -> Vec<Problem> {
        let Some(entry) = self.objects.get(object) else {
            return Vec::new();
        };
        let mut problems = entry.latest.translated.problems.clone();
        problems.extend(entry.unresolved.iter().cloned());
        problems.extend(self.conflicts(entry));
        problems
    }

    fn refresh_settings(&mut self, affected: &mut Affected) {
        let oldest = self
            .in_force()
            .filter_map(|policy| match policy {
                Policy::MeshConfig(it) => Some(it),
                Policy::VirtualService(_)
                | Policy::DestinationRule(_)
                | Policy::PeerAuthentication(_)
                | Policy::RefuseAll(_)
                | Policy::Inert(_) => None,
            })
            .min_by_key(|it| it.meta.age_key());
        let settings = oldest.map(|it| it.settings.clone()).unwrap_or_default();
        if settings != self.settings {
            self.settings = settings;
            affected.everything = true;
        }
    }
}
