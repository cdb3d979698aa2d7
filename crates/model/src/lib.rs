//! The mesh's nouns and limits, shared by everything else.
//!
//! Two layers live here. *Policy* ([`policy`]) is what a user's object means once it is parsed and checked, before any
//! name is resolved against the cluster. *Resources* ([`resource`], [`route`], [`cluster`], [`endpoint`], [`inbound`],
//! [`workload`]) are what a proxy is given: resolved, self-contained, one immutable value per name.
//!
//! This crate does no I/O and knows neither protobuf nor Kubernetes. Types are built by parsing: a value that exists is
//! valid. Everything derives `Serialize`, so `/config` and `weft explain` print the same words.

pub mod cluster;
pub mod endpoint;
pub mod host;
pub mod identity;
pub mod inbound;
pub mod limits;
pub mod matching;
pub mod mesh;
pub mod pattern;
pub mod policy;
pub mod problem;
pub mod protocol;
pub mod resource;
pub mod route;
pub mod source;
pub mod trust;
pub mod workload;

/// Labels of a workload or a selector, in a stable order (versions are hashes of it).
pub type Labels = std::collections::BTreeMap<String, String>;

/// Whether every label of `selector` is among `labels`. An empty selector selects everything.
#[must_use]
pub fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}
