//! Keeps one stream to the control plane: opens it, moves messages, backs off, resumes.
//!
//! States: *waiting for a certificate* -> *connecting* -> *streaming*; any failure leads to *backing off*, then again to
//! the start. What was learned stays in force in every state. Names asked for meanwhile are remembered and subscribed
//! with the next stream. A full send queue means a stuck server: the stream is given up rather than waited for.

use super::{
    apply,
    link::{self, LinkError, Present},
    session::Session,
};
use crate::{
    config::Config,
    tables::{Interest, Snapshot, Tables},
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_stream::wrappers::ReceiverStream;
use weft_api::pb::{self, discovery_client::DiscoveryClient};
use weft_identity::{store::IdentityStore, trust::TrustRoots};
use weft_model::{limits, resource::Name};
use weft_runtime::ready::Condition;

/// Messages that may wait for the server; far more than a healthy one leaves waiting.
const SEND_QUEUE: usize = 256;

/// Wait after a first failure, and at most. The most bounds how long an edit made during an outage waits after the control
/// plane's return; the spread keeps a thousand proxies from returning in the same moment.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(3));

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the control plane ended the stream: {0}")]
    Status(String),
    #[error("the control plane closed the stream")]
    Closed,
    #[error("the control plane does not read what is sent to it")]
    Stuck,
    #[error("the control plane asked to reconnect: {reason}")]
    GoAway { within: Duration, reason: String },
}

/// The task that keeps the stream.
#[derive(Debug)]
pub struct Control {
    controller: String,
    trust_domain: weft_model::identity::TrustDomain,
    session: Session,
    tables: Arc<Tables>,
    interest: Interest,
    identity: Arc<IdentityStore>,
    configured: Condition,
}

impl Control {
    /// For the sidecar of `config`.
    #[must_use]
    pub fn new(
        config: &Config,
        tables: Arc<Tables>,
        interest: Interest,
        identity: Arc<IdentityStore>,
        configured: Condition,
    ) -> Self {
        let ports = config.inbound.iter().map(|listener| listener.port);
        Self {
            controller: config.controller.clone(),
            trust_domain: config.trust_domain.clone(),
            session: Session::new(config.workload.clone(), ports),
            tables,
            interest,
            identity,
            configured,
        }
    }

    /// Runs until the process ends. `leaf` changes whenever a certificate was obtained.
    pub async fn run(mut self, mut leaf: watch::Receiver<u64>) {
        let mut failures: u32 = 0;
        loop {
            self.certificate(&mut leaf).await;
            let started = tokio::time::Instant::now();
            let ended = match self.stream().await {
                Err(ended) => ended,
                Ok(never) => match never {},
            };
            // A stream that lasted was healthy: its end is a new failure, not one more.
            if started.elapsed() > limits::DISCOVERY_IDLE {
                failures = 0;
            }
            let wait = match &ended {
                Ended::GoAway { within, .. } => within.mul_f64(fastrand::f64()),
                _ => {
                    failures = failures.saturating_add(1);
                    backoff(failures, fastrand::f64())
                }
            };
            tracing::warn!(reason = %ended, retry_in_ms = wait.as_millis(), "control stream ended");
            self.say(format!("{ended}"));
            self.back_off(wait).await;
        }
    }

    fn say(&self, text: String) {
        if !self.session.is_synced() {
            self.configured.unmet(text.clone());
        }
        self.tables.describe_link(text);
    }

    /// Waits for a certificate that peers would accept now.
    async fn certificate(&mut self, leaf: &mut watch::Receiver<u64>) {
        loop {
            let valid = self
                .identity
                .leaf()
                .is_some_and(|leaf| !leaf.is_expired(SystemTime::now()));
            if valid {
                return;
            }
            self.say("waiting for a certificate".to_owned());
            tokio::select! {
                changed = leaf.changed() => if changed.is_err() { std::future::pending().await },
                Some(name) = self.interest.recv() => { self.session.want(name); }
            }
        }
    }

