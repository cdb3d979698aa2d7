//! The workload's certificate: obtained with its token, renewed before it ends.
//!
//! The token is read anew each time (the kubelet replaces it). While renewal fails the old certificate is kept until it
//! expires; an expired one is replaced like a first one, since Certify asks for no certificate.

mod obtain;

pub use obtain::ObtainError;

use crate::{config::Config, tables::Tables};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::watch;
use weft_identity::{
    leaf::Leaf,
    renewal::{self, Schedule},
    store::IdentityStore,
};
use weft_model::{
    identity::{IdentityError, SpiffeId, TrustDomain},
    limits,
};
use weft_runtime::ready::Condition;

/// The identity that the control plane of a trust domain must prove.
///
/// # Errors
/// Never for a valid trust domain.
pub fn controller_id(trust_domain: &TrustDomain) -> Result<SpiffeId, IdentityError> {
    SpiffeId::new(
        trust_domain,
        limits::CONTROL_PLANE_NAMESPACE,
        limits::CONTROL_PLANE_SERVICE_ACCOUNT,
    )
}

/// The task that keeps the certificate.
#[derive(Debug)]
pub struct Renewal {
    config: Arc<Config>,
    tables: Arc<Tables>,
    store: Arc<IdentityStore>,
    certified: Condition,
    /// Counts certificates, for who waits for one.
    obtained: watch::Sender<u64>,
}

impl Renewal {
    /// For the sidecar of `config`. The receiver changes with every new certificate.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        tables: Arc<Tables>,
        store: Arc<IdentityStore>,
        certified: Condition,
    ) -> (Self, watch::Receiver<u64>) {
        let (obtained, receiver) = watch::channel(0);
        (
            Self {
                config,
                tables,
                store,
                certified,
                obtained,
            },
            receiver,
        )
    }

    /// Runs until the process ends.
    pub async fn run(self) {
        let mut failures: u32 = 0;
        let mut schedule: Option<Schedule> = None;
        loop {
            let chance = fastrand::f64();
            let wait = match schedule {
                None if failures == 0 => Duration::ZERO,
                None => renewal::backoff(failures, Duration::MAX, chance),
                Some(schedule) => schedule.next_attempt(SystemTime::now(), failures, chance),
            };
            self.until_due(wait, schedule).await;
            match obtain::leaf(&self.config, &self.store, self.lifetime()).await {
                Ok(leaf) => {
                    failures = 0;
                    schedule = Some(self.take(leaf));
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.failed(&error, failures);
                }
            }
        }
    }

    /// Waits, but not on when the mesh's configured lifetime has become much shorter than that of the certificate held.
    async fn until_due(&self, wait: Duration, schedule: Option<Schedule>) {
        let due = tokio::time::sleep(wait);
        tokio::pin!(due);
        let mut changes = self.tables.changes();
        loop {
            tokio::select! {
                () = &mut due => return,
                changed = changes.changed() => {
                    let held = schedule.map(|schedule| schedule.life());
                    let outlives = held.zip(self.lifetime()).is_some_and(|(held, wanted)| held > wanted * 2);
                    if outlives || changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn lifetime(&self) -> Option<Duration> {
        self.tables
            .workload()
            .map(|workload| workload.certificate_lifetime)
    }

    fn take(&self, leaf: Leaf) -> Schedule {
        tracing::info!(
            identity = %leaf.id(),
            serial = %leaf.serial(),
            "certificate obtained"
        );
        let schedule = Schedule {
            issued: SystemTime::now(),
            not_after: leaf.not_after(),
        };
        self.store.set_leaf(leaf);
        self.certified.met();
        self.obtained.send_modify(|count| *count += 1);
        schedule
    }

    fn failed(&self, error: &ObtainError, failures: u32) {
        tracing::warn!(reason = %error, failures, "certificate not obtained");
        let usable = self
            .store
            .leaf()
            .is_some_and(|leaf| !leaf.is_expired(SystemTime::now()));
        if !usable {
            self.certified.unmet(format!("no certificate: {error}"));
        }
    }
}
