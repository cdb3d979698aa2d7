//! An HTTP server that speaks HTTP/1.1 and HTTP/2 with prior knowledge on one port.
//!
//! Its paths: `/echo` (the request's body), `/headers` (the request's head as text), `/status/N`,
//! `/bytes/N`, `/stream/N/SIZE` (N frames, no length), `/delay/MS`, `/trailers` (a body and the
//! trailer `x-trailer`), `/close` (and the connection ends), `/early` (answers before it has read the
//! body), `/upgrade` (101, then echoes bytes); anything else answers with the backend's name. Every
//! reply names the backend in `x-backend`.

mod serve;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use weft_runtime::task::{self, AbortOnDrop};

use crate::ANY_PORT;

/// Requests remembered; the oldest go first.
const MAX_SEEN: usize = 10_000;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answered with this status.
    Status(u16),
    /// The connection (over HTTP/2: the stream) ends without an answer.
    NoReply,
    /// Over HTTP/2 the stream is refused: not processed, safe to send again.
    RefuseStream,
    /// The reply breaks off after this many bytes of its body.
    CutBody(usize),
    /// There is never an answer.
    Hang,
}

/// How a backend behaves, from the next request on.
#[derive(Debug, Clone, Default)]
pub struct Behavior {
    /// Waited before every reply.
    pub delay: Duration,
    /// Goes wrong.
    pub fault: Option<Fault>,
    /// The fault meets every n-th request only; `None`: every one.
    pub every: Option<NonZeroUsize>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// By which HTTP.
    pub version: Version,
    /// The method.
    pub method: Method,
    /// The request target: a path, or over HTTP/2 a whole URI.
    pub uri: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body; empty for `/early` and `/upgrade`.
    pub body: Bytes,
    /// The trailers, when there were any.
    pub trailers: Option<HeaderMap>,
}

impl Seen {
    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Host, from the header or from HTTP/2's `:authority`.
    pub fn authority(&self) -> String {
        let uri = self.uri.parse::<http::Uri>().ok();
        let from_uri = uri
            .as_ref()
            .and_then(|uri| uri.authority())
            .map(ToString::to_string);
        from_uri.unwrap_or_else(|| self.header("host").to_owned())
    }
}

#[derive(Debug)]
struct Shared {
    name: String,
    behavior: Mutex<Behavior>,
    seen: Mutex<VecDeque<Seen>>,
    requests: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
}

/// A server on loopback. Ends, with its connections, when dropped.
#[derive(Debug)]
pub struct HttpBackend {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _accepting: AbortOnDrop<()>,
}

impl HttpBackend {
    /// Starts one that names itself `name`.
    pub async fn start(name: impl Into<String>) -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.expect("a loopback port");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            name: name.into(),
            behavior: Mutex::default(),
            seen: Mutex::default(),
            requests: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let accepting = task::spawn(
            "test-http-backend",
            serve::accept(listener, Arc::clone(&shared)),
        );
        Self {
            addr,
            shared,
            _accepting: accepting.abort_on_drop(),
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes how it behaves, from the next request on.
    pub fn behave(&self, behavior: Behavior) {
        *self.shared.behavior.lock() = behavior;
    }

    /// Waits this long before every reply, from the next request on.
    pub fn delay(&self, delay: Duration) {
        self.shared.behavior.lock().delay = delay;
    }

    /// Fails every request, from the next one on.
    pub fn fail(&self, fault: Fault) {
        self.behave(Behavior {
            fault: Some(fault),
            ..Behavior::default()
        });
    }

    /// Behaves well, from the next request on.
    pub fn heal(&self) {
        self.behave(Behavior::default());
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Acquire)
    }

    /// The most requests that were there at once.
    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::Acquire)
    }

    /// Requests there now.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Acquire)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// The requests it remembers, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().iter().cloned().collect()
    }

    /// The last request.
    ///
    /// # Panics
    /// When there was none.
    pub fn last(&self) -> Seen {
        self.shared
            .seen
            .lock()
            .back()
            .cloned()
            .expect("a request has come")
    }

    /// Forgets the requests and the counts.
    pub fn forget(&self) {
        self.shared.seen.lock().clear();
        self.shared.requests.store(0, Ordering::Release);
        self.shared.most_in_flight.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
