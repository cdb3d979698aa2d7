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

/// Longest text that is looked at; bounds the estimated cost of the rules below.
const MAX_CHARS: u64 = 64;

fn schema(rule: &str, message: &str) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": MAX_CHARS,
        rules::KEY: rules::one(rule, message),
    })
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema(
            "duration(self) >= duration('1ms')",
            "must be a duration of at least 1ms, for example 2s or 250ms",
        )
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
        schema(
            "duration(self) >= duration('0s')",
            "must be a duration, for example 2s, 250ms or 0s",
        )
    }
}
