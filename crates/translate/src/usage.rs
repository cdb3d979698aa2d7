//! Finds the fields of an object that are valid and not enforced yet.
//!
//! The list itself is [`crate::not_yet_enforced`]; this walks an object beside its schema and says
//! where it uses an entry of it.

use crate::{
    not_yet_enforced::{Effect, Entry, NOT_YET_ENFORCED},
    report::{Fault, Report},
};
use serde::Serialize;
use serde_json::Value;
use weft_crds::kind::Kind;
use weft_model::problem::Severity;

/// The uses found in one object.
#[derive(Debug, Default)]
pub(crate) struct Uses(Vec<Use>);

/// One use.
#[derive(Debug)]
pub(crate) struct Use {
    /// Path of the field.
    pub(crate) path: String,
    /// The entry.
    pub(crate) entry: &'static Entry,
}

impl Uses {
    /// Finds the uses in a spec.
    pub(crate) fn of<S: Serialize>(kind: Kind, spec: &S) -> Self {
        let mut uses = Self::default();
        if let Ok(spec) = serde_json::to_value(spec) {
            uses.walk(kind, kind.spec_schema(), &spec, "spec", "spec");
        }
        uses
    }

    /// Whether a field at `path` or below it is used with this effect.
    pub(crate) fn below(&self, path: &str, effect: Effect) -> bool {
        self.0.iter().any(|found| {
            found.entry.effect == effect
                && found
                    .path
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// Adds a problem for each use.
    pub(crate) fn report(&self, report: &mut Report) {
        for found in &self.0 {
            let name = found.entry.subject();
            let (severity, reason) = match found.entry.effect {
                Effect::Ignored => (
                    Severity::NotEnforced,
                    format!("{name} is not enforced yet and has no effect; the rest applies"),
                ),
                Effect::NeverMatches => (
                    Severity::NotEnforced,
                    format!("{name} is not enforced yet, so this match block never matches"),
                ),
                Effect::HoldsObject => (
                    Severity::Held,
                    format!(
                        "{name} is not enforced yet, so the object is held: what was in force before stays"
                    ),
                ),
                Effect::StrictestMode => (
                    Severity::NotEnforced,
                    format!(
                        "{name} is not enforced yet, so every port takes the strictest mode that the object names"
                    ),
                ),
                Effect::RefusesAll => (
                    Severity::NotEnforced,
                    format!("{name} is not enforced yet, so every request is refused"),
                ),
            };
            report.add(
                severity,
                found.path.clone(),
                Fault::new("NotYetEnforced", reason, found.entry.remedy),
            );
        }
    }

    fn walk(&mut self, kind: Kind, schema: &Value, value: &Value, path: &str, pattern: &str) {
        if let Some(entry) = entry(kind, pattern, value) {
            // Below a field that is ignored, one that holds the object still does.
            let first = !self
                .0
                .iter()
                .any(|found| found.entry.covers(kind, pattern) && path.starts_with(&found.path));
            if first || entry.effect == Effect::HoldsObject {
                self.0.push(Use {
                    path: path.to_owned(),
                    entry,
                });
            }
            if entry.effect == Effect::HoldsObject {
                return;
            }
        }
        match value {
            Value::Object(fields) => {
                let properties = schema.get("properties").and_then(Value::as_object);
                for (key, value) in fields {
                    match properties.and_then(|known| known.get(key)) {
                        Some(schema) => self.walk(
                            kind,
                            schema,
                            value,
                            &format!("{path}.{key}"),
                            &format!("{pattern}.{key}"),
                        ),
                        None => {
                            if let Some(schema) = schema.get("additionalProperties") {
                                self.walk(
                                    kind,
                                    schema,
                                    value,
                                    &format!("{path}[{key}]"),
                                    &format!("{pattern}{{}}"),
                                );
                            }
                        }
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.walk(
                            kind,
                            schema,
                            item,
                            &format!("{path}[{index}]"),
                            &format!("{pattern}[]"),
                        );
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// The entry that `value` at exactly this pattern uses.
fn entry(kind: Kind, pattern: &str, value: &Value) -> Option<&'static Entry> {
    NOT_YET_ENFORCED.iter().find(|entry| {
        entry.kind == kind
            && entry.path() == pattern
            && entry.value().is_none_or(|wanted| value == wanted)
            && !entry.is_neutral(value)
    })
}
