//! Whether the process can do its work, and if not, what it waits for.
//!
//! Place: each thing that is waited for (a certificate, the first sync, a listener) owns a
//! [`Condition`]; the admin server serves the sum on `/ready`. Invariants: a condition starts unmet
//! with a reason; the process is ready when every condition is met and it is not stopping; once
//! stopping it never becomes ready again. Reasons are for people: they say what is waited for and,
//! where known, why it does not come.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Why a process that drains is not ready.
pub const STOPPING: &str = "shutting down";

/// The sum of all conditions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// Condition name to the reason it is unmet; `None` when met.
    conditions: BTreeMap<&'static str, Option<String>>,
    stopping: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        !self.stopping && self.conditions.values().all(Option::is_none)
    }
}

/// What `/ready` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Every condition is met.
    Ready,
    /// What is missing, in the order of the conditions' names.
    NotReady(Vec<Unmet>),
}

/// One condition that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// The condition's name, a constant such as `certificate`.
    pub condition: &'static str,
    /// For people: what is waited for, and why it does not come.
    pub reason: String,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// Without any condition yet, which counts as ready: create the conditions before the admin
    /// server starts.
    pub fn new() -> Self {
        let (ready, _) = watch::channel(true);
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::default()),
                ready,
            }),
        }
    }

    /// Adds a condition, unmet for `reason`.
    pub fn condition(&self, name: &'static str, reason: impl Into<String>) -> Condition {
        let condition = Condition {
            name,
            readiness: self.clone(),
        };
        condition.unmet(reason);
        condition
    }

    /// Not ready from now on, for good: the first step of a shutdown.
    pub fn stop(&self) {
        self.change(|state| state.stopping = true);
    }

    /// The sum now.
    pub fn status(&self) -> Status {
        let state = self.shared.state.lock();
        if state.is_ready() {
            return Status::Ready;
        }
        let mut unmet: Vec<Unmet> = state
            .conditions
            .iter()
            .filter_map(|(condition, reason)| {
                reason.clone().map(|reason| Unmet { condition, reason })
            })
            .collect();
        if state.stopping {
            unmet.push(Unmet {
                condition: "shutdown",
                reason: STOPPING.to_owned(),
            });
        }
        Status::NotReady(unmet)
    }

    /// Whether the sum is [`Status::Ready`].
    pub fn is_ready(&self) -> bool {
        self.shared.state.lock().is_ready()
    }

    /// Resolves when the process is ready; at once if it is. Cancel safe: yes.
    pub async fn ready(&self) {
        let mut ready = self.shared.ready.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.shared.state.lock();
        let before = state.is_ready();
        change(&mut state);
        let after = state.is_ready();
        // Sent under the lock, so that two changes cannot be announced in the wrong order.
        self.shared.ready.send_replace(after);
        drop(state);
        match (before, after) {
            (false, true) => tracing::info!("ready"),
            (true, false) => tracing::info!("not ready"),
            (true, true) | (false, false) => {}
        }
    }
}

/// One thing that is waited for. Dropping it leaves it as it was.
#[derive(Debug)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

impl Condition {
    /// The name it was created with.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// It is there.
    pub fn met(&self) {
        self.readiness.change(|state| {
            state.conditions.insert(self.name, None);
        });
    }

    /// It is missing (again), or still, for a new reason.
    pub fn unmet(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.readiness.change(|state| {
            state.conditions.insert(self.name, Some(reason));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(readiness: &Readiness) -> Vec<(&'static str, String)> {
        match readiness.status() {
            Status::Ready => Vec::new(),
            Status::NotReady(unmet) => unmet.into_iter().map(|u| (u.condition, u.reason)).collect(),
        }
    }

    #[tokio::test]
    async fn it_is_ready_when_every_condition_is_met() {
        let readiness = Readiness::new();
        let sync = readiness.condition("sync", "waiting for the first sync");
        let certificate = readiness.condition("certificate", "waiting for a certificate");
        assert_eq!(reasons(&readiness).len(), 2);
        certificate.unmet("cannot reach the controller at 127.0.0.1:1");
        assert_eq!(
            reasons(&readiness),
            [
                (
                    "certificate",
                    "cannot reach the controller at 127.0.0.1:1".to_owned()
                ),
                ("sync", "waiting for the first sync".to_owned())
            ]
        );
        certificate.met();
        let waiter = crate::task::spawn("test-ready", {
            let readiness = readiness.clone();
            async move { readiness.ready().await }
        });
        assert!(!readiness.is_ready());
        sync.met();
        waiter.await.unwrap();
        assert_eq!(readiness.status(), Status::Ready);
        sync.unmet("lost");
        assert!(!readiness.is_ready());
    }

    #[test]
    fn stopping_is_for_good() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let late = readiness.condition("late", "not yet");
        readiness.stop();
        late.met();
        assert_eq!(reasons(&readiness), [("shutdown", STOPPING.to_owned())]);
    }
}
