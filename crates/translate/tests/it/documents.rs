//! Documents of any kind: named, recognized, and told what to do.

use crate::{NAMESPACE, document, short, translate};
use serde_json::{Value, json};
use weft_crds::kind::Kind;
use weft_model::{policy::PolicyMeta, source::ObjectRef};
use weft_translate::{Context, Identity, NotPolicy, identify, object};

#[test]
fn documents_are_named() {
    let named = |document: Value| match identify(&document, NAMESPACE) {
        Identity::Policy(it) => it.to_string(),
        Identity::NotPolicy => "not a policy".to_owned(),
    };
    let it = document(Kind::VirtualService, "{}");
    assert_eq!(named(it.clone()), "VirtualService shop/it");
    let mut other = it.clone();
    other["metadata"]["namespace"] = json!("prod");
    assert_eq!(named(other), "VirtualService prod/it");
    let mut mesh = document(Kind::MeshConfig, "{}");
    mesh["metadata"]["namespace"] = json!("prod");
    assert_eq!(named(mesh), "MeshConfig /default");
    assert_eq!(
        named(json!({"apiVersion": "apps/v1", "kind": "Deployment"})),
        "not a policy"
    );
    assert_eq!(
        named(
            json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "edge"}})
        ),
        "Gateway shop/edge"
    );
    assert_eq!(named(json!([1])), "object shop/");
    assert_eq!(named(Value::Null), "object shop/");
}

#[test]
fn a_plain_kubernetes_object_is_not_a_policy() {
    let meta = PolicyMeta {
        object: ObjectRef::new("Service", "shop", "a"),
        generation: 1,
        created: 1,
    };
    let service = json!({"apiVersion": "v1", "kind": "Service"});
    assert_eq!(object(&service, &meta, &Context::default()), Err(NotPolicy));
}

#[test]
fn what_is_wrong_with_a_document_is_said() {
    let good = document(Kind::PeerAuthentication, "{}");
    let with = |pointer: &str, value: Value| {
        let mut it = good.clone();
        *it.pointer_mut(pointer).unwrap() = value;
        it
    };
    let mut extra = good.clone();
    extra["sepc"] = json!({});
    let cases: &[(Value, &[&str])] = &[
        (good.clone(), &[]),
        (extra, &["Invalid UnknownField sepc"]),
        (
            with("/metadata", json!({})),
            &["Invalid NoName metadata.name"],
        ),
        (
            with("/metadata/name", json!("A")),
            &["Invalid InvalidName metadata.name"],
        ),
        (with("/spec", json!("text")), &["Invalid WrongType spec"]),
        (with("/spec", Value::Null), &[]),
        (
            with("/apiVersion", json!("security.istio.io/v9")),
            &["Invalid UnknownVersion apiVersion"],
        ),
        (
            with("/kind", json!("PeerAuthenticatoin")),
            &["Invalid UnknownKind kind"],
        ),
        (
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}),
            &["Invalid UnsupportedKind kind"],
        ),
        (json!({}), &["Invalid NoKind kind"]),
        (json!("text"), &["Invalid NoKind kind"]),
    ];
    for (document, expected) in cases {
        assert_eq!(short(&translate(document)), *expected, "{document}");
    }
}

#[test]
fn a_remedy_names_what_was_probably_meant() {
    let cases = [
        (
            Kind::VirtualService,
            "{hosts: [a], http: [{timeoutt: 1s}]}",
            "did you mean `timeout`?",
        ),
        (
            Kind::VirtualService,
            "{hosts: [a], htpt: []}",
            "did you mean `http`?",
        ),
        (
            Kind::VirtualService,
            "{hosts: [a], http: [{retries: {per_try_timeout: 1s}}]}",
            "did you mean `perTryTimeout`?",
        ),
        (
            Kind::PeerAuthentication,
            "{mtls: {mode: STRICKT}}",
            "did you mean STRICT?",
        ),
        (
            Kind::PeerAuthentication,
            "{mtls: {mode: strict}}",
            "did you mean STRICT?",
        ),
        (
            Kind::VirtualService,
            "{hosts: [a], http: [{match: [{headers: {x: {exact: 5}}}]}]}",
            "put it in quotes: \"5\"",
        ),
        (
            Kind::VirtualService,
            "{hosts: [a], http: [{match: [{headers: {x: {exact: no}}}]}]}",
            "put the text in quotes",
        ),
        (
            Kind::VirtualService,
            "{hosts: [a], http: [{appendHeaders: {}}]}",
            "use headers.request.add",
        ),
        (
            Kind::MeshConfig,
            "{color: red}",
            "remove it, or use one of accessLog",
        ),
    ];
    for (kind, spec, remedy) in cases {
        let problems = translate(&document(kind, spec)).problems;
        assert!(
            problems.iter().any(|it| it.remedy.starts_with(remedy)),
            "{spec}: {problems:#?}"
        );
    }
}

#[test]
fn problems_stand_in_the_order_of_fields() {
    let rules: Vec<String> = (0..12)
        .map(|_| "{timeout: x, route: [{destination: {host: a}}], match: [{port: 1}]}".to_owned())
        .collect();
    let spec = format!("{{hosts: [a], http: [{}]}}", rules.join(", "));
    let problems = translate(&document(Kind::VirtualService, &spec)).problems;
    let fields: Vec<&str> = problems
        .iter()
        .filter(|it| it.code == "InvalidDuration")
        .map(|it| it.field.as_str())
        .collect();
    let expected: Vec<String> = (0..12)
        .map(|index| format!("spec.http[{index}].timeout"))
        .collect();
    assert_eq!(fields, expected);
}

#[test]
fn every_version_means_the_same() {
    for kind in Kind::ALL {
        for version in kind.versions() {
            let mut it = document(kind, "{}");
            let first = translate(&it);
            it["apiVersion"] = json!(format!("{}/{version}", kind.group()));
            assert_eq!(translate(&it), first, "{kind} {version}");
        }
    }
}
