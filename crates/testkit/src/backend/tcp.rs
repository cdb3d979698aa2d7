//! A TCP server that does one thing on every connection.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weft_runtime::task::{self, AbortOnDrop, Tasks};

use crate::ANY_PORT;

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// Counts a connection as open while it lives.
struct Open(Arc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A listener on loopback. Ends, with its connections, when dropped.
#[derive(Debug)]
pub struct TcpBackend {
    addr: SocketAddr,
    counters: Arc<Counters>,
    _accepting: AbortOnDrop<()>,
}

impl TcpBackend {
    /// Runs `serve` for every connection.
    pub async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(ANY_PORT).await.expect("a loopback port");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let counters = Arc::new(Counters::default());
        let counting = Arc::clone(&counters);
        let accepting = task::spawn("test-tcp-backend", async move {
            let mut connections = Tasks::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                counting.accepted.fetch_add(1, Ordering::AcqRel);
                counting.open.fetch_add(1, Ordering::AcqRel);
                let open = Open(Arc::clone(&counting));
                let serving = serve(stream);
                connections.spawn("test-tcp-connection", async move {
                    let _open = open;
                    serving.await;
                });
            }
        });
        Self {
            addr,
            counters,
            _accepting: accepting.abort_on_drop(),
        }
    }

    /// Sends back what it gets, and ends when the other side does.
    pub async fn echo() -> Self {
        Self::start(|mut stream| async move {
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = write.shutdown().await;
        })
        .await
    }

    /// Speaks first, as SMTP and MySQL do, then echoes.
    pub async fn server_first(greeting: &'static [u8]) -> Self {
        Self::start(move |mut stream| async move {
            if stream.write_all(greeting).await.is_ok() {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            }
        })
        .await
    }

    /// Reads everything, says nothing, and ends when the other side does.
    pub async fn silent() -> Self {
        Self::start(|mut stream| async move {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        })
        .await
    }

    /// Resets every connection at once.
    pub async fn reset() -> Self {
        Self::start(|stream| async move {
            // Nothing waits for the close, so the kernel sends a reset.
            let _ = stream.set_zero_linger();
        })
        .await
    }

    /// Reads one byte at least, answers with fixed bytes and closes: a server that breaks its
    /// protocol, or a head by hand.
    pub async fn fixed(reply: &'static [u8]) -> Self {
        Self::start(move |mut stream| async move {
            let mut head = vec![0; 16 * 1024];
            if matches!(stream.read(&mut head).await, Ok(1..)) {
                let _ = stream.write_all(reply).await;
                let _ = stream.shutdown().await;
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        })
        .await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.counters.accepted.load(Ordering::Acquire)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.counters.open.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_does_its_one_thing() {
        let backend = TcpBackend::server_first(b"220 hi\r\n").await;
        let mut stream = TcpStream::connect(backend.addr()).await.unwrap();
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"220 hi\r\n");
        assert_eq!((backend.connections(), backend.open()), (1, 1));

        let backend = TcpBackend::reset().await;
        let mut stream = TcpStream::connect(backend.addr()).await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

        let backend = TcpBackend::fixed(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let mut stream = TcpStream::connect(backend.addr()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"));
    }
}
