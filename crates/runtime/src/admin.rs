//! The admin server: small HTTP/1.1 on a thread of its own, so that a scrape costs no request.
//!
//! Place: `main` adds the binary's own routes and starts it first, so that `/ready` can say what is
//! waited for. Always there: `GET /live` (200 while the thread runs), `GET /ready` (200, or 503 with
//! one line per unmet condition) and `GET /metrics`. Invariants: head and body of a request are
//! bounded, connections are bounded in number and in time; it serves until the process ends, also
//! while draining, since that is when somebody looks.

mod guard;
mod server;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::log::LogHandle;
use crate::metrics::{Exposition, TextFormat};
use crate::ready::{Readiness, Status};
use crate::shard::Worker;

/// Bytes of a request body at most; a larger one is answered 413.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// A request to an admin route.
#[derive(Debug, Clone)]
pub struct AdminRequest {
    /// Any method; a route decides what it takes.
    pub method: Method,
    /// The path as sent.
    pub path: String,
    /// The query string without its question mark; empty when there is none.
    pub query: String,
    /// The request headers.
    pub headers: http::HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Who asks.
    pub peer: SocketAddr,
}

impl AdminRequest {
    /// The first value of a query parameter, as sent (not percent-decoded).
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .find_map(|pair| match pair.split_once('=') {
                Some((key, value)) if key == name => Some(value),
                None if pair == name => Some(""),
                _ => None,
            })
    }
}

/// An answer of an admin route.
#[derive(Debug, Clone)]
pub struct AdminReply {
    /// The status.
    pub status: StatusCode,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The whole body.
    pub body: Bytes,
}

impl AdminReply {
    /// 200 with a body of the given type.
    pub fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            content_type,
            body: body.into(),
        }
    }

    /// 200 with JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::ok("application/json", body)
    }

    /// Any status with a line of text.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: Bytes::from(text.into()),
        }
    }
}

type ReplyFuture = Pin<Box<dyn Future<Output = AdminReply> + Send>>;
type Handler = Arc<dyn Fn(AdminRequest) -> ReplyFuture + Send + Sync>;

/// The routes, before the server starts.
#[derive(Clone)]
pub struct Admin {
    routes: BTreeMap<String, Handler>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("routes", &self.routes.keys())
            .finish()
    }
}

impl Admin {
    /// With `/live`, `/ready` and `/metrics`.
    pub fn new(readiness: &Readiness, exposition: &Exposition) -> Self {
        let readiness = readiness.clone();
        let exposition = exposition.clone();
        Self::empty()
            .route("/live", |_| AdminReply::text(StatusCode::OK, "live\n"))
            .route("/ready", move |_| ready_reply(&readiness))
            .route("/metrics", move |request| {
                let accept = request.headers.get(http::header::ACCEPT);
                let format = TextFormat::negotiate(accept.and_then(|v| v.to_str().ok()));
                AdminReply::ok(format.content_type(), exposition.encode(format))
            })
    }

    /// Without any route: for a second listener that serves a choice of them.
    pub fn empty() -> Self {
        Self {
            routes: BTreeMap::new(),
        }
    }

    /// Adds a route that answers at once. A path that ends in `/` takes everything below it; the
    /// longest match wins.
    #[must_use]
    pub fn route(
        self,
        path: &str,
        handler: impl Fn(AdminRequest) -> AdminReply + Send + Sync + 'static,
    ) -> Self {
        self.route_async(path, move |request| std::future::ready(handler(request)))
    }

    /// Adds a route that answers later.
    #[must_use]
    pub fn route_async<F>(
        mut self,
        path: &str,
        handler: impl Fn(AdminRequest) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = AdminReply> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        self.routes.insert(path.to_owned(), handler);
        self
    }

    /// Adds `/log`: GET shows the log filter in force, PUT replaces it.
    #[must_use]
    pub fn log_route(self, log: Arc<LogHandle>) -> Self {
        self.route("/log", move |request| match request.method {
            Method::GET | Method::HEAD => {
                AdminReply::text(StatusCode::OK, format!("{}\n", log.filter()))
            }
            Method::PUT => {
                let filter = String::from_utf8_lossy(&request.body);
                match log.set_filter(filter.trim()) {
                    Ok(()) => AdminReply::text(StatusCode::OK, format!("{}\n", log.filter())),
                    Err(error) => {
                        let text = format!("{error}; an example: info,weft_proxy=debug\n");
                        AdminReply::text(StatusCode::BAD_REQUEST, text)
                    }
                }
            }
            _ => AdminReply::text(StatusCode::METHOD_NOT_ALLOWED, "GET or PUT\n"),
        })
    }

    /// The handler of a path.
    fn find(&self, path: &str) -> Option<&Handler> {
        self.routes.get(path).or_else(|| {
            self.routes
                .iter()
                .filter(|(prefix, _)| prefix.ends_with('/') && path.starts_with(prefix.as_str()))
                .max_by_key(|(prefix, _)| prefix.len())
                .map(|(_, handler)| handler)
        })
    }

    /// Binds `addr` (port 0 allowed) and serves it on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be bound or the thread cannot be started.
    pub fn start(self, addr: SocketAddr) -> io::Result<AdminServer> {
        let bound = self.bind(addr)?;
        let addr = bound.addr();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let worker = Worker::start("weft-admin", move || async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = bound.serve() => {}
            }
        })?;
        Ok(AdminServer { addr, stop, worker })
    }

    /// Binds `addr` (port 0 allowed) for a runtime of the caller's choice.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(self, addr: SocketAddr) -> io::Result<BoundAdmin> {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        Ok(BoundAdmin {
            admin: self,
            listener,
            addr,
        })
    }
}

/// 200, or 503 with a line per reason.
fn ready_reply(readiness: &Readiness) -> AdminReply {
    match readiness.status() {
        Status::Ready => AdminReply::text(StatusCode::OK, "ready\n"),
        Status::NotReady(unmet) => {
            let mut text = String::from("not ready\n");
            for unmet in unmet {
                text.push_str(&format!("{}: {}\n", unmet.condition, unmet.reason));
            }
            AdminReply::text(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

/// A bound admin server that nobody serves yet; connections wait in the backlog.
#[derive(Debug)]
pub struct BoundAdmin {
    admin: Admin,
    listener: std::net::TcpListener,
    addr: SocketAddr,
}

impl BoundAdmin {
    /// The address with the port that was allocated.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until dropped. Cancel safe: yes.
    pub async fn serve(self) {
        server::serve(Arc::new(self.admin), self.listener).await;
    }
}

/// A running admin server. Dropping the value lets it run.
#[derive(Debug)]
pub struct AdminServer {
    addr: SocketAddr,
    stop: CancellationToken,
    worker: Worker,
}

impl AdminServer {
    /// The address with the port that was allocated.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The admin thread's runtime, for other work that must not share a thread with requests.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        self.worker.runtime()
    }

    /// Ends the server and waits for its thread, blocking the caller.
    pub fn stop(self) {
        self.stop.cancel();
        // A panic of the admin thread has been logged, and the process is ending anyway.
        let _ = self.worker.join();
    }
}

#[cfg(test)]
mod tests;
