//! Model to wire. Each resource is encoded once, and its version is the hash of its encoded body.

use crate::{names::encode_address, pb};
use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use std::time::Duration;
use weft_model::{
    cluster::{Cluster, LoadBalance, UpstreamTls},
    endpoint::{Endpoint, Endpoints},
    inbound::{InboundPolicy, MtlsMode, Refusal, RefusalReason},
    matching::{HeaderValueMatch, HttpMatch, Matches, StringMatch},
    mesh::AccessLog,
    protocol::Protocol,
    resource::{Resource, ResourceName, Version},
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
    source::SourceRef,
    trust::TrustBundle,
    workload::WorkloadConfig,
};

/// A resource ready to be sent to any number of proxies.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Its canonical name.
    pub name: ResourceName,
    /// Hash of its content.
    pub version: Version,
    /// The encoded `Resource` message, for `ServerMsg.upsert`.
    pub bytes: Bytes,
}

/// Encodes a resource.
#[must_use]
pub fn resource(resource: &Resource) -> Encoded {
    let name = resource.name();
    let mut message = pb::Resource {
        name: name.to_string(),
        version: Bytes::new(),
        body: Some(body(resource)),
    };
    let version = hash(&message.encode_to_vec());
    message.version = Bytes::copy_from_slice(&version.0);
    Encoded {
        name,
        version,
        bytes: message.encode_to_vec().into(),
    }
}

/// The version that [`resource`] would give: a proxy checks a delta's result with it.
#[must_use]
pub fn version(resource: &Resource) -> Version {
    let message = pb::Resource {
        name: resource.name().to_string(),
        version: Bytes::new(),
        body: Some(body(resource)),
    };
    hash(&message.encode_to_vec())
}

fn hash(bytes: &[u8]) -> Version {
    let digest = Sha256::digest(bytes);
    let mut version = [0; 16];
    for (to, from) in version.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    Version(version)
}

fn body(resource: &Resource) -> pb::resource::Body {
    use pb::resource::Body;
    match resource {
        Resource::Outbound(it) => Body::Outbound(outbound(it)),
        Resource::Cluster(it) => Body::Cluster(cluster(it)),
        Resource::Endpoints(it) => Body::Endpoints(endpoints(it)),
        Resource::Inbound(it) => Body::Inbound(inbound(it)),
        Resource::Trust(it) => Body::Trust(trust(it)),
        Resource::Workload(it) => Body::Workload(workload(it)),
    }
}

/// A duration as it travels. Longer than protobuf can say is cut to its longest.
#[must_use]
pub fn duration(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or(0);
    prost_types::Duration { seconds, nanos }
}

/// Sources as they travel.
#[must_use]
pub fn sources(sources: &[SourceRef]) -> Vec<pb::SourceRef> {
    sources.iter().map(source).collect()
}

fn source(source: &SourceRef) -> pb::SourceRef {
    pb::SourceRef {
        object: Some(pb::ObjectRef {
            kind: source.object.kind.clone(),
            namespace: source.object.namespace.clone(),
            name: source.object.name.clone(),
        }),
        generation: source.generation,
        rule: source.rule,
    }
}

fn protocol(protocol: Protocol) -> i32 {
    (match protocol {
        Protocol::Detect => pb::Protocol::Detect,
        Protocol::Opaque => pb::Protocol::Opaque,
        Protocol::Http1 => pb::Protocol::Http1,
        Protocol::Http2 => pb::Protocol::Http2,
        Protocol::Grpc => pb::Protocol::Grpc,
        Protocol::Tls => pb::Protocol::Tls,
    })
    .into()
}

fn string_match(string: &StringMatch) -> pb::StringMatch {
    use pb::string_match::Match;
    pb::StringMatch {
        r#match: Some(match string {
            StringMatch::Exact(text) => Match::Exact(text.clone()),
            StringMatch::Prefix(text) => Match::Prefix(text.clone()),
            StringMatch::Regex(pattern) => Match::Regex(pattern.as_str().to_owned()),
        }),
    }
}

fn http_match(block: &HttpMatch) -> pb::HttpMatch {
    pb::HttpMatch {
        name: block.name.clone().unwrap_or_default(),
        uri: block.uri.as_ref().map(|uri| pb::UriMatch {
            path: Some(string_match(&uri.path)),
            ignore_case: uri.ignore_case,
        }),
        method: block.method.as_ref().map(string_match),
        authority: block.authority.as_ref().map(string_match),
        headers: block
            .headers
            .iter()
            .map(|header| pb::HeaderMatch {
                name: header.name.clone(),
                value: match &header.value {
                    HeaderValueMatch::Present => None,
                    HeaderValueMatch::Value(value) => Some(string_match(value)),
                },
            })
            .collect(),
    }
}

fn outbound(policy: &OutboundPolicy) -> pb::OutboundPolicy {
    pb::OutboundPolicy {
        host: policy.host.to_string(),
        service: policy.service.clone(),
        namespace: policy.namespace.clone(),
        port: u32::from(policy.port),
        protocol: protocol(policy.protocol),
        http: policy.http.iter().map(http_route).collect(),
        tcp: policy.tcp.iter().map(backend).collect(),
        sources: sources(&policy.sources),
    }
}

