//! Wire to model. What does not decode is rejected by name, field and reason; the rest of the batch is unharmed.
//!
//! Long because: one small function per message, in the order of the contract.

use crate::{
    names::{decode_address, decode_port},
    pb,
};
use prost::Message;
use std::{num::NonZeroU32, str::FromStr, time::Duration};
use weft_model::{
    cluster::{Cluster, LoadBalance, UpstreamTls},
    endpoint::{Endpoint, EndpointId, Endpoints},
    inbound::{InboundPolicy, MtlsMode, Refusal, RefusalReason},
    matching::{HeaderMatch, HeaderValueMatch, HttpMatch, Matches, StringMatch, UriMatch},
    mesh::AccessLog,
    pattern::Pattern,
    protocol::Protocol,
    resource::{Resource, ResourceName, Version},
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
    source::{ObjectRef, SourceRef},
    trust::TrustBundle,
    workload::WorkloadConfig,
};

/// A message that this build cannot make sense of.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{field}: {reason}")]
pub struct DecodeError {
    /// Path of the field within the resource.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl DecodeError {
    pub(crate) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }

    fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

/// A resource with the name and version it came under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Canonical name.
    pub name: ResourceName,
    /// Version.
    pub version: Version,
    /// Content.
    pub resource: Resource,
}

/// A resource that was refused, with as much of its name as could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Name as it came.
    pub name: String,
    /// Version as it came.
    pub version: Vec<u8>,
    /// Why.
    pub error: DecodeError,
}

/// Decodes one entry of `ServerMsg.upsert`.
///
/// # Errors
/// With the name as far as it could be read, so that the rejection can name it.
pub fn resource(bytes: &[u8]) -> Result<Decoded, Refused> {
    let message = pb::Resource::decode(bytes).map_err(|error| Refused {
        name: String::new(),
        version: Vec::new(),
        error: DecodeError::new("resource", error.to_string()),
    })?;
    decode_message(&message).map_err(|error| Refused {
        name: message.name.clone(),
        version: message.version.to_vec(),
        error,
    })
}

fn decode_message(message: &pb::Resource) -> Result<Decoded, DecodeError> {
    let name: ResourceName = parse(&message.name, "name")?;
    let version = version(&message.version)?;
    let body = message
        .body
        .as_ref()
        .ok_or_else(|| DecodeError::new("body", "is empty"))?;
    let resource = body_of(body)?;
    if resource.name() != name {
        let reason = format!("the body belongs to `{}`", resource.name());
        return Err(DecodeError::new("name", reason));
    }
    Ok(Decoded {
        name,
        version,
        resource,
    })
}

/// A version back.
///
/// # Errors
/// When it has another length.
pub fn version(bytes: &[u8]) -> Result<Version, DecodeError> {
    let wrong = |_| DecodeError::new("version", format!("has {} bytes", bytes.len()));
    bytes.try_into().map(Version).map_err(wrong)
}

fn parse<T: FromStr>(text: &str, field: &str) -> Result<T, DecodeError>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error: T::Err| DecodeError::new(field, error.to_string()))
}

fn body_of(body: &pb::resource::Body) -> Result<Resource, DecodeError> {
    use pb::resource::Body;
    Ok(match body {
        Body::Outbound(it) => Resource::Outbound(outbound(it).map_err(|e| e.within("outbound"))?),
        Body::Cluster(it) => Resource::Cluster(cluster(it).map_err(|e| e.within("cluster"))?),
        Body::Endpoints(it) => {
            Resource::Endpoints(endpoints(it).map_err(|e| e.within("endpoints"))?)
        }
        Body::Inbound(it) => Resource::Inbound(inbound(it).map_err(|e| e.within("inbound"))?),
        Body::Trust(it) => Resource::Trust(trust(it).map_err(|e| e.within("trust"))?),
        Body::Workload(it) => Resource::Workload(workload(it).map_err(|e| e.within("workload"))?),
    })
}

fn known<T: TryFrom<i32>>(value: i32, field: &str) -> Result<T, DecodeError> {
    T::try_from(value).map_err(|_| DecodeError::new(field, format!("{value} is not known here")))
}

/// A duration back.
///
/// # Errors
/// When it is negative.
pub fn duration(duration: &prost_types::Duration, field: &str) -> Result<Duration, DecodeError> {
    let negative = |_| DecodeError::new(field, "is negative");
    let seconds = u64::try_from(duration.seconds).map_err(negative)?;
    let nanos = u32::try_from(duration.nanos).map_err(negative)?;
    Ok(Duration::new(seconds, nanos))
}

fn required_duration(
    value: Option<&prost_types::Duration>,
    field: &str,
) -> Result<Duration, DecodeError> {
    duration(
        value.ok_or_else(|| DecodeError::new(field, "is missing"))?,
        field,
    )
}

/// Sources back.
///
/// # Errors
/// When one names no object.
pub fn sources(sources: &[pb::SourceRef]) -> Result<Vec<SourceRef>, DecodeError> {
    sources.iter().map(source).collect()
}

