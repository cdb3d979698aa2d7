//! The port: TLS by the controller's own identity, for both services.
//!
//! A client certificate is asked for and not required here, since Identity serves callers whose certificate has expired;
//! Discovery requires one. Handshakes are bounded in number and time.

use crate::{
    ca::Authority,
    metrics::{Metrics, ReasonLabels},
};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tonic::transport::server::Connected;
use weft_identity::{alpn::Alpn, handshake, store::ClientAuth};
use weft_model::identity::SpiffeId;
use weft_runtime::{accept::ACCEPT_BACKOFF, drain::DrainWatch, task};

/// Connections at once: one per proxy, and those that ask for certificates.
const MAX_CONNECTIONS: usize = 8_192;
/// Time for a handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Connections that may wait for the server.
const READY: usize = 64;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Its verified identity; none when it showed no certificate.
    pub identity: Option<SpiffeId>,
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Connection {
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    peer: Peer,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Accepts connections until the drain begins. Gives them after their handshake.
pub fn accept(
    listener: TcpListener,
    authority: Arc<Authority>,
    metrics: Metrics,
    drain: DrainWatch,
) -> mpsc::Receiver<Result<Connection, io::Error>> {
    let (send, receive) = mpsc::channel(READY);
    task::spawn("controller-accept", async move {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = drain.signaled() => return,
            };
            match accepted {
                Ok((stream, address)) => {
                    let (authority, metrics, send) =
                        (Arc::clone(&authority), metrics.clone(), send.clone());
                    task::spawn("controller-handshake", async move {
                        if let Some(connection) =
                            shake(stream, address, &authority, &metrics, permit).await
                        {
                            // The server is gone only when the process ends.
                            let _ = send.send(Ok(connection)).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the port for proxies cannot accept");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    });
    receive
}

async fn shake(
    stream: TcpStream,
    address: SocketAddr,
    authority: &Authority,
    metrics: &Metrics,
    permit: OwnedSemaphorePermit,
) -> Option<Connection> {
    let failed = |reason: &'static str| {
        metrics
            .handshake_failures
            .get_or_create(&ReasonLabels { reason })
            .inc();
        tracing::info!(client.addr = %address, reason, "handshake failed");
    };
    // Batches are small and waited for.
    let _ = stream.set_nodelay(true);
    let config = match authority
        .store()
        .server_config(Alpn::CONTROL, ClientAuth::Optional)
    {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(%error, "the port has no identity");
            return None;
        }
    };
    match tokio::time::timeout(HANDSHAKE_WITHIN, handshake::accept(config, stream)).await {
        Ok(Ok(accepted)) if accepted.alpn == Some(Alpn::Control) => Some(Connection {
            stream: accepted.stream,
            peer: Peer {
                address,
                identity: accepted.peer.map(|it| it.id),
            },
            _permit: permit,
        }),
        Ok(Ok(_)) => {
            failed("no_common_protocol");
            None
        }
        Ok(Err(error)) => {
            failed(error.label());
            None
        }
        Err(_) => {
            failed("timeout");
            None
        }
    }
}
