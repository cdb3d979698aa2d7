//! `decode(encode(x)) == x` for every resource, and what does not decode is refused by name.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use proptest::{collection::vec, option, prelude::*};
use weft_api::{decode, encode, names};
use weft_model::{
    Labels,
    cluster::{Cluster, ClusterName, LoadBalance, UpstreamTls},
    endpoint::{Endpoint, EndpointId, Endpoints},
    host::Host,
    identity::{SpiffeId, TrustDomain},
    inbound::{InboundPolicy, MtlsMode, Refusal, RefusalReason},
    matching::{HeaderMatch, HeaderValueMatch, HttpMatch, Matches, StringMatch, UriMatch},
    mesh::AccessLog,
    pattern::Pattern,
    protocol::Protocol,
    resource::{Name, Resource, ResourceName},
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
    source::{ObjectRef, SourceRef},
    trust::TrustBundle,
    workload::{WorkloadConfig, WorkloadName},
};

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,8}[a-z0-9]"
}

fn host() -> impl Strategy<Value = Host> {
    vec(word(), 1..4).prop_map(|labels| labels.join(".").parse().unwrap())
}

fn labels() -> impl Strategy<Value = Labels> {
    proptest::collection::btree_map("[a-z./]{1,12}", ".{0,8}", 0..4)
}

fn duration() -> impl Strategy<Value = Duration> {
    (0_u64..1 << 40, 0_u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n))
}

fn source() -> impl Strategy<Value = SourceRef> {
    (
        word(),
        word(),
        word(),
        any::<i64>(),
        option::of(any::<u32>()),
    )
        .prop_map(|(kind, namespace, name, generation, rule)| SourceRef {
            object: ObjectRef::new(kind, namespace, name),
            generation,
            rule,
        })
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        Just(Protocol::Detect),
        Just(Protocol::Opaque),
        Just(Protocol::Http1),
        Just(Protocol::Http2),
        Just(Protocol::Grpc),
        Just(Protocol::Tls),
    ]
}

fn string_match() -> impl Strategy<Value = StringMatch> {
    prop_oneof![
        ".{0,12}".prop_map(StringMatch::Exact),
        ".{0,12}".prop_map(StringMatch::Prefix),
        "[a-z]{1,4}(\\.\\*)?".prop_map(|it| StringMatch::Regex(Pattern::parse(&it).unwrap())),
    ]
}

fn http_match() -> impl Strategy<Value = HttpMatch> {
    let uri = (string_match(), any::<bool>())
        .prop_map(|(path, ignore_case)| UriMatch { path, ignore_case });
    let value = prop_oneof![
        Just(HeaderValueMatch::Present),
        string_match().prop_map(HeaderValueMatch::Value)
    ];
    let header = (word(), value).prop_map(|(name, value)| HeaderMatch { name, value });
    (
        option::of(word()),
        option::of(uri),
        option::of(string_match()),
        option::of(string_match()),
        vec(header, 0..3),
    )
        .prop_map(|(name, uri, method, authority, headers)| HttpMatch {
            name,
            uri,
            method,
            authority,
            headers,
        })
}

fn cluster_name() -> impl Strategy<Value = ClusterName> {
    (host(), any::<u16>(), option::of(word())).prop_map(|(host, port, subset)| ClusterName {
        host,
        port,
        subset,
    })
}

fn weighted() -> impl Strategy<Value = WeightedBackend> {
    let backend = prop_oneof![
        cluster_name().prop_map(Backend::Cluster),
        ".{0,20}".prop_map(Backend::Invalid)
    ];
    (backend, 1_u32..).prop_map(|(backend, weight)| WeightedBackend {
        backend,
        weight: NonZeroU32::new(weight).unwrap(),
    })
}

fn http_route() -> impl Strategy<Value = HttpRoute> {
    let matches = prop_oneof![
        Just(Matches::Any),
        vec(http_match(), 0..3).prop_map(Matches::OneOf)
    ];
    (
        option::of(word()),
        matches,
        vec(weighted(), 0..3),
        option::of(duration()),
        option::of(source()),
    )
        .prop_map(|(name, matches, backends, timeout, source)| HttpRoute {
            name,
            matches,
            action: RouteAction::Forward(backends),
            timeout,
            source,
        })
}

fn outbound() -> impl Strategy<Value = Resource> {
    (
        (host(), word(), word(), any::<u16>(), protocol()),
        vec(http_route(), 0..3),
        vec(weighted(), 0..2),
        vec(source(), 0..3),
    )
        .prop_map(
            |((host, service, namespace, port, protocol), http, tcp, sources)| {
                Resource::Outbound(OutboundPolicy {
                    host,
                    service,
                    namespace,
                    port,
                    protocol,
                    http,
                    tcp,
                    sources,
                })
            },
        )
}

fn cluster() -> impl Strategy<Value = Resource> {
    let load_balance = prop_oneof![
        Just(LoadBalance::Ewma),
        Just(LoadBalance::LeastRequest),
        Just(LoadBalance::RoundRobin),
        Just(LoadBalance::Random),
    ];
    let tls = prop_oneof![
        Just(UpstreamTls::Auto),
        Just(UpstreamTls::Mutual),
        Just(UpstreamTls::Disable)
    ];
    (
        cluster_name(),
        labels(),
        load_balance,
        tls,
        duration(),
        vec(source(), 0..3),
    )
        .prop_map(
            |(name, labels, load_balance, tls, connect_timeout, sources)| {
                Resource::Cluster(Cluster {
                    name,
                    labels,
                    load_balance,
                    tls,
                    connect_timeout,
                    sources,
                })
            },
        )
}

