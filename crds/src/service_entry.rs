//! `ServiceEntry`: a service that Kubernetes does not know.

use crate::{
    rules, selector::label_rules, status::PolicyStatus, workload_entry::WorkloadEntrySpec,
};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A service that Kubernetes does not know.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::add(SPEC_RULES))]
#[kube(
    group = "networking.istio.io",
    version = "v1",
    kind = "ServiceEntry",
    plural = "serviceentries",
    shortname = "se",
    category = "istio-io",
    category = "networking-istio-io",
    category = "weft",
    namespaced,
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "A service that Kubernetes does not know.",
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn(
        name = "Hosts",
        type_ = "string",
        json_path = ".spec.hosts",
        description = "Hosts of the service"
    ),
    printcolumn(
        name = "Location",
        type_ = "string",
        json_path = ".spec.location",
        description = "Whether the service is part of the mesh"
    ),
    printcolumn(
        name = "Resolution",
        type_ = "string",
        json_path = ".spec.resolution",
        description = "How its addresses are found"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct ServiceEntrySpec {
    /// Its names.
    #[schemars(length(min = 1, max = 256), inner(length(min = 1)))]
    pub hosts: Vec<String>,
    /// Its virtual addresses, single or in CIDR notation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub addresses: Vec<String>,
    /// Its ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub ports: Vec<ServicePort>,
    /// Whether it is part of the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// How its addresses are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// Its endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096))]
    pub endpoints: Vec<WorkloadEntrySpec>,
    /// Workloads of this namespace that are its endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<LabelSelector>,
    /// Namespaces whose clients see the object: `*`, `.` (its own) or names. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub export_to: Vec<String>,
    /// Names that a server's certificate must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
}

const SPEC_RULES: &[(&str, &str)] = &[
    (
        "(has(self.workloadSelector) ? 1 : 0) + (has(self.endpoints) ? 1 : 0) <= 1",
        "only one of workloadSelector and endpoints can be set",
    ),
    (
        "(has(self.resolution) ? self.resolution : 'NONE') == 'NONE' ? !has(self.endpoints) : true",
        "resolution NONE has no endpoints",
    ),
    (
        "!((has(self.addresses) ? self.addresses : []).exists(a, a.contains('/')) && \
         !((has(self.resolution) ? self.resolution : 'NONE') in ['STATIC', 'NONE']))",
        "CIDR addresses are allowed only for resolution NONE and STATIC",
    ),
    (
        "(has(self.resolution) ? self.resolution : '') == 'DNS_ROUND_ROBIN' ? \
         (has(self.endpoints) ? self.endpoints : []).size() <= 1 : true",
        "resolution DNS_ROUND_ROBIN has at most one endpoint",
    ),
];

/// A port of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Its number.
    #[schemars(range(min = 1, max = 65535))]
    pub number: u16,
    /// What it speaks, for example `HTTP`, `GRPC`, `TCP`, `TLS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub protocol: Option<String>,
    /// Its name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The endpoints' port. Default: its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub target_port: Option<u16>,
}

/// Whether a service is part of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Location {
    /// Outside; the default.
    MeshExternal,
    /// Inside, with identities.
    MeshInternal,
}

/// How a service's addresses are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resolution {
    /// The address that the client dialled; the default.
    None,
    /// The endpoints' addresses.
    Static,
    /// DNS, all answers.
    Dns,
    /// DNS, the first answer.
    DnsRoundRobin,
    /// DNS, per request.
    DynamicDns,
}

/// Labels that select workloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that a workload must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = label_rules)]
    pub labels: BTreeMap<String, String>,
}
