//! Every field of every kind is enforced or in the list of those that are not yet, and none is both.

use crate::{document, translate};
use serde_json::Value;
use std::collections::BTreeSet;
use weft_crds::kind::Kind;
use weft_model::problem::Severity;
use weft_translate::{
    enforced::ENFORCED,
    not_yet_enforced::{Effect, Entry, NOT_YET_ENFORCED},
};

fn enforced(kind: Kind) -> BTreeSet<&'static str> {
    ENFORCED
        .iter()
        .filter(|(other, _)| *other == kind)
        .flat_map(|(_, fields)| fields.iter().copied())
        .collect()
}

/// The fields of a schema that hold a value: scalars, and lists and maps of scalars.
fn leaves(schema: &Value, pattern: &str, found: &mut BTreeSet<String>) {
    let is_object = |schema: &Value| {
        schema.get("properties").is_some() || schema.get("additionalProperties").is_some()
    };
    let list = schema.get("items");
    let map = schema.get("additionalProperties");
    match (schema["properties"].as_object(), list, map) {
        (Some(properties), _, _) => {
            for (key, schema) in properties {
                leaves(schema, &format!("{pattern}.{key}"), found);
            }
        }
        (_, Some(items), _) if is_object(items) => leaves(items, &format!("{pattern}[]"), found),
        (_, _, Some(values)) if is_object(values) => {
            leaves(values, &format!("{pattern}{{}}"), found)
        }
        _ => {
            found.insert(pattern.to_owned());
        }
    }
}

fn all_leaves(kind: Kind) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    leaves(kind.spec_schema(), "spec", &mut found);
    found
}

fn entries(kind: Kind) -> impl Iterator<Item = &'static Entry> {
    NOT_YET_ENFORCED.iter().filter(move |it| it.kind == kind)
}

#[test]
fn every_field_is_in_one_list_and_no_field_in_both() {
    for kind in Kind::ALL {
        let enforced = enforced(kind);
        let leaves = all_leaves(kind);
        for leaf in &leaves {
            let yes = enforced.contains(leaf.as_str());
            let not_yet = entries(kind).any(|it| it.covers(kind, leaf));
            assert!(yes || not_yet, "{kind} {leaf} is in neither list");
            assert!(!(yes && not_yet), "{kind} {leaf} is in both lists");
        }
        for field in enforced {
            assert!(leaves.contains(field), "{kind} has no field {field}");
        }
        for entry in entries(kind) {
            let exists = leaves.iter().any(|leaf| {
                leaf.strip_prefix(entry.path())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']))
            });
            assert!(exists, "{kind} has no field {}", entry.field);
        }
    }
}

/// The list itself, so that a change of it is seen.
#[test]
fn the_list_is_as_committed() {
    let lines: Vec<String> = NOT_YET_ENFORCED
        .iter()
        .map(|it| format!("{} {}: {:?}; {}", it.kind, it.field, it.effect, it.remedy))
        .collect();
    insta::assert_snapshot!("not_yet_enforced", lines.join("\n"));
}

/// Each entry's use is a problem with its remedy, and has its effect.
#[test]
fn the_use_of_each_entry_is_seen() {
    for entry in NOT_YET_ENFORCED {
        let valid = valid(entry.kind);
        let (spec, translated) = valid
            .iter()
            .find_map(|spec| {
                let cut = only(entry, spec)?;
                let yaml = serde_saphyr::to_string(&cut).unwrap();
                Some((cut, translate(&document(entry.kind, &yaml))))
            })
            .unwrap_or_else(|| panic!("no example uses {}", entry.field));
        let severity = match entry.effect {
            Effect::HoldsObject => Severity::Held,
            Effect::Ignored | Effect::NeverMatches | Effect::StrictestMode | Effect::RefusesAll => {
                Severity::NotEnforced
            }
        };
        assert!(
            translated
                .problems
                .iter()
                .any(|it| it.remedy == entry.remedy && it.severity == severity),
            "{} {}: {spec} {:#?}",
            entry.kind,
            entry.field,
            translated.problems
        );
    }
}

/// The documents that use every field, from the tests of the schemas.
fn valid(kind: Kind) -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../crds/tests/valid")
        .join(format!("{}.yaml", kind.name().to_lowercase()));
    let mut documents: Vec<Value> =
        serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap();
    // Values that exclude others in the documents of the schemas.
    documents.extend(match kind {
        Kind::DestinationRule => vec![
            serde_json::json!({"host": "a", "trafficPolicy": {"loadBalancer": {"simple": "PASSTHROUGH"}},
                "subsets": [{"name": "v1", "trafficPolicy": {"loadBalancer": {"simple": "PASSTHROUGH"}}}]}),
        ],
        Kind::AuthorizationPolicy => vec![serde_json::json!({"action": "AUDIT", "rules": [{}]})],
        _ => vec![],
    });
    documents
}

/// A spec if it uses the entry.
fn only(entry: &Entry, spec: &Value) -> Option<Value> {
    let mut at = vec![spec];
    for segment in entry.path().split('.').skip(1) {
        let (key, list) = match segment.strip_suffix("[]") {
            Some(key) => (key, true),
            None => (segment, false),
        };
        at = at
            .into_iter()
            .filter_map(|it| it.get(key))
            .flat_map(|it| match it.as_array() {
                Some(items) if list => items.iter().collect(),
                _ => vec![it],
            })
            .collect();
    }
    let used = at.iter().any(|it| {
        entry.value().is_none_or(|value| *it == value) && **it != serde_json::json!(["*"])
    });
    used.then(|| spec.clone())
}
