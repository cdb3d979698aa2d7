//! What a source delivers, whatever it is: a watched folder on a laptop, Kubernetes later.
//!
//! Place: the first step of a configuration's way (`source -> watch -> index`). A source says *what is there*; it resolves
//! nothing. The kinds are those that Kubernetes' own watches deliver: Service, Workload (a pod), EndpointSet (what
//! EndpointSlices say of one Service), and the policy objects, already translated. Nothing behind this module knows which
//! source runs.

use serde::Serialize;
use std::{collections::BTreeMap, fmt, net::IpAddr, net::SocketAddr, sync::Arc};
use weft_model::{
    Labels,
    policy::{Policy, Translated},
    protocol::Protocol,
    source::ObjectRef,
    workload::WorkloadName,
};

pub mod folder;
pub mod laptop;
pub mod registry;

/// A Service's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ServiceName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A Kubernetes Service, as far as the mesh needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// The workloads of its namespace that it stands for. Empty: none are picked.
    pub selector: Labels,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Its virtual addresses; empty on a laptop and for headless Services.
    pub cluster_ips: Vec<IpAddr>,
}

impl Service {
    /// The port with number `port`.
    #[must_use]
    pub fn port(&self, port: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|it| it.port == port)
    }
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServicePort {
    /// Name; empty where the only port has none.
    pub name: String,
    /// Number that clients address.
    pub port: u16,
    /// The workload's port behind it.
    pub target: Target,
    /// What it declares to speak.
    pub protocol: Protocol,
}

/// `targetPort`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A container port.
    Number(u16),
    /// A container port by its name.
    Name(String),
}

impl Target {
    /// The port of `workload` that is meant.
    #[must_use]
    pub fn of<'a>(&self, workload: &'a Workload) -> Option<&'a WorkloadPort> {
        workload.ports.iter().find(|port| match self {
            Self::Number(number) => port.number == *number,
            Self::Name(name) => port.name == *name,
        })
    }
}

/// Whether a sidecar stands beside a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// It has a sidecar, hence an identity.
    Meshed,
    /// It has none.
    Unmeshed,
}

/// An instance that serves or calls: a pod, or a process of the laptop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// The instance.
    pub name: WorkloadName,
    /// The Deployment or other owner.
    pub owner: String,
    /// Labels.
    pub labels: Labels,
    /// ServiceAccount: the last part of its identity.
    pub service_account: String,
    /// Whether it is part of the mesh.
    pub membership: Membership,
    /// SHA-256 of the token that authenticates it to Certify, where tokens are the source's.
    #[serde(skip)]
    pub token_sha256: Option<[u8; 32]>,
    /// Its declared ports.
    pub ports: Vec<WorkloadPort>,
}

impl Workload {
    /// The declared port `number`.
    #[must_use]
    pub fn port(&self, number: u16) -> Option<&WorkloadPort> {
        self.ports.iter().find(|port| port.number == number)
    }
}

/// A declared port of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadPort {
    /// Name; may be empty.
    pub name: String,
    /// Container port that the manifests declare.
    pub number: u16,
    /// What the workload itself declares that it speaks.
    pub protocol: Protocol,
    /// Where peers dial it (with a sidecar: the sidecar's inbound listener).
    pub address: SocketAddr,
}

/// Who stands behind one Service, by Service port: what EndpointSlices say. Only instances that are ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointSet {
    /// The Service.
    pub service: ServiceName,
    /// The members of each Service port.
    pub ports: BTreeMap<u16, Vec<Member>>,
}

/// One instance behind a Service port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The instance.
    pub workload: WorkloadName,
    /// Its container port.
    pub container_port: u16,
    /// Where to dial.
    pub address: SocketAddr,
    /// It is going away: no new work.
    pub draining: bool,
}

/// A policy object at one generation, translated.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyObject {
    /// Kind, namespace, name.
    pub object: ObjectRef,
    /// Its generation.
    pub generation: i64,
    /// Age order, see [`weft_model::policy::PolicyMeta::created`].
    pub created: i64,
    /// Its value, if it has one, and its problems.
    pub translated: Translated<Policy>,
    /// The manifest it was translated from: an accepted generation is kept as this.
    pub manifest: Arc<serde_json::Value>,
    /// Where it lies, for people.
    pub origin: Origin,
}

/// Where an object lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// File, relative to the folder; empty where there is none.
    pub file: Arc<str>,
    /// Lines of its fields, by path.
    pub lines: Arc<folder::Lines>,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A Service is there, or differs.
    ApplyService(Service),
    /// A Service is gone.
    DeleteService(ServiceName),
    /// A workload is there, or differs.
    ApplyWorkload(Workload),
    /// A workload is gone.
    DeleteWorkload(WorkloadName),
    /// A Service's members are there, or differ.
    ApplyEndpoints(EndpointSet),
    /// A Service has no members any more.
    DeleteEndpoints(ServiceName),
    /// A policy object is there, or differs.
    ApplyPolicy(Box<PolicyObject>),
    /// A policy object is gone.
    DeletePolicy(ObjectRef),
}
