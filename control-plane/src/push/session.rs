//! The server's half of one proxy's stream, sans-IO: messages in, batches out, the mesh as a [`View`].
//!
//! It keeps a *dirty set* of names, not a queue of changes: however often something changes while the proxy is busy, the
//! next batch says the latest. At most one batch is in flight; its ACK lets the next one go, which is all the
//! back-pressure there is.
//!
//! Invariants: memory is bounded by the subscriptions ([`MAX_NAMES`]); a policy is never sent before the clusters and
//! endpoints that it names, and nothing is removed before what named it has been replaced; a version that the proxy holds
//! is not sent again, and one that it rejected only once it differs.
//!
//! Long because: the state and its four transitions (subscribe, next batch, acknowledge, forget) are one protocol.

use crate::snapshot::{Published, View};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use weft_model::{
    endpoint::{Endpoint, EndpointId},
    resource::{Name, Resource, ResourceName, Version},
    source::SourceRef,
};

/// Names that one proxy may subscribe. An application that dials more is told so by the stream's end.
pub const MAX_NAMES: usize = 10_000;
/// Encoded bytes of one batch, above which the next name waits for the next batch. Below gRPC's usual 4 MiB.
pub const BATCH_BYTES: usize = 1 << 20;

/// The proxy asked for more than [`MAX_NAMES`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_NAMES} names are subscribed")]
pub struct TooManyNames;

/// What to send next. It is acknowledged as a whole, by its nonce.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Comes back in the acknowledgement.
    pub nonce: u64,
    /// Whole resources, what is named before what names it.
    pub upsert: Vec<Arc<Published>>,
    /// Endpoint sets of which only a part changed.
    pub deltas: Vec<Delta>,
    /// Resources that nothing subscribed leads to any more.
    pub removed: Vec<ResourceName>,
    /// What names mean now.
    pub answers: Vec<(Name, Option<ResourceName>)>,
    /// Subscribes that are fully answered.
    pub done: Vec<u64>,
    /// The workload's own configuration is complete; said once.
    pub initial_sync_done: bool,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.upsert.is_empty()
            && self.deltas.is_empty()
            && self.removed.is_empty()
            && self.answers.is_empty()
            && self.done.is_empty()
            && !self.initial_sync_done
    }
}

/// A change of an endpoint set.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// The set.
    pub name: ResourceName,
    /// Version it applies to.
    pub base: Version,
    /// Version of the result.
    pub version: Version,
    /// New endpoints and changed ones.
    pub upsert: Vec<Endpoint>,
    /// Endpoints that are gone.
    pub remove: Vec<EndpointId>,
    /// Sources of the result.
    pub sources: Vec<SourceRef>,
}

/// A refusal of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Resource name as the proxy says it.
    pub name: String,
    /// Path of the field that it cannot make sense of.
    pub field: String,
    /// Why.
    pub reason: String,
}

/// A rejection of the version that was last sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The version.
    pub version: Version,
    /// Path of the field.
    pub field: String,
    /// Why.
    pub reason: String,
}

#[derive(Debug, Default)]
struct Subscription {
    /// What the proxy was last told that the name means.
    answered: Option<Option<ResourceName>>,
    /// The resources that the answer led to.
    closure: Vec<ResourceName>,
}

/// What the proxy has of a resource, or is being sent.
#[derive(Debug)]
struct Held {
    /// Last version sent (or said to be held).
    version: Version,
    /// Its content, which a delta is made against; unknown for what the proxy brought along.
    published: Option<Arc<Published>>,
    /// The version that is in force at the proxy.
    enforced: Option<Version>,
    rejected: Option<Rejected>,
    /// A delta of it was refused: it is due as a whole.
    is_lost: bool,
}

#[derive(Debug)]
struct InFlight {
    nonce: u64,
    resources: Vec<(ResourceName, Version, Form)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    Delta,
}

#[derive(Debug)]
struct Waiting {
    corr: u64,
    names: BTreeSet<Name>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Session {
    subscriptions: BTreeMap<Name, Subscription>,
    dirty: BTreeSet<Name>,
    waiting: Vec<Waiting>,
    held: BTreeMap<ResourceName, Held>,
    /// Brought along from an earlier stream and not yet led to by a subscription.
    unclaimed: BTreeSet<ResourceName>,
    /// To be removed at the proxy with the next batch.
    forgotten: BTreeSet<ResourceName>,
    in_flight: Option<InFlight>,
    last_nonce: u64,
    initial_sync_sent: bool,
}

impl Session {
    /// A session of a proxy that holds `known` from an earlier stream.
    #[must_use]
    pub fn new(known: BTreeMap<ResourceName, Version>) -> Self {
        let unclaimed = known.keys().cloned().collect();
        let held = known.into_iter().map(|(name, version)| {
            let held = Held {
                version,
                published: None,
                enforced: Some(version),
                rejected: None,
                is_lost: false,
            };
            (name, held)
        });
        Self {
            held: held.collect(),
            unclaimed,
            ..Self::default()
        }
    }

