//! End to end, against the real binaries: a mesh of processes from a folder of YAML.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod change;
mod fixture;
mod identity;
mod outage;
mod protocols;
mod routing;
