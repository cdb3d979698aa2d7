//! A kind's CustomResourceDefinition: what kube derives, with every served version and without what
//! does not belong in a CRD.
//!
//! `nullable` is dropped, so that the API server prunes `null` as if the field were absent, which is
//! what it means in Istio. `default` is dropped, so that an object is stored as it was written. Number
//! formats that only Rust knows are dropped, since the API server warns of them and the bounds are
//! written out.

use crate::kind::Kind;
use kube::core::crd::CustomResourceExt;
use serde_json::{Value, json};

/// The complete definition of a kind.
pub(crate) fn definition<T: CustomResourceExt>(kind: Kind) -> Value {
    let mut crd = serde_json::to_value(T::crd()).unwrap_or_default();
    if let Some(versions) = crd.pointer_mut("/spec/versions")
        && let Some(first) = versions.get(0).cloned()
    {
        *versions = kind
            .versions()
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let mut version = first.clone();
                if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema") {
                    clean(schema);
                }
                set(&mut version, "name", json!(name));
                set(&mut version, "served", json!(true));
                set(&mut version, "storage", json!(index == 0));
                version
            })
            .collect();
    }
    if let Some(spec) = crd.pointer_mut("/spec") {
        set(spec, "conversion", json!({"strategy": "None"}));
    }
    crd
}

/// The schema of `spec` in a definition.
pub(crate) fn spec_schema(definition: &Value) -> Value {
    definition
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .cloned()
        .unwrap_or_default()
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

/// Drops `nullable` and Rust's number formats from a schema and all below it.
fn clean(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    map.remove("nullable");
    map.remove("default");
    if map
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| format.starts_with("uint"))
    {
        map.remove("format");
    }
    if map.get("type").and_then(Value::as_str) == Some("integer") {
        // The bounds of a number's own type are written `0.0`.
        for bound in ["minimum", "maximum"] {
            if let Some(number) = map.get(bound).and_then(Value::as_f64) {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "bounds of integers in a schema are small whole numbers"
                )]
                map.insert(bound.to_owned(), json!(number as i64));
            }
        }
    }
    for (key, value) in map.iter_mut() {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(clean),
            ("items" | "additionalProperties", value) => clean(value),
            _ => {}
        }
    }
}
