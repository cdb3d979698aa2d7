//! A condition on one text, as in Istio's `StringMatch`.

use crate::rules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// At most one of the three; where a kind admits none, that means presence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::at_most_one_of("exact prefix regex"))]
pub struct StringMatch {
    /// The whole value, case-sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// A plain string prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// RE2, against the whole value, at most 1024 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub regex: Option<String>,
}
