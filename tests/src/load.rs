//! A bounded, closed-loop load through a sidecar's explicit proxy, with what came back.

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpStream, time::Instant};

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Replies by status; 0 counts transport errors.
    pub statuses: BTreeMap<u16, u64>,
    /// Replies by the `x-backend` (or `x-shop-instance`) header.
    pub backends: BTreeMap<String, u64>,
    /// Latency of each request, unordered.
    pub latencies: Vec<Duration>,
    /// The first few failures, in words.
    pub failures: Vec<String>,
}

/// Failures kept in words.
const FAILURES_KEPT: usize = 5;

impl Report {
    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Transport errors and 5xx.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.statuses
            .iter()
            .filter(|(code, _)| **code == 0 || **code >= 500)
            .map(|(_, n)| n)
            .sum()
    }

    /// Replies of one backend.
    #[must_use]
    pub fn of(&self, backend: &str) -> u64 {
        self.backends.get(backend).copied().unwrap_or(0)
    }

    /// A quantile of the latencies, 0 to 1.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index within a short list"
        )]
        let index = ((sorted.len() as f64 - 1.0).max(0.0) * quantile).round() as usize;
        sorted.get(index).copied().unwrap_or_default()
    }

    fn add(&mut self, outcome: &Result<Seen, String>, latency: Duration) {
        self.latencies.push(latency);
        match outcome {
            Ok(Seen {
                status,
                backend,
                error,
            }) => {
                *self.statuses.entry(*status).or_default() += 1;
                if let Some(backend) = backend {
                    *self.backends.entry(backend.clone()).or_default() += 1;
                }
                if *status >= 500 && self.failures.len() < FAILURES_KEPT {
                    self.failures.push(format!(
                        "status {status} {}",
                        error.as_deref().unwrap_or("")
                    ));
                }
            }
            Err(error) => {
                *self.statuses.entry(0).or_default() += 1;
                if self.failures.len() < FAILURES_KEPT {
                    self.failures.push(error.clone());
                }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (backend, count) in other.backends {
            *self.backends.entry(backend).or_default() += count;
        }
        self.latencies.extend(other.latencies);
        let room = FAILURES_KEPT.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.into_iter().take(room));
    }
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Load {
    /// The sidecar's explicit proxy.
    pub proxy: SocketAddr,
    /// Absolute URL.
    pub url: String,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// Connections, each with one request in flight.
    pub concurrency: usize,
    /// Pause of a connection between requests; zero: none.
    pub pace: Duration,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// So many requests in all.
    Count(u64),
    /// So much time.
    Elapsed(Duration),
}

impl Load {
    /// GETs of `url` through `proxy`, as fast as `concurrency` connections go.
    #[must_use]
    pub fn new(proxy: SocketAddr, url: impl Into<String>, concurrency: usize) -> Self {
        Self {
            proxy,
            url: url.into(),
            headers: Vec::new(),
            concurrency,
            pace: Duration::ZERO,
        }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a pause between the requests of a connection.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// One request.
    ///
    /// # Errors
    /// When the connection or the request fails.
    pub async fn once(&self) -> anyhow::Result<(u16, hyper::HeaderMap, bytes::Bytes)> {
        let mut client = connect(self.proxy).await?;
        let response = client.send_request(self.request()?).await?;
        let (head, body) = response.into_parts();
        Ok((
            head.status.as_u16(),
            head.headers,
            body.collect().await?.to_bytes(),
        ))
    }

    fn request(&self) -> anyhow::Result<Request<Empty<bytes::Bytes>>> {
        let uri: hyper::Uri = self.url.parse()?;
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::get(uri).header("host", host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(Empty::new())?)
    }

    /// Runs until `until`.
    ///
    /// # Panics
    /// When a worker does.
    pub async fn run(&self, until: Until) -> Report {
        self.start(until).finish().await
    }

    /// Starts in the background.
    #[must_use]
    pub fn start(&self, until: Until) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let left = Arc::new(AtomicU64::new(match until {
            Until::Count(count) => count,
            Until::Elapsed(_) => u64::MAX,
        }));
        let deadline = match until {
            Until::Elapsed(elapsed) => Some(Instant::now() + elapsed),
            Until::Count(_) => None,
        };
        let workers = (0..self.concurrency)
            .map(|_| {
                let (load, stop, left) = (self.clone(), Arc::clone(&stop), Arc::clone(&left));
                weft_runtime::task::spawn("load", worker(load, stop, left, deadline))
            })
            .collect();
        Running { stop, workers }
    }
}

/// A load in the background.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    workers: Vec<weft_runtime::task::Task<Report>>,
}

impl Running {
    /// Waits for its end.
    pub async fn finish(self) -> Report {
        let mut report = Report::default();
        for worker in self.workers {
            if let Ok(part) = worker.await {
                report.merge(part);
            }
        }
        report
    }

    /// Ends it after the requests in flight.
    pub async fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        self.finish().await
    }
}

type Client = http1::SendRequest<Empty<bytes::Bytes>>;

async fn connect(proxy: SocketAddr) -> anyhow::Result<Client> {
    let stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = http1::handshake(TokioIo::new(stream)).await?;
    weft_runtime::task::spawn("client", async move {
        let _ = connection.await;
    });
    Ok(client)
}

async fn worker(
    load: Load,
    stop: Arc<AtomicBool>,
    left: Arc<AtomicU64>,
    deadline: Option<Instant>,
) -> Report {
    let mut report = Report::default();
    let mut client: Option<Client> = None;
    loop {
        let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if over || stop.load(Ordering::Relaxed) || taken.is_err() {
            return report;
        }
        let start = Instant::now();
        let outcome = one(&load, &mut client).await;
        report.add(&outcome, start.elapsed());
        if outcome.is_err() {
            client = None;
        }
        if !load.pace.is_zero() {
            tokio::time::sleep(load.pace).await;
        }
    }
}

/// One reply.
struct Seen {
    status: u16,
    backend: Option<String>,
    /// The code of a reply that a proxy made.
    error: Option<String>,
}

async fn one(load: &Load, client: &mut Option<Client>) -> Result<Seen, String> {
    let mut ready = match client.take() {
        Some(ready) => ready,
        None => connect(load.proxy)
            .await
            .map_err(|error| format!("{error:#}"))?,
    };
    // A connection that the proxy closed between two requests is no failure of a request.
    if ready.ready().await.is_err() {
        ready = connect(load.proxy)
            .await
            .map_err(|error| format!("{error:#}"))?;
    }
    let request = load.request().map_err(|error| format!("{error:#}"))?;
    let response: Response<Incoming> = ready
        .send_request(request)
        .await
        .map_err(|error| format!("{error:?}"))?;
    let status = response.status().as_u16();
    let header = |name| {
        response
            .headers()
            .get(name)?
            .to_str()
            .ok()
            .map(str::to_owned)
    };
    let backend = header("x-backend").or_else(|| header("x-shop-instance"));
    let error = header("weft-error");
    response
        .into_body()
        .collect()
        .await
        .map_err(|error| format!("body: {error:?}"))?;
    *client = Some(ready);
    Ok(Seen {
        status,
        backend,
        error,
    })
}
