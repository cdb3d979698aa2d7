//! The scripted control plane's listener: mutual TLS, with the peer's identity passed up to tonic.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use weft_identity::alpn::Alpn;
use weft_identity::handshake::{Accepted, accept};
use weft_identity::peer::PeerIdentity;
use weft_identity::store::{ClientAuth, IdentityStore};
use weft_runtime::task::{self, Tasks};

/// Who is at the other end of a request's connection; none without a certificate.
#[derive(Debug, Clone)]
pub(super) struct Peer(pub(super) Option<PeerIdentity>);

/// A stream with its peer.
pub(super) struct Stream(Accepted<TcpStream>);

impl Connected for Stream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer(self.0.peer.clone())
    }
}

/// Listens, and gives the streams whose handshake succeeded. Ends when the receiver is dropped.
pub(super) async fn listen(
    addr: SocketAddr,
    store: Arc<IdentityStore>,
) -> (SocketAddr, ReceiverStream<io::Result<Stream>>) {
    let listener = TcpListener::bind(addr).await.expect("the address is free");
    let addr = listener
        .local_addr()
        .expect("a bound socket has an address");
    let (accepted, streams) = mpsc::channel(8);
    task::spawn("test-push-listener", async move {
        let mut handshakes = Tasks::new();
        loop {
            let stream = tokio::select! {
                stream = listener.accept() => stream,
                () = accepted.closed() => return,
            };
            let Ok((stream, _)) = stream else { return };
            let config = store.server_config(Alpn::CONTROL, ClientAuth::Optional);
            let config = config.expect("the test's control plane has a leaf");
            let accepted = accepted.clone();
            handshakes.spawn("test-push-handshake", async move {
                // A refused proxy sees the refusal at its side.
                if let Ok(stream) = accept(config, stream).await {
                    let _ = accepted.send(Ok(Stream(stream))).await;
                }
            });
        }
    });
    (addr, ReceiverStream::new(streams))
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.stream).poll_shutdown(cx)
    }
}
