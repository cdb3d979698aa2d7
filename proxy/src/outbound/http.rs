//! One outbound request, stage by stage.

use super::{Conn, place, start};
use crate::{
    body::Body,
    connect::{self, Prefixed, Upgrading, Upstream, Wire},
    error::ProxyError,
    headers::{self, Upgrade},
    observe::{Exchange, Observed, access_log::Entry, labels::Service},
    policy::{self, Deadline},
    respond::{self, Asker, Audience},
    route::{self, Decision, Destination, Target, authority_name},
};
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version, request::Parts, uri::Authority,
};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, sync::Arc};
use tokio::net::TcpStream;
use weft_model::{resource::Name, route::OutboundPolicy};

/// Answers one request, whatever happens.
pub(super) async fn respond(
    conn: Arc<Conn>,
    request: Request<Incoming>,
) -> Result<Response<Observed>, Infallible> {
    if request.method() == Method::CONNECT {
        return Ok(tunnel(&conn, request));
    }
    let proxy = &conn.shard.proxy;
    let workload = proxy.tables.workload();
    let mut exchange = proxy
        .observe
        .begin(workload.as_ref(), request.headers(), || entry(&request));
    let answered = forward(&conn, request, &mut exchange).await;
    Ok(match answered {
        Ok(Forwarded {
            response,
            lease,
            deadline,
        }) => {
            exchange.head(response.status(), response.headers());
            response.map(|body| Observed::of(Body::from(body), exchange, lease, deadline))
        }
        Err(error) => refuse(&conn, &error, exchange),
    })
}

/// An upstream's response.
struct Forwarded {
    response: Response<Incoming>,
    lease: connect::Lease,
    deadline: Option<Deadline>,
}

/// Where one request goes, once everything is decided.
struct Chosen {
    upstream: Arc<Upstream>,
    deadline: Option<Deadline>,
    /// What the peer's proxy is told about this workload.
    said: Option<HeaderValue>,
}

async fn forward(
    conn: &Conn,
    mut request: Request<Incoming>,
    exchange: &mut Exchange,
) -> Result<Forwarded, ProxyError> {
    let upgrade = Upgrade::of(request.version(), request.headers());
    let client = (upgrade == Upgrade::Asked).then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    // What only the mesh may say is not for an application to say.
    headers::strip_private(&mut parts.headers);

    let authority = connect::authority(&parts)?;
    // route: original destination first, the authority where the address says nothing.
    let destination = destination(conn, authority.as_ref()).await?;
    let (chosen, authority) = match destination {
        Destination::Mesh(policy) => {
            let chosen = in_mesh(conn, &parts, &policy, exchange)?;
            // A client that names no host (HTTP/1.0) means the Service whose listener it dialled.
            let named = || format!("{}:{}", policy.host, policy.port).parse().ok();
            (chosen, authority.or_else(named))
        }
        Destination::Outside(outside) => {
            let observe = &conn.shard.proxy.observe;
            exchange.on(observe.to_service(exchange.own(), Service::outside()));
            let upstream = place::outside(&conn.shard, &outside).await?;
            let chosen = Chosen {
                upstream,
                deadline: None,
                said: None,
            };
            (chosen, authority)
        }
    };
    let Chosen {
        upstream,
        deadline,
        said,
    } = chosen;
    let authority = authority.ok_or_else(|| ProxyError::BadAuthority {
        reason: "it names no host".to_owned(),
    })?;
    exchange.note(|entry| entry.upstream = Some(upstream.address));

    // connect: between sidecars HTTP of any version rides HTTP/2, an upgrade its own HTTP/1 connection.
    let version = parts.version;
    let wire = wire(&upstream, version, upgrade);
    headers::strip_proxy(&mut parts.headers);
    connect::for_wire(&mut parts, wire, authority, upgrade)?;
    // Last, so that no `Connection` header of the application can name and remove these.
    if let Some(said) = said {
        parts.headers.insert(headers::PEER, said);
        if version != Version::HTTP_2 {
            parts
                .headers
                .insert(headers::ORIG_PROTO, headers::ORIG_HTTP1);
        }
    }
    let request = Request::from_parts(parts, Body::from(body));
    let sending = async {
        match client {
            None => connect::send(&conn.shard, &upstream, wire, request).await,
            Some(client) => {
                let upgrading = Upgrading {
                    client,
                    drain: conn.drain.clone(),
                };
                let response =
                    connect::send_upgrade(&conn.shard, &upstream, request, upgrading).await?;
                Ok(connect::Answer {
                    response,
                    lease: connect::Lease::None,
                })
            }
        }
    };
    let answer = match deadline {
        None => sending.await?,
        Some(deadline) => tokio::time::timeout_at(deadline.at, sending)
            .await
            .unwrap_or(Err(ProxyError::RequestTimeout {
                after: deadline.after,
            }))?,
    };
    let mut response = answer.response;
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    connect::response(
        &mut response,
        if switched {
            Upgrade::Asked
        } else {
            Upgrade::None
        },
    );
    Ok(Forwarded {
        response,
        lease: answer.lease,
        deadline,
    })
}

