//! What every long-running binary of Weft shares: how it logs, starts and ends, and shows itself.
//!
//! Only this crate spawns tasks and threads for runtimes, reads signals, and opens an admin port;
//! it knows nothing of policy, certificates or Kubernetes and depends on no other crate of ours.
//!
//! | module | what it gives |
//! |---|---|
//! | [`config`] | [`config::Strings`] (injectable source of strings), [`config::Reader`] (typed, collects every error), [`config::EXIT_CONFIG`] |
//! | [`log`] | [`log::init`] (text or JSON to stderr through a bounded writer), [`log::LogHandle`], [`log::Lines`] (the same writer for an access log) |
//! | [`accept`] | [`accept::accept`]: the next connection, whatever goes wrong with one |
//! | [`task`] | [`task::spawn`], [`task::Task`], [`task::Tasks`], [`task::blocking`]: named and supervised |
//! | [`shard`] | [`shard::Shards`] (N runtimes on N threads), [`shard::Worker`] (one) |
//! | [`drain`] | [`drain::Drain`], [`drain::DrainWatch`], [`drain::DrainGuard`]: graceful, then a deadline, then forced |
//! | [`signal`] | [`signal::Signals`] (SIGTERM, SIGINT) and [`signal::drain_on_signal`] |
//! | [`ready`] | [`ready::Readiness`] with named [`ready::Condition`]s that say why not |
//! | [`admin`] | [`admin::Admin`]: `/ready`, `/live`, `/metrics`, and the binary's own routes |
//! | [`metrics`] | [`metrics::root`] registry with `process_*`, [`metrics::Exposition`] in either text format |
//!
//! A binary's start, in order: read `Config` through `Strings`; `log::init`; `metrics::root` and
//! register every family; `Readiness` with one condition for each thing waited for; `Admin::start`;
//! `Drain::new`; `Shards::start`; then `signal::drain_on_signal` until the process may exit.

pub mod accept;
pub mod admin;
pub mod config;
pub mod drain;
pub mod log;
pub mod metrics;
pub mod ready;
pub mod shard;
pub mod signal;
pub mod task;
