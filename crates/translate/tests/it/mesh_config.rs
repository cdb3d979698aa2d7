//! MeshConfig: settings and defaults.

use crate::{check, document, short, translate};
use serde_json::json;
use std::time::Duration;
use weft_crds::kind::Kind;
use weft_model::{
    mesh::{AccessLog, MeshSettings},
    policy::Policy,
};

fn settings(spec: &str) -> MeshSettings {
    let translated = translate(&document(Kind::MeshConfig, spec));
    match translated.value {
        Some(Policy::MeshConfig(it)) => it.settings,
        other => panic!("{other:?} {:?}", translated.problems),
    }
}

#[test]
fn settings_are_translated_and_have_defaults() {
    let it = settings("{}");
    assert_eq!(
        it.source.as_ref().unwrap().object.to_string(),
        "MeshConfig /default"
    );
    let defaults = MeshSettings {
        source: it.source.clone(),
        ..MeshSettings::default()
    };
    assert_eq!(it, defaults);
    let cases = [
        ("off", AccessLog::Off),
        ("'off'", AccessLog::Off),
        ("text", AccessLog::Text),
        ("json", AccessLog::Json),
    ];
    for (mode, expected) in cases {
        assert_eq!(
            settings(&format!("{{accessLog: {{mode: {mode}}}}}")).access_log,
            expected
        );
    }
    let it = settings("{certificateLifetime: 60s, trustDomain: Example.org}");
    assert_eq!(it.certificate_lifetime, Duration::from_secs(60));
    assert_eq!(it.trust_domain.as_str(), "example.org");
    assert_eq!(
        settings("{certificateLifetime: 168h}").certificate_lifetime,
        Duration::from_secs(7 * 24 * 3600)
    );
}

#[test]
fn fields_have_problems() {
    let cases: &[(&str, &[&str])] = &[
        (
            "{accessLog: {mode: JSON}}",
            &["Invalid UnknownValue spec.accessLog.mode"],
        ),
        ("{accessLog: json}", &["Invalid WrongType spec.accessLog"]),
        (
            "{accesslog: {mode: json}}",
            &["Invalid UnknownField spec.accesslog"],
        ),
        (
            "{certificateLifetime: 59s}",
            &["Invalid OutOfBounds spec.certificateLifetime"],
        ),
        (
            "{certificateLifetime: 169h}",
            &["Invalid OutOfBounds spec.certificateLifetime"],
        ),
        (
            "{certificateLifetime: 1d}",
            &["Invalid InvalidDuration spec.certificateLifetime"],
        ),
        (
            "{trustDomain: 'a b'}",
            &["Invalid OutOfBounds spec.trustDomain"],
        ),
        (
            "{trustDomain: ''}",
            &["Invalid OutOfBounds spec.trustDomain"],
        ),
        (
            "{rootNamespace: mesh}",
            &["NotEnforced NotYetEnforced spec.rootNamespace"],
        ),
        (
            "{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}",
            &["NotEnforced NotYetEnforced spec.outboundTrafficPolicy"],
        ),
        (
            "{defaultRetries: {attempts: 2}}",
            &["NotEnforced NotYetEnforced spec.defaultRetries"],
        ),
        (
            "{defaultRetries: {retryOn: never}}",
            &[
                "NotEnforced NotYetEnforced spec.defaultRetries",
                "Invalid UnknownValue spec.defaultRetries.retryOn",
            ],
        ),
        ("{shards: 2}", &["NotEnforced NotYetEnforced spec.shards"]),
        ("{shards: 0}", &["Invalid OutOfBounds spec.shards"]),
        (
            "{telemetry: {tracing: {samplingPercentage: 1}}}",
            &["NotEnforced NotYetEnforced spec.telemetry"],
        ),
    ];
    for (spec, expected) in cases {
        check(Kind::MeshConfig, spec, expected);
    }
}

#[test]
fn there_is_one_mesh_config() {
    let mut other = document(Kind::MeshConfig, "{}");
    other["metadata"]["name"] = json!("other");
    assert_eq!(
        short(&translate(&other)),
        ["Invalid NotTheMeshConfig metadata.name"]
    );
}
