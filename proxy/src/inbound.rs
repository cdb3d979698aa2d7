//! The inbound side: from a peer's connection to the application beside this proxy, stage by stage.
//!
//! accept (which port is it for) -> policy (what is its mode) -> detect (mesh TLS, the application's own TLS, plaintext) ->
//! identity (exactly one SPIFFE id of a trusted domain) -> policy (may it be here) -> connect (the application) -> observe.
//! Every refusal is counted (`weft_inbound_refused_total`) and logged. Nothing is dialled before policy has spoken.

mod http;
mod source;
mod tcp;

use crate::{
    accept::{InboundAcceptor, Limits, accept_each, original_destination, serve_h1, serve_h2},
    connect::{Prefixed, reset},
    detect::{self, Hello, Kind, Look},
    error::ProxyError,
    policy::{self, Admission, Arrival},
    respond,
    shard::Shard,
};
use bytes::{Bytes, BytesMut};
use hyper::service::service_fn;
use source::Source;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use weft_identity::{alpn::Alpn, handshake, refusal::HandshakeFailure, store::ClientAuth};
use weft_model::{
    inbound::{InboundPolicy, MtlsMode},
    limits,
    protocol::Protocol,
};
use weft_runtime::drain::{DrainGuard, DrainWatch};

/// Bound on a handshake: a peer that is slower has given up itself.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the first byte may take where the port is declared to speak HTTP.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What is known of one connection.
#[derive(Debug)]
struct Conn {
    shard: Arc<Shard>,
    /// The container port, as policy calls it.
    port: u16,
    /// Where the application listens.
    app: SocketAddr,
    client: SocketAddr,
    drain: DrainWatch,
    source: Source,
}

/// Serves an inbound listener on one shard until the drain begins. Connections in progress go on by themselves and hold the
/// drain open.
pub async fn serve(
    listener: TcpListener,
    acceptor: InboundAcceptor,
    shard: Arc<Shard>,
    drain: DrainWatch,
) {
    accept_each(listener, &drain, |stream, client| {
        let (port, app) = match &acceptor {
            InboundAcceptor::Port(it) => (it.port, it.app),
            InboundAcceptor::Redirect => match redirected(&stream, &shard) {
                Ok(address) => (address.port(), address),
                Err(error) => {
                    tracing::warn!(client.addr = %client, %error, "not a redirected connection");
                    return reset(stream);
                }
            },
        };
        let accepted = Accepted {
            shard: Arc::clone(&shard),
            port,
            app,
            client,
        };
        let guard = drain.guard();
        weft_runtime::task::spawn("inbound-connection", async move {
            if let Err(error) = connection(accepted, stream, guard).await {
                tracing::debug!(client.addr = %client, %error, "inbound connection ended");
            }
        });
    })
    .await;
}

/// The original destination; never this proxy itself.
fn redirected(stream: &TcpStream, shard: &Shard) -> io::Result<SocketAddr> {
    let address = original_destination(stream)?;
    if address == stream.local_addr()? || shard.proxy.is_own(address) {
        return Err(io::Error::other("its destination is this proxy itself"));
    }
    Ok(address)
}

struct Accepted {
    shard: Arc<Shard>,
    port: u16,
    app: SocketAddr,
    client: SocketAddr,
}

impl Accepted {
    /// Counts, logs, resets.
    fn refuse(&self, stream: TcpStream, reason: &'static str, detail: &str) {
        self.shard.proxy.observe.refused_inbound(reason);
        tracing::warn!(
            client.addr = %self.client,
            port = self.port,
            reason,
            detail,
            "inbound connection refused"
        );
        reset(stream);
    }

    fn conn(self, drain: &DrainWatch, source: Source) -> Arc<Conn> {
        let Self {
            shard,
            port,
            app,
            client,
        } = self;
        Arc::new(Conn {
            shard,
            port,
            app,
            client,
            drain: drain.clone(),
            source,
        })
    }
}