fn identity() -> impl Strategy<Value = SpiffeId> {
    (word(), word()).prop_map(|(ns, sa)| SpiffeId::new(&TrustDomain::default(), &ns, &sa).unwrap())
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (
        (
            any::<u64>(),
            address(),
            any::<u32>(),
            option::of(identity()),
        ),
        (word(), word(), word(), labels(), protocol(), any::<bool>()),
    )
        .prop_map(
            |(
                (id, address, weight, identity),
                (instance, workload, namespace, labels, protocol, draining),
            )| Endpoint {
                id: EndpointId(id),
                address,
                weight,
                identity,
                instance,
                workload,
                namespace,
                labels,
                protocol,
                draining,
            },
        )
}

fn endpoints() -> impl Strategy<Value = Resource> {
    (
        host(),
        any::<u16>(),
        vec(endpoint(), 0..4),
        vec(source(), 0..2),
    )
        .prop_map(|(host, port, endpoints, sources)| {
            Resource::Endpoints(Endpoints {
                host,
                port,
                endpoints,
                sources,
            })
        })
}

fn inbound() -> impl Strategy<Value = Resource> {
    let mtls = prop_oneof![
        Just(MtlsMode::Disable),
        Just(MtlsMode::Permissive),
        Just(MtlsMode::Strict)
    ];
    let reason = prop_oneof![
        Just(RefusalReason::AuthorizationNotEnforced),
        Just(RefusalReason::RequestAuthenticationNotEnforced),
    ];
    let refuse = (reason, source()).prop_map(|(reason, source)| Refusal { reason, source });
    (
        any::<u16>(),
        protocol(),
        mtls,
        option::of(refuse),
        vec(source(), 0..3),
    )
        .prop_map(|(port, protocol, mtls, refuse, sources)| {
            Resource::Inbound(InboundPolicy {
                port,
                protocol,
                mtls,
                refuse,
                sources,
            })
        })
}

fn trust() -> impl Strategy<Value = Resource> {
    (word(), vec(vec(any::<u8>(), 0..40), 1..3)).prop_map(|(domain, anchors_der)| {
        Resource::Trust(TrustBundle {
            trust_domain: domain.parse().unwrap(),
            anchors_der,
        })
    })
}

fn workload() -> impl Strategy<Value = Resource> {
    let access_log = prop_oneof![
        Just(AccessLog::Off),
        Just(AccessLog::Text),
        Just(AccessLog::Json)
    ];
    (
        (word(), word(), word(), identity(), labels()),
        (
            vec(any::<u16>(), 0..4),
            access_log,
            duration(),
            vec(source(), 0..2),
        ),
    )
        .prop_map(
            |(
                (namespace, name, workload, identity, labels),
                (ports, access_log, certificate_lifetime, sources),
            )| {
                Resource::Workload(WorkloadConfig {
                    name: WorkloadName { namespace, name },
                    workload,
                    identity,
                    labels,
                    ports,
                    access_log,
                    certificate_lifetime,
                    sources,
                })
            },
        )
}

fn resource() -> impl Strategy<Value = Resource> {
    prop_oneof![
        outbound(),
        cluster(),
        endpoints(),
        inbound(),
        trust(),
        workload()
    ]
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![
        address().prop_map(Name::Outbound),
        ("[a-z.]{0,20}", any::<u16>()).prop_map(|(host, port)| Name::Authority { host, port }),
        any::<u16>().prop_map(Name::Inbound),
        Just(Name::Trust),
        Just(Name::Workload),
    ]
}

proptest! {
    #[test]
    fn a_resource_comes_back(resource in resource()) {
        let encoded = encode::resource(&resource);
        let decoded = decode::resource(&encoded.bytes).unwrap();
        prop_assert_eq!(&decoded.name, &encoded.name);
        prop_assert_eq!(decoded.version, encoded.version);
        prop_assert_eq!(encode::version(&resource), encoded.version);
        prop_assert_eq!(decoded.resource, resource);
    }

    #[test]
    fn different_content_has_different_versions(one in resource(), other in resource()) {
        let versions = (encode::version(&one), encode::version(&other));
        prop_assert_eq!(versions.0 == versions.1, one == other);
    }

    #[test]
    fn a_resource_name_comes_back(resource in resource()) {
        let name = resource.name();
        prop_assert_eq!(name.to_string().parse::<ResourceName>().unwrap(), name);
    }

    #[test]
    fn a_subscription_name_comes_back(name in name()) {
        prop_assert_eq!(names::decode(&names::encode(&name)).unwrap(), name);
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode::resource(&bytes);
    }

    #[test]
    fn a_broken_resource_is_refused_and_never_taken_for_another(
        resource in resource(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let encoded = encode::resource(&resource);
        let mut bytes = encoded.bytes.to_vec();
        *at.get_mut(&mut bytes[..]) = byte;
        if let Ok(decoded) = decode::resource(&bytes) {
            prop_assert_eq!(decoded.resource.name(), decoded.name);
        }
    }
}