fn source(source: &pb::SourceRef) -> Result<SourceRef, DecodeError> {
    let object = source
        .object
        .as_ref()
        .ok_or_else(|| DecodeError::new("source", "names no object"))?;
    Ok(SourceRef {
        object: ObjectRef::new(&object.kind, &object.namespace, &object.name),
        generation: source.generation,
        rule: source.rule,
    })
}

fn protocol(value: i32) -> Result<Protocol, DecodeError> {
    Ok(match known(value, "protocol")? {
        pb::Protocol::Detect => Protocol::Detect,
        pb::Protocol::Opaque => Protocol::Opaque,
        pb::Protocol::Http1 => Protocol::Http1,
        pb::Protocol::Http2 => Protocol::Http2,
        pb::Protocol::Grpc => Protocol::Grpc,
        pb::Protocol::Tls => Protocol::Tls,
    })
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn string_match(string: &pb::StringMatch) -> Result<StringMatch, DecodeError> {
    use pb::string_match::Match;
    match string.r#match.as_ref() {
        Some(Match::Exact(text)) => Ok(StringMatch::Exact(text.clone())),
        Some(Match::Prefix(text)) => Ok(StringMatch::Prefix(text.clone())),
        Some(Match::Regex(text)) => Pattern::parse(text)
            .map(StringMatch::Regex)
            .map_err(|error| DecodeError::new("regex", error.to_string())),
        None => Err(DecodeError::new("match", "is empty")),
    }
}

fn optional_match(string: Option<&pb::StringMatch>) -> Result<Option<StringMatch>, DecodeError> {
    string.map(string_match).transpose()
}

fn http_match(block: &pb::HttpMatch) -> Result<HttpMatch, DecodeError> {
    let uri = block.uri.as_ref().map(|uri| {
        let path = uri
            .path
            .as_ref()
            .ok_or_else(|| DecodeError::new("uri", "is empty"))?;
        Ok(UriMatch {
            path: string_match(path)?,
            ignore_case: uri.ignore_case,
        })
    });
    let header = |header: &pb::HeaderMatch| {
        let value = match optional_match(header.value.as_ref())? {
            None => HeaderValueMatch::Present,
            Some(value) => HeaderValueMatch::Value(value),
        };
        Ok(HeaderMatch {
            name: header.name.clone(),
            value,
        })
    };
    Ok(HttpMatch {
        name: non_empty(&block.name),
        uri: uri.transpose()?,
        method: optional_match(block.method.as_ref())?,
        authority: optional_match(block.authority.as_ref())?,
        headers: block.headers.iter().map(header).collect::<Result<_, _>>()?,
    })
}

fn outbound(policy: &pb::OutboundPolicy) -> Result<OutboundPolicy, DecodeError> {
    let route = |(index, route): (usize, &pb::HttpRoute)| {
        http_route(route).map_err(|error| error.within(&format!("http[{index}]")))
    };
    Ok(OutboundPolicy {
        host: parse(&policy.host, "host")?,
        service: policy.service.clone(),
        namespace: policy.namespace.clone(),
        port: decode_port(policy.port)?,
        protocol: protocol(policy.protocol)?,
        http: policy
            .http
            .iter()
            .enumerate()
            .map(route)
            .collect::<Result<_, _>>()?,
        tcp: backends(&policy.tcp)?,
        sources: sources(&policy.sources)?,
    })
}

fn http_route(route: &pb::HttpRoute) -> Result<HttpRoute, DecodeError> {
    let matches = if route.conditional {
        Matches::OneOf(
            route
                .matches
                .iter()
                .map(http_match)
                .collect::<Result<_, _>>()?,
        )
    } else {
        Matches::Any
    };
    Ok(HttpRoute {
        name: non_empty(&route.name),
        matches,
        action: RouteAction::Forward(backends(&route.backends)?),
        timeout: route
            .timeout
            .as_ref()
            .map(|it| duration(it, "timeout"))
            .transpose()?,
        source: route.source.as_ref().map(source).transpose()?,
    })
}

fn backends(backends: &[pb::WeightedBackend]) -> Result<Vec<WeightedBackend>, DecodeError> {
    backends.iter().map(backend).collect()
}

fn backend(weighted: &pb::WeightedBackend) -> Result<WeightedBackend, DecodeError> {
    use pb::weighted_backend::Backend as Wire;
    let backend = match weighted.backend.as_ref() {
        Some(Wire::Cluster(name)) => Backend::Cluster(parse(name, "cluster")?),
        Some(Wire::Invalid(reason)) => Backend::Invalid(reason.clone()),
        None => return Err(DecodeError::new("backend", "is empty")),
    };
    let weight = NonZeroU32::new(weighted.weight)
        .ok_or_else(|| DecodeError::new("weight", "is zero: leave the backend out"))?;
    Ok(WeightedBackend { backend, weight })
}

