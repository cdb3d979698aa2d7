//! A document held against the schema of its kind, strictly: every field that the kind does not have,
//! every value of the wrong type, out of bounds or missing, each with its path.
//!
//! Serde stops at the first error and says nothing of fields it does not know; the API server drops
//! them. A user who misspelt `timeout` should read so. CEL rules are not evaluated here:
//! `weft-translate` checks the same and says more.
//!
//! `null` is an absent field, as for the API server. A value that passes without a [`Fault`] other
//! than [`Fault::Unknown`] deserializes.

use crate::kind::Kind;
use serde_json::{Map, Value};
use std::fmt;

/// Something that the schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Path of the field, for example `spec.http[0].route[1].weight`; a map's key is in brackets.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
}

/// See [`Finding`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No such field; these are its siblings.
    Unknown {
        /// The fields that exist there, sorted.
        known: Vec<String>,
    },
    /// Not there.
    Missing,
    /// Another type.
    Type {
        /// The type that is asked for, in words.
        expected: &'static str,
        /// The value found, shortened.
        found: String,
    },
    /// Not among the values that exist.
    Choice {
        /// The values that exist.
        allowed: Vec<String>,
        /// The value found.
        found: String,
    },
    /// Out of bounds.
    Bound(Bound),
}

/// A bound that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// A number below this.
    Minimum(String),
    /// A number above this.
    Maximum(String),
    /// Fewer characters, items or keys than this.
    AtLeast(u64, &'static str),
    /// More characters, items or keys than this.
    AtMost(u64, &'static str),
    /// A number with too many digits for the field.
    TooLarge,
    /// Characters that the field does not allow; the pattern it must match.
    Pattern(String),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minimum(bound) => write!(f, "must be at least {bound}"),
            Self::Maximum(bound) => write!(f, "must be at most {bound}"),
            Self::AtLeast(count, what) => write!(f, "must have at least {count} {what}"),
            Self::AtMost(count, what) => write!(f, "may have at most {count} {what}"),
            Self::TooLarge => f.write_str("is too large"),
            Self::Pattern(pattern) => write!(f, "must match {pattern}"),
        }
    }
}

/// All findings in the `spec` of a document of `kind`, in the order of the document's keys.
#[must_use]
pub fn spec(kind: Kind, spec: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(kind.spec_schema(), spec, "spec", &mut findings);
    findings
}

/// The `spec` without what [`Fault::Unknown`] names and without `null` fields.
#[must_use]
pub fn prune(kind: Kind, spec: &Value) -> Value {
    pruned(kind.spec_schema(), spec)
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn pruned(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let known = properties(schema);
            let extra = schema.get("additionalProperties");
            fields
                .iter()
                .filter_map(|(key, value)| {
                    let schema = known.and_then(|known| known.get(key)).or(extra)?;
                    let absent = value.is_null() && known.is_some();
                    (!absent).then(|| (key.clone(), pruned(schema, value)))
                })
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            items.iter().map(|item| pruned(schema, item)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text(schema, value).map_or_else(|| value.clone(), Value::from)
        }
    }
}

/// A value as the text that a field asks for. `off` without quotes is `false` in YAML 1.1; where a
/// field has that choice, it is meant.
fn text<'a>(schema: &Value, value: &'a Value) -> Option<&'a str> {
    let choice = |word: &str| {
        let choices = schema.get("enum").and_then(Value::as_array);
        choices.is_some_and(|choices| choices.iter().any(|choice| choice == word))
    };
    match value {
        Value::String(text) => Some(text),
        Value::Bool(false) if choice("off") => Some("off"),
        _ => None,
    }
}

