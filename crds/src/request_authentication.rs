//! `RequestAuthentication`: which tokens a request may carry.

use crate::{
    duration::Duration,
    rules,
    selector::{TargetRef, WorkloadSelector},
    status::PolicyStatus,
};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which tokens a request may carry.
#[derive(
    CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::add(SPEC_RULES))]
#[kube(
    group = "security.istio.io",
    version = "v1",
    kind = "RequestAuthentication",
    plural = "requestauthentications",
    shortname = "ra",
    category = "istio-io",
    category = "security-istio-io",
    category = "weft",
    namespaced,
    status = "PolicyStatus",
    derive = "PartialEq",
    doc = "Which tokens a request may carry.",
    annotation("helm.sh/resource-policy", "keep"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct RequestAuthenticationSpec {
    /// Workloads of this namespace. Absent: the namespace; in the root namespace: the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<WorkloadSelector>,
    /// The object that the policy is attached to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<TargetRef>,
    /// The objects that the policy is attached to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub target_refs: Vec<TargetRef>,
    /// Tokens that are accepted; a request with another one is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096))]
    pub jwt_rules: Vec<JwtRule>,
}

const SPEC_RULES: &[(&str, &str)] = &[(
    "(has(self.selector) ? 1 : 0) + (has(self.targetRef) ? 1 : 0) + \
     (has(self.targetRefs) ? 1 : 0) <= 1",
    "only one of targetRefs and selector can be set",
)];

/// One issuer's tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::at_most_one_of("jwksUri jwks_uri jwks"))]
pub struct JwtRule {
    /// The issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub issuer: Option<String>,
    /// Audiences that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub audiences: Vec<String>,
    /// Where the issuer's keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub jwks_uri: Option<String>,
    /// The older spelling of `jwksUri`.
    #[serde(rename = "jwks_uri", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub jwks_uri_snake: Option<String>,
    /// The issuer's keys themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// Headers to look for the token in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_headers: Vec<JwtHeader>,
    /// Query parameters to look for the token in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub from_params: Vec<String>,
    /// Cookies to look for the token in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub from_cookies: Vec<String>,
    /// Header that carries the payload on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_payload_to_header: Option<String>,
    /// Headers that carry single claims on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// Whether the token itself is carried on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_original_token: Option<bool>,
    /// Bound on fetching keys. Default: 5s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Claims whose value is a list separated by spaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1)))]
    pub space_delimited_claims: Vec<String>,
}

/// A header with a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JwtHeader {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What precedes the token, for example `Bearer `.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// A header that carries a claim on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimToHeader {
    /// The header.
    #[schemars(length(min = 1), regex(pattern = r"^[-_A-Za-z0-9]+$"))]
    pub header: String,
    /// The claim.
    #[schemars(length(min = 1))]
    pub claim: String,
}
