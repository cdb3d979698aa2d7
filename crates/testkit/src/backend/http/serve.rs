//! How the HTTP backend answers: what goes wrong, and what each path does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use weft_runtime::task::{self, Tasks};

use super::{Fault, MAX_SEEN, Seen, Shared};
use crate::client::{Body, BodyError, empty, full};

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

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
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
