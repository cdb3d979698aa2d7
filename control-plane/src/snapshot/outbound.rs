//! The policy towards one port of one Service.

use crate::{
    index::Index,
    source::{Service, ServicePort},
};
use std::num::NonZeroU32;
use weft_model::{
    cluster::ClusterName,
    host::Host,
    matching::Matches,
    policy::{Destination, HttpRule, VirtualService},
    protocol::Protocol,
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
};

/// The policy towards `host:port` for clients in `client`; none when there is no such port.
pub(super) fn policy(
    index: &Index,
    client: &str,
    host: &Host,
    port: u16,
) -> Option<OutboundPolicy> {
    let service = index.service(host)?;
    let declared = service.port(port)?;
    let route = index.route(host).filter(|_| can_be_http(declared));
    let mut sources = Vec::new();
    let http = match route.map(|it| (it, rules(index, client, it, port))) {
        Some((route, rules)) if !rules.is_empty() => {
            sources.push(route.meta.source());
            rules
        }
        Some(_) | None => vec![default_route(host, port)],
    };
    Some(OutboundPolicy {
        host: host.clone(),
        service: service.name.name.clone(),
        namespace: service.name.namespace.clone(),
        port,
        protocol: declared.protocol,
        http,
        tcp: vec![everything_to(host, port)],
        sources,
    })
}

/// Rules for HTTP do not hold on a port whose bytes nobody looks at.
fn can_be_http(port: &ServicePort) -> bool {
    !matches!(port.protocol, Protocol::Opaque | Protocol::Tls)
}

fn everything_to(host: &Host, port: u16) -> WeightedBackend {
    let name = ClusterName {
        host: host.clone(),
        port,
        subset: None,
    };
    WeightedBackend {
        backend: Backend::Cluster(name),
        weight: NonZeroU32::MIN,
    }
}

fn default_route(host: &Host, port: u16) -> HttpRoute {
    HttpRoute {
        name: None,
        matches: Matches::Any,
        action: RouteAction::Forward(vec![everything_to(host, port)]),
        timeout: None,
        source: None,
    }
}

/// The rules that hold on the Service port `port`. One that asks for other ports only is dropped; one that can never match
/// stays, so that it does not turn into default routing.
fn rules(index: &Index, client: &str, route: &VirtualService, port: u16) -> Vec<HttpRoute> {
    route
        .http
        .iter()
        .filter_map(|rule| rule_on_port(index, client, route, rule, port))
        .collect()
}

fn rule_on_port(
    index: &Index,
    client: &str,
    route: &VirtualService,
    rule: &HttpRule,
    port: u16,
) -> Option<HttpRoute> {
    let matches = match &rule.matches {
        Matches::Any => Matches::Any,
        Matches::OneOf(blocks) => {
            let held: Vec<_> = blocks
                .iter()
                .filter(|block| block.port.is_none_or(|it| it == port))
                .map(|block| block.request.clone())
                .collect();
            if held.is_empty() && !blocks.is_empty() {
                return None;
            }
            Matches::OneOf(held)
        }
    };
    Some(HttpRoute {
        name: rule.name.clone(),
        matches,
        action: RouteAction::Forward(backends(index, client, rule, port)),
        timeout: rule.timeout,
        source: Some(route.meta.source().at_rule(rule.index)),
    })
}

fn backends(index: &Index, client: &str, rule: &HttpRule, port: u16) -> Vec<WeightedBackend> {
    let weight = |destination: &Destination| match rule.destinations.len() {
        1 => Some(NonZeroU32::MIN),
        _ => NonZeroU32::new(destination.weight),
    };
    rule.destinations
        .iter()
        .filter_map(|destination| {
            let backend = backend(index, client, destination, port);
            Some(WeightedBackend {
                backend,
                weight: weight(destination)?,
            })
        })
        .collect()
}

fn backend(index: &Index, client: &str, destination: &Destination, addressed: u16) -> Backend {
    let host = &destination.host;
    let Some(service) = index.service(host) else {
        return Backend::Invalid(format!("there is no Service {host}"));
    };
    let Some(port) = port_of(service, destination, addressed) else {
        return Backend::Invalid(match destination.port {
            Some(port) => format!("Service {} has no port {port}", service.name),
            None => format!(
                "Service {} has several ports, none of them {addressed}",
                service.name
            ),
        });
    };
    if let Some(subset) = &destination.subset {
        let rule = index.rule(client, host).unwrap_or_default();
        if rule.subset(subset).is_none() {
            return Backend::Invalid(format!(
                "no DestinationRule defines subset {subset} of {host}"
            ));
        }
    }
    let subset = destination.subset.clone();
    Backend::Cluster(ClusterName {
        host: host.clone(),
        port,
        subset,
    })
}

/// The port that is said, else the only one, else the one that was addressed.
fn port_of(service: &Service, destination: &Destination, addressed: u16) -> Option<u16> {
    let port = match (destination.port, &service.ports[..]) {
        (Some(port), _) => port,
        (None, [only]) => only.port,
        (None, _) => addressed,
    };
    service.port(port).map(|it| it.port)
}

/// The clusters that a policy names, sorted.
pub(super) fn clusters(policy: &OutboundPolicy) -> Vec<ClusterName> {
    let http = policy.http.iter().flat_map(|route| {
        let RouteAction::Forward(backends) = &route.action;
        backends
    });
    let mut clusters: Vec<ClusterName> = http
        .chain(&policy.tcp)
        .filter_map(|weighted| match &weighted.backend {
            Backend::Cluster(name) => Some(name.clone()),
            Backend::Invalid(_) => None,
        })
        .collect();
    clusters.sort();
    clusters.dedup();
    clusters
}
