//! Every decision about a request, as a function of values: which rule matches, which backend and endpoint are chosen,
//! how long the request may take.
//!
//! Nothing here does I/O, reads a clock or draws from a generator of its own: `now` and [`Chance`] are arguments, so a
//! test can replay any decision and `weft explain` gives the same answer offline as a proxy gives live. The order in
//! which a proxy asks: [`mod@route`] (first rule that matches), [`split`] (backend by weight), [`upstream`] (endpoints that
//! may serve it, and how they are dialled), [`balance`] (one endpoint), [`timeout`] (until when).
//!
//! This crate must not know sockets, tables of a proxy, protobuf or Kubernetes.

pub mod balance;
pub mod chance;
pub mod explain;
pub mod matching;
pub mod request;
pub mod route;
pub mod split;
pub mod timeout;
pub mod upstream;

pub use balance::{Balancer, Outcome};
pub use chance::Chance;
pub use request::Request;
pub use route::{RouteChoice, route};

#[cfg(test)]
mod fixture;
