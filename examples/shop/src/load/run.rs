//! Sends the requests when they are due, within the bounds.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Uri};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::mix::{Kind, Mix};
use super::report::{Report, Tally};
use super::request;
use crate::client::HttpClient;
use crate::client::proxy::ProxyRules;
use crate::task;

/// The highest rate, per second.
const MAX_RATE: f64 = 20_000.0;
/// The most requests in flight.
const MAX_CONCURRENCY: usize = 4_096;
/// The longest run.
const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);
/// The longest wait for a reply.
const MAX_TIMEOUT: Duration = Duration::from_secs(120);
/// A request that is this late is not sent any more.
const MAX_LAG: Duration = Duration::from_secs(1);
/// The timer's own lateness, which is not the target's: below it a request is measured from when it
/// was sent instead of when it was due.
const TIMER_SLACK: Duration = Duration::from_millis(3);

/// What to send, and where.
#[derive(Debug, Clone)]
pub struct LoadConfig {
    /// The storefront, `http://host` or `http://host:port`.
    pub target: Uri,
    /// A proxy on the way, for instance a sidecar. The environment is not asked.
    pub proxy: ProxyRules,
    /// Requests to begin each second.
    pub rate: f64,
    /// Requests in flight at most.
    pub concurrency: usize,
    /// How long to send.
    pub duration: Duration,
    /// When a request has failed for want of a reply.
    pub timeout: Duration,
    /// The kinds.
    pub mix: Mix,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// A reply with this header was made to fail by a policy, and is counted apart.
    pub injected: Option<HeaderName>,
}

impl LoadConfig {
    /// A moderate load for the storefront at `target`.
    #[must_use]
    pub fn new(target: Uri) -> Self {
        Self {
            target,
            proxy: ProxyRules::direct(),
            rate: 20.0,
            concurrency: 32,
            duration: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            mix: Mix::default(),
            headers: HeaderMap::new(),
            injected: None,
        }
    }
}

/// A load that is out of bounds.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The target is not `http://host:port`.
    #[error("{0} is not of the form http://host:port")]
    Target(Uri),
    /// The rate is not a number over zero, or too high.
    #[error("a rate of {0} is not between 0 and 20000 per second")]
    Rate(f64),
    /// No slot, or too many.
    #[error("{0} requests in flight are not between 1 and 4096")]
    Concurrency(usize),
    /// Too long.
    #[error("{0:?} are longer than 24 hours")]
    Duration(Duration),
    /// No time to reply, or too much.
    #[error("a timeout of {0:?} is not over 0 and at most 120 s")]
    Timeout(Duration),
}

/// A running load. Dropping it stops it.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    canceller: Canceller,
    sender: JoinHandle<()>,
}

/// Stops a load early.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<watch::Sender<bool>>);

impl Canceller {
    /// Sends no more; what is in flight is waited for.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

#[derive(Debug)]
struct Shared {
    config: LoadConfig,
    client: HttpClient,
    slots: Arc<Semaphore>,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tallies: [Tally; Kind::ALL.len()],
    missed: u64,
    last_failure: Option<String>,
    ended: Option<Instant>,
}

impl Load {
    /// Begins to send. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The configuration is out of bounds.
    pub fn start(config: LoadConfig) -> Result<Self, LoadError> {
        check(&config)?;
        let (cancel, cancelled) = watch::channel(false);
        let shared = Arc::new(Shared {
            client: HttpClient::new(config.proxy.clone()),
            slots: Arc::new(Semaphore::new(config.concurrency)),
            began: Instant::now(),
            state: Mutex::default(),
            config,
        });
        let sender = task::spawn("load", send_all(Arc::clone(&shared), cancelled));
        Ok(Self {
            shared,
            canceller: Canceller(Arc::new(cancel)),
            sender,
        })
    }

    /// Counts and latencies so far.
    #[must_use]
    pub fn snapshot(&self) -> Report {
        self.shared.report(Instant::now())
    }

    /// What stops it early.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Stops early: sends no more; [`Load::finished`] still waits for what is in flight.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }

