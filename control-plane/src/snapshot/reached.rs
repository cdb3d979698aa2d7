//! How a Service port is reached: its clusters and its endpoints.

use crate::{
    index::Index,
    source::{Member, Membership},
};
use sha2::{Digest, Sha256};
use weft_model::{
    Labels,
    cluster::{Cluster, ClusterName},
    endpoint::{Endpoint, EndpointId, Endpoints},
    host::Host,
    inbound::MtlsMode,
    limits,
    policy::TrafficPolicy,
    protocol::Protocol,
    source::SourceRef,
};

/// A cluster as clients in `client` see it.
pub(super) fn cluster(index: &Index, client: &str, name: &ClusterName) -> Option<Cluster> {
    index.service(&name.host)?.port(name.port)?;
    let rule = index.rule(client, &name.host).unwrap_or_default();
    let (labels, traffic): (Labels, TrafficPolicy) = match &name.subset {
        None => (Labels::new(), rule.traffic.clone()),
        Some(subset) => {
            let (labels, traffic) = rule.subset(subset)?;
            (labels.clone(), traffic)
        }
    };
    Some(Cluster {
        name: name.clone(),
        labels,
        load_balance: traffic.load_balance.unwrap_or_default(),
        tls: traffic.tls.unwrap_or_default(),
        connect_timeout: limits::CONNECT_TIMEOUT,
        sources: rule.sources,
    })
}

/// The endpoints of a Service port, whoever asks.
pub(super) fn endpoints(index: &Index, host: &Host, port: u16) -> Option<Endpoints> {
    let declared = index.service(host)?.port(port)?;
    let mut sources: Vec<SourceRef> = Vec::new();
    let mut endpoints: Vec<Endpoint> = index
        .members(host, port)
        .iter()
        .filter_map(|member| endpoint(index, member, declared.protocol, &mut sources))
        .collect();
    endpoints.sort_by_key(|endpoint| endpoint.id);
    endpoints.dedup_by_key(|endpoint| endpoint.id);
    sources.sort();
    sources.dedup();
    Some(Endpoints {
        host: host.clone(),
        port,
        endpoints,
        sources,
    })
}

fn endpoint(
    index: &Index,
    member: &Member,
    declared: Protocol,
    sources: &mut Vec<SourceRef>,
) -> Option<Endpoint> {
    let workload = index.workload(&member.workload)?;
    let identity = match workload.membership {
        Membership::Unmeshed => None,
        Membership::Meshed => {
            let mtls = index.mtls(workload);
            if mtls.mode == MtlsMode::Disable {
                sources.extend(mtls.sources);
                None
            } else {
                index.identity(workload)
            }
        }
    };
    let own = workload.port(member.container_port).map(|it| it.protocol);
    let protocol = match declared {
        Protocol::Detect => own.unwrap_or_default(),
        Protocol::Opaque | Protocol::Http1 | Protocol::Http2 | Protocol::Grpc | Protocol::Tls => {
            declared
        }
    };
    Some(Endpoint {
        id: id(member),
        address: member.address,
        weight: 1,
        identity,
        instance: workload.name.name.clone(),
        workload: workload.owner.clone(),
        namespace: workload.name.namespace.clone(),
        labels: workload.labels.clone(),
        protocol,
        draining: member.draining,
    })
}

/// A hash of who and where: the same over restarts and replicas, another when an instance moves.
fn id(member: &Member) -> EndpointId {
    let digest = Sha256::digest(format!("{} {}", member.workload, member.address));
    let id = digest
        .iter()
        .take(8)
        .fold(0_u64, |id, byte| (id << 8) | u64::from(*byte));
    EndpointId(id)
}
