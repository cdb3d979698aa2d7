//! What a subscribed name means to a client of some namespace.
//!
//! Source: the search path of Kubernetes' DNS. `svc` in the client's own namespace, `svc.ns`, `svc.ns.svc` and the full
//! name, each with or without a final dot.

use crate::index::Index;
use std::net::SocketAddr;
use weft_model::{
    host::Host,
    resource::{Name, ResourceName},
};

/// The resource that `name` stands for, whether or not it exists.
pub(super) fn resource_of(
    index: &Index,
    client_namespace: &str,
    name: &Name,
) -> Option<ResourceName> {
    match name {
        Name::Outbound(address) => by_address(index, *address),
        Name::Authority { host, port } => {
            let host = authority(index, client_namespace, host)?;
            Some(ResourceName::Outbound(host, *port))
        }
        Name::Inbound(port) => Some(ResourceName::Inbound(*port)),
        Name::Trust => Some(ResourceName::Trust),
        Name::Workload => Some(ResourceName::Workload),
    }
}

/// The Service whose virtual address was dialled.
fn by_address(index: &Index, address: SocketAddr) -> Option<ResourceName> {
    index
        .services()
        .find(|(_, service)| service.cluster_ips.contains(&address.ip()))
        .map(|(host, _)| ResourceName::Outbound(host.clone(), address.port()))
}

fn authority(index: &Index, client_namespace: &str, host: &str) -> Option<Host> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let in_cluster = |name: &str, namespace: &str| {
        Host::service(name, namespace, index.domain())
            .ok()
            .filter(|it| index.service(it).is_some())
    };
    let labels: Vec<&str> = host.split('.').collect();
    match labels[..] {
        [name] => in_cluster(name, client_namespace),
        [name, namespace] | [name, namespace, "svc"] => in_cluster(name, namespace),
        _ => host.parse().ok().filter(|it| index.service(it).is_some()),
    }
}
