//! Values that the tests of this crate build everything from.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    time::{Duration, Instant},
};
use weft_model::{
    Labels,
    cluster::{Cluster, ClusterName, LoadBalance, UpstreamTls},
    endpoint::{Endpoint, EndpointId, Endpoints},
    host::Host,
    identity::{SpiffeId, TrustDomain},
    matching::{HttpMatch, Matches},
    protocol::Protocol,
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
};

/// The moment at which every test begins.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had from the clock alone; tests use only differences from it"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn host() -> Host {
    "shop.production.svc.cluster.local".parse().unwrap()
}

/// Backends `v0`, `v1`, ... with these weights.
pub(crate) fn backends(weights: &[u32]) -> Vec<WeightedBackend> {
    let backend = |(index, weight): (usize, &u32)| WeightedBackend {
        backend: Backend::Cluster(ClusterName {
            host: host(),
            port: 80,
            subset: Some(format!("v{index}")),
        }),
        weight: NonZeroU32::new(*weight).unwrap(),
    };
    weights.iter().enumerate().map(backend).collect()
}

pub(crate) fn catch_all() -> HttpRoute {
    rule(Matches::Any)
}

pub(crate) fn rule(matches: Matches<HttpMatch>) -> HttpRoute {
    HttpRoute {
        name: None,
        matches,
        action: RouteAction::Forward(backends(&[1])),
        timeout: None,
        source: None,
    }
}

pub(crate) fn policy(http: Vec<HttpRoute>) -> OutboundPolicy {
    OutboundPolicy {
        host: host(),
        service: "shop".to_owned(),
        namespace: "production".to_owned(),
        port: 80,
        protocol: Protocol::Http1,
        http,
        tcp: Vec::new(),
        sources: Vec::new(),
    }
}

pub(crate) fn labels(labels: &[(&str, &str)]) -> Labels {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    labels.iter().map(owned).collect()
}

pub(crate) fn cluster(subset: &[(&str, &str)], tls: UpstreamTls) -> Cluster {
    Cluster {
        name: ClusterName {
            host: host(),
            port: 80,
            subset: None,
        },
        labels: labels(subset),
        load_balance: LoadBalance::default(),
        tls,
        connect_timeout: Duration::from_secs(1),
        sources: Vec::new(),
    }
}

pub(crate) fn endpoint(id: u64, of: &[(&str, &str)], meshed: bool) -> Endpoint {
    Endpoint {
        id: EndpointId(id),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        weight: 1,
        identity: meshed
            .then(|| SpiffeId::new(&TrustDomain::default(), "production", "shop").unwrap()),
        instance: format!("shop-{id}"),
        workload: "shop".to_owned(),
        namespace: "production".to_owned(),
        labels: labels(of),
        protocol: Protocol::Http1,
        draining: false,
    }
}

pub(crate) fn endpoints(endpoints: Vec<Endpoint>) -> Endpoints {
    Endpoints {
        host: host(),
        port: 80,
        endpoints,
        sources: Vec::new(),
    }
}
