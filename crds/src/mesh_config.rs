//! `MeshConfig`: the settings of the mesh as a whole, one object named `default`.

use crate::{duration::Duration, http_route::HttpRetry, rules, status::PolicyStatus};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name that the one object has.
pub const NAME: &str = "default";

/// Settings of the mesh as a whole.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "weft.dev",
    version = "v1",
    kind = "MeshConfig",
    plural = "meshconfigs",
    shortname = "mc",
    category = "weft",
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "Settings of the mesh as a whole; the one object is named default.",
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn(
        name = "AccessLog",
        type_ = "string",
        json_path = ".spec.accessLog.mode",
        description = "Access log of every proxy"
    ),
    printcolumn(
        name = "TrustDomain",
        type_ = "string",
        json_path = ".spec.trustDomain",
        description = "Trust domain of new identities"
    ),
    printcolumn(
        name = "Programmed",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Programmed\")].status",
        description = "Whether every proxy enforces it"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct MeshConfigSpec {
    /// Access log of every proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLog>,
    /// Life of a workload's certificate, 60s to 168h. Default: 24h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(transform = lifetime_rules)]
    pub certificate_lifetime: Option<Duration>,
    /// Trust domain of new identities. Default: cluster.local.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-zA-Z0-9._-]+$"))]
    pub trust_domain: Option<String>,
    /// Namespace whose policy holds for the whole mesh. Default: istio-system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub root_namespace: Option<String>,
    /// What becomes of requests to hosts that the mesh does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
    /// Retries where a rule says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_retries: Option<HttpRetry>,
    /// Threads of a proxy that carry traffic. Default: by the CPUs it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub shards: Option<u32>,
    /// Traces and metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
}

fn lifetime_rules(schema: &mut schemars::Schema) {
    rules::add(&[(
        "duration(self) >= duration('60s') && duration(self) <= duration('168h')",
        "must be a duration of 60s to 168h",
    )])(schema);
}

/// Access log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessLog {
    /// How it is written. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<AccessLogMode>,
}

/// How an access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessLogMode {
    /// Not at all.
    Off,
    /// One line of text a request.
    Text,
    /// One JSON object a request.
    Json,
}

/// What becomes of requests to hosts that the mesh does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutboundTrafficPolicy {
    /// Whether they pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<OutboundTrafficMode>,
}

/// Whether requests to hosts that the mesh does not know pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundTrafficMode {
    /// They do.
    AllowAny,
    /// They are refused.
    RegistryOnly,
}

/// Traces and metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// Traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing: Option<Tracing>,
    /// Metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

/// Traces.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// Where spans go: the URL of an OTLP collector. Absent: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub otlp_endpoint: Option<String>,
    /// Share of new traces that are kept, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub sampling_percentage: Option<f64>,
}

/// Metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Labels of the standard metrics to leave out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    pub drop_labels: Vec<String>,
}