    /// Names asked for meanwhile are remembered.
    async fn back_off(&mut self, wait: Duration) {
        let over = tokio::time::sleep(wait);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                Some(name) = self.interest.recv() => { self.session.want(name); }
            }
        }
    }

    async fn stream(&mut self) -> Result<std::convert::Infallible, Ended> {
        let channel = link::connect(
            &self.controller,
            &self.trust_domain,
            &self.identity,
            Present::Leaf,
        )
        .await?;
        let (send, outgoing) = mpsc::channel(SEND_QUEUE);
        for message in self.session.open(&self.tables.snapshot().versions) {
            queue(&send, message)?;
        }
        let status = |status: tonic::Status| Ended::Status(describe(&status));
        let mut incoming = DiscoveryClient::new(channel)
            .stream(ReceiverStream::new(outgoing))
            .await
            .map_err(status)?
            .into_inner();
        tracing::info!(controller = self.controller, "control stream open");
        self.say("waiting for the first configuration".to_owned());
        let mut sweep = sweeps();
        loop {
            tokio::select! {
                batch = incoming.message() => {
                    let batch = batch.map_err(status)?.ok_or(Ended::Closed)?;
                    self.take(&batch, &send)?;
                }
                Some(name) = self.interest.recv() => {
                    if let Some(message) = self.session.want(name) {
                        queue(&send, message)?;
                    }
                }
                _ = sweep.tick() => self.sweep(&send)?,
            }
        }
    }

    /// Puts a batch in force and acknowledges it.
    fn take(
        &mut self,
        batch: &pb::ServerMsg,
        send: &mpsc::Sender<pb::ClientMsg>,
    ) -> Result<(), Ended> {
        if let Some(go_away) = &batch.go_away {
            let within = go_away.reconnect_within.as_ref();
            let within = within.and_then(|it| weft_api::decode::duration(it, "").ok());
            return Err(Ended::GoAway {
                within: within.unwrap_or_default(),
                reason: go_away.reason.clone(),
            });
        }
        let before = self.tables.snapshot();
        let mut applied = apply::apply(&before, batch, |name| self.session.wants(name));
        if let Some(reject) = self.trust(&before, &mut applied.snapshot) {
            applied.rejects.push(reject);
        }
        self.tables.store(applied.snapshot);
        // Waiters are awake before the control plane hears of it: an acknowledged batch is in force.
        queue(send, self.session.acknowledge(batch, applied.rejects))?;
        if self.session.is_synced() {
            self.configured.met();
        }
        self.tables.describe_link("connected");
        Ok(())
    }

    /// A new trust bundle comes into force, or is refused and the old one stays.
    fn trust(&self, before: &Snapshot, after: &mut Snapshot) -> Option<pb::Reject> {
        let bundle = after
            .trust
            .clone()
            .filter(|bundle| before.trust.as_ref() != Some(bundle))?;
        match TrustRoots::new([&*bundle]) {
            Ok(roots) => {
                self.identity.set_trust(roots);
                None
            }
            Err(error) => {
                after.trust.clone_from(&before.trust);
                let name = weft_model::resource::ResourceName::Trust;
                let version = after.versions.remove(&name);
                if let Some(held) = before.versions.get(&name) {
                    after.versions.insert(name.clone(), *held);
                }
                let version = version.map(|it| it.0.to_vec()).unwrap_or_default();
                Some(pb::Reject {
                    name: name.to_string(),
                    version: version.into(),
                    field: "trust.anchors_der".to_owned(),
                    reason: error.to_string(),
                })
            }
        }
    }

    /// Gives up names that nobody used since the last sweep.
    fn sweep(&mut self, send: &mpsc::Sender<pb::ClientMsg>) -> Result<(), Ended> {
        let snapshot = self.tables.snapshot();
        let unused: Vec<Name> = snapshot
            .names
            .iter()
            .filter(|(name, entry)| {
                !self.session.is_own(name) && !entry.used.swap(false, Ordering::Relaxed)
            })
            .map(|(name, _)| name.clone())
            .collect();
        if unused.is_empty() {
            return Ok(());
        }
        self.tables.store(apply::forget(&snapshot, &unused));
        match self.session.release(&unused) {
            Some(message) => queue(send, message),
            None => Ok(()),
        }
    }
}

/// When names are swept. Not at once: a new stream, perhaps of a control plane that will not last, must not cost what was
/// learned over the one before.
fn sweeps() -> tokio::time::Interval {
    let period = limits::DISCOVERY_IDLE / 2;
    let mut sweeps = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sweeps
}

/// The wait after `failures` failures in a row: doubling, bounded, spread over 50 % to 100 %. `chance` is in 0..1.
fn backoff(failures: u32, chance: f64) -> Duration {
    let (first, most) = BACKOFF;
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled
        .min(most)
        .mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

fn queue(send: &mpsc::Sender<pb::ClientMsg>, message: pb::ClientMsg) -> Result<(), Ended> {
    send.try_send(message).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Ended::Stuck,
        mpsc::error::TrySendError::Closed(_) => Ended::Closed,
    })
}

/// A status in words; transport errors carry their cause only in their sources.
fn describe(status: &tonic::Status) -> String {
    let code = format!("{:?}", status.code());
    match status.message() {
        "" => code,
        message => format!("{message} ({code})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_new_stream_gives_up_no_name_at_once() {
        let opened = tokio::time::Instant::now();
        sweeps().tick().await;
        assert_eq!(opened.elapsed(), limits::DISCOVERY_IDLE / 2);
    }

    #[test]
    fn the_control_plane_is_found_again_within_seconds_of_its_return() {
        assert!(backoff(1, 1.0) <= Duration::from_millis(20));
        assert!(backoff(4, 0.0) >= Duration::from_millis(80));
        for failures in 1..=u32::from(u16::MAX) {
            assert!(backoff(failures, 1.0) <= Duration::from_secs(3));
        }
        assert!(backoff(u32::MAX, 0.0) >= Duration::from_millis(1500));
    }
}
