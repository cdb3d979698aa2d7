//! The demo shop: seven small services, a storefront and a load generator in one binary.
//!
//! The shop is a *user* of the mesh. It depends on no crate of the mesh, knows no certificate and no
//! policy, and runs the same with or without sidecars: it sends plain requests to bare service
//! names, through whatever `http_proxy` says, and reports what it saw.
//!
//! Where to start reading: [`server`] is one running service, `services` what each of them does,
//! `app` how a service calls another and keeps the hops, [`load`] the load generator.

pub mod config;
pub mod drain;
pub mod load;
pub mod server;
pub mod service;

mod app;
mod caller;
mod catalogue;
mod chaos;
mod cli;
mod client;
mod extract;
mod fault;
mod files;
mod forward;
mod hops;
mod money;
mod names;
mod proto;
mod services;
mod store;
mod task;

pub use chaos::Knobs;
pub use cli::run_from_args;
pub use client::proxy::{ProxyRules, ProxyRulesError};
pub use files::files;
