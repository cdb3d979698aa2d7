//! Every field that is enforced. Together with [`crate::not_yet_enforced`] it names every field of
//! every kind, and nothing is in both; a test walks the schemas.

use weft_crds::kind::Kind;

/// The fields that are enforced: `[]` is any item of a list of objects, `{}` any key.
pub const ENFORCED: &[(Kind, &[&str])] = &[
    (
        Kind::VirtualService,
        &[
            "spec.hosts",
            "spec.gateways",
            "spec.http[].name",
            "spec.http[].match[].name",
            "spec.http[].match[].uri.exact",
            "spec.http[].match[].uri.prefix",
            "spec.http[].match[].uri.regex",
            "spec.http[].match[].ignoreUriCase",
            "spec.http[].match[].method.exact",
            "spec.http[].match[].method.prefix",
            "spec.http[].match[].method.regex",
            "spec.http[].match[].authority.exact",
            "spec.http[].match[].authority.prefix",
            "spec.http[].match[].authority.regex",
            "spec.http[].match[].headers{}.exact",
            "spec.http[].match[].headers{}.prefix",
            "spec.http[].match[].headers{}.regex",
            "spec.http[].match[].port",
            "spec.http[].match[].gateways",
            "spec.http[].route[].destination.host",
            "spec.http[].route[].destination.subset",
            "spec.http[].route[].destination.port.number",
            "spec.http[].route[].weight",
            "spec.http[].timeout",
        ],
    ),
    (
        Kind::DestinationRule,
        &[
            "spec.host",
            "spec.trafficPolicy.loadBalancer.simple",
            "spec.trafficPolicy.tls.mode",
            "spec.subsets[].name",
            "spec.subsets[].labels",
            "spec.subsets[].trafficPolicy.loadBalancer.simple",
            "spec.subsets[].trafficPolicy.tls.mode",
        ],
    ),
    (
        Kind::PeerAuthentication,
        &["spec.selector.matchLabels", "spec.mtls.mode"],
    ),
    (Kind::AuthorizationPolicy, &["spec.selector.matchLabels"]),
    (Kind::RequestAuthentication, &["spec.selector.matchLabels"]),
    (
        Kind::MeshConfig,
        &[
            "spec.accessLog.mode",
            "spec.certificateLifetime",
            "spec.trustDomain",
        ],
    ),
];
