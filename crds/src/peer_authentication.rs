//! `PeerAuthentication`: whether inbound connections must be mutual TLS.

use crate::{rules, selector::WorkloadSelector, status::PolicyStatus};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether inbound connections must be mutual TLS.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::add(SPEC_RULES))]
#[kube(
    group = "security.istio.io",
    version = "v1",
    kind = "PeerAuthentication",
    plural = "peerauthentications",
    shortname = "pa",
    category = "istio-io",
    category = "security-istio-io",
    category = "weft",
    namespaced,
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "Whether inbound connections must be mutual TLS.",
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.mtls.mode",
        description = "Mode of mutual TLS"
    ),
    printcolumn(
        name = "Programmed",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Programmed\")].status",
        description = "Whether every proxy concerned enforces it"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct PeerAuthenticationSpec {
    /// Workloads of this namespace. Absent: the namespace; in the root namespace: the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<WorkloadSelector>,
    /// Mode of every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls: Option<MutualTls>,
    /// Mode of single container ports; needs a selector.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = port_keys)]
    pub port_level_mtls: BTreeMap<String, MutualTls>,
}

const SPEC_RULES: &[(&str, &str)] = &[(
    "has(self.portLevelMtls) ? (has(self.selector) && has(self.selector.matchLabels) && \
     self.selector.matchLabels.size() > 0) : true",
    "portLevelMtls requires a selector",
)];

fn port_keys(schema: &mut schemars::Schema) {
    schema.insert("minProperties".to_owned(), 1.into());
    schema.insert("maxProperties".to_owned(), 65535.into());
    rules::add(&[(
        "self.all(key, key.matches('^[0-9]{1,5}$') && 0 < int(key) && int(key) <= 65535)",
        "a port is 1 to 65535",
    )])(schema);
}

/// Mode of mutual TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MutualTls {
    /// The mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<MutualTlsMode>,
}

/// Mode of mutual TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MutualTlsMode {
    /// Inherited; without a parent PERMISSIVE.
    Unset,
    /// Plaintext.
    Disable,
    /// Both.
    Permissive,
    /// Mutual TLS only.
    Strict,
}