/// One connection, until it ends.
async fn connection(it: Accepted, mut stream: TcpStream, guard: DrainGuard) -> io::Result<()> {
    // policy: without one nothing is admitted.
    let Some(policy) = known_policy(&it).await else {
        it.refuse(
            stream,
            "no_policy",
            "the control plane has said nothing about this port",
        );
        return Ok(());
    };
    // detect: TLS or not, and whose.
    let Some(first) = guard
        .watch()
        .until_signaled(detect::first(&mut stream, silence(&policy), look(&policy)))
        .await
    else {
        return Ok(());
    };
    let detect::First { mut bytes, kind } = first?;
    let hello = match kind {
        Kind::Tls => detect::whole_hello(&mut stream, &mut bytes, HANDSHAKE).await?,
        Kind::Closed => return Ok(()),
        _ => Hello::Application,
    };
    if hello == Hello::Mesh {
        // A mesh ALPN beats any declaration.
        return mutual(it, Prefixed::new(bytes.freeze(), stream), guard).await;
    }
    // policy: plaintext, or the application's own TLS, may not be there under STRICT.
    if policy::admit(&policy, Arrival::Plaintext) == Admission::PlaintextRefused {
        let (reason, detail) = match kind {
            Kind::Tls => ("foreign_tls", "TLS that is not the mesh's, under STRICT"),
            Kind::Silent => ("silent", "no ClientHello in time, under STRICT"),
            _ => ("plaintext", "plaintext under STRICT"),
        };
        it.refuse(stream, reason, detail);
        return Ok(());
    }
    plaintext(it, stream, bytes, kind, &policy, guard).await
}

/// The policy of the port; right after the start it may still be on its way.
async fn known_policy(it: &Accepted) -> Option<Arc<InboundPolicy>> {
    let tables = &it.shard.proxy.tables;
    if let Some(policy) = tables.inbound(it.port) {
        return Some(policy);
    }
    let mut changes = tables.changes();
    let known = async {
        loop {
            if let Some(policy) = tables.inbound(it.port) {
                return Some(policy);
            }
            changes.changed().await.ok()?;
        }
    };
    tokio::time::timeout(limits::DISCOVERY_WAIT, known)
        .await
        .ok()
        .flatten()
}

/// How long nothing may come before that means something.
fn silence(policy: &InboundPolicy) -> Duration {
    match (policy.mtls, policy.protocol.is_http()) {
        (MtlsMode::Strict, _) => HANDSHAKE,
        (MtlsMode::Permissive | MtlsMode::Disable, true) => PATIENCE,
        (MtlsMode::Permissive | MtlsMode::Disable, false) => limits::DETECT_SILENCE,
    }
}

fn look(policy: &InboundPolicy) -> Look {
    match policy.protocol {
        Protocol::Opaque | Protocol::Tls => Look::ForTls,
        Protocol::Http1 | Protocol::Http2 | Protocol::Grpc | Protocol::Detect => Look::ForAll,
    }
}

/// A peer's sidecar: who is it, and what does it carry.
async fn mutual(it: Accepted, stream: Prefixed<TcpStream>, guard: DrainGuard) -> io::Result<()> {
    let observe = &it.shard.proxy.observe;
    let refused = |label: &'static str, detail: &str| {
        observe.refused_inbound(label);
        tracing::warn!(
            client.addr = %it.client,
            port = it.port,
            reason = label,
            detail,
            "mutual TLS of a client refused"
        );
    };
    let config = match it
        .shard
        .proxy
        .identity
        .server_config(Alpn::MESH, ClientAuth::Required)
    {
        Ok(config) => config,
        Err(not_yet) => {
            refused("not_certified", &not_yet.to_string());
            reset(stream.into_parts().1);
            return Ok(());
        }
    };
    let accepted = match tokio::time::timeout(HANDSHAKE, handshake::accept(config, stream)).await {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(failure)) => {
            let detail = match &failure {
                HandshakeFailure::Refused(refusal) => refusal.to_string(),
                other => other.to_string(),
            };
            refused(failure.label(), &detail);
            return Ok(());
        }
        Err(_) => {
            refused("handshake_timeout", "the handshake took too long");
            return Ok(());
        }
    };
    let (Some(peer), Some(alpn)) = (accepted.peer, accepted.alpn) else {
        refused(
            "no_certificate",
            "the client named no certificate or no protocol",
        );
        return Ok(());
    };
    observe.handshakes.inbound.inc();
    let conn = it.conn(guard.watch(), Source::peer(peer));
    match alpn {
        Alpn::MeshH2 => http2(conn, accepted.stream, Limits::MESH, guard).await,
        Alpn::MeshH1 => http1(conn, accepted.stream, guard).await,
        Alpn::MeshTcp => return tcp::forward(&conn, accepted.stream).await,
        Alpn::Control => {}
    }
    Ok(())
}

