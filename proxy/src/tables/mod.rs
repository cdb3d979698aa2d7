//! What is in force: one immutable [`Snapshot`] at a time, read without a lock, swapped whole.
//!
//! Place: [`crate::control`] writes, the pipelines read. A request sees one version of everything. A name nobody asked
//! for yet is announced to the control plane and waited for, with a bound; concurrent waiters share the one subscription.
//! What was learned stays in force while the control plane is away. Never plaintext because it is slow: without an answer
//! there is an error, not a guess.

mod snapshot;

pub use snapshot::{Answer, NameEntry, Snapshot};

use crate::balance::ClusterHandle;
use arc_swap::ArcSwap;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use weft_model::{
    cluster::ClusterName, inbound::InboundPolicy, limits, resource::Name, route::OutboundPolicy,
    workload::WorkloadConfig,
};

/// Names that may wait to be subscribed. More than this at once means that the control task is stuck; a waiter then
/// waits for room within its own bound.
const INTEREST_QUEUE: usize = 1024;

/// What a name means.
#[derive(Debug, Clone)]
pub enum Found {
    /// A destination in the mesh.
    Policy(Arc<OutboundPolicy>),
    /// The control plane says that it knows no such destination.
    NotFound,
}

/// No answer about a destination, and none from before.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("no configuration for {name} within {waited:?}: {link}")]
pub struct LookupError {
    /// What was asked, for people.
    pub name: String,
    /// How long was waited.
    pub waited: Duration,
    /// What the link to the control plane says of itself.
    pub link: String,
}

/// See the module. Shared by all shards.
#[derive(Debug)]
pub struct Tables {
    current: ArcSwap<Snapshot>,
    changed: watch::Sender<u64>,
    interest: mpsc::Sender<Name>,
    link: ArcSwap<String>,
    wait: Duration,
}

/// The control task's end: names that somebody waits for.
pub type Interest = mpsc::Receiver<Name>;

impl Tables {
    /// Empty tables, and the stream of names that the pipelines ask for.
    #[must_use]
    pub fn new() -> (Arc<Self>, Interest) {
        Self::with_wait(limits::DISCOVERY_WAIT)
    }

    /// As [`Tables::new`], with another bound on the wait for a first answer.
    #[must_use]
    pub fn with_wait(wait: Duration) -> (Arc<Self>, Interest) {
        let (interest, names) = mpsc::channel(INTEREST_QUEUE);
        let tables = Self {
            current: ArcSwap::from_pointee(Snapshot::default()),
            changed: watch::channel(0).0,
            interest,
            link: ArcSwap::from_pointee("the control plane has not been reached yet".to_owned()),
            wait,
        };
        (Arc::new(tables), names)
    }

    /// What `name` means now. The first time it is asked for, the control plane is asked and waited for.
    ///
    /// Cancel safe: yes.
    ///
    /// # Errors
    /// When there is no answer in time and none from before.
    pub async fn outbound(&self, name: &Name) -> Result<Found, LookupError> {
        if let Some(found) = self.known(name) {
            return Ok(found);
        }
        let mut changed = self.changed.subscribe();
        let answered = async {
            if self.interest.send(name.clone()).await.is_err() {
                // The control task is gone: the process is ending. What comes next is the bound.
                return std::future::pending().await;
            }
            loop {
                if let Some(found) = self.known(name) {
                    return found;
                }
                if changed.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        tokio::time::timeout(self.wait, answered)
            .await
            .map_err(|_| LookupError {
                name: describe(name),
                waited: self.wait,
                link: self.link.load().to_string(),
            })
    }

    fn known(&self, name: &Name) -> Option<Found> {
        let current = self.current.load();
        let entry = current.names.get(name)?;
        // A mark, not a clock: the control task sweeps it, so a request costs one store at most.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(match &entry.answer {
            Answer::Outbound(host, port) => {
                Found::Policy(Arc::clone(current.outbound.get(&(host.clone(), *port))?))
            }
            Answer::Other | Answer::NotFound => Found::NotFound,
        })
    }

    /// The cluster that a policy names.
    #[must_use]
    pub fn cluster(&self, name: &ClusterName) -> Option<Arc<ClusterHandle>> {
        self.current.load().clusters.get(name).cloned()
    }

    /// The policy of one of the workload's own container ports.
    #[must_use]
    pub fn inbound(&self, port: u16) -> Option<Arc<InboundPolicy>> {
        self.current.load().inbound.get(&port).cloned()
    }

    /// The workload itself.
    #[must_use]
    pub fn workload(&self) -> Option<Arc<WorkloadConfig>> {
        self.current.load().workload.clone()
    }

    /// Everything in force.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Wakes whenever something changed; the value counts the changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Puts a new snapshot in force and wakes who waits. Only `control` calls it (and tests that play the control plane).
    pub fn store(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
        self.changed.send_modify(|count| *count += 1);
    }

    /// Says how the link to the control plane is, for error replies and readiness.
    pub fn describe_link(&self, text: impl Into<String>) {
        self.link.store(Arc::new(text.into()));
    }
}

/// A name as people read it.
#[must_use]
pub fn describe(name: &Name) -> String {
    match name {
        Name::Outbound(address) => address.to_string(),
        Name::Authority { host, port } => format!("{host}:{port}"),
        Name::Inbound(port) => format!("port {port}"),
        Name::Trust => "the trust bundle".to_owned(),
        Name::Workload => "the workload".to_owned(),
    }
}

#[cfg(test)]
mod tests;
