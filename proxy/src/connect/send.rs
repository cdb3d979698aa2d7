//! One request to one upstream, over a pooled connection.

use super::{
    http::{Http1, Stream, closed, describe},
    pool::{self, Age},
    upstream::{Role, Upstream},
};
use crate::{body::Body, error::ProxyError, shard::Shard};
use http::{Request, Response};
use hyper::{body::Incoming, client::conn::TrySendError};
use std::sync::Arc;

/// What the request is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A response, and what must be held until its body has ended.
#[derive(Debug)]
pub struct Answer {
    /// The response.
    pub response: Response<Incoming>,
    /// The connection's part of it.
    pub lease: Lease,
}

/// What a response in progress holds of its connection.
#[derive(Debug)]
pub enum Lease {
    /// Nothing.
    None,
    /// A stream of a shared connection.
    H2 {
        /// Counted until dropped.
        _stream: Stream,
    },
    /// A whole connection; it is laid back when the exchange ends well, else closed.
    H1 {
        /// Whose pool.
        shard: Arc<Shard>,
        /// Which slot.
        upstream: Arc<Upstream>,
        /// The connection.
        connection: Http1,
    },
}

impl Lease {
    /// The exchange ended well.
    pub fn complete(self) {
        match self {
            Self::H1 {
                shard,
                upstream,
                connection,
            } => {
                pool::give_back(&shard, &upstream, connection);
            }
            Self::H2 { .. } | Self::None => {}
        }
    }
}

/// Sends `request` to `upstream`. A request that a stale pooled connection gives back unsent goes out again on another:
/// that is no retry, it has never left. Cancel safe: a dropped call resets its stream or closes its connection.
///
/// # Errors
/// When no connection can be had, or none brings a response.
pub async fn send(
    shard: &Arc<Shard>,
    upstream: &Arc<Upstream>,
    wire: Wire,
    request: Request<Body>,
) -> Result<Answer, ProxyError> {
    match wire {
        Wire::Http1 => send_h1(shard, upstream, request).await,
        Wire::Http2 => send_h2(shard, upstream, request).await,
    }
}

/// Connections that may turn out stale one after the other: a peer that restarts closes all it had.
const STALE_MAX: usize = 3;

async fn send_h2(
    shard: &Arc<Shard>,
    upstream: &Arc<Upstream>,
    mut request: Request<Body>,
) -> Result<Answer, ProxyError> {
    let mut stale = 0;
    loop {
        let connection = pool::h2(shard, upstream).await?;
        let (mut sender, stream) = connection.sender();
        let mut error = match sender.try_send_request(request).await {
            Ok(response) => {
                return Ok(Answer {
                    response,
                    lease: Lease::H2 { _stream: stream },
                });
            }
            Err(error) => error,
        };
        match error.take_message() {
            Some(unsent) if stale < STALE_MAX => {
                stale += 1;
                request = unsent;
                // Lets the connection's task notice its end, so that the pool gives another one.
                tokio::task::yield_now().await;
            }
            _ => return Err(failed(upstream, &error, connection.error())),
        }
    }
}

async fn send_h1(
    shard: &Arc<Shard>,
    upstream: &Arc<Upstream>,
    mut request: Request<Body>,
) -> Result<Answer, ProxyError> {
    loop {
        let (mut connection, age) = pool::h1(shard, upstream).await?;
        let mut error = match connection.send.try_send_request(request).await {
            Ok(response) => {
                let lease = Lease::H1 {
                    shard: Arc::clone(shard),
                    upstream: Arc::clone(upstream),
                    connection,
                };
                return Ok(Answer { response, lease });
            }
            Err(error) => error,
        };
        match (error.take_message(), age) {
            (Some(unsent), Age::Reused) => request = unsent,
            _ => return Err(failed(upstream, &error, None)),
        }
    }
}

fn failed<T>(upstream: &Upstream, error: &TrySendError<T>, known: Option<&str>) -> ProxyError {
    let error = error.error();
    if error.is_parse() && upstream.role == Role::Peer {
        return ProxyError::UpstreamInvalid {
            address: upstream.address,
            reason: describe(error),
        };
    }
    match (closed(upstream, error), known) {
        // What ended the connection says more than that it has ended.
        (ProxyError::UpstreamClosed { address, .. }, Some(known)) => ProxyError::UpstreamClosed {
            address,
            reason: known.to_owned(),
        },
        (other, _) => other,
    }
}
