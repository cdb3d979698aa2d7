//! HTTP connections that this proxy opens: handshakes with the mesh's limits, and what is known of one that is open.

use super::{
    io::Transport,
    tls,
    upstream::{Role, Upstream},
};
use crate::{
    accept::HEAD_MAX_BYTES,
    body::Body,
    error::ProxyError,
    shard::{Executor, Shard},
};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use weft_identity::alpn::Alpn;
use weft_model::limits;

/// Share of the peer's stream limit, in percent, at which another connection is opened.
const FULL_PERCENT: usize = 80;

/// An HTTP/2 connection of the pool.
#[derive(Debug)]
pub(super) struct H2 {
    send: http2::SendRequest<Body>,
    /// Version of the certificate that it was made with; 0 for plaintext.
    pub(super) version: u64,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    streams: AtomicUsize,
    limit: AtomicUsize,
    ended: AtomicBool,
    /// Why it ended, once it has with an error.
    error: OnceLock<String>,
}

impl H2 {
    /// Sends one more request.
    pub(super) fn sender(&self) -> (http2::SendRequest<Body>, Stream) {
        self.shared.streams.fetch_add(1, Ordering::Relaxed);
        (self.send.clone(), Stream(Arc::clone(&self.shared)))
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.shared.ended.load(Ordering::Relaxed) && !self.send.is_closed()
    }

    pub(super) fn streams(&self) -> usize {
        self.shared.streams.load(Ordering::Relaxed)
    }

    pub(super) fn has_room(&self) -> bool {
        let limit = self.shared.limit.load(Ordering::Relaxed);
        self.streams() < limit.saturating_mul(FULL_PERCENT) / 100
    }

    /// Why it ended, if it has with an error.
    pub(super) fn error(&self) -> Option<&str> {
        self.shared.error.get().map(String::as_str)
    }
}

/// A stream in use; the connection counts it until this is dropped.
#[derive(Debug)]
pub struct Stream(Arc<Shared>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An HTTP/1 connection that serves one exchange at a time.
#[derive(Debug)]
pub struct Http1 {
    pub(super) send: http1::SendRequest<Body>,
    /// Version of the certificate that it was made with; 0 for plaintext.
    pub(super) version: u64,
}

impl Http1 {
    pub(super) fn is_closed(&self) -> bool {
        self.send.is_closed()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.send.is_ready()
    }

    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        self.send.ready().await
    }
}

/// Opens an HTTP/2 connection: mutual TLS to a peer with an identity, else prior knowledge.
pub(super) async fn connect_h2(
    shard: &Arc<Shard>,
    upstream: &Arc<Upstream>,
) -> Result<H2, ProxyError> {
    let version = shard.certificate_version(upstream);
    let transport = tls::connect(shard, upstream, Alpn::MeshH2).await?;
    let meshed = matches!(transport, Transport::Tls(_));
    let mut builder = http2::Builder::new(Executor);
    let (window, connection_window, streams) = if meshed {
        (
            limits::MESH_H2_STREAM_WINDOW_BYTES,
            limits::MESH_H2_CONNECTION_WINDOW_BYTES,
            limits::MESH_H2_STREAMS,
        )
    } else {
        (
            limits::APP_H2_STREAM_WINDOW_BYTES,
            limits::APP_H2_CONNECTION_WINDOW_BYTES,
            limits::APP_H2_STREAMS,
        )
    };
    let streams = usize::try_from(streams).unwrap_or(usize::MAX);
    builder
        .initial_stream_window_size(window)
        .initial_connection_window_size(connection_window)
        .initial_max_send_streams(streams)
        .max_header_list_size(HEAD_MAX_BYTES)
        .adaptive_window(false);
    let (send, connection) = builder
        .handshake(TokioIo::new(transport))
        .await
        .map_err(|error| closed(upstream, &error))?;
    let shared = Arc::new(Shared {
        streams: AtomicUsize::new(0),
        limit: AtomicUsize::new(streams),
        ended: AtomicBool::new(false),
        error: OnceLock::new(),
    });
    let drive = Drive {
        connection,
        shared: Arc::clone(&shared),
    };
    let (shard, upstream) = (Arc::clone(shard), Arc::clone(upstream));
    weft_runtime::task::spawn("h2-client", async move {
        if let Err(error) = drive.await {
            tls::note_late_refusal(&shard, &upstream, &error);
        }
    });
    Ok(H2 {
        send,
        version,
        shared,
    })
}

/// Opens an HTTP/1 connection for the pool: plaintext, since between sidecars HTTP/1 rides HTTP/2.
pub(super) async fn connect_h1(
    shard: &Arc<Shard>,
    upstream: &Arc<Upstream>,
) -> Result<Http1, ProxyError> {
    let version = shard.certificate_version(upstream);
    let transport = tls::connect(shard, upstream, Alpn::MeshH1).await?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(limits::HTTP1_MAX_BUFFER_BYTES);
    let (send, connection) = builder
        .handshake(TokioIo::new(transport))
        .await
        .map_err(|error| closed(upstream, &error))?;
    weft_runtime::task::spawn("h1-client", async move {
        // What goes wrong reaches the request in flight; with none in flight nobody is concerned.
        let _ = connection.with_upgrades().await;
    });
    Ok(Http1 { send, version })
}

/// What the end of a connection before a response means.
pub(super) fn closed(upstream: &Upstream, error: &dyn std::error::Error) -> ProxyError {
    let (address, reason) = (upstream.address, describe(error));
    match upstream.role {
        Role::Peer => ProxyError::UpstreamClosed { address, reason },
        Role::Application => ProxyError::AppClosed { address, reason },
    }
}

/// An error with its causes, on one line.
pub(super) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The connection's own task; keeps what the pool asks up to date.
struct Drive {
    connection: http2::Connection<TokioIo<Transport>, Body, Executor>,
    shared: Arc<Shared>,
}

impl Future for Drive {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = pin!(&mut self.connection).poll(cx);
        match &polled {
            Poll::Pending => {
                let limit = self.connection.current_max_send_streams();
                self.shared.limit.store(limit, Ordering::Relaxed);
            }
            Poll::Ready(result) => {
                self.shared.ended.store(true, Ordering::Relaxed);
                if let Err(error) = result {
                    let _ = self.shared.error.set(describe(error));
                }
            }
        }
        polled
    }
}