fn http_route(route: &HttpRoute) -> pb::HttpRoute {
    let (conditional, matches) = match &route.matches {
        Matches::Any => (false, Vec::new()),
        Matches::OneOf(blocks) => (true, blocks.iter().map(http_match).collect()),
    };
    let RouteAction::Forward(backends) = &route.action;
    pb::HttpRoute {
        name: route.name.clone().unwrap_or_default(),
        conditional,
        matches,
        backends: backends.iter().map(backend).collect(),
        timeout: route.timeout.map(duration),
        source: route.source.as_ref().map(source),
    }
}

fn backend(weighted: &WeightedBackend) -> pb::WeightedBackend {
    use pb::weighted_backend::Backend as Wire;
    pb::WeightedBackend {
        backend: Some(match &weighted.backend {
            Backend::Cluster(name) => Wire::Cluster(name.to_string()),
            Backend::Invalid(reason) => Wire::Invalid(reason.clone()),
        }),
        weight: weighted.weight.get(),
    }
}

fn cluster(cluster: &Cluster) -> pb::Cluster {
    pb::Cluster {
        name: cluster.name.to_string(),
        labels: cluster.labels.clone(),
        load_balance: (match cluster.load_balance {
            LoadBalance::Ewma => pb::LoadBalance::Ewma,
            LoadBalance::LeastRequest => pb::LoadBalance::LeastRequest,
            LoadBalance::RoundRobin => pb::LoadBalance::RoundRobin,
            LoadBalance::Random => pb::LoadBalance::Random,
        })
        .into(),
        tls: (match cluster.tls {
            UpstreamTls::Auto => pb::UpstreamTls::Auto,
            UpstreamTls::Mutual => pb::UpstreamTls::Mutual,
            UpstreamTls::Disable => pb::UpstreamTls::Disable,
        })
        .into(),
        connect_timeout: Some(duration(cluster.connect_timeout)),
        sources: sources(&cluster.sources),
    }
}

fn endpoints(set: &Endpoints) -> pb::Endpoints {
    pb::Endpoints {
        host: set.host.to_string(),
        port: u32::from(set.port),
        endpoints: set.endpoints.iter().map(endpoint).collect(),
        sources: sources(&set.sources),
    }
}

/// An endpoint as it travels, also inside a delta.
#[must_use]
pub fn endpoint(endpoint: &Endpoint) -> pb::Endpoint {
    pb::Endpoint {
        id: endpoint.id.0,
        address: Some(encode_address(endpoint.address)),
        weight: endpoint.weight,
        identity: endpoint
            .identity
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        instance: endpoint.instance.clone(),
        workload: endpoint.workload.clone(),
        namespace: endpoint.namespace.clone(),
        labels: endpoint.labels.clone(),
        protocol: protocol(endpoint.protocol),
        draining: endpoint.draining,
    }
}

fn inbound(policy: &InboundPolicy) -> pb::InboundPolicy {
    pb::InboundPolicy {
        port: u32::from(policy.port),
        protocol: protocol(policy.protocol),
        mtls: (match policy.mtls {
            MtlsMode::Permissive => pb::MtlsMode::MtlsPermissive,
            MtlsMode::Strict => pb::MtlsMode::MtlsStrict,
            MtlsMode::Disable => pb::MtlsMode::MtlsDisable,
        })
        .into(),
        refuse: policy.refuse.as_ref().map(refusal),
        sources: sources(&policy.sources),
    }
}

fn refusal(refusal: &Refusal) -> pb::Refusal {
    use pb::refusal::Reason;
    pb::Refusal {
        reason: (match refusal.reason {
            RefusalReason::AuthorizationNotEnforced => Reason::AuthorizationNotEnforced,
            RefusalReason::RequestAuthenticationNotEnforced => {
                Reason::RequestAuthenticationNotEnforced
            }
        })
        .into(),
        source: Some(source(&refusal.source)),
    }
}

/// A trust bundle as it travels, also in the answer to Certify.
#[must_use]
pub fn trust(bundle: &TrustBundle) -> pb::TrustBundle {
    pb::TrustBundle {
        trust_domain: bundle.trust_domain.to_string(),
        anchors_der: bundle
            .anchors_der
            .iter()
            .map(|der| Bytes::copy_from_slice(der))
            .collect(),
    }
}

fn workload(config: &WorkloadConfig) -> pb::WorkloadConfig {
    pb::WorkloadConfig {
        name: config.name.to_string(),
        workload: config.workload.clone(),
        identity: config.identity.to_string(),
        labels: config.labels.clone(),
        ports: config.ports.iter().map(|port| u32::from(*port)).collect(),
        access_log: (match config.access_log {
            AccessLog::Off => pb::AccessLog::Off,
            AccessLog::Text => pb::AccessLog::Text,
            AccessLog::Json => pb::AccessLog::Json,
        })
        .into(),
        certificate_lifetime: Some(duration(config.certificate_lifetime)),
        sources: sources(&config.sources),
    }
}
