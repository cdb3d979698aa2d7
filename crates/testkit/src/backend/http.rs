//! An HTTP server that speaks HTTP/1.1 and HTTP/2 with prior knowledge on one port.
//!
//! Its paths: `/echo` (the request's body), `/headers` (the request's head as text), `/status/N`,
//! `/bytes/N`, `/stream/N/SIZE` (N frames, no length), `/delay/MS`, `/trailers` (a body and the
//! trailer `x-trailer`), `/close` (and the connection ends), `/early` (answers before it has read the
//! body), `/upgrade` (101, then echoes bytes); anything else answers with the backend's name. Every
//! reply names the backend in `x-backend`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use weft_runtime::task::{self, AbortOnDrop, Tasks};

use crate::ANY_PORT;
use crate::client::{Body, BodyError, empty, full};

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

/// Ends a connection or a stream without a reply.
#[derive(Debug)]
struct NoReply {
    why: &'static str,
    /// hyper looks here for the reason to end a stream with.
    source: Option<h2::Error>,
}

impl std::fmt::Display for NoReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.why)
    }
}

impl std::error::Error for NoReply {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

/// Counts up while it lives.
struct Gauge<'a>(&'a AtomicUsize);

impl<'a> Gauge<'a> {
    fn up(gauge: &'a AtomicUsize) -> (Self, usize) {
        let now = gauge.fetch_add(1, Ordering::AcqRel) + 1;
        (Self(gauge), now)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
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
        let accepting = task::spawn("test-http-backend", accept(listener, Arc::clone(&shared)));
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

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = Tasks::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn("test-http-connection", async move {
            shared.connections.fetch_add(1, Ordering::AcqRel);
            let (_open, _) = Gauge::up(&shared.open);
            serve(stream, &shared).await;
        });
    }
}

async fn serve<IO>(stream: IO, shared: &Arc<Shared>)
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(|request| {
        let shared = Arc::clone(shared);
        async move { answer(request, &shared).await }
    });
    // How a connection ends shows at its other side.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    mut request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Body>, NoReply> {
    let (_in_flight, now) = Gauge::up(&shared.in_flight);
    shared.most_in_flight.fetch_max(now, Ordering::AcqRel);
    let number = shared.requests.fetch_add(1, Ordering::AcqRel) + 1;
    let behavior = shared.behavior.lock().clone();

    let upgrade = (request.uri().path() == "/upgrade").then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let mut seen = Seen {
        version: head.version,
        method: head.method,
        uri: head.uri.to_string(),
        headers: head.headers,
        body: Bytes::new(),
        trailers: None,
    };
    let unread = if matches!(path.as_str(), "/early" | "/upgrade") {
        Some(body)
    } else {
        let unreadable = |_| NoReply {
            why: "the body broke off",
            source: None,
        };
        let body = body.collect().await.map_err(unreadable)?;
        seen.trailers = body.trailers().cloned();
        seen.body = body.to_bytes();
        None
    };
    remember(shared, seen.clone());

    if !behavior.delay.is_zero() {
        tokio::time::sleep(behavior.delay).await;
    }
    let hit = behavior
        .every
        .is_none_or(|every| number.is_multiple_of(every.get()));
    let mut response = match behavior.fault.filter(|_| hit) {
        Some(fault) => fail(fault, &shared.name).await?,
        None => reply(&path, &seen, shared).await,
    };
    if let Some(upgrade) = upgrade
        && response.status().is_success()
    {
        response = switch(&seen, upgrade);
    }
    // An early answer leaves the body to be read, or not, by the connection.
    drop(unread);
    let name = shared
        .name
        .parse()
        .expect("a backend's name is a header value");
    response.headers_mut().insert("x-backend", name);
    Ok(response)
}

fn remember(shared: &Shared, seen: Seen) {
    let mut all = shared.seen.lock();
    if all.len() == MAX_SEEN {
        all.pop_front();
    }
    all.push_back(seen);
}

async fn fail(fault: Fault, name: &str) -> Result<Response<Body>, NoReply> {
    match fault {
        Fault::Status(status) => {
            let mut response = Response::new(full(format!("{name} fails\n")));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            Ok(response)
        }
        Fault::NoReply => Err(NoReply {
            why: "told to give no reply",
            source: None,
        }),
        Fault::RefuseStream => {
            let source = Some(h2::Error::from(h2::Reason::REFUSED_STREAM));
            Err(NoReply {
                why: "told to refuse the stream",
                source,
            })
        }
        Fault::CutBody(after) => {
            let (mut sender, body) = http_body_util::channel::Channel::<Bytes, BodyError>::new(1);
            task::spawn("test-cut-body", async move {
                let _ = sender.send_data(Bytes::from(vec![b'x'; after])).await;
                sender.abort("told to cut the body".into());
            });
            Ok(Response::new(body.boxed()))
        }
        Fault::Hang => std::future::pending().await,
    }
}