fn walk(schema: &Value, value: &Value, path: &str, findings: &mut Vec<Finding>) {
    let mut fault = |fault| {
        findings.push(Finding {
            path: path.to_owned(),
            fault,
        });
    };
    let mismatch = |expected| Fault::Type {
        expected,
        found: shortened(value),
    };
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => match value.as_object() {
            Some(fields) => object(schema, fields, path, findings),
            None => fault(mismatch("an object")),
        },
        Some("array") => match value.as_array() {
            Some(items) => {
                count(
                    schema,
                    items.len(),
                    ("minItems", "maxItems", "items"),
                    &mut fault,
                );
                let schema = schema.get("items").unwrap_or(&Value::Null);
                for (index, item) in items.iter().enumerate() {
                    walk(schema, item, &format!("{path}[{index}]"), findings);
                }
            }
            None => fault(mismatch("a list")),
        },
        Some("string") => match text(schema, value) {
            Some(text) => string(schema, text, &mut fault),
            None => fault(mismatch("a string")),
        },
        Some("integer") => {
            if value.is_i64() || value.is_u64() {
                number(schema, value, &mut fault);
            } else {
                fault(mismatch("a whole number"));
            }
        }
        Some("number") => {
            if value.is_number() {
                number(schema, value, &mut fault);
            } else {
                fault(mismatch("a number"));
            }
        }
        Some("boolean") if !value.is_boolean() => fault(mismatch("true or false")),
        _ => {}
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, path: &str, findings: &mut Vec<Finding>) {
    count(
        schema,
        fields.len(),
        ("minProperties", "maxProperties", "entries"),
        &mut |fault| {
            findings.push(Finding {
                path: path.to_owned(),
                fault,
            });
        },
    );
    let known = properties(schema);
    let extra = schema.get("additionalProperties");
    for (key, value) in fields {
        match (known.and_then(|known| known.get(key)), extra) {
            (Some(_), _) if value.is_null() => {}
            (Some(schema), _) => walk(schema, value, &format!("{path}.{key}"), findings),
            (None, Some(schema)) => walk(schema, value, &format!("{path}[{key}]"), findings),
            (None, None) => findings.push(Finding {
                path: format!("{path}.{key}"),
                fault: Fault::Unknown {
                    known: known
                        .map(|known| known.keys().cloned().collect())
                        .unwrap_or_default(),
                },
            }),
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if fields.get(name).is_none_or(Value::is_null) {
            findings.push(Finding {
                path: format!("{path}.{name}"),
                fault: Fault::Missing,
            });
        }
    }
}

fn string(schema: &Value, text: &str, fault: &mut impl FnMut(Fault)) {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        if !choices.iter().any(|choice| choice == text) {
            fault(Fault::Choice {
                allowed: choices
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                found: text.to_owned(),
            });
        }
        return;
    }
    count(
        schema,
        text.chars().count(),
        ("minLength", "maxLength", "characters"),
        fault,
    );
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !text.is_empty()
        && !matches_class(pattern, text)
    {
        fault(Fault::Bound(Bound::Pattern(pattern.to_owned())));
    }
}

/// Whether `text` matches `^[class]+$`. The other patterns of our schemas are durations, which
/// `weft-translate` parses.
fn matches_class(pattern: &str, text: &str) -> bool {
    let Some(class) = pattern
        .strip_prefix("^[")
        .and_then(|rest| rest.strip_suffix("]+$"))
    else {
        return true;
    };
    text.chars().all(|c| {
        let letters = class.contains("a-z") && c.is_ascii_lowercase()
            || class.contains("A-Z") && c.is_ascii_uppercase()
            || class.contains("0-9") && c.is_ascii_digit();
        letters || !c.is_ascii_alphanumeric() && class.contains(c)
    })
}

fn number(schema: &Value, value: &Value, fault: &mut impl FnMut(Fault)) {
    let Some(found) = value.as_f64() else {
        return;
    };
    let bound = |key| schema.get(key).filter(|bound| bound.is_number());
    if let Some(minimum) = bound("minimum")
        && minimum.as_f64().is_some_and(|minimum| found < minimum)
    {
        fault(Fault::Bound(Bound::Minimum(minimum.to_string())));
    }
    match bound("maximum") {
        Some(maximum) if maximum.as_f64().is_some_and(|maximum| found > maximum) => {
            fault(Fault::Bound(Bound::Maximum(maximum.to_string())));
        }
        None if value.as_u64().is_some_and(|found| found > MAX_PLAIN) => {
            fault(Fault::Bound(Bound::TooLarge));
        }
        _ => {}
    }
}

/// The largest number where a schema names no bound.
const MAX_PLAIN: u64 = u32::MAX as u64;

fn count(
    schema: &Value,
    found: usize,
    (least, most, what): (&str, &str, &'static str),
    fault: &mut impl FnMut(Fault),
) {
    let bound = |key| schema.get(key).and_then(Value::as_u64);
    let found = found as u64;
    if let Some(least) = bound(least).filter(|least| found < *least) {
        fault(Fault::Bound(Bound::AtLeast(least, what)));
    }
    if let Some(most) = bound(most).filter(|most| found > *most) {
        fault(Fault::Bound(Bound::AtMost(most, what)));
    }
}

/// A value as it may stand in a sentence.
fn shortened(value: &Value) -> String {
    let text = match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    };
    if text.chars().count() > 40 {
        let start: String = text.chars().take(37).collect();
        format!("{start}...")
    } else {
        text
    }
}
