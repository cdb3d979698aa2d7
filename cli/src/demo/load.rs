//! The load generator as a workload of the mesh: `weft __load`, and the look at its counts.
//!
//! It sends through its own sidecar (the `http_proxy` of its environment) and answers on its `$PORT`,
//! which is not the sidecar's: `GET /begin` begins, once the rest of the shop is ready, and
//! `GET /report` says what arrived and what failed, as the user of the shop saw it. A load generator
//! that is started anew counts from nothing; [`LoadCounts`] begins it again and adds up.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use weft_runtime::admin::{Admin, AdminReply};
use weft_runtime::signal::Signals;
use weft_shop::ProxyRules;
use weft_shop::load::{Load, LoadConfig, Mix};

use crate::config::{LoadArgs, Surroundings};
use crate::up::state::RunState;

/// The workload of the load generator.
pub const SHOPBOT: &str = "shopbot";

/// What it opens.
const TARGET: &str = "http://web-bff";

/// One load runs this long at most; the next follows at once.
const ROUND: Duration = Duration::from_secs(24 * 3600);

/// For one answer of the load generator.
const TIMEOUT: Duration = Duration::from_millis(500);

const REPORT: &str = "/report";
const BEGIN: &str = "/begin";

/// What the load generator answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    /// Whether it has begun.
    begun: bool,
    /// Requests that ended.
    requests: u64,
    /// Transport errors and 5xx that no policy asked for.
    failed: u64,
}

/// `weft __load`: sends until it is asked to end.
///
/// # Errors
/// When the settings make no sense or the port is taken.
pub async fn run(args: LoadArgs, surroundings: &Surroundings) -> Result<ExitCode> {
    let text = |key: &str| {
        let value = surroundings.variable(key);
        value
            .and_then(|value| value.to_str())
            .unwrap_or_default()
            .to_owned()
    };
    let port: u16 = text("PORT").parse().context("reading $PORT")?;
    let mut config = LoadConfig::new(Uri::from_static(TARGET));
    config.proxy = ProxyRules::parse(&text("http_proxy"), "").context("reading $http_proxy")?;
    config.rate = args.rate;
    config.concurrency = args.concurrency;
    config.duration = ROUND;
    config.mix = args.mix.parse::<Mix>().context("reading --mix")?;
    let mut signals = Signals::install().context("installing the signal handlers")?;
    let load = Arc::new(Mutex::new(None::<Load>));
    let begin = Begin {
        load: Arc::clone(&load),
        runtime: tokio::runtime::Handle::current(),
        config,
    };
    let shown = Arc::clone(&load);
    let admin = Admin::empty()
        .route(REPORT, move |_| reply(&shown))
        .route(BEGIN, move |_| begin.begin());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let _admin = admin
        .start(address)
        .with_context(|| format!("listening on {address}"))?;
    signals.next().await;
    // Dropping it stops it; what is in flight is nobody's any more.
    lock(&load).take();
    Ok(ExitCode::SUCCESS)
}

/// What begins the load, once.
struct Begin {
    load: Arc<Mutex<Option<Load>>>,
    runtime: tokio::runtime::Handle,
    config: LoadConfig,
}

impl Begin {
    fn begin(&self) -> AdminReply {
        let mut load = lock(&self.load);
        if load.is_none() {
            // The load runs on the thread of the command, not on that of the answers.
            let _entered = self.runtime.enter();
            match Load::start(self.config.clone()) {
                Ok(started) => *load = Some(started),
                Err(error) => {
                    return AdminReply::text(StatusCode::BAD_REQUEST, error.to_string());
                }
            }
        }
        AdminReply::text(StatusCode::OK, "begun\n")
    }
}

fn lock(load: &Mutex<Option<Load>>) -> MutexGuard<'_, Option<Load>> {
    load.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn reply(load: &Mutex<Option<Load>>) -> AdminReply {
    let counts = lock(load).as_ref().map(|load| {
        let report = load.snapshot();
        Counts {
            begun: true,
            requests: report.counts.requests,
            failed: report.counts.failed,
        }
    });
    match serde_json::to_vec(&counts.unwrap_or_default()) {
        Ok(body) => AdminReply::json(body),
        Err(error) => AdminReply::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// What the load generator counted over all its lives.
#[derive(Debug, Default)]
pub struct LoadCounts {
    /// Of the lives before.
    before: Counts,
    /// Of this one.
    now: Counts,
}

impl LoadCounts {
    /// Asks the load generator, and begins it when it has not begun.
    pub async fn read(&mut self, run: &RunState) {
        let bot = run
            .instances
            .iter()
            .find(|instance| instance.workload == SHOPBOT);
        let Some(address) = bot.and_then(|bot| Some(bot.ports.inbound.first()?.app)) else {
            return;
        };
        // One that starts or ends does not answer; the next look finds it.
        if let Ok(answer) = crate::http::get(address, REPORT, &[], TIMEOUT).await
            && let Ok(counts) = serde_json::from_slice::<Counts>(&answer.body)
        {
            self.take(counts);
            if !counts.begun {
                // As above.
                let _ = crate::http::get(address, BEGIN, &[], TIMEOUT).await;
            }
        }
    }

    fn take(&mut self, counts: Counts) {
        if counts.requests < self.now.requests {
            self.before.requests += self.now.requests;
            self.before.failed += self.now.failed;
        }
        self.now = counts;
    }

    /// Requests that ended.
    pub fn requests(&self) -> u64 {
        self.before.requests + self.now.requests
    }

    /// Of them, those that failed.
    pub fn failed(&self) -> u64 {
        self.before.failed + self.now.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_over_restarts() {
        let mut counts = LoadCounts::default();
        for (requests, failed) in [(10, 1), (20, 1), (3, 0), (4, 1)] {
            counts.take(Counts {
                begun: true,
                requests,
                failed,
            });
        }
        assert_eq!((counts.requests(), counts.failed()), (24, 2));
    }
}
