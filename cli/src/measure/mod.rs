//! What the mesh does, from what the sidecars count.
//!
//! [`prometheus`] reads their text, [`meter`] turns counters into edges ([`plain`] names callers
//! without mutual TLS), [`quantile`] histograms
//! into percentiles, [`report`] all of it into the JSON that users read.

pub mod meter;
pub mod plain;
pub mod prometheus;
pub mod quantile;
pub mod report;

pub use meter::{Edge, Meter, Span};
pub use report::Report;
