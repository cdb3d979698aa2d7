//! From a policy as a user wrote it to what it means, with everything that its author should know.
//!
//! Position in the flow: the control plane (and `weft analyze`, the admission webhook) hands over a
//! document or a typed spec; what comes back is a [`Translated`] value of `weft_model::policy` for
//! the index, and problems that name object, field, reason and remedy.
//!
//! Invariants: pure (no clock, no I/O, no state between objects); no panic whatever the input; a
//! problem of severity `Held` or `Invalid` means no value; nothing that is valid but not enforced
//! widens access ([`not_yet_enforced`] is the one list of it). It must not know other objects: whether
//! a reference resolves is the index's question.

pub mod authorization_policy;
mod context;
pub mod destination_rule;
mod duration;
pub mod enforced;
mod kinds;
pub mod locate;
pub mod mesh_config;
mod names;
pub mod not_yet_enforced;
mod object;
pub mod peer_authentication;
mod report;
pub mod request_authentication;
mod selector;
pub mod service_entry;
mod strict;
mod usage;
pub mod virtual_service;
pub mod workload_entry;

pub use context::Context;
pub use locate::locate;
pub use object::{Identity, NotPolicy, identify, object};
pub use weft_model::policy::{Policy, PolicyMeta, Translated};
