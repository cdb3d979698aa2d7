//! weft-proxy, the data plane: a sidecar that stands beside one workload and speaks for it.
//!
//! | module | its part |
//! |---|---|
//! | [`config`] | the environment, read once |
//! | [`app`] | start, listeners, readiness, end |
//! | [`control`] | the stream from the control plane; its `apply` is the only writer of tables |
//! | [`tables`] | what is in force: immutable snapshots, read without a lock |
//! | [`identity`] | the workload's certificate: obtained, renewed |
//! | [`accept`], [`detect`] | a connection, and what it speaks |
//! | [`outbound`], [`inbound`] | the two pipelines, stage by stage |
//! | [`route`], [`policy`], [`balance`], [`connect`] | the stages |
//! | [`observe`] | metrics and access log |
//! | [`error`], [`respond`] | every reply that the proxy makes itself |
//!
//! It never links Kubernetes and never sees a CRD. Every decision is `weft-traffic`'s.

pub mod accept;
pub mod app;
pub mod balance;
pub mod body;
pub mod config;
pub mod connect;
pub mod control;
pub mod detect;
pub mod error;
pub mod headers;
pub mod identity;
pub mod inbound;
pub mod observe;
pub mod outbound;
pub mod policy;
pub mod respond;
pub mod route;
pub mod shard;
pub mod tables;

pub use app::main_from_env;
