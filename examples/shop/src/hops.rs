//! The hops of a request: each call that a service made for it, as the caller saw it.
//!
//! A service that calls others lists its hops in its reply, and takes over the hops that a reply
//! lists, so that the storefront can draw the whole tree.

use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::forward;

/// The longest list of hops that a reply is believed to have.
const MAX_HOPS: usize = 64;

/// One call from a service to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hop {
    /// The service that called.
    pub(crate) from: String,
    /// The service that was called.
    pub(crate) to: String,
    /// `http` or `grpc`.
    pub(crate) protocol: String,
    /// What was asked of it.
    pub(crate) operation: String,
    /// Milliseconds after the start of the outermost request.
    pub(crate) start_ms: f64,
    /// How long the caller waited, in milliseconds.
    pub(crate) ms: f64,
    /// The status of the reply (of gRPC, the HTTP status of the same meaning), `None` without reply.
    pub(crate) status: Option<u16>,
    /// The version that answered, `None` if the reply did not come from the service itself.
    pub(crate) version: Option<String>,
    /// The process that answered.
    pub(crate) instance: Option<String>,
    /// The SPIFFE id that the service which answered saw its caller have.
    pub(crate) identity: Option<String>,
}

/// The course of one request through this process: its context to hand on, and the hops made so far.
#[derive(Debug)]
pub(crate) struct Trail {
    started: Instant,
    forwarded: HeaderMap,
    hops: Mutex<Vec<Hop>>,
}

impl Trail {
    /// The trail of a request that came with these headers, `now`.
    pub(crate) fn new(headers: &HeaderMap, now: Instant) -> Self {
        Self {
            started: now,
            forwarded: forward::headers(headers),
            hops: Mutex::default(),
        }
    }

    /// What goes with every request made for this one.
    pub(crate) const fn forwarded(&self) -> &HeaderMap {
        &self.forwarded
    }

    /// Milliseconds since the request began.
    pub(crate) fn elapsed_ms(&self, now: Instant) -> f64 {
        milliseconds(now.saturating_duration_since(self.started))
    }

    /// Adds a hop and those that its reply listed, which count from the start of the hop.
    pub(crate) fn add(&self, hop: Hop, listed: Vec<Hop>) {
        let offset = hop.start_ms;
        let mut hops = self.hops.lock();
        hops.push(hop);
        for mut below in listed.into_iter().take(MAX_HOPS) {
            below.start_ms = round(below.start_ms + offset);
            hops.push(below);
        }
        hops.truncate(MAX_HOPS);
    }

    /// The hops, in the order in which they ended.
    pub(crate) fn into_hops(self) -> Vec<Hop> {
        self.hops.into_inner()
    }
}

impl<S: Sync> axum::extract::FromRequestParts<S> for Trail {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::new(&parts.headers, Instant::now()))
    }
}

/// What a reply says in one of its headers.
pub(crate) fn said(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

/// A duration as the page shows it: to the microsecond.
pub(crate) fn milliseconds(duration: std::time::Duration) -> f64 {
    round(duration.as_secs_f64() * 1e3)
}

fn round(milliseconds: f64) -> f64 {
    (milliseconds * 1e3).round() / 1e3
}

/// The name of what a call asks: `GET /users/1`.
pub(crate) fn operation(method: &Method, path: &str) -> String {
    format!("{method} {path}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hop(to: &str, start_ms: f64) -> Hop {
        Hop {
            from: "a".into(),
            to: to.into(),
            protocol: "http".into(),
            operation: "GET /".into(),
            start_ms,
            ms: 1.0,
            status: Some(200),
            version: None,
            instance: None,
            identity: None,
        }
    }

    #[test]
    fn hops_of_a_reply_follow_their_own_and_are_shifted() {
        let trail = Trail::new(&HeaderMap::new(), Instant::now());
        trail.add(hop("b", 2.0), vec![hop("c", 0.5), hop("d", 1.5)]);
        let starts: Vec<_> = trail
            .into_hops()
            .into_iter()
            .map(|hop| (hop.to, hop.start_ms))
            .collect();
        assert_eq!(
            starts,
            [("b".into(), 2.0), ("c".into(), 2.5), ("d".into(), 3.5)]
        );
    }

    #[test]
    fn a_reply_cannot_make_the_list_long() {
        let trail = Trail::new(&HeaderMap::new(), Instant::now());
        trail.add(hop("b", 0.0), vec![hop("c", 0.0); 10 * MAX_HOPS]);
        assert_eq!(trail.into_hops().len(), MAX_HOPS);
    }

    #[test]
    fn milliseconds_have_three_digits() {
        assert_eq!(milliseconds(Duration::from_nanos(1_234_567)), 1.235);
    }
}
