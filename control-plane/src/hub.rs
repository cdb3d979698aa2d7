//! Where deliveries of the source and streams of proxies meet: one state, one lock, no I/O under it.
//!
//! Place: `app` wires the source to [`Hub::deliver`]; each stream asks [`Hub::next`] for its batches and reports what was
//! acknowledged. The lock is held for computation only; a batch's bytes are shared, not copied.

mod report;

use crate::{
    index::{Accepted, Index, Outcome},
    metrics::{Metrics, PolicyLabels},
    push::session::{Batch, Session},
    run_folder::StoredGeneration,
    snapshot::Snapshot,
    source::{
        Membership, Workload,
        folder::{FileProblem, restore},
        laptop::{Delivery, Edit},
    },
    status::{
        PolicyStatus,
        journal::{Event, Journal},
        proxies::{Proxies, ProxyStatus, StreamId},
        text,
    },
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{sync::watch, time::Instant};
use weft_model::{
    identity::{SpiffeId, TrustDomain},
    problem::Problem,
    resource::{Name, Resource, Version},
    source::ObjectRef,
    trust::TrustBundle,
    workload::WorkloadName,
};

/// Where lines for people go.
pub type Say = Box<dyn Fn(&str) + Send + Sync>;

/// May a stream speak for a workload?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It runs under that ServiceAccount.
    Admitted,
    /// It is not known yet: the proxy may be faster than the source.
    Unknown,
    /// It runs under another ServiceAccount, or has no sidecar.
    Refused,
}

#[derive(Debug)]
struct State {
    index: Index,
    snapshot: Snapshot,
    proxies: Proxies,
    journal: Journal,
    problems: Vec<FileProblem>,
    /// Problems of each object that have been said.
    said: BTreeMap<ObjectRef, Vec<Problem>>,
}

