//! The outbound side: from an application's connection to a peer's sidecar, stage by stage.
//!
//! accept (where was it meant to go) -> detect (what does it speak) -> route (whose policy, which rule, which backend) ->
//! policy (until when) -> balance (which endpoint) -> connect (pooled, mutual TLS) -> observe (counted once, when it ends).
//! The stages of a connection are here, those of a request in `outbound/http.rs`, those of opaque bytes in `outbound/tcp.rs`.

mod http;
mod place;
mod speculate;
mod tcp;

use crate::{
    accept::{Acceptor, Limits, accept_each, original_destination, serve_h1, serve_h2},
    connect::{Prefixed, reset},
    detect::{self, Kind, Look},
    error::ProxyError,
    respond,
    route::{Destination, Target},
    shard::Shard,
};
use bytes::Bytes;
use hyper::service::service_fn;
use parking_lot::Mutex;
use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use weft_model::{limits, protocol::Protocol, resource::Name};
use weft_runtime::drain::{DrainGuard, DrainWatch};

/// An application's connection, as it comes from the socket or out of a CONNECT.
pub(crate) use http::version_name;

type Stream = Prefixed<TcpStream>;

/// How long the first byte of a connection may take where silence means nothing: its protocol is known.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What is known of one connection.
#[derive(Debug)]
struct Conn {
    shard: Arc<Shard>,
    target: Target,
    drain: DrainWatch,
    /// The last authority asked for and its name: an application repeats itself.
    last: Mutex<Option<Name>>,
}

/// Serves an outbound listener on one shard until the drain begins. Connections in progress go on by themselves and hold
/// the drain open.
pub async fn serve(
    listener: TcpListener,
    acceptor: Acceptor,
    shard: Arc<Shard>,
    drain: DrainWatch,
) {
    accept_each(listener, &drain, |stream, client| {
        let target = match &acceptor {
            Acceptor::Explicit => Target::EachRequest,
            Acceptor::Service { host, port } => Target::service(host, *port),
            Acceptor::Redirect => match original_destination(&stream) {
                Ok(address) => Target::Address(address),
                Err(error) => {
                    tracing::warn!(client.addr = %client, %error, "not a redirected connection");
                    return reset(stream);
                }
            },
        };
        start(
            &shard,
            target,
            Prefixed::new(Bytes::new(), stream),
            drain.guard(),
        );
    })
    .await;
}

/// Starts a connection's own task.
fn start(shard: &Arc<Shard>, target: Target, stream: Stream, guard: DrainGuard) {
    let conn = Conn {
        shard: Arc::clone(shard),
        target,
        drain: guard.watch().clone(),
        last: Mutex::new(None),
    };
    weft_runtime::task::spawn("outbound-connection", boxed(Arc::new(conn), stream, guard));
}

/// The connection's future, boxed: a CONNECT starts another connection from inside of one, and a type cannot contain
/// itself.
fn boxed(
    conn: Arc<Conn>,
    stream: Stream,
    guard: DrainGuard,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if let Err(error) = connection(conn, stream, guard).await {
            tracing::debug!(%error, "outbound connection ended");
        }
    })
}

/// One connection, until it ends.
async fn connection(conn: Arc<Conn>, mut stream: Stream, guard: DrainGuard) -> io::Result<()> {
    // accept: what the address says, before anything is read. A proxy listener learns it from each request.
    let destination = match conn.target.destination(&conn.shard.proxy).await {
        Ok(destination) => destination,
        Err(error) => return refuse(stream, &error).await,
    };
    // detect: the declaration first; bytes are looked at only as far as it leaves something open.
    let declared = match &destination {
        None => Protocol::Http1,
        Some(Destination::Mesh(policy)) => policy.protocol,
        Some(Destination::Outside(_)) => Protocol::Detect,
    };
    let silence = match declared {
        Protocol::Opaque | Protocol::Tls => {
            return match destination {
                Some(destination) => tcp::forward(&conn, stream, destination, None).await,
                None => Ok(()),
            };
        }
        Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => PATIENCE,
        Protocol::Detect => limits::DETECT_SILENCE,
    };
    let Some(first) = conn
        .drain
        .until_signaled(detect::first(&mut stream, silence, Look::ForAll))
        .await
    else {
        return Ok(());
    };
    let mut first = first?;
    let mut dialled = None;
    if let (Kind::Silent, Some(destination)) = (first.kind, &destination) {
        // Nobody spoke: dial on, and whoever speaks first decides.
        match speculate::whoever_speaks_first(&conn, &mut stream, destination).await? {
            speculate::Spoke::Client(spoken, open) => (first, dialled) = (spoken, open),
            speculate::Spoke::Server(open) => return tcp::join(&conn, stream, open).await,
            speculate::Spoke::Nobody => return Ok(()),
        }
    }
    let kind = first.kind;
    let stream = replayed(first.bytes.freeze(), stream);
    match (kind, destination) {
        (Kind::Http1, _) => http1(conn, stream, guard).await,
        (Kind::Partial, _) if declared.is_http() => http1(conn, stream, guard).await,
        (Kind::Http2, _) => http2(conn, stream, guard).await,
        (Kind::Closed | Kind::Silent, _) => {}
        (Kind::Tls, Some(destination)) => {
            return tcp::forward(&conn, stream, destination, dialled).await;
        }
        (Kind::Opaque | Kind::Partial, Some(destination)) if !declared.is_http() => {
            return tcp::forward(&conn, stream, destination, dialled).await;
        }
        // Declared HTTP (or the proxy's own protocol), and other bytes.
        (Kind::Tls | Kind::Opaque | Kind::Partial, destination) => {
            let port = match destination {
                Some(Destination::Mesh(policy)) => policy.port,
                _ => stream.inner().local_addr()?.port(),
            };
            let mut stream = stream;
            stream
                .write_all(&respond::raw(&ProxyError::ProtocolMismatch { port }))
                .await?;
            stream.shutdown().await?;
        }
    }
    Ok(())
}

/// The connection from its beginning.
fn replayed(read: Bytes, stream: Stream) -> Stream {
    let (rest, inner) = stream.into_parts();
    if rest.is_empty() {
        return Prefixed::new(read, inner);
    }
    let mut whole = bytes::BytesMut::from(read);
    whole.extend_from_slice(&rest);
    Prefixed::new(whole.freeze(), inner)
}

async fn http1(conn: Arc<Conn>, stream: Stream, guard: DrainGuard) {
    let service = service_fn(move |request| http::respond(Arc::clone(&conn), request));
    serve_h1(stream, service, guard).await;
}

async fn http2(conn: Arc<Conn>, stream: Stream, guard: DrainGuard) {
    let service = service_fn(move |request| http::respond(Arc::clone(&conn), request));
    serve_h2(stream, service, Limits::APPLICATION, guard).await;
}

/// Nothing can be done with the connection as a whole. A client that speaks HTTP/1 is told, any other sees it closed.
async fn refuse(mut stream: Stream, error: &ProxyError) -> io::Result<()> {
    tracing::warn!(%error, code = respond::row(error).code, "outbound connection refused");
    let first = detect::first(&mut stream, limits::DETECT_SILENCE, Look::ForAll).await?;
    if first.kind == Kind::Http1 {
        stream.write_all(&respond::raw(error)).await?;
        return stream.shutdown().await;
    }
    reset(stream.into_parts().1);
    Ok(())
}
