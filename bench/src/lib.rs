//! What the benchmarks measure on: policies, requests and clusters of a size that a real mesh has.
//!
//! The benchmarks themselves are in `benches/`; `cargo bench -p weft-bench` prints nanoseconds and allocations. They
//! answer one question: may this run once per request? Load on a whole proxy is not measured here.

use anyhow::Result;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::num::NonZeroU32;
use weft_model::{
    cluster::ClusterName,
    endpoint::EndpointId,
    host::Host,
    matching::{HeaderMatch, HeaderValueMatch, HttpMatch, Matches, StringMatch, UriMatch},
    pattern::Pattern,
    protocol::Protocol,
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
};
use weft_traffic::balance::Member;

/// What the conditions of a policy ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A prefix of the path.
    Prefix,
    /// A regular expression over the path.
    Regex,
    /// A header's exact value.
    Header,
}

/// Backends of these weights.
///
/// # Errors
/// Never: the host is fixed.
pub fn backends(weights: &[NonZeroU32]) -> Result<Vec<WeightedBackend>> {
    let host: Host = "shop.production.svc.cluster.local".parse()?;
    let backend = |weight: &NonZeroU32| WeightedBackend {
        backend: Backend::Cluster(ClusterName {
            host: host.clone(),
            port: 80,
            subset: None,
        }),
        weight: *weight,
    };
    Ok(weights.iter().map(backend).collect())
}

/// A policy of `rules` rules of one kind, of which the last one alone covers [`headers`] and the path `/service/<last>/x`.
///
/// # Errors
/// Never: host and expressions are fixed.
pub fn policy(kind: Kind, rules: usize) -> Result<OutboundPolicy> {
    let rule = |index: usize| -> Result<HttpRoute> {
        Ok(HttpRoute {
            name: None,
            matches: Matches::OneOf(vec![block(kind, index, rules)?]),
            action: RouteAction::Forward(backends(&[NonZeroU32::MIN])?),
            timeout: None,
            source: None,
        })
    };
    Ok(OutboundPolicy {
        host: "shop.production.svc.cluster.local".parse()?,
        service: "shop".to_owned(),
        namespace: "production".to_owned(),
        port: 80,
        protocol: Protocol::Http1,
        http: (0..rules).map(rule).collect::<Result<_, _>>()?,
        tcp: Vec::new(),
        sources: Vec::new(),
    })
}

fn block(kind: Kind, index: usize, rules: usize) -> Result<HttpMatch> {
    let uri = |path| HttpMatch {
        uri: Some(UriMatch {
            path,
            ignore_case: false,
        }),
        ..HttpMatch::default()
    };
    Ok(match kind {
        Kind::Prefix => uri(StringMatch::Prefix(format!("/service/{index}/"))),
        Kind::Regex => {
            let expression = format!("/service/{index}/[a-z0-9]+");
            uri(StringMatch::Regex(Pattern::parse(&expression)?))
        }
        Kind::Header => {
            let last = index + 1 == rules;
            let value = if last {
                "beta".to_owned()
            } else {
                format!("other-{index}")
            };
            HttpMatch {
                headers: vec![HeaderMatch {
                    name: "user-type".to_owned(),
                    value: HeaderValueMatch::Value(StringMatch::Exact(value)),
                }],
                ..HttpMatch::default()
            }
        }
    })
}

/// The headers of a browser's request through two services.
#[must_use]
pub fn headers() -> HeaderMap {
    let headers = [
        ("host", "shop"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, br"),
        ("accept-language", "en"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("x-request-id", "5f0c3f6e-6f0f-4a39-8a49-8f0e5c2f7a51"),
        ("cookie", "session=0123456789abcdef"),
        ("user-type", "beta"),
        ("content-type", "application/json"),
    ];
    let of = |(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    headers.into_iter().map(of).collect()
}

/// Members of a cluster: `count` of them, whose weights are all 1 (`spread` 1) or go in turn from 1 to `spread`.
pub fn members(count: u64, spread: u32) -> impl Iterator<Item = Member> {
    let weights = (1..=spread.max(1)).cycle();
    (0..count).zip(weights).map(|(id, weight)| Member {
        id: EndpointId(id),
        weight,
        draining: false,
    })
}
