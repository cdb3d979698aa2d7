//! One consistent state of everything the control plane said.

use crate::balance::ClusterHandle;
use hashbrown::HashMap;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
};
use weft_model::{
    cluster::ClusterName,
    endpoint::Endpoints,
    host::Host,
    inbound::InboundPolicy,
    resource::{Name, ResourceName, Version},
    route::OutboundPolicy,
    trust::TrustBundle,
    workload::WorkloadConfig,
};

/// What the control plane answered to a subscribed name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The policy towards this Service port.
    Outbound(Host, u16),
    /// A resource that is no destination.
    Other,
    /// Authoritatively nothing.
    NotFound,
}

/// A subscribed name.
#[derive(Debug, Clone)]
pub struct NameEntry {
    /// What it means.
    pub answer: Answer,
    /// Set by use, cleared by the control task's sweep. One flag over all snapshots.
    pub used: Arc<AtomicBool>,
}

impl NameEntry {
    /// An entry that counts as used just now.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self {
            answer,
            used: Arc::new(AtomicBool::new(true)),
        }
    }
}

/// See the module. Cheap to clone: values are shared.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Answers by name.
    pub names: HashMap<Name, NameEntry>,
    /// Policies by Service port.
    pub outbound: HashMap<(Host, u16), Arc<OutboundPolicy>>,
    /// Clusters, with what their balancers learned.
    pub clusters: HashMap<ClusterName, Arc<ClusterHandle>>,
    /// Endpoint sets by Service port.
    pub endpoints: HashMap<(Host, u16), Arc<Endpoints>>,
    /// Policies of the workload's own ports.
    pub inbound: HashMap<u16, Arc<InboundPolicy>>,
    /// The workload.
    pub workload: Option<Arc<WorkloadConfig>>,
    /// The trust bundle.
    pub trust: Option<Arc<TrustBundle>>,
    /// Versions held, to resume with.
    pub versions: BTreeMap<ResourceName, Version>,
}
