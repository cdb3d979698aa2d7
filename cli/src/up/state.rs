//! The state of a run: what `weft ps` lists, `weft exec` enters, and the reports measure.
//!
//! Place: the supervisor's loop is the only writer; it publishes each version to its own process
//! through a watch channel and to others as `run.json`. [`registry`] is the part of it that the
//! control plane reads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::plan::InstanceKey;
use super::ports::InstancePorts;

/// The file that the control plane reads as its list of pods.
pub const REGISTRY_FILE: &str = "registry.json";

/// A run as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// The supervisor.
    pub pid: u32,
    /// The run folder.
    pub run: PathBuf,
    /// The folder of manifests and policies.
    pub folder: PathBuf,
    /// The namespace of objects that name none.
    pub namespace: String,
    /// The control plane, once it runs.
    pub controller: Option<ControllerState>,
    /// The instances, sorted.
    pub instances: Vec<InstanceState>,
}

/// The control plane's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerState {
    /// Its process id.
    pub pid: u32,
    /// Where sidecars ask.
    pub grpc: SocketAddr,
    /// Its admin server.
    pub admin: SocketAddr,
    /// How often it was started again.
    pub restarts: u32,
}

/// One instance with its processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceState {
    /// Its namespace and name.
    #[serde(flatten)]
    pub key: InstanceKey,
    /// The Deployment, StatefulSet or Pod.
    pub workload: String,
    /// Labels of the pod template.
    pub labels: BTreeMap<String, String>,
    /// Its ServiceAccount.
    pub service_account: String,
    /// Its SPIFFE id.
    pub identity: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// Whether it is on its way out.
    pub draining: bool,
    /// How often a process of it was started again.
    pub restarts: u32,
    /// Why it is not ready; empty when it is.
    pub reason: String,
    /// The application's process.
    pub pid: Option<u32>,
    /// The sidecar's process.
    pub sidecar_pid: Option<u32>,
    /// Its ports.
    pub ports: InstancePorts,
    /// Where its token is proven: SHA-256, hex.
    pub token_sha256: String,
    /// What the application is given on top of what it inherits.
    pub env: BTreeMap<String, String>,
    /// The working directory of the application.
    pub folder: PathBuf,
}

/// What the control plane is told of the instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registry {
    /// All of them.
    pub workloads: Vec<RegistryEntry>,
}

/// One instance as the control plane sees it: what is a pod on Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistryEntry {
    namespace: String,
    name: String,
    workload: String,
    labels: BTreeMap<String, String>,
    service_account: String,
    ready: bool,
    draining: bool,
    meshed: bool,
    token_sha256: String,
    ports: Vec<RegistryPort>,
}

/// One container port as peers reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistryPort {
    name: Option<String>,
    container_port: u16,
    app_protocol: Option<String>,
    address: SocketAddr,
}

/// The part of a run that the control plane reads.
pub fn registry(run: &RunState) -> Registry {
    let workloads = run.instances.iter().map(|instance| RegistryEntry {
        namespace: instance.key.namespace.clone(),
        name: instance.key.name.clone(),
        workload: instance.workload.clone(),
        labels: instance.labels.clone(),
        service_account: instance.service_account.clone(),
        ready: instance.ready,
        draining: instance.draining,
        meshed: true,
        token_sha256: instance.token_sha256.clone(),
        ports: instance
            .ports
            .inbound
            .iter()
            .map(|port| RegistryPort {
                name: port.name.clone(),
                container_port: port.container_port,
                // A container port has no such field; a Service's is the control plane's to read.
                app_protocol: None,
                address: port.listen,
            })
            .collect(),
    });
    Registry {
        workloads: workloads.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::ports::InboundPort;

    #[test]
    fn the_registry_is_what_the_control_plane_expects() {
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let run = RunState {
            pid: 1,
            run: "/run/weft-1".into(),
            folder: "/shop".into(),
            namespace: "production".to_owned(),
            controller: None,
            instances: vec![InstanceState {
                key: InstanceKey {
                    namespace: "production".to_owned(),
                    name: "order-service-0".to_owned(),
                },
                workload: "order-service".to_owned(),
                labels: [("app".to_owned(), "order-service".to_owned())].into(),
                service_account: "order-service".to_owned(),
                identity: "spiffe://cluster.local/ns/production/sa/order-service".to_owned(),
                ready: true,
                draining: false,
                restarts: 0,
                reason: String::new(),
                pid: Some(2),
                sidecar_pid: Some(3),
                ports: InstancePorts {
                    inbound: vec![InboundPort {
                        name: Some("http".to_owned()),
                        container_port: 8080,
                        listen: address(41001),
                        app: address(41002),
                    }],
                    outbound: address(41003),
                    admin: address(41004),
                    services: BTreeMap::new(),
                },
                token_sha256: "ab".to_owned(),
                env: BTreeMap::new(),
                folder: "/shop".into(),
            }],
        };
        let expected = serde_json::json!({"workloads": [{
            "namespace": "production", "name": "order-service-0", "workload": "order-service",
            "labels": {"app": "order-service"}, "service_account": "order-service",
            "ready": true, "draining": false, "meshed": true, "token_sha256": "ab",
            "ports": [{"name": "http", "container_port": 8080, "app_protocol": null,
                       "address": "127.0.0.1:41001"}]
        }]});
        assert_eq!(serde_json::to_value(registry(&run)).unwrap(), expected);
        let text = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<RunState>(&text).unwrap(), run);
    }
}
