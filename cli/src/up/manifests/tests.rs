//! Folders, and what is read from them.

use super::*;
use crate::up::workload::{Check, ContainerPort, EnvValue, Field};

/// A folder with one file.
pub(crate) fn read(yaml: &str) -> Manifests {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.yaml"), yaml).unwrap();
    Folder::new(folder.path().to_owned(), "production".to_owned())
        .read()
        .unwrap()
}

const ORDER: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: order-service}
spec:
  replicas: 2
  template:
    metadata:
      labels: {app: order-service, version: v1}
      annotations: {weft.dev/laptop-command: weft shop order-service}
    spec:
      serviceAccountName: order-service
      terminationGracePeriodSeconds: 7
      containers:
      - name: app
        image: shop:1
        ports: [{name: http, containerPort: 8080}, {containerPort: 53, protocol: UDP}]
        envFrom: [{configMapRef: {name: settings}}]
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
        - {name: KEY, valueFrom: {secretKeyRef: {name: secrets, key: key}}}
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 2}
      - {name: second, image: other}
---
apiVersion: v1
kind: Service
metadata: {name: order-service, namespace: shop}
spec: {selector: {app: order-service}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {MODE: "$(fast)"}
---
apiVersion: v1
kind: Secret
metadata: {name: secrets}
data: {key: c2VjcmV0}
"#;

#[test]
fn a_deployment_is_read_with_what_it_refers_to() {
    let manifests = read(ORDER);
    let key = ("production".to_owned(), "order-service".to_owned());
    let workload = manifests.workloads.get(&key).unwrap();
    assert_eq!(workload.replicas, 2);
    assert_eq!(workload.command, ["weft", "shop", "order-service"]);
    assert_eq!(workload.service_account, "order-service");
    assert_eq!(workload.grace.as_secs(), 7);
    let http = ContainerPort {
        name: Some("http".to_owned()),
        number: 8080,
    };
    assert_eq!(workload.ports, [http]);
    let text = |name: &str, value: &str| (name.to_owned(), EnvValue::Text(value.to_owned()));
    assert_eq!(
        workload.env,
        [
            text("MODE", "$$(fast)"),
            ("POD_NAME".to_owned(), EnvValue::Field(Field::Name)),
            text("APP", "order-service"),
            text("KEY", "secret"),
        ]
    );
    let probe = &workload.readiness;
    assert_eq!(probe.period.as_secs(), 2);
    let get = Check::Get {
        port: 8080,
        path: "/healthz".to_owned(),
        headers: Vec::new(),
    };
    assert_eq!(probe.check, get);
    assert_eq!(
        manifests.services.first().unwrap().host(),
        "order-service.shop.svc.cluster.local"
    );
    let problems = manifests.problems.join("\n");
    for part in [
        "all.yaml: Deployment production/order-service: ",
        "not second",
        "port 53",
    ] {
        assert!(problems.contains(part), "{part} is missing in {problems}");
    }
}

#[track_caller]
fn check_problem(yaml: &str, expected: &str) {
    let problems = read(yaml).problems.join("\n");
    assert!(
        problems.contains(expected),
        "{expected} is missing in: {problems}"
    );
}

#[test]
fn what_cannot_run_is_named_with_a_remedy() {
    let deployment = |container: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\nspec: {{template: {{spec: \
             {{containers: [{container}]}}}}}}\n"
        )
    };
    check_problem(
        &deployment("{name: a, image: b}"),
        "weft.dev/laptop-command",
    );
    check_problem(&deployment(""), "there is nothing to run");
    check_problem(
        &deployment("{name: a, command: [b], readinessProbe: {httpGet: {port: 1}}}"),
        "names port 1",
    );
    check_problem(
        &deployment("{name: a, command: [b], envFrom: [{secretRef: {name: s}}]}"),
        "Secret s is not in the folder",
    );
    check_problem(
        &deployment("{name: a, command: 7}"),
        "is not what Kubernetes knows",
    );
    check_problem(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n",
        "Job production/a: is not run on a laptop",
    );
}

#[test]
fn a_list_holds_objects_and_policies_are_passed_over() {
    let manifests = read(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: \
         {containers: [{name: a, command: [x]}]}}\n- {apiVersion: weft.dev/v1, kind: MeshConfig, \
         metadata: {name: default}, spec: {trustDomain: example.org, shards: 2}}\n- {kind: \
         VirtualService, metadata: {name: v}, spec: {anything: true}}\n",
    );
    assert_eq!(manifests.problems, Vec::<String>::new());
    assert_eq!(manifests.trust_domain, "example.org");
    assert_eq!(manifests.shards, Some(2));
    let pod = manifests.workloads.values().next().unwrap();
    assert_eq!(pod.instance(0), "p");
}

#[test]
fn a_file_that_breaks_keeps_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    std::fs::write(&file, ORDER).unwrap();
    let mut reader = Folder::new(folder.path().to_owned(), "default".to_owned());
    assert_eq!(reader.read().unwrap().workloads.len(), 1);
    std::fs::write(&file, "kind: Deployment\nmetadata: {").unwrap();
    let broken = reader.read().unwrap();
    assert_eq!(broken.workloads.len(), 1);
    std::fs::remove_file(&file).unwrap();
    assert!(reader.read().unwrap().workloads.is_empty());
}
