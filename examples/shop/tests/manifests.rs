//! The manifests: each service is there under its name, with what Kubernetes and the laptop need.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails like a test"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use weft_shop::service::Service;

fn documents() -> Vec<Value> {
    weft_shop::files()
        .iter()
        .filter(|(path, _)| path.ends_with(".yaml"))
        .flat_map(|(path, text)| {
            let parsed: Result<Vec<Value>, _> = serde_saphyr::from_multiple(text);
            parsed.unwrap_or_else(|error| panic!("{path}: {error}"))
        })
        .collect()
}

fn of_kind(kind: &str) -> BTreeMap<String, Value> {
    let of = documents()
        .into_iter()
        .filter(|document| document["kind"] == kind);
    of.map(|document| {
        (
            document["metadata"]["name"].as_str().unwrap().to_owned(),
            document,
        )
    })
    .collect()
}

#[test]
fn every_service_has_its_account_its_service_and_its_deployments() {
    let (accounts, services) = (of_kind("ServiceAccount"), of_kind("Service"));
    let deployments = of_kind("Deployment");
    assert_eq!(
        of_kind("Namespace").into_keys().collect::<Vec<_>>(),
        ["production"]
    );
    assert_eq!(accounts.len(), Service::ALL.len());
    assert_eq!(services.len(), Service::ALL.len());
    for service in Service::ALL {
        let name = service.name();
        assert!(accounts.contains_key(name), "{name}");
        let (versions, replicas): (&[&str], u64) = match service {
            Service::User | Service::Order => (&["v1"], 1),
            Service::Payment => (&["v1", "v2"], 1),
            Service::Product => (&["v1", "v2"], 2),
            Service::Inventory => (&["v1"], 3),
            Service::Pricing | Service::WebBff => (&["v1"], 2),
        };
        let ports: Vec<_> = services[name]["spec"]["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| {
                (
                    port["name"].as_str().unwrap(),
                    port["port"].as_u64().unwrap(),
                )
            })
            .collect();
        let expected: &[(&str, u64)] = match service {
            Service::User => &[("http", 80), ("grpc", 50051)],
            _ => &[("http", 80)],
        };
        assert_eq!(ports, expected, "{name}");
        for version in versions {
            let of = |deployment: &&Value| {
                let labels = &deployment["spec"]["template"]["metadata"]["labels"];
                labels == &json!({"app": name, "version": version})
            };
            let deployment = deployments.values().find(of).unwrap();
            check_deployment(name, version, replicas, deployment);
        }
    }
}

fn check_deployment(name: &str, version: &str, replicas: u64, deployment: &Value) {
    let (spec, template) = (&deployment["spec"], &deployment["spec"]["template"]);
    assert_eq!(spec["replicas"], replicas, "{name}");
    assert_eq!(
        spec["selector"]["matchLabels"], template["metadata"]["labels"],
        "{name}"
    );
    assert_eq!(template["spec"]["serviceAccountName"], name);
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["weft.dev/inject"], "enabled", "{name}");
    let command = annotations["weft.dev/laptop-command"].as_str().unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    let container = &template["spec"]["containers"][0];
    let rust = container["image"] == "weft-shop:latest";
    if rust {
        assert_eq!(command, ["weft", "shop", name]);
        assert_eq!(container["command"], json!(["weft-shop", name]));
    } else {
        assert_eq!((name, version), ("product-service", "v2"));
        let script = command.last().unwrap();
        assert!(
            weft_shop::files().iter().any(|(path, _)| path == script),
            "{script}"
        );
    }
    let env: BTreeMap<_, _> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["name"].as_str().unwrap(),
                entry["value"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        (env["PORT"], env["SHOP_VERSION"]),
        ("8080", version),
        "{name}"
    );
    assert_eq!(
        container["ports"][0],
        json!({"name": "http", "containerPort": 8080})
    );
    assert_eq!(
        container["readinessProbe"]["httpGet"],
        json!({"path": "/healthz", "port": "http"})
    );
}

#[test]
fn every_file_beside_the_manifests_is_embedded() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let embedded: Vec<_> = weft_shop::files().iter().map(|(path, _)| *path).collect();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            embedded.iter().any(|path| path.starts_with(&name)),
            "{name}"
        );
    }
    for (path, text) in weft_shop::files() {
        assert_eq!(
            std::fs::read_to_string(folder.join(path)).unwrap(),
            *text,
            "{path}"
        );
    }
}
