//! A small HTTP client for this machine: probes, admin endpoints, and the latency that is measured.
//!
//! Invariants: it never reads a proxy from the environment; every call has a deadline and every
//! body a bound.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Bytes of an answer at most: /metrics of a busy sidecar is far below.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its whole body.
    pub body: Bytes,
}

/// One GET on a connection of its own.
///
/// # Errors
/// When there is no answer within `timeout`.
pub async fn get(
    address: SocketAddr,
    path: &str,
    headers: &[(String, String)],
    timeout: Duration,
) -> Result<Answer> {
    let call = async {
        let mut connection = Connection::open(address).await?;
        connection.get(&address.to_string(), path, headers).await
    };
    tokio::time::timeout(timeout, call)
        .await
        .with_context(|| format!("no answer from {address} within {timeout:?}"))?
}

/// A kept connection for one GET after the other.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    _driver: weft_runtime::task::AbortOnDrop<()>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .context("beginning HTTP")?;
        let driver = weft_runtime::task::spawn("http-client", async move {
            // Its error reaches the request that was waiting.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            _driver: driver.abort_on_drop(),
        })
    }

    /// One GET; `target` is a path, or a whole URI for a proxy.
    ///
    /// # Errors
    /// When the connection fails or the answer is too large.
    pub async fn get(
        &mut self,
        host: &str,
        target: &str,
        headers: &[(String, String)],
    ) -> Result<Answer> {
        self.sender
            .ready()
            .await
            .context("waiting for the connection")?;
        let mut request = Request::get(target).header(http::header::HOST, host);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Empty::new()).context("building the request")?;
        let response = self
            .sender
            .send_request(request)
            .await
            .with_context(|| format!("asking {host}"))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("reading the answer of {host}: {error}"))?;
        Ok(Answer {
            status: head.status,
            body: body.to_bytes(),
        })
    }
}
