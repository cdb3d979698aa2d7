//! The one table of replies that the proxy makes itself: fault -> HTTP status, gRPC status, flag, code, remedy.
//!
//! Place: the end of both pipelines. Invariants: a code is stable and documented in `docs/errors.md`; label values and
//! flags come from here, never from `Debug`; a reply to a peer that is not authenticated names no object. What hyper
//! answers itself (400, 414 and 431 to bytes that are no request) has no code.

use crate::{body::Body, error::ProxyError, headers};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use std::fmt::Write as _;

/// Envoy's response flags, as far as they can occur here: what users grep for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Flag {
    /// Nothing to report.
    #[default]
    None,
    /// No route.
    NoRoute,
    /// No such cluster, or no configuration about it.
    NoCluster,
    /// No healthy upstream.
    NoHealthyUpstream,
    /// Upstream connection failure.
    UpstreamFailure,
    /// Upstream connection termination.
    UpstreamConnection,
    /// Upstream request timeout.
    UpstreamTimeout,
    /// Upstream protocol error.
    UpstreamProtocol,
    /// Downstream connection termination.
    DownstreamConnection,
    /// Downstream protocol error.
    DownstreamProtocol,
    /// The destination's name does not resolve.
    DnsFailure,
}

impl Flag {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::NoRoute => "NR",
            Self::NoCluster => "NC",
            Self::NoHealthyUpstream => "UH",
            Self::UpstreamFailure => "UF",
            Self::UpstreamConnection => "UC",
            Self::UpstreamTimeout => "UT",
            Self::UpstreamProtocol => "UPE",
            Self::DownstreamConnection => "DC",
            Self::DownstreamProtocol => "DPE",
            Self::DnsFailure => "DF",
        }
    }
}

/// Statuses of gRPC that the proxy says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Grpc {
    /// DEADLINE_EXCEEDED.
    DeadlineExceeded = 4,
    /// PERMISSION_DENIED.
    PermissionDenied = 7,
    /// UNIMPLEMENTED.
    Unimplemented = 12,
    /// INTERNAL.
    Internal = 13,
    /// UNAVAILABLE.
    Unavailable = 14,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Stable name: header `weft-error`, heading in the error page.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// gRPC status.
    pub grpc: Grpc,
    /// Response flag.
    pub flag: Flag,
    /// What to do, one sentence.
    pub remedy: &'static str,
}

