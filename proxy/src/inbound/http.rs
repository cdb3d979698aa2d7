//! One inbound request, stage by stage.

use super::Conn;
use crate::{
    body::Body,
    connect::{self, Upgrading, Wire},
    error::ProxyError,
    headers::{self, Upgrade},
    observe::{Exchange, Observed, access_log::Entry},
    outbound::version_name,
    policy::{self, Admission, Arrival},
    respond::{self, Asker, Audience},
};
use http::{Method, Request, Response, StatusCode, Version, request::Parts};
use hyper::body::Incoming;
use std::sync::Arc;
use weft_model::inbound::InboundPolicy;

/// The connection may not be there any more: it ends without a reply.
#[derive(Debug, thiserror::Error)]
#[error("the workload's mode has become STRICT and the connection is plaintext")]
pub(super) struct NotAdmitted;

/// Answers one request.
pub(super) async fn respond(
    conn: Arc<Conn>,
    mut request: Request<Incoming>,
) -> Result<Response<Observed>, NotAdmitted> {
    let proxy = &conn.shard.proxy;
    // policy: as it is now, not as it was when the connection came.
    let policy = proxy.tables.inbound(conn.port);
    let strict = |it: &Arc<InboundPolicy>| {
        policy::admit(it, conn.source.arrival()) == Admission::PlaintextRefused
    };
    if policy.as_ref().is_some_and(strict) {
        proxy.observe.refused_inbound("plaintext");
        tracing::warn!(client.addr = %conn.client, port = conn.port, "plaintext connection closed");
        return Err(NotAdmitted);
    }
    // observe: who calls, as its certificate and its proxy say.
    let workload = proxy.tables.workload();
    let mut exchange = proxy
        .observe
        .begin(workload.as_ref(), request.headers(), || {
            entry(&conn, &request)
        });
    let edge = conn
        .source
        .edge(&proxy.observe, exchange.own(), request.headers_mut());
    exchange.on(edge);
    let forwarded = match admitted(&conn, policy.as_deref(), &request) {
        Ok(()) => forward(&conn, request).await,
        Err(error) => Err(error),
    };
    Ok(match forwarded {
        Ok(connect::Answer { response, lease }) => {
            exchange.head(response.status(), response.headers());
            response.map(|body| Observed::of(Body::from(body), exchange, lease, None))
        }
        Err(error) => refuse(&conn, &error, exchange),
    })
}

/// What policy says of a request.
fn admitted(
    conn: &Conn,
    policy: Option<&InboundPolicy>,
    request: &Request<Incoming>,
) -> Result<(), ProxyError> {
    let Some(policy) = policy else {
        return Err(ProxyError::InboundPolicyMissing { port: conn.port });
    };
    policy::refusal(policy)?;
    match *request.method() {
        Method::CONNECT => Err(ProxyError::ConnectUnsupported),
        _ => Ok(()),
    }
}

async fn forward(
    conn: &Conn,
    mut request: Request<Incoming>,
) -> Result<connect::Answer, ProxyError> {
    let upgrade = Upgrade::of(request.version(), request.headers());
    let client = (upgrade == Upgrade::Asked).then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    // The application gets the HTTP version that its client speaks.
    let wire = wire(conn, &parts, upgrade);
    headers::strip_private(&mut parts.headers);
    let authority = match connect::authority(&parts)? {
        Some(authority) => authority,
        // HTTP/1.0 without a Host: the application is told the address that was dialled.
        None => conn
            .app
            .to_string()
            .parse()
            .map_err(|_| ProxyError::BadAuthority {
                reason: "it names no host".to_owned(),
            })?,
    };
    connect::for_wire(&mut parts, wire, authority, upgrade)?;
    // After the headers that `Connection` lists are gone: a client must not be able to list this one away.
    headers::set_forwarded_client_cert(&mut parts.headers, conn.source.forwarded());
    let request = Request::from_parts(parts, Body::from(body));
    // connect: the application, over a pooled plain connection.
    let application = conn.shard.application(conn.app);
    let mut answer = match client {
        None => connect::send(&conn.shard, &application, wire, request).await?,
        Some(client) => {
            let upgrading = Upgrading {
                client,
                drain: conn.drain.clone(),
            };
            let response =
                connect::send_upgrade(&conn.shard, &application, request, upgrading).await?;
            connect::Answer {
                response,
                lease: connect::Lease::None,
            }
        }
    };
    let switched = answer.response.status() == StatusCode::SWITCHING_PROTOCOLS;
    connect::response(
        &mut answer.response,
        if switched {
            Upgrade::Asked
        } else {
            Upgrade::None
        },
    );
    Ok(answer)
}

fn wire(conn: &Conn, parts: &Parts, upgrade: Upgrade) -> Wire {
    let mesh = conn.source.arrival() == Arrival::Mutual;
    let said_http1 = mesh && parts.headers.contains_key(headers::ORIG_PROTO);
    match (parts.version, upgrade) {
        (Version::HTTP_2, Upgrade::None) if !said_http1 => Wire::Http2,
        _ => Wire::Http1,
    }
}

/// The reply to a request that does not reach the application.
fn refuse(conn: &Conn, error: &ProxyError, mut exchange: Exchange) -> Response<Observed> {
    let row = respond::row(error);
    exchange.replied(&row);
    exchange.note(|entry| {
        entry.error = Some(error.to_string());
        if let ProxyError::AuthorizationNotEnforced { source_ref }
        | ProxyError::RequestAuthenticationNotEnforced { source_ref } = error
        {
            entry.sources = vec![source_ref.to_string()];
        }
    });
    tracing::debug!(%error, code = row.code, "request answered by the proxy");
    let audience = match conn.source.arrival() {
        Arrival::Mutual => Audience::Known,
        Arrival::Plaintext => Audience::Stranger,
    };
    let asker = Asker {
        audience,
        grpc: exchange.is_grpc(),
    };
    respond::reply(error, asker)
        .map(|body| Observed::of(body, exchange, connect::Lease::None, None))
}

fn entry(conn: &Conn, request: &Request<Incoming>) -> Entry {
    let view = weft_traffic::Request::new(request.method(), request.uri(), request.headers());
    let said_http1 = request.headers().contains_key(headers::ORIG_PROTO)
        && conn.source.arrival() == Arrival::Mutual;
    Entry {
        side: "inbound",
        method: view.method.to_owned(),
        path: request
            .uri()
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        authority: view.authority.to_owned(),
        version: match said_http1 {
            true => version_name(Version::HTTP_11),
            false => version_name(request.version()),
        },
        peer: conn
            .source
            .identity()
            .map(|peer| peer.id.as_str().to_owned()),
        upstream: Some(conn.app),
        ..Entry::default()
    }
}