    /// The proxy wants these names; `corr` is to come back once all are answered, unless it is 0.
    ///
    /// # Errors
    /// When there are too many.
    pub fn subscribe(&mut self, names: &[Name], corr: u64) -> Result<(), TooManyNames> {
        for name in names {
            // The answer is due again even where the name was subscribed before.
            self.subscriptions.entry(name.clone()).or_default().answered = None;
            self.dirty.insert(name.clone());
        }
        if self.subscriptions.len() > MAX_NAMES {
            return Err(TooManyNames);
        }
        if corr != 0 {
            self.waiting.push(Waiting {
                corr,
                names: names.iter().cloned().collect(),
            });
        }
        Ok(())
    }

    /// The proxy no longer uses these names. It has forgotten what only they led to, so that is no longer held.
    pub fn unsubscribe(&mut self, names: &[Name]) {
        for name in names {
            self.subscriptions.remove(name);
            self.dirty.remove(name);
            for waiting in &mut self.waiting {
                waiting.names.remove(name);
            }
        }
        self.forget_unneeded();
    }

    /// The mesh has changed: every name is looked at again.
    pub fn changed(&mut self) {
        self.dirty.extend(self.subscriptions.keys().cloned());
    }

    /// What the proxy brought along and has not asked for again may go.
    pub fn drop_unclaimed(&mut self) {
        if !self.unclaimed.is_empty() {
            self.unclaimed.clear();
            self.forget_unneeded();
        }
    }

    /// Whether resources wait to be claimed, see [`Self::drop_unclaimed`].
    #[must_use]
    pub fn has_unclaimed(&self) -> bool {
        !self.unclaimed.is_empty()
    }

    /// The proxy has applied the batch `nonce`, but for `rejections`. Gives what it now refuses, for the log.
    pub fn acknowledge(
        &mut self,
        nonce: u64,
        rejections: &[Rejection],
    ) -> Vec<(ResourceName, Rejected)> {
        let Some(in_flight) = self.in_flight.take_if(|it| it.nonce == nonce) else {
            return Vec::new();
        };
        let mut refused = Vec::new();
        for (name, version, form) in in_flight.resources {
            let rejection = rejections.iter().find(|it| it.name == name.to_string());
            let Some(held) = self.held.get_mut(&name).filter(|it| it.version == version) else {
                continue;
            };
            match (rejection, form) {
                (None, _) => {
                    held.enforced = Some(version);
                    held.rejected = None;
                }
                // A delta may fail for what the proxy lost; the whole resource is sent instead.
                (Some(_), Form::Delta) => {
                    held.is_lost = true;
                    let named = |it: &&Name| {
                        self.subscriptions
                            .get(it)
                            .is_some_and(|it| it.closure.contains(&name))
                    };
                    let named: Vec<Name> =
                        self.subscriptions.keys().filter(named).cloned().collect();
                    self.dirty.extend(named);
                }
                (Some(rejection), Form::Whole) => {
                    let rejected = Rejected {
                        version,
                        field: rejection.field.clone(),
                        reason: rejection.reason.clone(),
                    };
                    held.rejected = Some(rejected.clone());
                    refused.push((name, rejected));
                }
            }
        }
        refused
    }

    /// The next batch; none while one is in flight or nothing is to be said.
    pub fn next(&mut self, view: &mut dyn View) -> Option<Batch> {
        if self.in_flight.is_some() {
            return None;
        }
        let mut batch = Batch::default();
        let mut resources = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES
            && let Some(name) = self.dirty.pop_first()
        {
            bytes += self.answer(&name, view, &mut batch, &mut resources);
        }
        if self.dirty.is_empty() {
            self.forget_unneeded();
            batch.removed = std::mem::take(&mut self.forgotten).into_iter().collect();
        }
        batch.upsert.sort_by_key(|published| rank(published.name()));
        batch.done = self.finished();
        if !self.initial_sync_sent && self.is_synced(view) {
            self.initial_sync_sent = true;
            batch.initial_sync_done = true;
        }
        if batch.is_empty() {
            return None;
        }
        self.last_nonce += 1;
        batch.nonce = self.last_nonce;
        self.in_flight = Some(InFlight {
            nonce: batch.nonce,
            resources,
        });
        Some(batch)
    }