/// The stages between a Service's policy and one of its endpoints.
fn in_mesh(
    conn: &Conn,
    parts: &Parts,
    policy: &Arc<OutboundPolicy>,
    exchange: &mut Exchange,
) -> Result<Chosen, ProxyError> {
    let proxy = &conn.shard.proxy;
    let decision = route::http(&proxy.tables, Arc::clone(policy), parts).inspect_err(|_| {
        let service = Service::of(&policy.host);
        exchange.on(proxy.observe.to_service(exchange.own(), service));
        exchange
            .note(|entry| entry.sources = policy.sources.iter().map(ToString::to_string).collect());
    })?;
    note(exchange, &decision);
    // policy: how long the whole request may take.
    let deadline = decision
        .route()
        .and_then(|route| policy::deadline(route, exchange.started()));
    // balance: one endpoint, which has this request in flight from now on.
    let host = &decision.cluster.cluster.name.host;
    let picked = decision.cluster.pick().inspect_err(|_| {
        exchange.on(proxy.observe.to_service(exchange.own(), Service::of(host)));
    })?;
    exchange.carry(picked.load);
    let endpoint = picked.endpoint;
    // observe: between whom it is, found once per endpoint.
    let (edge, peer) = proxy.observe.outbound(exchange.own(), host, &endpoint);
    exchange.on(edge);
    exchange.note(|entry| {
        entry.instance = Some(endpoint.endpoint.instance.clone());
        entry.peer = endpoint
            .upstream
            .peer
            .as_ref()
            .map(|id| id.as_str().to_owned());
    });
    Ok(Chosen {
        upstream: Arc::clone(&endpoint.upstream),
        deadline,
        said: endpoint.upstream.peer.is_some().then_some(peer),
    })
}

async fn destination(
    conn: &Conn,
    authority: Option<&Authority>,
) -> Result<Destination, ProxyError> {
    let proxy = &conn.shard.proxy;
    let (Target::EachRequest, Some(authority)) = (&conn.target, authority) else {
        return conn.target.of_request(proxy, authority).await;
    };
    // An application repeats itself: the name it asked for last is kept, so that no text is made anew for each request.
    let name = {
        let mut last = conn.last.lock();
        match &*last {
            Some(name) if same(name, authority) => name.clone(),
            _ => last.insert(authority_name(authority)).clone(),
        }
    };
    Target::Named(name)
        .destination(proxy)
        .await?
        .ok_or_else(|| ProxyError::BadAuthority {
            reason: "it names no destination".to_owned(),
        })
}

fn same(name: &Name, authority: &Authority) -> bool {
    matches!(name, Name::Authority { host, port }
        if host == authority.host() && Some(*port) == authority.port_u16().or(Some(80)))
}

fn wire(upstream: &Upstream, version: Version, upgrade: Upgrade) -> Wire {
    match (&upstream.peer, upgrade, version) {
        (_, Upgrade::Asked, _) => Wire::Http1,
        (Some(_), Upgrade::None, _) | (None, Upgrade::None, Version::HTTP_2) => Wire::Http2,
        (None, Upgrade::None, _) => Wire::Http1,
    }
}

/// The reply to a request that cannot be forwarded.
fn refuse(conn: &Conn, error: &ProxyError, mut exchange: Exchange) -> Response<Observed> {
    let row = respond::row(error);
    if !exchange.has_edge() {
        // Refused before it was known where it goes.
        let observe = &conn.shard.proxy.observe;
        exchange.on(observe.to_service(exchange.own(), Service::default()));
    }
    exchange.replied(&row);
    exchange.note(|entry| entry.error = Some(error.to_string()));
    tracing::debug!(%error, code = row.code, "request answered by the proxy");
    // The application beside this proxy is the one that asks: it may know what happened.
    let asker = Asker {
        audience: Audience::Known,
        grpc: exchange.is_grpc(),
    };
    respond::reply(error, asker)
        .map(|body| Observed::of(body, exchange, connect::Lease::None, None))
}

fn note(exchange: &mut Exchange, decision: &Decision) {
    exchange.note(|entry| {
        entry.route = decision.route_name();
        entry.cluster = Some(decision.cluster.cluster.name.to_string());
        entry.sources = decision.sources().map(ToString::to_string).collect();
    });
}

/// CONNECT: what follows is a connection like any other, to the authority that was named. It is not counted itself; what
/// it carries is.
fn tunnel(conn: &Arc<Conn>, mut request: Request<Incoming>) -> Response<Observed> {
    let authority = match (&conn.target, request.uri().authority(), request.version()) {
        (Target::EachRequest, Some(authority), Version::HTTP_11 | Version::HTTP_10) => {
            authority.clone()
        }
        _ => {
            let asker = Asker {
                audience: Audience::Known,
                grpc: false,
            };
            return respond::reply(&ProxyError::ConnectUnsupported, asker).map(Observed::bare);
        }
    };
    let client = hyper::upgrade::on(&mut request);
    let conn = Arc::clone(conn);
    let guard = conn.drain.guard();
    weft_runtime::task::spawn("outbound-connect", async move {
        let Ok(upgraded) = client.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Prefixed<TcpStream>>>() else {
            return;
        };
        let stream = super::replayed(parts.read_buf, parts.io.into_inner());
        start(
            &conn.shard,
            Target::Named(authority_name(&authority)),
            stream,
            guard,
        );
    });
    Response::new(Observed::bare(Body::Empty))
}

fn entry(request: &Request<Incoming>) -> Entry {
    let view = weft_traffic::Request::new(request.method(), request.uri(), request.headers());
    Entry {
        side: "outbound",
        method: view.method.to_owned(),
        path: request
            .uri()
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        authority: view.authority.to_owned(),
        version: version_name(request.version()),
        ..Entry::default()
    }
}

/// The version's name.
pub(crate) fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP",
    }
}
