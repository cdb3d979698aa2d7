//! PeerAuthentication: modes, and what becomes of modes of single ports.

use crate::{check, document, translate};
use serde_json::json;
use weft_crds::kind::Kind;
use weft_model::{
    inbound::MtlsMode,
    policy::{PeerAuthentication, Policy},
};

fn value(spec: &str) -> PeerAuthentication {
    let translated = translate(&document(Kind::PeerAuthentication, spec));
    match translated.value {
        Some(Policy::PeerAuthentication(it)) => it,
        other => panic!("{other:?} {:?}", translated.problems),
    }
}

#[test]
fn modes_are_translated() {
    let cases = [
        ("{}", None),
        ("{mtls: {}}", None),
        ("{mtls: {mode: UNSET}}", None),
        ("{mtls: {mode: DISABLE}}", Some(MtlsMode::Disable)),
        ("{mtls: {mode: PERMISSIVE}}", Some(MtlsMode::Permissive)),
        ("{mtls: {mode: STRICT}}", Some(MtlsMode::Strict)),
    ];
    for (spec, mode) in cases {
        let it = value(spec);
        assert_eq!((it.mode, it.selector), (mode, None), "{spec}");
    }
    let it = value("{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}");
    assert_eq!(it.selector.unwrap()["app"], "web");
    assert_eq!(value("{selector: {matchLabels: {}}}").selector, None);
}

#[test]
fn the_strictest_mode_named_holds_for_every_port_and_never_widens() {
    let cases = [
        (
            "mtls: {mode: PERMISSIVE}, portLevelMtls: {'80': {mode: STRICT}}",
            Some(MtlsMode::Strict),
        ),
        (
            "mtls: {mode: STRICT}, portLevelMtls: {'80': {mode: DISABLE}}",
            Some(MtlsMode::Strict),
        ),
        (
            "mtls: {mode: DISABLE}, portLevelMtls: {'80': {mode: PERMISSIVE}}",
            Some(MtlsMode::Permissive),
        ),
        (
            "portLevelMtls: {'80': {mode: STRICT}, '81': {mode: DISABLE}}",
            Some(MtlsMode::Strict),
        ),
        // What the workload inherits may be stricter.
        ("portLevelMtls: {'80': {mode: DISABLE}}", None),
        ("portLevelMtls: {'80': {mode: PERMISSIVE}}", None),
        ("portLevelMtls: {'80': {mode: UNSET}}", None),
    ];
    for (fields, expected) in cases {
        let it = value(&format!(
            "{{selector: {{matchLabels: {{app: web}}}}, {fields}}}"
        ));
        assert_eq!(it.mode, expected, "{fields}");
    }
}

#[test]
fn fields_have_problems() {
    let cases: &[(&str, &[&str])] = &[
        (
            "{mtls: {mode: strict}}",
            &["Invalid UnknownValue spec.mtls.mode"],
        ),
        ("{mtls: STRICT}", &["Invalid WrongType spec.mtls"]),
        (
            "{mtls: {allowTls: true}}",
            &["Warning RemovedField spec.mtls.allowTls"],
        ),
        ("{selectr: {}}", &["Invalid UnknownField spec.selectr"]),
        (
            "{selector: {matchLabels: {'': a}}}",
            &["Invalid InvalidLabel spec.selector.matchLabels[]"],
        ),
        (
            "{selector: {matchLabels: {a: b}}, portLevelMtls: {'80': {mode: STRICT}}}",
            &["NotEnforced NotYetEnforced spec.portLevelMtls"],
        ),
        (
            "{portLevelMtls: {'80': {mode: STRICT}}}",
            &[
                "NotEnforced NotYetEnforced spec.portLevelMtls",
                "Invalid MissingField spec.portLevelMtls",
            ],
        ),
        (
            "{selector: {matchLabels: {a: b}}, portLevelMtls: {http: {mode: STRICT}}}",
            &[
                "NotEnforced NotYetEnforced spec.portLevelMtls",
                "Invalid InvalidPort spec.portLevelMtls[http]",
            ],
        ),
        (
            "{selector: {matchLabels: {a: b}}, portLevelMtls: {}}",
            &["Invalid OutOfBounds spec.portLevelMtls"],
        ),
    ];
    for (spec, expected) in cases {
        check(Kind::PeerAuthentication, spec, expected);
    }
    let mut root = document(
        Kind::PeerAuthentication,
        "{selector: {matchLabels: {a: b}}}",
    );
    root["metadata"]["namespace"] = json!("istio-system");
    let problems = translate(&root).problems;
    assert_eq!(problems[0].code, "SelectorInRootNamespace");
}
