//! Stands between two sockets, passes everything on, and remembers it.
//!
//! Place: a test points one side at it instead of at the other side and then asks whether a marker
//! went over the wire. A negative answer needs its positive control: the same marker, found, where
//! nothing is encrypted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use weft_runtime::task::{self, AbortOnDrop, Tasks};

use crate::ANY_PORT;

/// Bytes remembered of each direction at most; what comes later passes unrecorded.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the side that dialled.
    Forward,
    /// From the side that was dialled.
    Back,
}

#[derive(Debug, Default)]
struct Shared {
    forward: Mutex<Vec<u8>>,
    back: Mutex<Vec<u8>>,
    connections: AtomicUsize,
}

impl Shared {
    fn bytes(&self, direction: Direction) -> &Mutex<Vec<u8>> {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Back => &self.back,
        }
    }
}

/// A recording hop. Ends when dropped.
#[derive(Debug)]
pub struct Capture {
    addr: SocketAddr,
    shared: Arc<Shared>,
    cut: watch::Sender<u64>,
    _listener: AbortOnDrop<()>,
}

impl Capture {
    /// Listens, and dials `upstream` for each connection.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.expect("a loopback port");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let (cut, cuts) = watch::channel(0);
        let accepting = task::spawn(
            "test-capture",
            accept(listener, upstream, shared.clone(), cuts),
        );
        Self {
            addr,
            shared,
            cut,
            _listener: accepting.abort_on_drop(),
        }
    }

    /// What to dial instead of the upstream.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections came so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// What went one way so far, all connections together.
    pub fn bytes(&self, direction: Direction) -> Vec<u8> {
        self.shared.bytes(direction).lock().clone()
    }

    /// How much went either way so far.
    pub fn len(&self) -> usize {
        self.shared.forward.lock().len() + self.shared.back.lock().len()
    }

    /// Whether nothing went either way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the marker went over the wire, either way.
    pub fn contains(&self, marker: &[u8]) -> bool {
        assert!(!marker.is_empty(), "every capture contains nothing");
        [Direction::Forward, Direction::Back]
            .into_iter()
            .any(|direction| {
                let bytes = self.shared.bytes(direction).lock();
                bytes.windows(marker.len()).any(|window| window == marker)
            })
    }

    /// Forgets what went so far.
    pub fn clear(&self) {
        self.shared.forward.lock().clear();
        self.shared.back.lock().clear();
    }

    /// Breaks every open connection; new ones pass.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    shared: Arc<Shared>,
    cuts: watch::Receiver<u64>,
) {
    let mut hops = Tasks::new();
    while let Ok((near, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::AcqRel);
        let shared = Arc::clone(&shared);
        let mut cuts = cuts.clone();
        cuts.mark_unchanged();
        hops.spawn("test-capture-hop", async move {
            tokio::select! {
                () = hop(near, upstream, &shared) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn hop(near: TcpStream, upstream: SocketAddr, shared: &Shared) {
    // An upstream that refuses is seen by the near side as a connection that ends.
    let Ok(far) = TcpStream::connect(upstream).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::join!(
        copy(near_read, far_write, &shared.forward),
        copy(far_read, near_write, &shared.back),
    );
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    record: &Mutex<Vec<u8>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..count];
        {
            let mut record = record.lock();
            let room = MAX_BYTES.saturating_sub(record.len());
            record.extend_from_slice(&bytes[..count.min(room)]);
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
    // The end of one direction is passed on alone.
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::tcp::TcpBackend;

    #[tokio::test]
    async fn what_passes_is_remembered() {
        let echo = TcpBackend::echo().await;
        let capture = Capture::start(echo.addr()).await;
        let mut stream = TcpStream::connect(capture.addr()).await.unwrap();
        stream.write_all(b"a marker here").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"a marker here");
        assert!(capture.contains(b"marker"));
        assert!(!capture.contains(b"nothing"));
        assert_eq!(capture.bytes(Direction::Back), b"a marker here");
        assert_eq!(capture.connections(), 1);
        capture.clear();
        assert!(capture.is_empty());
    }

    #[tokio::test]
    async fn open_connections_can_be_cut() {
        let echo = TcpBackend::echo().await;
        let capture = Capture::start(echo.addr()).await;
        let mut stream = TcpStream::connect(capture.addr()).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.read_u8().await.unwrap();
        capture.cut();
        assert!(stream.read_u8().await.is_err());
        let mut stream = TcpStream::connect(capture.addr()).await.unwrap();
        stream.write_all(b"y").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'y');
    }
}
