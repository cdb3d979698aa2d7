//! What a definition says besides its schema: versions, names, columns, status, annotation.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::{Value, json};
use weft_crds::kind::{Kind, Scope};

#[test]
fn definitions_are_whole() {
    let cases = [
        (
            Kind::VirtualService,
            "virtualservices",
            "vs",
            &["v1", "v1beta1", "v1alpha3"][..],
            "Gateways Hosts Programmed Age",
        ),
        (
            Kind::DestinationRule,
            "destinationrules",
            "dr",
            &["v1", "v1beta1", "v1alpha3"],
            "Host Programmed Age",
        ),
        (
            Kind::ServiceEntry,
            "serviceentries",
            "se",
            &["v1", "v1beta1", "v1alpha3"],
            "Hosts Location Resolution Age",
        ),
        (
            Kind::WorkloadEntry,
            "workloadentries",
            "we",
            &["v1", "v1beta1", "v1alpha3"],
            "Age Address",
        ),
        (
            Kind::PeerAuthentication,
            "peerauthentications",
            "pa",
            &["v1", "v1beta1"],
            "Mode Programmed Age",
        ),
        (
            Kind::AuthorizationPolicy,
            "authorizationpolicies",
            "ap",
            &["v1", "v1beta1"],
            "Action Programmed Age",
        ),
        (
            Kind::RequestAuthentication,
            "requestauthentications",
            "ra",
            &["v1", "v1beta1"],
            "Age",
        ),
        (
            Kind::MeshConfig,
            "meshconfigs",
            "mc",
            &["v1"],
            "AccessLog TrustDomain Programmed Age",
        ),
    ];
    for (kind, plural, short, versions, columns) in cases {
        let crd = kind.definition();
        let spec = &crd["spec"];
        let names = &spec["names"];
        assert_eq!(
            crd["metadata"]["name"],
            format!("{plural}.{}", kind.group())
        );
        assert_eq!(
            crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep",
            "{kind}"
        );
        assert_eq!(spec["conversion"], json!({"strategy": "None"}), "{kind}");
        assert_eq!(names["plural"], plural);
        assert_eq!(names["shortNames"], json!([short]));
        assert!(
            names["categories"]
                .as_array()
                .unwrap()
                .contains(&json!("weft")),
            "{kind}"
        );
        let scope = match kind.scope() {
            Scope::Namespaced => "Namespaced",
            Scope::Cluster => "Cluster",
        };
        assert_eq!(spec["scope"], scope);
        let found = spec["versions"].as_array().unwrap();
        let listed: Vec<&str> = found
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        assert_eq!(listed, versions, "{kind}");
        for version in found {
            assert_eq!(version["storage"], json!(version["name"] == "v1"), "{kind}");
            assert_eq!(version["served"], json!(true), "{kind}");
            assert_eq!(version["subresources"], json!({"status": {}}), "{kind}");
            assert_eq!(
                version["schema"], found[0]["schema"],
                "{kind}: all versions are one schema"
            );
            let listed: Vec<&str> = version["additionalPrinterColumns"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["name"].as_str().unwrap())
                .collect();
            assert_eq!(listed.join(" "), columns, "{kind}");
        }
        let condition = &found[0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
            ["conditions"];
        assert_eq!(
            condition["x-kubernetes-list-map-keys"],
            json!(["type"]),
            "{kind}"
        );
        assert!(
            condition["items"]["properties"]["observedGeneration"].is_object(),
            "{kind}"
        );
        assert_eq!(
            Kind::of(&format!("{}/{}", kind.group(), versions[0]), kind.name()),
            Some(kind)
        );
    }
}

/// `kubectl apply` keeps the object in an annotation of at most 256 KiB.
#[test]
fn a_definition_can_be_applied() {
    for kind in Kind::ALL {
        let bytes = serde_json::to_string(&kind.definition()).unwrap().len();
        assert!(bytes < 256 * 1024, "{kind}: {bytes} bytes");
    }
}

fn rules(schema: &Value, found: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        assert!(rule["message"].is_string(), "{rule}");
        found.push(rule["rule"].as_str().unwrap().to_owned());
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    let below = ["items", "additionalProperties"]
        .into_iter()
        .filter_map(|key| schema.get(key));
    for schema in properties.map(|(_, schema)| schema).chain(below) {
        rules(schema, found);
    }
}

#[test]
fn rules_of_the_api_server_are_there() {
    let cases = [
        (Kind::VirtualService, "duration(self) >= duration('1ms')"),
        (Kind::DestinationRule, "duration(self) >= duration('1ms')"),
        (Kind::PeerAuthentication, "0 < int(key)"),
        (Kind::PeerAuthentication, "has(self.portLevelMtls)"),
        (Kind::AuthorizationPolicy, "has(self.targetRefs)"),
        (Kind::AuthorizationPolicy, "'DENY'"),
        (Kind::RequestAuthentication, "has(self.targetRefs)"),
        (Kind::ServiceEntry, "workloadSelector"),
        (Kind::WorkloadEntry, "unix://"),
        (Kind::MeshConfig, "duration('168h')"),
    ];
    for (kind, part) in cases {
        let mut found = Vec::new();
        rules(kind.spec_schema(), &mut found);
        assert!(
            found.iter().any(|rule| rule.contains(part)),
            "{kind} {part}"
        );
    }
}