/// The row of a fault.
#[must_use]
pub fn row(error: &ProxyError) -> Row {
    use ProxyError as E;
    match error {
        E::ConfigUnavailable(_) => Row {
            code: "config-unavailable",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::NoCluster,
            remedy: "check that the control plane runs and that this proxy reaches it: its /ready says why not",
        },
        E::RouteNotFound { .. } => Row {
            code: "route-not-found",
            status: 404,
            grpc: Grpc::Unimplemented,
            flag: Flag::NoRoute,
            remedy: "add a rule that matches to the VirtualService of the host, or a last rule without match",
        },
        E::BackendInvalid { .. } => Row {
            code: "backend-invalid",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::NoCluster,
            remedy: "define the subset in a DestinationRule again, or take it out of the VirtualService",
        },
        E::ClusterMissing { .. } => Row {
            code: "cluster-missing",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::NoCluster,
            remedy: "try again; if it stays, compare /config of this proxy with the status of the VirtualService",
        },
        E::NoEndpoints { .. } => Row {
            code: "no-endpoints",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::NoHealthyUpstream,
            remedy: "check that pods of the Service run and are ready, and that the subset's labels select them",
        },
        E::IdentityMissing { .. } => Row {
            code: "identity-missing",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::UpstreamFailure,
            remedy: "give the endpoint a sidecar, or take tls.mode ISTIO_MUTUAL out of the DestinationRule",
        },
        E::NotCertified { .. } => Row {
            code: "not-certified",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::UpstreamFailure,
            remedy: "check that the control plane runs and accepts this workload's token: /ready says why not",
        },
        E::ConnectFailed { .. } => Row {
            code: "connect-failed",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::UpstreamFailure,
            remedy: "check that the instance runs and listens on its declared port",
        },
        E::ConnectTimeout { .. } => Row {
            code: "connect-timeout",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::UpstreamFailure,
            remedy: "check the network between the two, a NetworkPolicy for example, and the load of the instance",
        },
        E::PeerRejected { .. } => Row {
            code: "peer-rejected",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::UpstreamFailure,
            remedy: "check which workload listens at this address, and that both have certificates of one root",
        },
        E::UpstreamClosed { .. } => Row {
            code: "upstream-closed",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::UpstreamConnection,
            remedy: "look at the log of the instance at this time: it crashed, was restarted or closed the connection",
        },
        E::UpstreamInvalid { .. } => Row {
            code: "upstream-invalid",
            status: 502,
            grpc: Grpc::Unavailable,
            flag: Flag::UpstreamProtocol,
            remedy: "declare what the port really speaks, by its name or appProtocol",
        },
        E::RequestTimeout { .. } => Row {
            code: "request-timeout",
            status: 504,
            grpc: Grpc::DeadlineExceeded,
            flag: Flag::UpstreamTimeout,
            remedy: "raise the timeout of the rule that decided, or find out why the instance is slow",
        },
        E::BadAuthority { .. } => Row {
            code: "bad-authority",
            status: 400,
            grpc: Grpc::Internal,
            flag: Flag::DownstreamProtocol,
            remedy: "send exactly one Host header (or :authority) with a host name and, if need be, a port",
        },
        E::ConnectUnsupported => Row {
            code: "connect-unsupported",
            status: 405,
            grpc: Grpc::Unimplemented,
            flag: Flag::DownstreamProtocol,
            remedy: "send CONNECT to the address that http_proxy names, over HTTP/1.1",
        },
        E::LoopDetected { .. } => Row {
            code: "loop-detected",
            status: 508,
            grpc: Grpc::Internal,
            flag: Flag::NoRoute,
            remedy: "address the Service by its name, not the proxy by its own address",
        },
        E::NameUnresolved { .. } => Row {
            code: "name-unresolved",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::DnsFailure,
            remedy: "check the spelling; a Service of the mesh is found as `name` or `name.namespace`",
        },
        E::ProtocolMismatch { .. } => Row {
            code: "protocol-mismatch",
            status: 400,
            grpc: Grpc::Internal,
            flag: Flag::DownstreamProtocol,
            remedy: "name the port for what it speaks (tcp-..., tls-...), or set its appProtocol",
        },
        E::InboundPolicyMissing { .. } => Row {
            code: "inbound-policy-missing",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::NoCluster,
            remedy: "declare the container port in the workload's manifest and check that the control plane runs",
        },
        E::AuthorizationNotEnforced { .. } => Row {
            code: "authorization-not-enforced",
            status: 403,
            grpc: Grpc::PermissionDenied,
            flag: Flag::None,
            remedy: "AuthorizationPolicy is not enforced yet, so what it selects is refused: delete the object",
        },
        E::RequestAuthenticationNotEnforced { .. } => Row {
            code: "request-authentication-not-enforced",
            status: 403,
            grpc: Grpc::PermissionDenied,
            flag: Flag::None,
            remedy: "RequestAuthentication is not enforced yet, so what it selects is refused: delete the object",
        },
        E::AppUnreachable { .. } => Row {
            code: "app-unreachable",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::UpstreamFailure,
            remedy: "check that the application runs and listens on its declared port (on a laptop: $PORT)",
        },
        E::AppClosed { .. } => Row {
            code: "app-closed",
            status: 503,
            grpc: Grpc::Unavailable,
            flag: Flag::UpstreamConnection,
            remedy: "look at the application's log at this time: it crashed or closed the connection early",
        },
    }
}

/// Who reads a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The workload itself or an authenticated peer: the reply says what happened.
    Known,
    /// Anybody: the reply says the code and what to do, and names nothing of the inside.
    Stranger,
}

/// What a reply is made for.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// Who reads it.
    pub audience: Audience,
    /// The request was gRPC: the reply is trailers-only.
    pub grpc: bool,
}

/// Whether a request is gRPC, by its content type.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .strip_prefix(b"application/grpc")
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// The reply.
#[must_use]
pub fn reply(error: &ProxyError, asker: Asker) -> Response<Body> {
    let row = row(error);
    let said = match asker.audience {
        Audience::Known => error.to_string(),
        Audience::Stranger => "the proxy of this workload refused the request".to_owned(),
    };
    let code = HeaderValue::from_static(row.code);
    if asker.grpc {
        let mut response = Response::new(Body::Empty);
        let headers = response.headers_mut();
        headers.insert(headers::ERROR, code);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(headers::GRPC_STATUS, HeaderValue::from(row.grpc as u16));
        let message = percent_encoded(&format!("weft: {said}; {}", row.remedy));
        if let Ok(value) = HeaderValue::try_from(message) {
            headers.insert(headers::GRPC_MESSAGE, value);
        }
        return response;
    }
    let text = format!("weft: {said}\ncode: {}\nremedy: {}\n", row.code, row.remedy);
    let mut response = Response::new(Body::Empty);
    *response.status_mut() =
        StatusCode::from_u16(row.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(headers::ERROR, code);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = Body::Full(Bytes::from(text));
    response
}

/// The reply to bytes that are no HTTP on a port that is declared HTTP: hyper never sees them, so it is written as it is.
#[must_use]
pub fn raw(error: &ProxyError) -> Vec<u8> {
    let row = row(error);
    let body = format!(
        "weft: {error}\ncode: {}\nremedy: {}\n",
        row.code, row.remedy
    );
    let reason = StatusCode::from_u16(row.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    format!(
        "HTTP/1.1 {} {reason}\r\n{}: {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        row.status,
        headers::ERROR,
        row.code,
        body.len(),
    )
    .into_bytes()
}

/// gRPC's `grpc-message` encoding: printable ASCII but `%` stays.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
