//! Environments and commands of instances.

use super::*;
use crate::up::manifests::tests::read;
use crate::up::ports::PortAllocator;

const USER: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: user-service}
spec:
  template:
    spec:
      containers:
      - name: app
        command: [serve, --port, $(PORT), "--grpc=${PORT_GRPC}", $PORT, $HOME, $$(PORT), $(NONE)]
        ports: [{name: grpc, containerPort: 50051}, {name: http, containerPort: 8080}]
        env:
        - {name: GRPC_PORT, value: "50051"}
        - {name: LIMIT, value: "8080"}
        - {name: OTHER_PORT, value: "9999"}
        - {name: SELF, value: "http://127.0.0.1:$(GRPC_PORT)/$(UNKNOWN)"}
        - {name: JAVA_TOOL_OPTIONS, value: -Xmx64m}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
---
apiVersion: v1
kind: Service
metadata: {name: payment-service}
spec: {ports: [{name: http, port: 80}, {name: grpc-web, port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: example.org}
"#;

struct Made {
    ports: InstancePorts,
    env: BTreeMap<String, String>,
    command: Vec<String>,
}

fn make() -> Made {
    let manifests = read(USER);
    let workload = manifests.workloads.values().next().unwrap();
    let ports = PortAllocator::default()
        .instance(workload, &manifests.services)
        .unwrap();
    let env = application(&Instance {
        workload,
        name: "user-service-0",
        ports: &ports,
        services: &manifests.services,
        data_dir: "/run/data",
    });
    let command = command(workload, &env);
    Made {
        ports,
        env,
        command,
    }
}

#[test]
fn an_application_is_told_its_ports_and_its_proxy() {
    let Made { ports, env, .. } = make();
    let (grpc, http) = (ports.app(50051).unwrap(), ports.app(8080).unwrap());
    let proxy = format!("http://{}", ports.outbound);
    for (name, expected) in [
        ("PORT", http.to_string()),
        ("PORT_GRPC", grpc.to_string()),
        ("PORT_HTTP", http.to_string()),
        ("GRPC_PORT", grpc.to_string()),
        ("LIMIT", "8080".to_owned()),
        ("OTHER_PORT", "9999".to_owned()),
        ("SELF", format!("http://127.0.0.1:{grpc}/$(UNKNOWN)")),
        ("POD_NAME", "user-service-0".to_owned()),
        ("DATA_DIR", "/run/data".to_owned()),
        ("http_proxy", proxy.clone()),
        ("HTTP_PROXY", proxy),
        ("no_proxy", NO_PROXY.to_owned()),
        ("NODE_USE_ENV_PROXY", "1".to_owned()),
    ] {
        assert_eq!(env.get(name), Some(&expected), "{name}");
    }
    let java = env.get("JAVA_TOOL_OPTIONS").unwrap();
    let port = format!("-Dhttp.proxyPort={}", ports.outbound.port());
    assert!(
        java.starts_with("-Xmx64m ") && java.contains(&port),
        "{java}"
    );
}

#[test]
fn a_service_has_the_variables_of_kubernetes() {
    let Made { ports, env, .. } = make();
    let host = "payment-service.production.svc.cluster.local";
    let listener = |port| ports.service(host, port).unwrap();
    let (http, web) = (listener(80), listener(81));
    for (name, expected) in [
        ("PAYMENT_SERVICE_SERVICE_HOST", "127.0.0.1".to_owned()),
        ("PAYMENT_SERVICE_SERVICE_PORT", http.port().to_string()),
        ("PAYMENT_SERVICE_SERVICE_PORT_HTTP", http.port().to_string()),
        (
            "PAYMENT_SERVICE_SERVICE_PORT_GRPC_WEB",
            web.port().to_string(),
        ),
        ("PAYMENT_SERVICE_PORT", format!("tcp://{http}")),
        ("PAYMENT_SERVICE_PORT_81_TCP", format!("tcp://{web}")),
        ("PAYMENT_SERVICE_PORT_81_TCP_ADDR", "127.0.0.1".to_owned()),
    ] {
        assert_eq!(env.get(name), Some(&expected), "{name}");
    }
    assert!(!env.keys().any(|name| name.starts_with("OUTSIDE")));
}

#[test]
fn a_command_refers_to_variables() {
    let Made { ports, command, .. } = make();
    let (grpc, http) = (ports.app(50051).unwrap(), ports.app(8080).unwrap());
    let expected = [
        "serve".to_owned(),
        "--port".to_owned(),
        http.to_string(),
        format!("--grpc={grpc}"),
        http.to_string(),
        "$HOME".to_owned(),
        "$(PORT)".to_owned(),
        "$(NONE)".to_owned(),
    ];
    assert_eq!(command, expected);
}

#[test]
fn a_proxy_of_the_users_own_is_not_inherited() {
    for (name, expected) in [
        ("http_proxy", true),
        ("ALL_PROXY", true),
        ("WEFT_LOG", true),
        ("KUBERNETES_SERVICE_HOST", true),
        ("PATH", false),
        ("HOME", false),
    ] {
        assert_eq!(hidden(name), expected, "{name}");
    }
}
