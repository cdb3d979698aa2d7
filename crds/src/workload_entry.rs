//! `WorkloadEntry`: a workload outside Kubernetes, and an endpoint of a ServiceEntry.

use crate::{rules, status::PolicyStatus};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A workload outside Kubernetes.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::add(SPEC_RULES))]
#[kube(
    group = "networking.istio.io",
    version = "v1",
    kind = "WorkloadEntry",
    plural = "workloadentries",
    shortname = "we",
    category = "istio-io",
    category = "networking-istio-io",
    category = "weft",
    namespaced,
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "A workload outside Kubernetes.",
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Address",
        type_ = "string",
        json_path = ".spec.address",
        description = "Address of the workload"
    )
)]
pub struct WorkloadEntrySpec {
    /// IP address, host name, or `unix:///path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub address: Option<String>,
    /// Ports by the name of the service's port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = ports)]
    pub ports: BTreeMap<String, u16>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 256))]
    pub labels: BTreeMap<String, String>,
    /// Network that the address is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub network: Option<String>,
    /// `region/zone/subzone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub locality: Option<String>,
    /// Relative share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// ServiceAccount that its identity is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub service_account: Option<String>,
}

const SPEC_RULES: &[(&str, &str)] = &[
    (
        "has(self.address) || has(self.network)",
        "address or network is required",
    ),
    (
        "(has(self.address) ? self.address : '').startsWith('unix://') ? !has(self.ports) : true",
        "a unix address has no ports",
    ),
];

fn ports(schema: &mut schemars::Schema) {
    schema.insert("maxProperties".to_owned(), 128.into());
    schema.insert(
        "additionalProperties".to_owned(),
        serde_json::json!({"type": "integer", "minimum": 1, "maximum": 65535}),
    );
}