    /// Adds what the proxy lacks of `name` to the batch. Gives its bytes.
    fn answer(
        &mut self,
        name: &Name,
        view: &mut dyn View,
        batch: &mut Batch,
        resources: &mut Vec<(ResourceName, Version, Form)>,
    ) -> usize {
        let answer = view.answer(name);
        let closure = answer
            .as_ref()
            .map(|it| view.closure(it))
            .unwrap_or_default();
        let mut bytes = 0;
        for published in &closure {
            let resource = published.name();
            self.unclaimed.remove(resource);
            self.forgotten.remove(resource);
            let held = self.held.get_mut(resource);
            if held
                .as_ref()
                .is_some_and(|it| it.version == published.version() && !it.is_lost)
            {
                if let Some(held) = held {
                    held.published.get_or_insert_with(|| Arc::clone(published));
                }
                continue;
            }
            let form = match held.and_then(|held| delta(held, published)) {
                Some(delta) => {
                    batch.deltas.push(delta);
                    Form::Delta
                }
                None => {
                    bytes += published.encoded.bytes.len();
                    batch.upsert.push(Arc::clone(published));
                    Form::Whole
                }
            };
            resources.push((resource.clone(), published.version(), form));
            let enforced = self.held.get(resource).and_then(|it| it.enforced);
            let held = Held {
                version: published.version(),
                published: Some(Arc::clone(published)),
                enforced,
                rejected: None,
                is_lost: false,
            };
            self.held.insert(resource.clone(), held);
        }
        if let Some(subscription) = self.subscriptions.get_mut(name) {
            subscription.closure = closure.iter().map(|it| it.name().clone()).collect();
            if subscription.answered.as_ref() != Some(&answer) {
                subscription.answered = Some(answer.clone());
                batch.answers.push((name.clone(), answer));
            }
        }
        for waiting in &mut self.waiting {
            waiting.names.remove(name);
        }
        bytes
    }

    fn finished(&mut self) -> Vec<u64> {
        let (done, open): (Vec<Waiting>, Vec<Waiting>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|it| it.names.is_empty());
        self.waiting = open;
        done.into_iter().map(|it| it.corr).collect()
    }

    fn forget_unneeded(&mut self) {
        let needed: BTreeSet<&ResourceName> = self
            .subscriptions
            .values()
            .flat_map(|it| &it.closure)
            .collect();
        let unneeded: Vec<ResourceName> = self
            .held
            .keys()
            .filter(|name| !needed.contains(name) && !self.unclaimed.contains(name))
            .cloned()
            .collect();
        for name in unneeded {
            self.held.remove(&name);
            self.forgotten.insert(name);
        }
    }

    /// Trust, settings and every declared port have been answered.
    fn is_synced(&self, view: &mut dyn View) -> bool {
        let answered = |name: &Name| {
            let subscription = self.subscriptions.get(name);
            subscription.is_some_and(|it| matches!(it.answered, Some(Some(_))))
        };
        if !answered(&Name::Trust) || !answered(&Name::Workload) {
            return false;
        }
        let own = view.closure(&ResourceName::Workload);
        own.iter().all(|published| match &published.resource {
            Resource::Workload(config) => {
                config.ports.iter().all(|it| answered(&Name::Inbound(*it)))
            }
            Resource::Outbound(_)
            | Resource::Cluster(_)
            | Resource::Endpoints(_)
            | Resource::Inbound(_)
            | Resource::Trust(_) => true,
        })
    }

    /// The names that are subscribed.
    pub fn subscribed(&self) -> impl Iterator<Item = &Name> {
        self.subscriptions.keys()
    }

    /// The versions that are in force at the proxy.
    pub fn enforced(&self) -> impl Iterator<Item = (&ResourceName, Version)> {
        self.held
            .iter()
            .filter_map(|(name, held)| Some((name, held.enforced?)))
    }

    /// What the proxy refuses.
    pub fn rejected(&self) -> impl Iterator<Item = (&ResourceName, &Rejected)> {
        self.held
            .iter()
            .filter_map(|(name, held)| Some((name, held.rejected.as_ref()?)))
    }
}

/// What is named comes before what names it.
fn rank(name: &ResourceName) -> u8 {
    match name {
        ResourceName::Trust => 0,
        ResourceName::Workload => 1,
        ResourceName::Endpoints(..) => 2,
        ResourceName::Cluster(_) => 3,
        ResourceName::Outbound(..) | ResourceName::Inbound(_) => 4,
    }
}

/// The difference, where the proxy has an older version of an endpoint set in force and less than half of it changed.
fn delta(held: &Held, next: &Published) -> Option<Delta> {
    if held.enforced != Some(held.version) || held.is_lost {
        return None;
    }
    let (Resource::Endpoints(old), Resource::Endpoints(new)) =
        (&held.published.as_ref()?.resource, &next.resource)
    else {
        return None;
    };
    let upsert: Vec<Endpoint> = new
        .endpoints
        .iter()
        .filter(|it| !old.endpoints.contains(it))
        .cloned()
        .collect();
    let remove: Vec<EndpointId> = old
        .endpoints
        .iter()
        .map(|it| it.id)
        .filter(|id| !new.endpoints.iter().any(|it| it.id == *id))
        .collect();
    if 2 * (upsert.len() + remove.len()) > new.endpoints.len() {
        return None;
    }
    Some(Delta {
        name: next.name().clone(),
        base: held.version,
        version: next.version(),
        upsert,
        remove,
        sources: new.sources.clone(),
    })
}

#[cfg(test)]
mod tests;
