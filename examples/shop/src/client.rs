//! The HTTP/1.1 client of the shop: pooled connections, a deadline on every call, bounded replies,
//! `http_proxy` honoured. Used by the services and by the load generator.
//!
//! hyper sends again what a closing idle connection never took; nothing else is retried here,
//! retries are the mesh's.

mod connector;
pub(crate) mod proxy;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::connector::Connector;
use self::proxy::ProxyRules;

/// The longest reply that is read.
const MAX_REPLY: usize = 1024 * 1024;
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How many unused connections are kept to one host.
const MAX_IDLE: usize = 64;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no reply within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("{}", chain(.0))]
    Transport(#[from] hyper_util::client::legacy::Error),
    #[error("the reply broke off or is too long: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// An error with its causes: hyper's own text says only "client error (Connect)".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A client with a pool of connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    inner: Client<Connector, Full<Bytes>>,
}

impl HttpClient {
    pub(crate) fn new(rules: ProxyRules) -> Self {
        let inner = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(Connector::new(rules));
        Self { inner }
    }

    /// Sends `request` and reads the whole reply, all within `timeout`.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        timeout: Duration,
    ) -> Result<Response<Bytes>, CallError> {
        let exchange = async {
            let (head, body) = self.inner.request(request).await?.into_parts();
            let body = Limited::new(body, MAX_REPLY)
                .collect()
                .await
                .map_err(CallError::Body)?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let reply = tokio::time::timeout(timeout, exchange).await;
        reply.unwrap_or_else(|_| Err(CallError::Timeout(timeout)))
    }
}
