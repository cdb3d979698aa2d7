//! The load generator: sends a mix of requests to the storefront at a fixed rate and reports counts
//! and latencies.
//!
//! Open loop: a request is due at its time whether or not earlier ones were answered. One that waits
//! for a free slot is measured from when it was due, so that a target which stalls cannot hide it;
//! one that could not even begin within a second of its time is not sent and counts as `missed`.
//! Always bounded: in rate, in flight, in time and so in number.

mod histogram;
mod mix;
mod report;
mod request;
mod run;

pub use mix::{Kind, Mix, MixError};
pub use report::{Counts, Latency, Report};
pub use run::{Canceller, Load, LoadConfig, LoadError};
