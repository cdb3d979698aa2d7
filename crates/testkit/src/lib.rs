//! What tests of the mesh share. A dev-dependency only: nothing that ships may depend on it.
//!
//! | module | what it gives |
//! |---|---|
//! | [`mod@tier`] | [`tier!`]: skips a test with its reason where something is missing, fails where that is not allowed |
//! | [`wait`] | [`wait::eventually`]: polls with a deadline, instead of sleeping |
//! | [`mesh`] | [`mesh::TestCa`]: an authority with identities for the asking |
//! | [`backend`] | real HTTP/1, HTTP/2, gRPC and TCP servers with faults, counters and a memory of what they saw |
//! | [`client`] | [`client::Client`]: one HTTP/1 or HTTP/2 connection over any stream |
//! | [`capture`] | [`capture::Capture`]: stands between two sockets and records the bytes |
//! | [`prometheus`] | [`prometheus::Scrape`]: reads and sums a text exposition |
//! | [`process`] | [`process::Process`]: a child that dies with its test and whose output is kept |
//! | [`push`] | [`push::PushServer`]: a control plane that says exactly what the test tells it to |
//!
//! Everything that listens does so on a loopback port of the kernel's choice and ends when dropped.
//! What cannot be set up panics with its reason: a test without its parts has failed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "only tests call this, and a test that cannot set up its parts has failed"
)]

pub mod backend;
pub mod capture;
pub mod client;
mod config;
pub mod mesh;
pub mod process;
pub mod prometheus;
pub mod push;
pub mod tier;
pub mod wait;

/// A loopback address with a port of the kernel's choice.
pub const ANY_PORT: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
