//! `GET /config`: what this sidecar enforces, with the objects that say so.

use crate::tables::{Answer, Snapshot, describe};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc, time::SystemTime};
use weft_identity::store::IdentityStore;
use weft_model::{
    cluster::Cluster,
    endpoint::Endpoints,
    inbound::InboundPolicy,
    resource::{ResourceName, Version},
    route::OutboundPolicy,
    workload::WorkloadConfig,
};

#[derive(Serialize)]
struct Dump {
    workload: Option<Arc<WorkloadConfig>>,
    certificate: Option<Certificate>,
    /// What the application addressed, and what that means.
    names: BTreeMap<String, String>,
    outbound: Vec<Arc<OutboundPolicy>>,
    clusters: Vec<Cluster>,
    endpoints: Vec<Arc<Endpoints>>,
    inbound: Vec<Arc<InboundPolicy>>,
    versions: BTreeMap<ResourceName, Version>,
}

#[derive(Serialize)]
struct Certificate {
    identity: String,
    serial: String,
    expires_in_seconds: u64,
}

/// The text of `/config`.
#[must_use]
pub(super) fn config(snapshot: &Snapshot, identity: &IdentityStore) -> String {
    let certificate = identity.leaf().map(|leaf| Certificate {
        identity: leaf.id().to_string(),
        serial: leaf.serial().to_string(),
        expires_in_seconds: leaf
            .not_after()
            .duration_since(SystemTime::now())
            .map_or(0, |left| left.as_secs()),
    });
    let meaning = |answer: &Answer| match answer {
        Answer::Outbound(host, port) => format!("outbound/{host}:{port}"),
        Answer::Other => "known".to_owned(),
        Answer::NotFound => "not in the mesh: passed through".to_owned(),
    };
    let names = snapshot
        .names
        .iter()
        .map(|(name, entry)| (describe(name), meaning(&entry.answer)));
    let mut dump = Dump {
        workload: snapshot.workload.clone(),
        certificate,
        names: names.collect(),
        outbound: snapshot.outbound.values().cloned().collect(),
        clusters: snapshot
            .clusters
            .values()
            .map(|handle| handle.cluster.clone())
            .collect(),
        endpoints: snapshot.endpoints.values().cloned().collect(),
        inbound: snapshot.inbound.values().cloned().collect(),
        versions: snapshot.versions.clone(),
    };
    dump.outbound
        .sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
    dump.clusters.sort_by(|a, b| a.name.cmp(&b.name));
    dump.endpoints
        .sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
    dump.inbound.sort_by_key(|policy| policy.port);
    // Only maps with string keys and plain values: this cannot fail, and an empty page would say so.
    serde_json::to_string_pretty(&dump).unwrap_or_default()
}