/// See the module.
pub struct Hub {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    journal_changed: watch::Sender<u64>,
    metrics: Metrics,
    say: Say,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub over an empty index. Nothing is known until the first delivery.
    #[must_use]
    pub fn new(
        trust_domain: TrustDomain,
        trust: TrustBundle,
        metrics: Metrics,
        say: Say,
    ) -> Arc<Self> {
        let state = State {
            index: Index::new(trust_domain),
            snapshot: Snapshot::new(trust),
            proxies: Proxies::default(),
            journal: Journal::default(),
            problems: Vec::new(),
            said: BTreeMap::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            journal_changed: watch::Sender::new(0),
            metrics,
            say,
        })
    }

    /// Counts the deliveries that changed something.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The first delivery: the full listing. `stored` are the generations that were in force before a restart.
    pub fn begin(
        &self,
        delivery: Delivery,
        stored: Vec<StoredGeneration>,
    ) -> Option<Vec<StoredGeneration>> {
        let accepted = stored.into_iter().filter_map(|it| {
            let object = restore(&it.manifest, it.generation, it.created)?;
            let manifest = Arc::new(it.manifest);
            Some((
                object.object,
                Accepted {
                    policy: object.translated.value?,
                    manifest,
                },
            ))
        });
        let accepted = accepted.collect();
        let mut state = self.state.lock();
        let outcome = state.index.reset(delivery.changes, accepted);
        state.snapshot.invalidate(&outcome.affected);
        let mut lines = Vec::new();
        let services = state.index.services().count();
        let objects = state.index.objects().count();
        lines.push(format!(
            "read {services} Services and {objects} policy objects"
        ));
        let named: BTreeSet<ObjectRef> = state.index.objects().map(|(it, _)| it.clone()).collect();
        state.say_problems(&named, &mut lines);
        state.say_file_problems(delivery.problems, &delivery.edits, &mut lines);
        self.publish(&mut state, &lines);
        outcome.accepted_changed.then(|| state.stored())
    }

    /// A later delivery. Gives the accepted generations if they differ, to be kept.
    pub fn deliver(&self, delivery: Delivery) -> Option<Vec<StoredGeneration>> {
        let Delivery {
            noticed,
            changes,
            edits,
            problems,
        } = delivery;
        let mut state = self.state.lock();
        let outcome = state.index.apply(changes);
        state.snapshot.invalidate(&outcome.affected);
        let needed = state.refresh_proxies();
        let mut lines = Vec::new();
        self.follow(&mut state, &edits, &outcome, needed, noticed, &mut lines);
        let mut named: BTreeSet<ObjectRef> = edits.iter().map(|it| it.object.clone()).collect();
        named.extend(outcome.broken.iter().chain(&outcome.released).cloned());
        state.say_problems(&named, &mut lines);
        state.say_file_problems(problems, &edits, &mut lines);
        let now = Instant::now();
        for workload in state.forget_gone() {
            lines.extend(
                state
                    .journal
                    .gone(&workload, now)
                    .into_iter()
                    .map(|(line, _)| line),
            );
        }
        self.publish(&mut state, &lines);
        outcome.accepted_changed.then(|| state.stored())
    }

    /// Says what became of an edit, or follows it until it is enforced.
    fn follow(
        &self,
        state: &mut State,
        edits: &[Edit],
        outcome: &Outcome,
        needed: BTreeSet<WorkloadName>,
        noticed: Instant,
        lines: &mut Vec<String>,
    ) {
        let (kept_back, in_force): (Vec<&Edit>, Vec<&Edit>) =
            edits.iter().partition(|edit| state.is_kept_back(edit));
        for edit in kept_back {
            let title = text::title(std::slice::from_ref(edit), &BTreeSet::new());
            lines.push(format!("{title}: {}", state.why_kept_back(&edit.object)));
        }
        let in_force: Vec<Edit> = in_force.into_iter().cloned().collect();
        if in_force.is_empty() && outcome.released.is_empty() {
            return;
        }
        let title = text::title(&in_force, &outcome.released);
        let count = needed.len();
        lines.extend(
            state
                .journal
                .follow(title, noticed, Instant::now(), count, needed),
        );
    }

    fn publish(&self, state: &mut State, lines: &[String]) {
        self.count_policies(state);
        for line in lines {
            self.speak(state, line.clone());
        }
        self.changed.send_modify(|it| *it += 1);
        self.journal_changed.send_modify(|it| *it += 1);
    }

    fn speak(&self, state: &mut State, line: String) {
        (self.say)(&line);
        state.journal.say(line, unix_ms());
    }

    fn count_policies(&self, state: &State) {
        let all = state.index.objects().count();
        let current = state
            .index
            .objects()
            .filter(|(_, entry)| entry.is_current())
            .count();
        for (label, count) in [("accepted", current), ("kept_back", all - current)] {
            let labels = PolicyLabels { state: label };
            let gauge = self.metrics.policies.get_or_create(&labels);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Speaks of edits that are not enforced in time, until dropped. Cancel safe: yes.
    pub async fn watch_patience(&self) {
        let mut changed = self.journal_changed.subscribe();
        loop {
            let next = self.state.lock().journal.next_impatience();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {
                    let mut state = self.state.lock();
                    for line in state.journal.impatient(Instant::now()) {
                        self.speak(&mut state, line);
                    }
                }
                // The sender lives in `self`.
                _ = changed.changed() => {}
            }
        }
    }

    /// Whether the owner of `identity` may speak for `workload`.
    #[must_use]
    pub fn admit(&self, workload: &WorkloadName, identity: &SpiffeId) -> Admission {
        let state = self.state.lock();
        match state.index.workload(workload) {
            None => Admission::Unknown,
            Some(it) if it.membership == Membership::Unmeshed => Admission::Refused,
            Some(it) if state.index.identity(it).as_ref() == Some(identity) => Admission::Admitted,
            Some(_) => Admission::Refused,
        }
    }

    /// The identity that a token stands for, and how long its certificates live.
    #[must_use]
    pub fn identity_of_token(&self, sha256: &[u8; 32]) -> Option<(SpiffeId, Duration)> {
        let state = self.state.lock();
        let holds = |it: &&Arc<Workload>| {
            it.membership == Membership::Meshed && it.token_sha256.as_ref() == Some(sha256)
        };
        let workload = state.index.workloads().find(holds)?;
        let lifetime = state.index.settings().certificate_lifetime;
        Some((state.index.identity(workload)?, lifetime))
    }

    /// A stream of `workload` begins.
    pub fn connect(&self, workload: &WorkloadName) -> StreamId {
        self.state.lock().proxies.connect(workload)
    }

    /// A stream has ended.
    pub fn disconnect(&self, workload: &WorkloadName, stream: StreamId) {
        self.state.lock().proxies.disconnect(workload, stream);
    }

    /// Whether a stream still speaks for its workload: no newer one has come.
    #[must_use]
    pub fn is_current(&self, workload: &WorkloadName, stream: StreamId) -> bool {
        self.state.lock().proxies.is_current(workload, stream)
    }

    /// The next batch of a session, with the number of the state it was made from.
    pub fn next(&self, workload: &WorkloadName, session: &mut Session) -> Option<(Batch, u64)> {
        let state = &mut *self.state.lock();
        let batch = session.next(&mut state.snapshot.view(&state.index, workload))?;
        Some((batch, state.snapshot.generation()))
    }

    /// Takes over what a session knows: its subscriptions, what is acknowledged, what is refused.
    pub fn report(&self, workload: &WorkloadName, stream: StreamId, session: &Session) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(record) = state.proxies.report(workload, stream, session) else {
            return;
        };
        record.refresh(&mut state.snapshot.view(&state.index, workload));
        if record.is_settled() {
            for (line, took) in state.journal.settled(workload, Instant::now()) {
                self.metrics.programming_seconds.observe(took.as_secs_f64());
                self.speak(state, line);
            }
        }
    }

    /// Every policy object's status.
    #[must_use]
    pub fn policies(&self) -> Vec<PolicyStatus> {
        let state = self.state.lock();
        state
            .index
            .objects()
            .map(|(object, _)| state.policy_status(object))
            .collect()
    }

    /// Problems of files that belong to no policy object.
    #[must_use]
    pub fn file_problems(&self) -> Vec<FileProblem> {
        self.state.lock().problems.clone()
    }

    /// Every proxy's status.
    #[must_use]
    pub fn proxies(&self) -> Vec<ProxyStatus> {
        self.state.lock().proxies.statuses()
    }

    /// Lines said after `seq`.
    #[must_use]
    pub fn events(&self, seq: u64) -> Vec<Event> {
        self.state.lock().journal.since(seq)
    }

    /// Everything that `workload` would be told: its own resources, and those of every Service port.
    #[must_use]
    pub fn config(&self, workload: &WorkloadName) -> Option<Vec<(Version, Resource)>> {
        use crate::snapshot::View;
        let state = &mut *self.state.lock();
        let own = state.index.workload(workload)?;
        let mut names = vec![Name::Trust, Name::Workload];
        names.extend(own.ports.iter().map(|port| Name::Inbound(port.number)));
        for (host, service) in state.index.services() {
            let authority = |port| Name::Authority {
                host: host.to_string(),
                port,
            };
            names.extend(service.ports.iter().map(|port| authority(port.port)));
        }
        let mut view = state.snapshot.view(&state.index, workload);
        let mut resources = BTreeMap::new();
        for name in names {
            let Some(resource) = view.answer(&name) else {
                continue;
            };
            for published in view.closure(&resource) {
                resources.insert(published.name().clone(), published);
            }
        }
        Some(
            resources
                .into_values()
                .map(|it| (it.version(), it.resource.clone()))
                .collect(),
        )
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
