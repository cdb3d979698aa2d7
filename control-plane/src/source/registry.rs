//! The supervisor's registry as a source: the workloads that run, and with the Services the endpoints they make.
//!
//! The supervisor writes `registry.json` whole, by renaming; it is to a laptop what pods and EndpointSlices are to a
//! cluster. An entry that makes no sense is left out and named; the others stand.

use super::{EndpointSet, Member, Membership, Service, ServiceName, Workload, WorkloadPort};
use serde::Deserialize;
use std::{collections::BTreeMap, net::SocketAddr};
use weft_model::{Labels, protocol::Protocol, selects, workload::WorkloadName};

/// Name of the file in the run folder.
pub const FILE: &str = "registry.json";

#[derive(Debug, Deserialize)]
struct Raw {
    workloads: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct RawWorkload {
    namespace: String,
    name: String,
    workload: String,
    #[serde(default)]
    labels: Labels,
    service_account: String,
    ready: bool,
    #[serde(default)]
    draining: bool,
    meshed: bool,
    #[serde(default)]
    token_sha256: Option<String>,
    #[serde(default)]
    ports: Vec<RawPort>,
}

#[derive(Debug, Deserialize)]
struct RawPort {
    #[serde(default)]
    name: Option<String>,
    container_port: u16,
    #[serde(default)]
    app_protocol: Option<String>,
    address: SocketAddr,
}

/// An instance and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The instance.
    pub workload: Workload,
    /// Whether it takes traffic.
    pub state: State,
}

/// Whether an instance takes traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not yet, or not now.
    Unready,
    /// It does.
    Ready,
    /// It finishes what it has.
    Draining,
}

/// The registry's content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    /// The instances.
    pub instances: BTreeMap<WorkloadName, Instance>,
    /// What was left out, and why.
    pub faults: Vec<String>,
}

/// Why the file cannot be used at all. The supervisor's fault.
#[derive(Debug, thiserror::Error)]
#[error("{FILE} is not what the supervisor writes")]
pub struct RegistryError(#[from] serde_json::Error);

/// Reads the file's text.
///
/// # Errors
/// When it is not the supervisor's.
pub fn parse(text: &str) -> Result<Registry, RegistryError> {
    let raw: Raw = serde_json::from_str(text)?;
    let mut registry = Registry::default();
    for (index, value) in raw.workloads.into_iter().enumerate() {
        match serde_json::from_value::<RawWorkload>(value)
            .map_err(|it| it.to_string())
            .and_then(instance)
        {
            Ok(it) => {
                registry.instances.insert(it.workload.name.clone(), it);
            }
            Err(reason) => registry.faults.push(format!("workload {index}: {reason}")),
        }
    }
    Ok(registry)
}

fn instance(raw: RawWorkload) -> Result<Instance, String> {
    let name: WorkloadName = format!("{}/{}", raw.namespace, raw.name)
        .parse()
        .map_err(|it| format!("{it}"))?;
    let token_sha256 = match raw.token_sha256.filter(|it| !it.is_empty()) {
        None => None,
        Some(text) => {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash).map_err(|it| format!("token_sha256: {it}"))?;
            Some(hash)
        }
    };
    let ports = raw.ports.into_iter().map(|port| {
        let name = port.name.unwrap_or_default();
        WorkloadPort {
            protocol: Protocol::declared(&name, port.app_protocol.as_deref()),
            name,
            number: port.container_port,
            address: port.address,
        }
    });
    Ok(Instance {
        state: match (raw.draining, raw.ready) {
            (true, _) => State::Draining,
            (false, true) => State::Ready,
            (false, false) => State::Unready,
        },
        workload: Workload {
            name,
            owner: raw.workload,
            labels: raw.labels,
            service_account: raw.service_account,
            membership: if raw.meshed {
                Membership::Meshed
            } else {
                Membership::Unmeshed
            },
            token_sha256,
            ports: ports.collect(),
        },
    })
}

/// What a cluster's endpoint controller would say: for each Service the instances that its selector picks and that take
/// traffic.
#[must_use]
pub fn endpoints<'a>(
    services: impl Iterator<Item = &'a Service>,
    registry: &Registry,
) -> BTreeMap<ServiceName, EndpointSet> {
    services
        .map(|service| (service.name.clone(), members(service, registry)))
        .collect()
}

fn members(service: &Service, registry: &Registry) -> EndpointSet {
    let picked: Vec<&Instance> = registry
        .instances
        .values()
        .filter(|it| !service.selector.is_empty() && it.state != State::Unready)
        .filter(|it| it.workload.name.namespace == service.name.namespace)
        .filter(|it| selects(&service.selector, &it.workload.labels))
        .collect();
    let member = |instance: &Instance, target: &WorkloadPort| Member {
        workload: instance.workload.name.clone(),
        container_port: target.number,
        address: target.address,
        draining: instance.state == State::Draining,
    };
    let ports = service.ports.iter().map(|port| {
        let behind = picked
            .iter()
            .filter_map(|it| Some(member(it, port.target.of(&it.workload)?)));
        (port.port, behind.collect())
    });
    EndpointSet {
        service: service.name.clone(),
        ports: ports.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{ServicePort, Target};

    const TEXT: &str = r#"{"workloads":[
        {"namespace":"shop","name":"cart-0","workload":"cart","labels":{"app":"cart"},"service_account":"cart",
         "ready":true,"draining":false,"meshed":true,"token_sha256":"",
         "ports":[{"name":"http","container_port":8080,"app_protocol":null,"address":"127.0.0.1:41001"}]},
        {"namespace":"shop","name":"cart-1","workload":"cart","labels":{"app":"cart"},"service_account":"cart",
         "ready":true,"draining":true,"meshed":true,
         "ports":[{"name":"http","container_port":8080,"address":"127.0.0.1:41002"}]},
        {"namespace":"shop","name":"cart-2","workload":"cart","labels":{"app":"cart"},"service_account":"cart",
         "ready":false,"meshed":true,"ports":[{"name":"http","container_port":8080,"address":"127.0.0.1:41003"}]},
        {"namespace":"shop","name":"broken"}
    ]}"#;

    fn service(target: Target) -> Service {
        Service {
            name: ServiceName {
                namespace: "shop".to_owned(),
                name: "cart".to_owned(),
            },
            selector: Labels::from([("app".to_owned(), "cart".to_owned())]),
            ports: vec![ServicePort {
                name: "http".to_owned(),
                port: 80,
                target,
                protocol: Protocol::Http1,
            }],
            cluster_ips: Vec::new(),
        }
    }

    #[test]
    fn members_are_those_that_are_picked_and_take_traffic() {
        let registry = parse(TEXT).unwrap();
        assert_eq!(registry.instances.len(), 3);
        assert_eq!(registry.faults.len(), 1, "{:?}", registry.faults);
        for target in [Target::Number(8080), Target::Name("http".to_owned())] {
            let service = service(target);
            let sets = endpoints([&service].into_iter(), &registry);
            let members: Vec<(String, bool)> = sets[&service.name].ports[&80]
                .iter()
                .map(|it| (it.workload.to_string(), it.draining))
                .collect();
            assert_eq!(
                members,
                [
                    ("shop/cart-0".to_owned(), false),
                    ("shop/cart-1".to_owned(), true)
                ]
            );
        }
        let none = service(Target::Name("grpc".to_owned()));
        assert!(endpoints([&none].into_iter(), &registry)[&none.name].ports[&80].is_empty());
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        assert!(parse("{}").is_err());
        assert!(parse("").is_err());
    }
}
