//! How a policy says which workloads or objects it is about.

use crate::rules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which workloads of the object's namespace a policy is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSelector {
    /// Labels that a workload must have. None: every workload.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(transform = label_rules)]
    pub match_labels: BTreeMap<String, String>,
}

/// Bounds of a label map: no wildcard, no empty key, values of at most 63 characters.
pub(crate) fn label_rules(schema: &mut schemars::Schema) {
    schema.insert("maxProperties".to_owned(), 256.into());
    schema.insert(
        "additionalProperties".to_owned(),
        serde_json::json!({
            "type": "string",
            "maxLength": 63,
            rules::KEY: rules::one("!self.contains('*')", "wildcard is not supported in a label value"),
        }),
    );
    rules::add(&[
        (
            "self.all(key, !key.contains('*'))",
            "wildcard is not supported in a label key",
        ),
        (
            "self.all(key, key.size() != 0)",
            "a label key may not be empty",
        ),
    ])(schema);
}

/// The object that a policy is attached to, instead of a selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// Group of the target; empty for the core group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// Kind of the target.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name of the target.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Must be empty: a target is in the policy's own namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 0))]
    pub namespace: Option<String>,
}
