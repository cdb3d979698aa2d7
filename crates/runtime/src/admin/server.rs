//! Accepting and answering for the admin server.
//!
//! Place: below [`super::Admin`], which owns the routes. Invariants: at most [`MAX_CONNECTIONS`] at
//! once and [`HEADER_TIMEOUT`] for a head, so that a forgotten client cannot starve a probe; an
//! accept error never ends the loop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::guard;
use super::{Admin, AdminReply, AdminRequest, MAX_BODY_BYTES};
use crate::accept::accept;
use crate::task::Tasks;

/// Connections served at once; more wait in the backlog.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may take to send a head, also between two requests of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn serve(admin: Arc<Admin>, listener: std::net::TcpListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the admin listener cannot be registered");
            return;
        }
    };
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = Tasks::new();
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let (stream, peer) = accept(&listener, "admin").await;
        let admin = Arc::clone(&admin);
        connections.spawn("admin-connection", async move {
            connection(admin, stream, peer).await;
            drop(permit);
        });
    }
}

async fn connection(admin: Arc<Admin>, stream: TcpStream, peer: SocketAddr) {
    // A connection that is gone already is served to its end, which is near.
    let local = stream.local_addr().unwrap_or(peer);
    let service = service_fn(move |request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(answer(&admin, request, peer, local).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, client.addr = %peer, "admin connection ended");
    }
}

async fn answer(
    admin: &Admin,
    request: Request<Incoming>,
    peer: SocketAddr,
    local: SocketAddr,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    if let Some(reply) = guard::refuse(&head, local) {
        return response(reply, is_head);
    }
    let Some(handler) = admin.find(head.uri.path()) else {
        let known: Vec<&str> = admin.routes.keys().map(String::as_str).collect();
        let text = format!("not found; here are: {}\n", known.join(" "));
        return response(AdminReply::text(StatusCode::NOT_FOUND, text), is_head);
    };
    let body = match tokio::time::timeout(BODY_TIMEOUT, collect(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(reply)) => return response(reply, is_head),
        Err(_) => {
            let reply = AdminReply::text(StatusCode::REQUEST_TIMEOUT, "the body did not arrive\n");
            return response(reply, is_head);
        }
    };
    let request = AdminRequest {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        peer,
    };
    response(handler(request).await, is_head)
}

async fn collect(body: Incoming) -> Result<Bytes, AdminReply> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let text = format!("the body is larger than {MAX_BODY_BYTES} bytes\n");
            Err(AdminReply::text(StatusCode::PAYLOAD_TOO_LARGE, text))
        }
        Err(_) => Err(AdminReply::text(
            StatusCode::BAD_REQUEST,
            "the body cannot be read\n",
        )),
    }
}

fn response(reply: AdminReply, is_head: bool) -> Response<Full<Bytes>> {
    let body = if is_head { Bytes::new() } else { reply.body };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = reply.status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(reply.content_type),
    );
    response
}
