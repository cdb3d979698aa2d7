//! HTTP served on an accepted connection, with the mesh's limits, until it ends or the drain does.

use crate::{observe::Observed, shard::Executor};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::HttpService,
};
use hyper_util::rt::TokioIo;
use std::{error::Error, future::Future, pin::pin};
use tokio::io::{AsyncRead, AsyncWrite};
use weft_model::limits;
use weft_runtime::drain::DrainGuard;

/// Bounds of an HTTP/2 connection.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    streams: u32,
    stream_window_bytes: u32,
    connection_window_bytes: u32,
}

impl Limits {
    /// From another sidecar.
    pub const MESH: Self = Self {
        streams: limits::MESH_H2_STREAMS,
        stream_window_bytes: limits::MESH_H2_STREAM_WINDOW_BYTES,
        connection_window_bytes: limits::MESH_H2_CONNECTION_WINDOW_BYTES,
    };
    /// From an application.
    pub const APPLICATION: Self = Self {
        streams: limits::APP_H2_STREAMS,
        stream_window_bytes: limits::APP_H2_STREAM_WINDOW_BYTES,
        connection_window_bytes: limits::APP_H2_CONNECTION_WINDOW_BYTES,
    };
}

/// Largest head that passes, over HTTP/2 as over HTTP/1.
pub const HEAD_MAX_BYTES: u32 = limits::HTTP1_MAX_BUFFER_BYTES as u32;

/// Serves HTTP/1. On drain the response in flight says `Connection: close`.
pub async fn serve_h1<I, S>(io: I, service: S, guard: DrainGuard)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Observed>,
    S: hyper::service::Service<Request<Incoming>, Response = Response<Observed>>,
    <S as hyper::service::Service<Request<Incoming>>>::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let connection = http1::Builder::new()
        .max_buf_size(limits::HTTP1_MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let watch = guard.watch();
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended_with(ended),
        () = watch.signaled() => connection.as_mut().graceful_shutdown(),
    }
    if let Some(ended) = watch.until_forced(connection).await {
        ended_with(ended);
    }
}

/// Serves HTTP/2. On drain the client gets GOAWAY and its streams are finished.
pub async fn serve_h2<I, S>(io: I, service: S, limits: Limits, guard: DrainGuard)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: hyper::service::Service<Request<Incoming>, Response = Response<Observed>>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Future + Send + 'static,
{
    let connection = http2::Builder::new(Executor)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(HEAD_MAX_BYTES)
        .adaptive_window(false)
        // A client whose requests time out resets as many streams as it may have.
        .max_pending_accept_reset_streams(usize::try_from(limits.streams).unwrap_or(usize::MAX))
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let watch = guard.watch();
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended_with(ended),
        () = watch.signaled() => connection.as_mut().graceful_shutdown(),
    }
    if let Some(ended) = watch.until_forced(connection).await {
        ended_with(ended);
    }
}

fn ended_with(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
