//! The control plane: watches policy and workloads, and pushes each proxy exactly the part it needs.
//!
//! A configuration's way, one direction: [`source`] -> [`watch`] -> [`index`] -> [`snapshot`] -> [`push`]; the only
//! feedback is the proxies' acknowledgements and refusals, into [`status`]. [`ca`] gives identities, [`hub`] is where the
//! two directions meet, [`run_folder`] what a restart finds again. It must not decide a request: it links no code that
//! does.

pub mod admin;
pub mod app;
pub mod ca;
pub mod config;
#[cfg(test)]
mod fixture;
pub mod hub;
pub mod index;
pub mod metrics;
pub mod push;
pub mod run_folder;
pub mod snapshot;
pub mod source;
pub mod status;
pub mod watch;

pub use app::main_from_env;
