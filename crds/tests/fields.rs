//! Every field of every kind has a valid case, in `valid/`, and invalid ones, made of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};
use weft_crds::{
    authorization_policy::AuthorizationPolicySpec,
    check::{self, Bound, Fault},
    destination_rule::DestinationRuleSpec,
    kind::Kind,
    mesh_config::MeshConfigSpec,
    peer_authentication::PeerAuthenticationSpec,
    request_authentication::RequestAuthenticationSpec,
    service_entry::ServiceEntrySpec,
    virtual_service::VirtualServiceSpec,
    workload_entry::WorkloadEntrySpec,
};

fn valid(kind: Kind) -> Vec<Value> {
    let name = format!("tests/valid/{}.yaml", kind.name().to_lowercase());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A value in a document: its path as `check` writes it, its pattern, its schema.
struct Place<'a> {
    path: String,
    pointer: String,
    pattern: String,
    schema: &'a Value,
}

fn places<'a>(schema: &'a Value, value: &Value, at: Place<'a>, found: &mut Vec<Place<'a>>) {
    let place = |path: String, pointer: String, pattern: String, schema| Place {
        path,
        pointer,
        pattern,
        schema,
    };
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let pointer = format!("{}/{}", at.pointer, escaped(key));
                let (path, pattern, schema) = match schema["properties"].get(key) {
                    Some(schema) => (
                        format!("{}.{key}", at.path),
                        format!("{}.{key}", at.pattern),
                        schema,
                    ),
                    None => (
                        format!("{}[{key}]", at.path),
                        format!("{}{{}}", at.pattern),
                        &schema["additionalProperties"],
                    ),
                };
                places(schema, value, place(path, pointer, pattern, schema), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let schema = &schema["items"];
                let next = place(
                    format!("{}[{index}]", at.path),
                    format!("{}/{index}", at.pointer),
                    format!("{}[]", at.pattern),
                    schema,
                );
                places(schema, value, next, found);
            }
        }
        _ => {}
    }
    found.push(at);
}

fn all_places<'a>(kind: Kind, value: &Value) -> Vec<Place<'a>> {
    let mut found = Vec::new();
    let root = Place {
        path: "spec".to_owned(),
        pointer: String::new(),
        pattern: "spec".to_owned(),
        schema: kind.spec_schema(),
    };
    places(kind.spec_schema(), value, root, &mut found);
    found
}

fn patterns(schema: &Value, pattern: &str, found: &mut BTreeSet<String>) {
    found.insert(pattern.to_owned());
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        patterns(schema, &format!("{pattern}.{key}"), found);
    }
    if let Some(schema) = schema.get("items") {
        patterns(schema, &format!("{pattern}[]"), found);
    }
    if let Some(schema) = schema.get("additionalProperties") {
        patterns(schema, &format!("{pattern}{{}}"), found);
    }
}

#[test]
fn every_field_has_a_valid_case() {
    for kind in Kind::ALL {
        let mut used = BTreeSet::new();
        for (index, spec) in valid(kind).iter().enumerate() {
            assert_eq!(check::spec(kind, spec), [], "{kind} {index}");
            used.extend(all_places(kind, spec).into_iter().map(|it| it.pattern));
        }
        let mut all = BTreeSet::new();
        patterns(kind.spec_schema(), "spec", &mut all);
        let missing: Vec<_> = all.difference(&used).collect();
        assert!(missing.is_empty(), "{kind}: no valid case of {missing:#?}");
    }
}

#[test]
fn every_field_is_typed_and_survives() {
    fn check<S: Serialize + DeserializeOwned>(kind: Kind) {
        for (index, spec) in valid(kind).iter().enumerate() {
            let typed: S = serde_json::from_value(spec.clone()).unwrap();
            let again = serde_json::to_value(typed).unwrap();
            for place in all_places(kind, spec) {
                let (before, after) = (spec.pointer(&place.pointer), again.pointer(&place.pointer));
                let empty = before.is_some_and(|it| *it == json!({}) || *it == json!([]));
                let same = before == after
                    || before.and_then(Value::as_f64) == after.and_then(Value::as_f64)
                        && after.is_some_and(Value::is_number);
                let container = before.is_some_and(|it| it.is_object() || it.is_array());
                assert!(same || container || empty, "{kind} {index} {}", place.path);
            }
        }
    }
    check::<VirtualServiceSpec>(Kind::VirtualService);
    check::<DestinationRuleSpec>(Kind::DestinationRule);
    check::<ServiceEntrySpec>(Kind::ServiceEntry);
    check::<WorkloadEntrySpec>(Kind::WorkloadEntry);
    check::<PeerAuthenticationSpec>(Kind::PeerAuthentication);
    check::<AuthorizationPolicySpec>(Kind::AuthorizationPolicy);
    check::<RequestAuthenticationSpec>(Kind::RequestAuthentication);
    check::<MeshConfigSpec>(Kind::MeshConfig);
}

