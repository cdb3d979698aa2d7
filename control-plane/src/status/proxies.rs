//! What each proxy should enforce and what it has said it enforces.
//!
//! A proxy whose stream is gone stays, with what it had, as long as its workload runs: it still needs what it needed, and
//! counts as not enforcing what it has not acknowledged.

use crate::{
    push::session::{Rejected, Session},
    snapshot::{Published, View},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use weft_model::{
    resource::{Name, ResourceName, Version},
    source::ObjectRef,
    workload::WorkloadName,
};

/// Tells the streams of one workload apart; the newest speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// What is known of one proxy.
#[derive(Debug, Default)]
pub struct Record {
    stream: Option<StreamId>,
    subscribed: BTreeSet<Name>,
    enforced: BTreeMap<ResourceName, Version>,
    rejected: BTreeMap<ResourceName, Rejected>,
    desired: BTreeMap<ResourceName, Arc<Published>>,
}

impl Record {
    /// Whether a stream is open.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether everything it should enforce is acknowledged.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.desired
            .iter()
            .all(|(name, it)| self.enforced.get(name) == Some(&it.version()))
    }

    /// Looks again at what it should enforce. Gives whether that differs.
    pub fn refresh(&mut self, view: &mut dyn View) -> bool {
        let mut desired = BTreeMap::new();
        for name in &self.subscribed {
            let Some(resource) = view.answer(name) else {
                continue;
            };
            for published in view.closure(&resource) {
                desired.insert(published.name().clone(), published);
            }
        }
        let same = desired.len() == self.desired.len()
            && desired.iter().all(|(name, it)| {
                self.desired
                    .get(name)
                    .is_some_and(|old| old.version() == it.version())
            });
        self.desired = desired;
        !same
    }

    /// Whether it needs `object`, and if so whether it enforces `generation` of it.
    fn programmed(&self, object: &ObjectRef, generation: i64) -> Option<bool> {
        let mut needed = None;
        for (name, published) in &self.desired {
            let mut sources = published
                .resource
                .sources()
                .iter()
                .filter(|it| it.object == *object);
            if let Some(source) = sources.next() {
                let enforced = source.generation == generation
                    && self.enforced.get(name) == Some(&published.version());
                needed = Some(needed.unwrap_or(true) && enforced);
            }
        }
        needed
    }
}

/// One proxy, for people.
#[derive(Debug, Serialize)]
pub struct ProxyStatus {
    /// The instance.
    pub workload: String,
    /// Whether its stream is open.
    pub connected: bool,
    /// Whether everything it should enforce is acknowledged.
    pub settled: bool,
    /// What it subscribes.
    pub subscribed: Vec<Name>,
    /// Its resources.
    pub resources: Vec<ResourceStatus>,
}

/// One resource of a proxy.
#[derive(Debug, Serialize)]
pub struct ResourceStatus {
    /// Name.
    pub name: ResourceName,
    /// The version that it should enforce.
    pub version: Version,
    /// The version that it has acknowledged.
    pub enforced: Option<Version>,
    /// Why it refuses the version, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

/// Needs and enforces, over all proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Proxies that enforce it.
    pub programmed: usize,
    /// Proxies that need it.
    pub needed: usize,
}

/// All proxies.
#[derive(Debug, Default)]
pub struct Proxies {
    records: BTreeMap<WorkloadName, Record>,
    last_stream: u64,
}

impl Proxies {
    /// A stream of `workload` is open.
    pub fn connect(&mut self, workload: &WorkloadName) -> StreamId {
        self.last_stream += 1;
        let stream = StreamId(self.last_stream);
        self.records.entry(workload.clone()).or_default().stream = Some(stream);
        stream
    }

    /// A stream has ended.
    pub fn disconnect(&mut self, workload: &WorkloadName, stream: StreamId) {
        if let Some(record) = self.current(workload, stream) {
            record.stream = None;
        }
    }

    /// Whether `stream` is the newest of its workload.
    #[must_use]
    pub fn is_current(&self, workload: &WorkloadName, stream: StreamId) -> bool {
        self.records
            .get(workload)
            .is_some_and(|it| it.stream == Some(stream))
    }

    fn current(&mut self, workload: &WorkloadName, stream: StreamId) -> Option<&mut Record> {
        self.records
            .get_mut(workload)
            .filter(|it| it.stream == Some(stream))
    }

    /// Takes over what a stream knows of its proxy.
    pub fn report(
        &mut self,
        workload: &WorkloadName,
        stream: StreamId,
        session: &Session,
    ) -> Option<&mut Record> {
        let record = self.current(workload, stream)?;
        record.subscribed = session.subscribed().cloned().collect();
        record.enforced = session
            .enforced()
            .map(|(name, it)| (name.clone(), it))
            .collect();
        record.rejected = session
            .rejected()
            .map(|(name, it)| (name.clone(), it.clone()))
            .collect();
        Some(record)
    }

    /// Keeps those whose workload is there.
    pub fn retain(&mut self, exists: impl Fn(&WorkloadName) -> bool) {
        self.records.retain(|workload, _| exists(workload));
    }

    /// All records.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&WorkloadName, &mut Record)> {
        self.records.iter_mut()
    }

    /// One record.
    #[must_use]
    pub fn record(&self, workload: &WorkloadName) -> Option<&Record> {
        self.records.get(workload)
    }

    /// How many have an open stream.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.records.values().filter(|it| it.is_connected()).count()
    }

    /// How far `generation` of `object` has come.
    #[must_use]
    pub fn tally(&self, object: &ObjectRef, generation: i64) -> Tally {
        let mut tally = Tally::default();
        for record in self.records.values() {
            if let Some(enforced) = record.programmed(object, generation) {
                tally.needed += 1;
                tally.programmed += usize::from(enforced);
            }
        }
        tally
    }

    /// Rejections of resources that `object` had a part in.
    pub fn rejections<'a>(
        &'a self,
        object: &'a ObjectRef,
    ) -> impl Iterator<Item = (&'a WorkloadName, &'a ResourceName, &'a Rejected)> {
        self.records.iter().flat_map(move |(workload, record)| {
            record.rejected.iter().filter_map(move |(name, rejected)| {
                let desired = record.desired.get(name)?;
                let current = desired.version() == rejected.version;
                let named = desired
                    .resource
                    .sources()
                    .iter()
                    .any(|it| it.object == *object);
                (current && named).then_some((workload, name, rejected))
            })
        })
    }

    /// All proxies, for people.
    #[must_use]
    pub fn statuses(&self) -> Vec<ProxyStatus> {
        let resource =
            |record: &Record, name: &ResourceName, published: &Published| ResourceStatus {
                name: name.clone(),
                version: published.version(),
                enforced: record.enforced.get(name).copied(),
                rejected: record
                    .rejected
                    .get(name)
                    .map(|it| format!("{}: {}", it.field, it.reason)),
            };
        self.records
            .iter()
            .map(|(workload, record)| ProxyStatus {
                workload: workload.to_string(),
                connected: record.is_connected(),
                settled: record.is_settled(),
                subscribed: record.subscribed.iter().cloned().collect(),
                resources: record
                    .desired
                    .iter()
                    .map(|(name, it)| resource(record, name, it))
                    .collect(),
            })
            .collect()
    }
}
