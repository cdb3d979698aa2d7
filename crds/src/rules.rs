//! CEL rules and exclusive fields as parts of a schema.
//!
//! Rules cost the API server an estimate of time per object: where a rule would stand under several
//! unbounded lists, an exclusive choice is written as `oneOf`, which costs nothing.

use schemars::Schema;
use serde_json::{Value, json};

/// The schema keyword of CEL rules.
pub(crate) const KEY: &str = "x-kubernetes-validations";

/// A list of one rule.
pub(crate) fn one(rule: &str, message: &str) -> Value {
    many(&[(rule, message)])
}

/// A list of rules with their messages.
pub(crate) fn many(rules: &[(&str, &str)]) -> Value {
    rules
        .iter()
        .map(|(rule, message)| json!({"rule": rule, "message": message}))
        .collect()
}

/// Adds rules to a schema.
pub(crate) fn add(rules: &'static [(&'static str, &'static str)]) -> impl FnMut(&mut Schema) {
    move |schema| {
        schema.insert(KEY.to_owned(), many(rules));
    }
}

/// Admits none of `fields`, which are separated by spaces, or one.
pub(crate) fn at_most_one_of(fields: &'static str) -> impl FnMut(&mut Schema) {
    move |schema| {
        schema.insert("oneOf".to_owned(), exclusive(fields));
    }
}

/// Two groups of fields of which each admits none or one.
pub(crate) fn at_most_one_of_each(
    first: &'static str,
    second: &'static str,
) -> impl FnMut(&mut Schema) {
    move |schema| {
        schema.insert(
            "allOf".to_owned(),
            json!([{"oneOf": exclusive(first)}, {"oneOf": exclusive(second)}]),
        );
    }
}

fn exclusive(fields: &str) -> Value {
    let required: Vec<Value> = fields
        .split(' ')
        .map(|field| json!({"required": [field]}))
        .collect();
    let mut choices = vec![json!({"not": {"anyOf": required}})];
    choices.extend(required);
    Value::Array(choices)
}