    /// The final report, after the last reply. Cancel safe: no, the load stops with the future.
    pub async fn finished(mut self) -> Report {
        // A panic of the task was logged by then; the counts are right all the same.
        let _ = (&mut self.sender).await;
        self.snapshot()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.canceller.cancel();
    }
}

fn check(config: &LoadConfig) -> Result<(), LoadError> {
    let target = &config.target;
    if target.scheme_str() != Some("http") || target.authority().is_none() {
        Err(LoadError::Target(target.clone()))
    } else if !(config.rate > 0.0 && config.rate <= MAX_RATE) {
        Err(LoadError::Rate(config.rate))
    } else if !(1..=MAX_CONCURRENCY).contains(&config.concurrency) {
        Err(LoadError::Concurrency(config.concurrency))
    } else if config.duration > MAX_DURATION {
        Err(LoadError::Duration(config.duration))
    } else if config.timeout.is_zero() || config.timeout > MAX_TIMEOUT {
        Err(LoadError::Timeout(config.timeout))
    } else {
        Ok(())
    }
}

/// Sends each request when it is due, then waits for the last reply: every request has a timeout, so
/// the wait is bounded.
async fn send_all(shared: Arc<Shared>, mut cancelled: watch::Receiver<bool>) {
    let mut rng = fastrand::Rng::new();
    let total = (shared.config.rate * shared.config.duration.as_secs_f64()).round() as u64;
    let sending = async {
        for number in 0..total {
            let due = shared.began + Duration::from_secs_f64(number as f64 / shared.config.rate);
            sleep_until(due).await;
            if due.elapsed() > MAX_LAG {
                shared.state.lock().missed += 1;
                continue;
            }
            let slot = Arc::clone(&shared.slots).acquire_owned();
            // Waiting past the point where the request is too late would stall the schedule.
            match tokio::time::timeout_at(due + MAX_LAG, slot).await {
                Ok(Ok(slot)) => shared.send(due, slot, &mut rng),
                Ok(Err(_)) | Err(_) => shared.state.lock().missed += 1,
            }
        }
    };
    tokio::select! {
        () = sending => {}
        // The error says that the handle is gone, which cancels as well.
        _ = cancelled.wait_for(|cancelled| *cancelled) => {}
    }
    let all = u32::try_from(shared.config.concurrency).unwrap_or(u32::MAX);
    let _ = shared.slots.acquire_many(all).await;
    shared.state.lock().ended = Some(Instant::now());
}

impl Shared {
    fn send(self: &Arc<Self>, due: Instant, slot: OwnedSemaphorePermit, rng: &mut fastrand::Rng) {
        let kind = self.config.mix.draw(rng);
        let mut request = match request::build(kind, &self.config.target, rng) {
            Ok(request) => request,
            Err(error) => {
                self.state.lock().last_failure = Some(error.to_string());
                return;
            }
        };
        for (name, value) in &self.config.headers {
            request.headers_mut().append(name, value.clone());
        }
        let shared = Arc::clone(self);
        task::spawn("request", async move {
            let now = Instant::now();
            let began = if now - due < TIMER_SLACK { now } else { due };
            let reply = shared.client.send(request, shared.config.timeout).await;
            let latency = began.elapsed();
            let (outcome, failure) = request::outcome(&reply, shared.config.injected.as_ref());
            let mut state = shared.state.lock();
            if let Some(tally) = state.tallies.get_mut(kind.index()) {
                tally.count(outcome, latency);
            }
            if failure.is_some() {
                state.last_failure = failure.map(|text| format!("{}: {text}", kind.name()));
            }
            drop(slot);
        });
    }

    fn report(&self, now: Instant) -> Report {
        let state = self.state.lock();
        let mut all = Tally::default();
        for tally in &state.tallies {
            all.merge(tally);
        }
        let all = all.report();
        let kinds = Kind::ALL.into_iter().zip(&state.tallies);
        let seconds = state
            .ended
            .unwrap_or(now)
            .duration_since(self.began)
            .as_secs_f64();
        let free = if state.ended.is_some() {
            self.config.concurrency
        } else {
            self.slots.available_permits()
        };
        Report {
            target: self.config.target.to_string(),
            duration_s: (seconds * 1e3).round() / 1e3,
            rate: self.config.rate,
            rps: all.counts.requests as f64 / seconds.max(1e-3),
            counts: all.counts,
            missed: state.missed,
            in_flight: (self.config.concurrency - free) as u64,
            latency: all.latency,
            kinds: kinds.map(|(kind, tally)| (kind, tally.report())).collect(),
            last_failure: state.last_failure.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(change: impl FnOnce(&mut LoadConfig), valid: bool) {
        let mut config = LoadConfig::new(Uri::from_static("http://127.0.0.1:1"));
        change(&mut config);
        assert_eq!(check(&config).is_ok(), valid, "{config:?}");
    }

    #[test]
    fn everything_is_bounded() {
        checked(|_| {}, true);
        checked(
            |config| config.target = Uri::from_static("https://x"),
            false,
        );
        checked(|config| config.target = Uri::from_static("/x"), false);
        checked(|config| config.rate = 0.0, false);
        checked(|config| config.rate = f64::NAN, false);
        checked(|config| config.rate = MAX_RATE * 2.0, false);
        checked(|config| config.concurrency = 0, false);
        checked(|config| config.concurrency = MAX_CONCURRENCY + 1, false);
        checked(|config| config.duration = MAX_DURATION * 2, false);
        checked(|config| config.timeout = Duration::ZERO, false);
    }
}