/// Values that the schema of a field refuses.
fn refused(schema: &Value) -> Vec<Value> {
    let mut values = match schema["type"].as_str().unwrap() {
        "object" => vec![json!("text"), json!([])],
        "array" => vec![json!("text"), json!({})],
        "string" => vec![json!(1), json!(true), json!({})],
        "boolean" => vec![json!("true"), json!(1)],
        "integer" => vec![json!("1"), json!(1.5), json!(true)],
        "number" => vec![json!("1"), json!(true)],
        other => panic!("a type of its own: {other}"),
    };
    if schema.get("enum").is_some() {
        values.push(json!("NO_SUCH_VALUE"));
    }
    if let Some(least) = schema["minimum"].as_i64() {
        values.push(json!(least - 1));
    }
    if let Some(most) = schema["maximum"].as_i64() {
        values.push(json!(most + 1));
    }
    if let Some(most) = schema["maximum"].as_f64() {
        values.push(json!(most + 1.0));
    }
    if schema["type"] == "integer" {
        values.push(json!(u64::MAX));
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        values.push(json!("a".repeat(usize::try_from(most).unwrap() + 1)));
    }
    if schema["minLength"].as_u64().is_some_and(|least| least > 0) {
        values.push(json!(""));
    }
    if schema["pattern"]
        .as_str()
        .is_some_and(|it| it.starts_with("^["))
    {
        values.push(json!("a b"));
    }
    if schema["minItems"].as_u64().is_some_and(|least| least > 0) {
        values.push(json!([]));
    }
    if schema["minProperties"]
        .as_u64()
        .is_some_and(|least| least > 0)
    {
        values.push(json!({}));
    }
    values
}

#[test]
fn every_field_has_invalid_cases() {
    let mut cases = 0;
    for kind in Kind::ALL {
        for spec in valid(kind) {
            for place in all_places(kind, &spec) {
                for value in refused(place.schema) {
                    let mut broken = spec.clone();
                    *broken.pointer_mut(&place.pointer).unwrap() = value.clone();
                    let findings = check::spec(kind, &broken);
                    assert!(
                        findings.iter().any(|it| it.path == place.path
                            && !matches!(it.fault, Fault::Unknown { .. } | Fault::Missing)),
                        "{kind} {} = {value}: {findings:?}",
                        place.path
                    );
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 1000, "{cases}");
}

#[test]
fn an_unknown_field_is_found_wherever_it_stands() {
    for kind in Kind::ALL {
        for spec in valid(kind) {
            for place in all_places(kind, &spec) {
                if place.schema.get("properties").is_none() {
                    continue;
                }
                let mut broken = spec.clone();
                broken.pointer_mut(&place.pointer).unwrap()["noSuchField"] = json!({"a": [1]});
                let path = format!("{}.noSuchField", place.path);
                let findings = check::spec(kind, &broken);
                assert!(
                    findings.iter().any(|it| it.path == path
                        && matches!(&it.fault, Fault::Unknown { known } if !known.is_empty())),
                    "{kind} {path}: {findings:?}"
                );
                assert_eq!(
                    check::spec(kind, &check::prune(kind, &broken)),
                    [],
                    "{kind} {path}"
                );
            }
        }
    }
}

#[test]
fn a_required_field_is_missed_and_null_is_absent() {
    for kind in Kind::ALL {
        for spec in valid(kind) {
            for place in all_places(kind, &spec) {
                for name in place.schema["required"].as_array().into_iter().flatten() {
                    let name = name.as_str().unwrap();
                    let mut broken = spec.clone();
                    broken.pointer_mut(&place.pointer).unwrap()[name] = Value::Null;
                    let path = format!("{}.{name}", place.path);
                    let findings = check::spec(kind, &broken);
                    assert!(
                        findings
                            .iter()
                            .any(|it| it.path == path && it.fault == Fault::Missing),
                        "{kind} {path}: {findings:?}"
                    );
                }
            }
        }
    }
    let spec = json!({"selector": null, "mtls": {"mode": null}});
    assert_eq!(check::spec(Kind::PeerAuthentication, &spec), []);
    assert_eq!(
        check::prune(Kind::PeerAuthentication, &spec),
        json!({"mtls": {}})
    );
    // In a map a key with nothing is no absent field.
    let spec = json!({"selector": {"matchLabels": {"app": null}}});
    let findings = check::spec(Kind::PeerAuthentication, &spec);
    assert!(
        matches!(findings[0].fault, Fault::Type { .. }),
        "{findings:?}"
    );
}

#[test]
fn bounds_say_what_holds() {
    let spec = json!({"hosts": ["a"], "http": [{"match": [{"port": 70000}]}]});
    let findings = check::spec(Kind::VirtualService, &spec);
    assert_eq!(findings[0].path, "spec.http[0].match[0].port");
    assert_eq!(
        findings[0].fault,
        Fault::Bound(Bound::Maximum("65535".to_owned()))
    );
}

#[test]
fn no_schema_is_open() {
    fn check(schema: &Value, path: &str) {
        for key in [
            "x-kubernetes-preserve-unknown-fields",
            "nullable",
            "default",
        ] {
            assert!(schema.get(key).is_none(), "{path} has {key}");
        }
        assert!(schema["type"].is_string(), "{path} has no type");
        if schema["type"] == "object" {
            let closed = schema.get("properties").is_some()
                || schema["additionalProperties"]["type"].is_string();
            assert!(closed, "{path} is a free-form object");
        }
        assert!(
            schema["description"].is_string() || path.ends_with([']', '}']),
            "{path} says nothing"
        );
        for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
            check(schema, &format!("{path}.{key}"));
        }
        for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
            if let Some(schema) = schema.get(key) {
                check(schema, &format!("{path}{mark}"));
            }
        }
    }
    for kind in Kind::ALL {
        check(kind.spec_schema(), kind.name());
    }
}
