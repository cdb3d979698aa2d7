//! What became of each object: accepted, resolved, enforced by how many proxies; and each edit's one line.
//!
//! Place: the only feedback of a configuration's way. [`proxies`] remembers what each proxy enforces, by its
//! acknowledgements; [`journal`] follows edits until they are enforced everywhere; [`text`] says it to people. All pure.

pub mod journal;
pub mod proxies;
pub mod text;

use crate::source::folder::FileProblem;
use serde::Serialize;

/// A policy object's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyStatus {
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Latest generation.
    pub generation: i64,
    /// Whether the latest generation is in force.
    pub accepted: bool,
    /// Whether all its references lead somewhere.
    pub resolved_refs: bool,
    /// Proxies that enforce the latest generation.
    pub programmed: usize,
    /// Proxies that need the object.
    pub needed: usize,
    /// What is wrong.
    pub problems: Vec<FileProblem>,
}