/// A client without a sidecar, where such may come.
async fn plaintext(
    it: Accepted,
    mut stream: TcpStream,
    bytes: BytesMut,
    kind: Kind,
    policy: &InboundPolicy,
    guard: DrainGuard,
) -> io::Result<()> {
    let declared = policy.protocol;
    let opaque = matches!(declared, Protocol::Opaque | Protocol::Tls);
    let conn = it.conn(guard.watch(), Source::stranger());
    match kind {
        Kind::Closed => {}
        Kind::Silent if declared.is_http() => {}
        // Nobody spoke within the time of detection: the application may be the one to begin.
        Kind::Silent => {
            let spoke = tcp::whoever_speaks_first(&conn, &mut stream, look(policy)).await?;
            let bytes = match spoke {
                tcp::Spoke::Client(first) => first,
                tcp::Spoke::Server(open) => return tcp::join(&conn, stream, open).await,
                tcp::Spoke::Nobody => return Ok(()),
            };
            // A ClientHello may come late, too; the first bytes are looked at as those of a new connection.
            return Box::pin(late(conn, stream, bytes, policy, guard)).await;
        }
        _ if opaque => return tcp::forward(&conn, replayed(bytes, stream)).await,
        Kind::Tls => return tcp::forward(&conn, replayed(bytes, stream)).await,
        Kind::Http1 => http1(conn, replayed(bytes, stream), guard).await,
        Kind::Http2 => http2(conn, replayed(bytes, stream), Limits::APPLICATION, guard).await,
        Kind::Partial if declared.is_http() => http1(conn, replayed(bytes, stream), guard).await,
        Kind::Opaque | Kind::Partial if declared.is_http() => {
            let error = ProxyError::ProtocolMismatch { port: conn.port };
            stream.write_all(&respond::raw(&error)).await?;
            stream.shutdown().await?;
        }
        Kind::Opaque | Kind::Partial => {
            return tcp::forward(&conn, replayed(bytes, stream)).await;
        }
    }
    Ok(())
}

/// As [`connection`], for a client that was silent at first.
async fn late(
    conn: Arc<Conn>,
    mut stream: TcpStream,
    first: detect::First,
    policy: &InboundPolicy,
    guard: DrainGuard,
) -> io::Result<()> {
    let detect::First { mut bytes, kind } = first;
    let it = Accepted {
        shard: Arc::clone(&conn.shard),
        port: conn.port,
        app: conn.app,
        client: conn.client,
    };
    if kind == Kind::Tls
        && detect::whole_hello(&mut stream, &mut bytes, HANDSHAKE).await? == Hello::Mesh
    {
        return mutual(it, Prefixed::new(bytes.freeze(), stream), guard).await;
    }
    plaintext(it, stream, bytes, kind, policy, guard).await
}

fn replayed(bytes: BytesMut, stream: TcpStream) -> Prefixed<TcpStream> {
    Prefixed::new(Bytes::from(bytes), stream)
}

async fn http1<I>(conn: Arc<Conn>, stream: I, guard: DrainGuard)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| http::respond(Arc::clone(&conn), request));
    serve_h1(stream, service, guard).await;
}

async fn http2<I>(conn: Arc<Conn>, stream: I, limits: Limits, guard: DrainGuard)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| http::respond(Arc::clone(&conn), request));
    serve_h2(stream, service, limits, guard).await;
}
