//! How a sidecar is told what it stands beside: the environment of `weft __sidecar`.
//!
//! Pure; the names are those of weft-proxy's settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::plan::InstanceKey;
use super::ports::InstancePorts;

/// Time that a sidecar has for requests in flight after SIGTERM: its application has ended then.
const DRAIN: &str = "2s";

/// What every sidecar of a run is told.
#[derive(Debug, Clone)]
pub struct SidecarSettings {
    /// The control plane.
    pub controller: SocketAddr,
    /// The trust anchors that it starts with.
    pub root_file: std::path::PathBuf,
    /// The trust domain.
    pub trust_domain: String,
    /// Threads that serve traffic, when the folder says so.
    pub shards: Option<u64>,
    /// The log filter, when the user says so.
    pub log: Option<String>,
}

/// The environment of one sidecar.
pub fn environment(
    settings: &SidecarSettings,
    instance: &InstanceKey,
    ports: &InstancePorts,
    token: &Path,
) -> BTreeMap<String, String> {
    let inbound: Vec<String> = ports
        .inbound
        .iter()
        .map(|port| format!("{}={}={}", port.listen, port.container_port, port.app))
        .collect();
    let services: Vec<String> = ports
        .services
        .iter()
        .map(|(host, listen)| format!("{listen}={host}"))
        .collect();
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            env.insert(name.to_owned(), value);
        }
    };
    set("WEFT_WORKLOAD", instance.to_string());
    set("WEFT_CONTROLLER", settings.controller.to_string());
    set("WEFT_TOKEN_FILE", token.display().to_string());
    set("WEFT_ROOT_FILE", settings.root_file.display().to_string());
    set("WEFT_TRUST_DOMAIN", settings.trust_domain.clone());
    set("WEFT_INBOUND", inbound.join(","));
    set("WEFT_OUTBOUND", ports.outbound.to_string());
    set("WEFT_SERVICES", services.join(","));
    set("WEFT_ADMIN", ports.admin.to_string());
    set("WEFT_DRAIN", DRAIN.to_owned());
    set(
        "WEFT_SHARDS",
        settings.shards.map_or(String::new(), |n| n.to_string()),
    );
    set("WEFT_LOG", settings.log.clone().unwrap_or_default());
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::ports::InboundPort;

    #[test]
    fn a_sidecar_is_told_its_ports_in_the_proxys_words() {
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let ports = InstancePorts {
            inbound: vec![InboundPort {
                name: None,
                container_port: 8080,
                listen: address(41001),
                app: address(41002),
            }],
            outbound: address(41003),
            admin: address(41004),
            services: [(
                "payment-service.production.svc.cluster.local:80".to_owned(),
                address(41010),
            )]
            .into(),
        };
        let key = InstanceKey {
            namespace: "production".to_owned(),
            name: "order-service-0".to_owned(),
        };
        let settings = SidecarSettings {
            controller: address(15010),
            root_file: "/run/root.pem".into(),
            trust_domain: "cluster.local".to_owned(),
            shards: None,
            log: None,
        };
        let env = environment(&settings, &key, &ports, Path::new("/run/token"));
        let lines: Vec<String> = env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            lines,
            [
                "WEFT_ADMIN=127.0.0.1:41004",
                "WEFT_CONTROLLER=127.0.0.1:15010",
                "WEFT_DRAIN=2s",
                "WEFT_INBOUND=127.0.0.1:41001=8080=127.0.0.1:41002",
                "WEFT_OUTBOUND=127.0.0.1:41003",
                "WEFT_ROOT_FILE=/run/root.pem",
                "WEFT_SERVICES=127.0.0.1:41010=payment-service.production.svc.cluster.local:80",
                "WEFT_TOKEN_FILE=/run/token",
                "WEFT_TRUST_DOMAIN=cluster.local",
                "WEFT_WORKLOAD=production/order-service-0",
            ]
        );
    }
}
