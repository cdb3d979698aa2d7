//! Translation as its callers see it: a document in, a value and problems out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod authorization_policy;
mod coverage;
mod destination_rule;
mod documented;
mod documents;
mod mesh_config;
mod never_panics;
mod other_kinds;
mod peer_authentication;
mod virtual_service;

use serde_json::{Value, json};
use weft_crds::kind::Kind;
use weft_model::policy::{Policy, PolicyMeta, Translated};
use weft_translate::{Context, Identity, identify, object};

/// The namespace that objects of these tests are in.
const NAMESPACE: &str = "shop";

/// A whole document of a kind around a spec in YAML.
fn document(kind: Kind, spec: &str) -> Value {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    let name = match kind {
        Kind::MeshConfig => "default",
        _ => "it",
    };
    json!({
        "apiVersion": format!("{}/v1", kind.group()),
        "kind": kind.name(),
        "metadata": {"name": name},
        "spec": spec,
    })
}

/// Translates a document as the controller does.
fn translate(document: &Value) -> Translated<Policy> {
    let Identity::Policy(named) = identify(document, NAMESPACE) else {
        panic!("not a policy: {document}");
    };
    let meta = PolicyMeta {
        object: named,
        generation: 3,
        created: 7,
    };
    object(document, &meta, &Context::default()).unwrap()
}

/// Problems as `severity code field`.
fn short(translated: &Translated<Policy>) -> Vec<String> {
    translated
        .problems
        .iter()
        .map(|it| {
            assert!(!it.reason.is_empty() && !it.reason.ends_with('.'), "{it}");
            assert!(!it.remedy.is_empty() && !it.remedy.ends_with('.'), "{it}");
            format!("{:?} {} {}", it.severity, it.code, it.field)
        })
        .collect()
}

/// The one check of the tables: a spec, and its problems.
fn check(kind: Kind, spec: &str, expected: &[&str]) {
    let translated = translate(&document(kind, spec));
    assert_eq!(short(&translated), expected, "{kind}\n{spec}");
    let blocked = expected
        .iter()
        .any(|it| it.starts_with("Invalid") || it.starts_with("Held"));
    assert_eq!(translated.value.is_none(), blocked, "{kind}\n{spec}");
}
