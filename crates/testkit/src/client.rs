//! One HTTP connection, over TCP or any stream, so that a test decides which connection is used.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use weft_runtime::task::{self, AbortOnDrop};

/// What goes wrong in a body.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// Any body.
pub type Body = BoxBody<Bytes, BodyError>;

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// No body.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// A reply that was read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Which HTTP it came by.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The trailers, when there were any.
    pub trailers: Option<HeaderMap>,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

enum Sender {
    H1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

/// One connection. Ends when dropped.
pub struct Client {
    sender: Sender,
    /// Named where a request has no authority of its own.
    authority: String,
    _connection: AbortOnDrop<()>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// HTTP/1.1 over TCP.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn h1(addr: SocketAddr) -> anyhow::Result<Self> {
        Self::h1_on(tcp(addr).await?, addr.to_string()).await
    }

    /// HTTP/2 with prior knowledge over TCP.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn h2(addr: SocketAddr) -> anyhow::Result<Self> {
        Self::h2_on(tcp(addr).await?, addr.to_string()).await
    }

    /// HTTP/1.1 over any stream, such as a TLS one.
    ///
    /// # Errors
    /// When the connection ends at once.
    pub async fn h1_on<IO>(stream: IO, authority: impl Into<String>) -> anyhow::Result<Self>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = task::spawn("test-client", async move {
            // How it ends shows in the request that was on it.
            let _ = connection.with_upgrades().await;
        });
        Ok(Self {
            sender: Sender::H1(sender),
            authority: authority.into(),
            _connection: connection.abort_on_drop(),
        })
    }

    /// HTTP/2 over any stream, such as a TLS one.
    ///
    /// # Errors
    /// When the connection ends at once.
    pub async fn h2_on<IO>(stream: IO, authority: impl Into<String>) -> anyhow::Result<Self>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .handshake(TokioIo::new(stream))
            .await?;
        let connection = task::spawn("test-client", async move {
            let _ = connection.await;
        });
        Ok(Self {
            sender: Sender::H2(sender),
            authority: authority.into(),
            _connection: connection.abort_on_drop(),
        })
    }

    /// Sets the authority of requests that name none themselves.
    #[must_use]
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = authority.into();
        self
    }

    /// Whether the connection still takes requests.
    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::H1(sender) => sender.is_closed(),
            Sender::H2(sender) => sender.is_closed(),
        }
    }

    /// Sends a request and gives the reply's head; its body is still to be read.
    ///
    /// A URI that is only a path gets the connection's authority; an absolute one goes out as it is
    /// (over HTTP/1 in absolute form, as to a proxy).
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn start(
        &mut self,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let authority = self.authority.clone();
        match &mut self.sender {
            Sender::H1(sender) => {
                if !request.headers().contains_key(http::header::HOST) {
                    let host = request
                        .uri()
                        .authority()
                        .map_or(authority, ToString::to_string);
                    let host = host.parse().expect("an authority is a header value");
                    request.headers_mut().insert(http::header::HOST, host);
                }
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::H2(sender) => {
                if request.uri().authority().is_none() {
                    let path = request
                        .uri()
                        .path_and_query()
                        .map_or("/", |path| path.as_str());
                    let uri = format!("http://{authority}{path}");
                    *request.uri_mut() = uri.parse().expect("an authority and a path");
                }
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// Sends a request and reads the whole reply.
    ///
    /// # Errors
    /// When the connection or the reply's body fails.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Reply, hyper::Error> {
        read(self.start(request).await?).await
    }

    /// GET.
    ///
    /// # Errors
    /// When the connection or the reply's body fails.
    pub async fn get(&mut self, uri: &str) -> Result<Reply, hyper::Error> {
        self.send(request(Method::GET, uri, empty())).await
    }

    /// POST.
    ///
    /// # Errors
    /// When the connection or the reply's body fails.
    pub async fn post(&mut self, uri: &str, body: impl Into<Bytes>) -> Result<Reply, hyper::Error> {
        self.send(request(Method::POST, uri, full(body))).await
    }
}

/// A request without headers.
pub fn request(method: Method, uri: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(uri)
        .body(body)
        .expect("a method and a URI")
}

/// Reads a reply to its end.
///
/// # Errors
/// When its body fails.
pub async fn read(response: Response<Incoming>) -> Result<Reply, hyper::Error> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned();
    Ok(Reply {
        status: StatusCode::as_u16(&head.status),
        version: head.version,
        headers: head.headers,
        body: body.to_bytes(),
        trailers,
    })
}

async fn tcp(addr: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
