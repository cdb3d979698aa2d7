//! The policy kinds as a user writes them: Rust types that are the source of truth for the CRDs.
//!
//! Position in the flow: a document is compared with the schema of its kind ([`check`]), becomes one
//! of these types by serde, and `weft-translate` turns it into the model. The same types generate
//! `crds/yaml/` ([`yaml`]). Names, fields and meaning are Istio's, so that existing YAML applies
//! verbatim; the schemas are our own.
//!
//! Invariants: every field is typed (no free-form value, no preserved unknown field), and absent
//! means what it means in Istio. Nothing here judges what a value means: that is `weft-translate`.
//! It must not know the model, nor any client of the Kubernetes API.

#![expect(
    clippy::duplicated_attributes,
    reason = "printer columns of one kind share their type; the lint looks into them"
)]

pub mod authorization_policy;
pub mod check;
pub mod crd;
pub mod destination_rule;
pub mod duration;
pub mod http_match;
pub mod http_route;
pub mod kind;
pub mod mesh_config;
pub mod peer_authentication;
pub mod request_authentication;
mod rules;
pub mod selector;
pub mod service_entry;
pub mod status;
pub mod string_match;
pub mod traffic_policy;
pub mod virtual_service;
pub mod workload_entry;
pub mod yaml;