fn cluster(cluster: &pb::Cluster) -> Result<Cluster, DecodeError> {
    Ok(Cluster {
        name: parse(&cluster.name, "name")?,
        labels: cluster.labels.clone(),
        load_balance: match known(cluster.load_balance, "load_balance")? {
            pb::LoadBalance::Ewma => LoadBalance::Ewma,
            pb::LoadBalance::LeastRequest => LoadBalance::LeastRequest,
            pb::LoadBalance::RoundRobin => LoadBalance::RoundRobin,
            pb::LoadBalance::Random => LoadBalance::Random,
        },
        tls: match known(cluster.tls, "tls")? {
            pb::UpstreamTls::Auto => UpstreamTls::Auto,
            pb::UpstreamTls::Mutual => UpstreamTls::Mutual,
            pb::UpstreamTls::Disable => UpstreamTls::Disable,
        },
        connect_timeout: required_duration(cluster.connect_timeout.as_ref(), "connect_timeout")?,
        sources: sources(&cluster.sources)?,
    })
}

fn endpoints(set: &pb::Endpoints) -> Result<Endpoints, DecodeError> {
    Ok(Endpoints {
        host: parse(&set.host, "host")?,
        port: decode_port(set.port)?,
        endpoints: set
            .endpoints
            .iter()
            .map(endpoint)
            .collect::<Result<_, _>>()?,
        sources: sources(&set.sources)?,
    })
}

/// An endpoint back, also from a delta.
///
/// # Errors
/// When its address or identity does not parse.
pub fn endpoint(endpoint: &pb::Endpoint) -> Result<Endpoint, DecodeError> {
    let address = endpoint
        .address
        .as_ref()
        .ok_or_else(|| DecodeError::new("address", "is missing"))?;
    let identity = match endpoint.identity.as_str() {
        "" => None,
        text => Some(parse(text, "identity")?),
    };
    Ok(Endpoint {
        id: EndpointId(endpoint.id),
        address: decode_address(address)?,
        weight: endpoint.weight,
        identity,
        instance: endpoint.instance.clone(),
        workload: endpoint.workload.clone(),
        namespace: endpoint.namespace.clone(),
        labels: endpoint.labels.clone(),
        protocol: protocol(endpoint.protocol)?,
        draining: endpoint.draining,
    })
}

fn inbound(policy: &pb::InboundPolicy) -> Result<InboundPolicy, DecodeError> {
    Ok(InboundPolicy {
        port: decode_port(policy.port)?,
        protocol: protocol(policy.protocol)?,
        mtls: match known(policy.mtls, "mtls")? {
            pb::MtlsMode::MtlsPermissive => MtlsMode::Permissive,
            pb::MtlsMode::MtlsStrict => MtlsMode::Strict,
            pb::MtlsMode::MtlsDisable => MtlsMode::Disable,
        },
        refuse: policy.refuse.as_ref().map(refusal).transpose()?,
        sources: sources(&policy.sources)?,
    })
}

fn refusal(refusal: &pb::Refusal) -> Result<Refusal, DecodeError> {
    use pb::refusal::Reason;
    let reason = match known(refusal.reason, "reason")? {
        Reason::AuthorizationNotEnforced => RefusalReason::AuthorizationNotEnforced,
        Reason::RequestAuthenticationNotEnforced => RefusalReason::RequestAuthenticationNotEnforced,
        Reason::Unknown => return Err(DecodeError::new("refuse.reason", "is not given")),
    };
    let source_ref = refusal
        .source
        .as_ref()
        .ok_or_else(|| DecodeError::new("refuse.source", "is missing"))?;
    Ok(Refusal {
        reason,
        source: source(source_ref)?,
    })
}

/// A trust bundle back.
///
/// # Errors
/// When the trust domain is no name, or no anchor is there.
pub fn trust(bundle: &pb::TrustBundle) -> Result<TrustBundle, DecodeError> {
    if bundle.anchors_der.is_empty() {
        return Err(DecodeError::new(
            "anchors_der",
            "is empty: nobody could be trusted",
        ));
    }
    Ok(TrustBundle {
        trust_domain: parse(&bundle.trust_domain, "trust_domain")?,
        anchors_der: bundle.anchors_der.iter().map(|der| der.to_vec()).collect(),
    })
}

fn workload(config: &pb::WorkloadConfig) -> Result<WorkloadConfig, DecodeError> {
    Ok(WorkloadConfig {
        name: parse(&config.name, "name")?,
        workload: config.workload.clone(),
        identity: parse(&config.identity, "identity")?,
        labels: config.labels.clone(),
        ports: config
            .ports
            .iter()
            .map(|port| decode_port(*port))
            .collect::<Result<_, _>>()?,
        access_log: match known(config.access_log, "access_log")? {
            pb::AccessLog::Off => AccessLog::Off,
            pb::AccessLog::Text => AccessLog::Text,
            pb::AccessLog::Json => AccessLog::Json,
        },
        certificate_lifetime: required_duration(
            config.certificate_lifetime.as_ref(),
            "certificate_lifetime",
        )?,
        sources: sources(&config.sources)?,
    })
}
