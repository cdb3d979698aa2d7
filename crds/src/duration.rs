//! Durations as text: `1h`, `1m30s`, `250ms`.
//!
//! They stay text here, as written, so that a bad one can be reported with its field; parsing is
//! `weft-translate`'s. The schema carries the bound that the API server checks.

use crate::rules;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A duration of at least 1 ms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub String);

/// A duration that may be `0s`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationOrZero(pub String);

/// Longest text that is looked at.
const MAX_CHARS: u64 = 64;

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": MAX_CHARS,
            rules::KEY: rules::one(
                "duration(self) >= duration('1ms')",
                "must be a duration of at least 1ms, for example 2s or 250ms",
            ),
        })
    }
}

impl JsonSchema for DurationOrZero {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "DurationOrZero".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A pattern and not a rule: rules under the lists of a DestinationRule are near the API
        // server's bound on their cost.
        json_schema!({
            "type": "string",
            "maxLength": MAX_CHARS,
            "pattern": r"^(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|ms|s|m|h))+$",
        })
    }
}
