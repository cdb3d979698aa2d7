//! Manifests of the tests' workloads, and the few policies that many tests share.

/// The application of the tests.
pub(crate) const BACKEND: &str = env!("CARGO_BIN_EXE_weft-e2e-backend");

/// A workload of the test application behind a Service `service`, as `name` of version `version`.
pub(crate) fn backend(name: &str, service: &str, version: &str, flags: &str) -> String {
    let words = flags
        .split_whitespace()
        .map(|word| format!(", \"{word}\""))
        .collect::<String>();
    workload(
        name,
        service,
        version,
        &format!("[\"{BACKEND}\", \"--name\", \"{name}\"{words}]"),
        1,
    )
}

/// A Deployment with a ServiceAccount of its own, running `command` (a JSON list).
pub(crate) fn workload(
    name: &str,
    app: &str,
    version: &str,
    command: &str,
    replicas: u32,
) -> String {
    format!(
        r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{ app: {app}, version: {version} }}
  template:
    metadata:
      labels: {{ app: {app}, version: {version} }}
      annotations:
        weft.dev/inject: enabled
        weft.dev/laptop-command: '{command}'
    spec:
      serviceAccountName: {app}
      containers:
        - name: app
          image: none
          command: ["none"]
          ports:
            - {{ name: http, containerPort: 8080 }}
            - {{ name: tcp, containerPort: 9090 }}
            - {{ name: banner, containerPort: 9091 }}
          readinessProbe:
            tcpSocket: {{ port: http }}
            periodSeconds: 1
---
"#
    )
}

/// A Service of the test application.
pub(crate) fn service(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector: {{ app: {name} }}
  ports:
    - {{ name: http, port: 80, targetPort: http }}
    - {{ name: tcp-echo, port: 90, targetPort: tcp }}
    - {{ name: banner, port: 91, targetPort: banner }}
---
"
    )
}

/// A workload that only sends: the tests use its sidecar.
pub(crate) fn client() -> String {
    "apiVersion: apps/v1
kind: Deployment
metadata:
  name: client
spec:
  replicas: 1
  selector:
    matchLabels: { app: client, version: v1 }
  template:
    metadata:
      labels: { app: client, version: v1 }
      annotations:
        weft.dev/inject: enabled
        weft.dev/laptop-command: '[\"tail\", \"-f\", \"/dev/null\"]'
    spec:
      serviceAccountName: client
      containers:
        - name: app
          image: none
          command: [none]
---
"
    .to_owned()
}

/// Mutual TLS or nothing, in the whole namespace.
pub(crate) fn peer_authentication(mode: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata:
  name: default
  namespace: production
spec:
  mtls:
    mode: {mode}
"
    )
}

/// Subsets v1 and v2 of `host`.
pub(crate) fn subsets(host: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: {host}
spec:
  host: {host}
  subsets:
    - name: v1
      labels: {{ version: v1 }}
    - name: v2
      labels: {{ version: v2 }}
"
    )
}

/// The canary: `user-type: beta` to v2, the rest by weight.
pub(crate) fn canary(host: &str, v1: u32, v2: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: {host}
spec:
  hosts:
    - {host}
  http:
    - name: beta
      match:
        - headers:
            user-type:
              exact: beta
      route:
        - destination:
            host: {host}
            subset: v2
          weight: 100
    - name: split
      route:
        - destination:
            host: {host}
            subset: v1
          weight: {v1}
        - destination:
            host: {host}
            subset: v2
          weight: {v2}
"
    )
}

/// Client, `pay` in two versions.
pub(crate) fn pay() -> String {
    [
        client(),
        service("pay"),
        backend("pay-v1", "pay", "v1", ""),
        backend("pay-v2", "pay", "v2", ""),
    ]
    .concat()
}