async fn reply(path: &str, seen: &Seen, shared: &Shared) -> Response<Body> {
    let mut parts = path.split('/').skip(1);
    let kind = parts.next().unwrap_or_default();
    let mut number = || {
        parts
            .next()
            .and_then(|part| part.parse::<usize>().ok())
            .unwrap_or(0)
    };
    match kind {
        "echo" => Response::new(full(seen.body.clone())),
        "headers" => Response::new(full(head_text(seen))),
        "status" => {
            let status = u16::try_from(number())
                .ok()
                .and_then(|s| StatusCode::from_u16(s).ok());
            let mut response = Response::new(full(""));
            *response.status_mut() = status.unwrap_or(StatusCode::BAD_REQUEST);
            response
        }
        "bytes" => Response::new(full(vec![b'b'; number()])),
        "stream" => Response::new(stream(number(), number(), None)),
        "trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-trailer", http::HeaderValue::from_static("done"));
            let mut response = Response::new(stream(1, 5, Some(trailers)));
            let names = http::HeaderValue::from_static("x-trailer");
            response.headers_mut().insert(http::header::TRAILER, names);
            response
        }
        "delay" => {
            tokio::time::sleep(Duration::from_millis(number() as u64)).await;
            Response::new(full(format!("{}\n", shared.name)))
        }
        "close" => {
            let mut response = Response::new(full(format!("{}\n", shared.name)));
            let close = http::HeaderValue::from_static("close");
            if seen.version < Version::HTTP_2 {
                response
                    .headers_mut()
                    .insert(http::header::CONNECTION, close);
            }
            response
        }
        _ => Response::new(full(format!("{}\n", shared.name))),
    }
}

fn head_text(seen: &Seen) -> String {
    let mut text = format!("{} {} {:?}\n", seen.method, seen.uri, seen.version);
    for (name, value) in &seen.headers {
        text.push_str(&format!(
            "{name}: {}\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    text
}

/// Frames as they come, without a length.
fn stream(frames: usize, bytes: usize, trailers: Option<HeaderMap>) -> Body {
    let (mut sender, body) = http_body_util::channel::Channel::<Bytes, BodyError>::new(1);
    task::spawn("test-stream-body", async move {
        let frame = Bytes::from(vec![b's'; bytes]);
        for _ in 0..frames {
            if sender.send(Frame::data(frame.clone())).await.is_err() {
                return;
            }
        }
        if let Some(trailers) = trailers {
            let _ = sender.send_trailers(trailers).await;
        }
    });
    body.boxed()
}

/// 101, then an echo.
fn switch(seen: &Seen, upgrade: hyper::upgrade::OnUpgrade) -> Response<Body> {
    task::spawn("test-upgrade", async move {
        let Ok(upgraded) = upgrade.await else { return };
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
    });
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONNECTION,
        http::HeaderValue::from_static("upgrade"),
    );
    let protocol = seen.headers.get(http::header::UPGRADE).cloned();
    let default = http::HeaderValue::from_static("echo");
    headers.insert(http::header::UPGRADE, protocol.unwrap_or(default));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{self, Client, request};

    async fn both(backend: &HttpBackend) -> [Client; 2] {
        [
            Client::h1(backend.addr()).await.unwrap(),
            Client::h2(backend.addr()).await.unwrap(),
        ]
    }

    #[tokio::test]
    async fn paths_do_what_they_say() {
        let backend = HttpBackend::start("one").await;
        for mut client in both(&backend).await {
            assert_eq!(client.get("/").await.unwrap().text(), "one\n");
            assert_eq!(client.post("/echo", "hello").await.unwrap().text(), "hello");
            assert_eq!(client.get("/status/418").await.unwrap().status, 418);
            assert_eq!(
                client.get("/bytes/100000").await.unwrap().body.len(),
                100_000
            );
            assert_eq!(client.get("/stream/3/10").await.unwrap().body.len(), 30);
            assert!(
                client
                    .get("/headers")
                    .await
                    .unwrap()
                    .text()
                    .starts_with("GET ")
            );
            let mut with_trailers = request(Method::GET, "/trailers", client::empty());
            let te = http::HeaderValue::from_static("trailers");
            with_trailers.headers_mut().insert(http::header::TE, te);
            let reply = client.send(with_trailers).await.unwrap();
            assert_eq!(reply.trailers.unwrap().get("x-trailer").unwrap(), "done");
            assert_eq!(reply.headers.get("x-backend").unwrap(), "one");
        }
        assert_eq!(backend.connections(), 2);
        assert_eq!(backend.requests(), 14);
        assert_eq!(backend.last().authority(), backend.addr().to_string());
    }

    #[tokio::test]
    async fn faults_happen_and_heal() {
        let backend = HttpBackend::start("one").await;
        let every = NonZeroUsize::new(2);
        backend.behave(Behavior {
            fault: Some(Fault::Status(503)),
            every,
            ..Behavior::default()
        });
        for mut client in both(&backend).await {
            assert_eq!(client.get("/").await.unwrap().status, 200);
            assert_eq!(client.get("/").await.unwrap().status, 503);
        }
        for fault in [Fault::NoReply, Fault::CutBody(10), Fault::RefuseStream] {
            backend.fail(fault);
            for mut client in both(&backend).await {
                assert!(client.get("/").await.is_err(), "{fault:?}");
            }
        }
        let mut client = Client::h2(backend.addr()).await.unwrap();
        let error = client.get("/").await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let reason = source
            .downcast_ref::<h2::Error>()
            .and_then(h2::Error::reason);
        assert_eq!(reason, Some(h2::Reason::REFUSED_STREAM));
        backend.heal();
        for mut client in both(&backend).await {
            assert_eq!(client.get("/").await.unwrap().status, 200);
        }
    }

    #[tokio::test]
    async fn an_upgrade_carries_bytes() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let backend = HttpBackend::start("one").await;
        let mut client = Client::h1(backend.addr()).await.unwrap();
        let mut upgrade = request(Method::GET, "/upgrade", client::empty());
        let headers = upgrade.headers_mut();
        headers.insert(
            http::header::CONNECTION,
            http::HeaderValue::from_static("upgrade"),
        );
        headers.insert(
            http::header::UPGRADE,
            http::HeaderValue::from_static("websocket"),
        );
        let response = client.start(upgrade).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        stream.write_all(b"ping").await.unwrap();
        let mut read = [0; 4];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"ping");
    }
}
