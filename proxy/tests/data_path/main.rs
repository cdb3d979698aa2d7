//! The data path with real sockets: two proxies in one process over tables made by hand, an authority of the test's own,
//! real HTTP, gRPC and TCP servers behind them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set up its parts has failed"
)]

mod balance;
mod drain;
mod errors;
mod fairness;
mod grpc;
mod http;
mod modes;
mod observe;
mod pair;
mod tcp;
mod timeout;
