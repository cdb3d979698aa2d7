//! Who calls in plain text: an inbound believes nobody's name without mutual TLS.
//!
//! Where a policy disables mutual TLS, the inbound counts requests of an unknown caller, and the
//! callers' sidecars count that they sent some. This module puts the two together, so that the edge
//! from order-service to pricing-service stays one edge whose `mtls` turns false. What the inbound
//! saw decides: a request is taken for plain only if the inbound counted it as such, and only as many
//! as callers say to have sent and the inbound has not seen by mutual TLS.
//!
//! The sidecars are not read at one instant, so a caller may be ahead of the inbound by what is in
//! flight. Two rules keep that from being taken for plain text: a caller with nothing by mutual TLS
//! in a look is believed at once, another only for what the inbound still lacks one look later. What
//! cannot be told yet waits for one look, then it is nobody's.
//! Pure: time is an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::meter::{Counts, Edge, UNKNOWN};

/// How far back requests are compared.
const WINDOW: Duration = Duration::from_secs(2);

/// Recent looks.
#[derive(Debug, Default)]
pub struct Plain {
    looks: VecDeque<Look>,
    /// Requests of unknown callers in the last look that nobody was named for.
    waiting: BTreeMap<Edge, Counts>,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    sent: BTreeMap<Edge, f64>,
    /// Seen by the inbound from the named caller, in plain text or not.
    seen: BTreeMap<Edge, f64>,
}

impl Plain {
    /// Moves requests of unknown callers in `tick` to the callers that sent them, as far as it is
    /// known who did.
    pub fn attribute(
        &mut self,
        tick: &mut BTreeMap<Edge, Counts>,
        sent: &BTreeMap<Edge, f64>,
        now: Instant,
    ) {
        while self
            .looks
            .front()
            .is_some_and(|look| now.duration_since(look.at) > WINDOW)
        {
            self.looks.pop_front();
        }
        let mut waited = std::mem::take(&mut self.waiting);
        let is_unknown = |edge: &&Edge| edge.source == UNKNOWN;
        let mut unknown: Vec<Edge> = tick.keys().filter(is_unknown).cloned().collect();
        unknown.extend(waited.keys().cloned());
        unknown.sort();
        unknown.dedup();
        for edge in unknown {
            let mut old = waited.remove(&edge).unwrap_or_default();
            let mut new = tick.remove(&edge).unwrap_or_default();
            let callers = self.callers(&edge, sent);
            for caller in &callers {
                let lacking = self.lacking(caller, tick, sent);
                let mut named = take(&mut old, lacking);
                named.merge(&take(&mut new, lacking - named.requests));
                if named.requests > 0.0 {
                    tick.entry(caller.clone()).or_default().merge(&named);
                }
            }
            if callers.is_empty() {
                old.merge(&new);
            } else if new.requests > 0.0 {
                self.waiting.insert(edge.clone(), new);
            }
            if old.requests > 0.0 {
                tick.insert(edge, old);
            }
        }
        let seen = tick
            .iter()
            .map(|(edge, counts)| (edge.clone(), counts.requests));
        self.looks.push_back(Look {
            at: now,
            seen: seen.collect(),
            sent: sent.clone(),
        });
    }

    /// Who said lately to have sent to the destination of `edge`.
    fn callers(&self, edge: &Edge, sent: &BTreeMap<Edge, f64>) -> Vec<Edge> {
        let earlier = self.looks.iter().flat_map(|look| look.sent.keys());
        let mut callers: Vec<Edge> = earlier
            .chain(sent.keys())
            .filter(|caller| {
                let placed = Edge {
                    source: edge.source.clone(),
                    source_namespace: edge.source_namespace.clone(),
                    ..(*caller).clone()
                };
                placed == *edge && caller.source != UNKNOWN
            })
            .cloned()
            .collect();
        callers.sort();
        callers.dedup();
        callers
    }

    /// How many requests a caller sent that the inbound has not seen under its name.
    fn lacking(
        &self,
        caller: &Edge,
        tick: &BTreeMap<Edge, Counts>,
        sent: &BTreeMap<Edge, f64>,
    ) -> f64 {
        let of = |map: &BTreeMap<Edge, f64>| map.get(caller).copied().unwrap_or(0.0);
        let seen_now = tick.get(caller).map_or(0.0, |counts| counts.requests);
        let sent_before: f64 = self.looks.iter().map(|look| of(&look.sent)).sum();
        let seen_before: f64 = self.looks.iter().map(|look| of(&look.seen)).sum();
        let late = sent_before - seen_before - seen_now;
        if seen_now > 0.0 {
            return late.max(0.0);
        }
        (late.max(0.0) + of(sent)).max(0.0)
    }
}

/// Takes up to `requests` out of `counts`.
fn take(counts: &mut Counts, requests: f64) -> Counts {
    if requests <= 0.0 || counts.requests <= 0.0 {
        return Counts::default();
    }
    let share = (requests / counts.requests).min(1.0);
    let taken = counts.scaled(share);
    *counts = counts.scaled(1.0 - share);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(source: &str) -> Edge {
        Edge {
            source: source.to_owned(),
            source_namespace: if source == UNKNOWN {
                UNKNOWN
            } else {
                "production"
            }
            .to_owned(),
            destination: "pricing-service".to_owned(),
            destination_namespace: "production".to_owned(),
            destination_version: "v1".to_owned(),
            protocol: "http".to_owned(),
        }
    }

    /// One look: requests sent by order-service, seen from it by mutual TLS, seen from nobody; what is
    /// expected to be counted as plain text of order-service, and as nobody's.
    type Step = (f64, f64, f64, f64, f64);

    #[track_caller]
    fn check(steps: &[Step]) {
        let mut plain = Plain::default();
        let mut now = Instant::now();
        for (index, (sent, secure, unknown, named, nobodys)) in steps.iter().enumerate() {
            now += Duration::from_millis(300);
            let mut tick = BTreeMap::new();
            let counts = |requests: f64, secure: f64| Counts {
                requests,
                secure,
                ..Counts::default()
            };
            if *secure > 0.0 {
                tick.insert(edge("order-service"), counts(*secure, *secure));
            }
            if *unknown > 0.0 {
                tick.insert(edge(UNKNOWN), counts(*unknown, 0.0));
            }
            let sent = BTreeMap::from([(edge("order-service"), *sent)]);
            plain.attribute(&mut tick, &sent, now);
            let requests = |source| {
                tick.get(&edge(source))
                    .map_or(0.0, |counts| counts.requests)
            };
            let found = (requests("order-service") - secure, requests(UNKNOWN));
            assert_eq!(found, (*named, *nobodys), "step {index}");
        }
    }

    #[test]
    fn a_caller_without_mutual_tls_is_named_at_once() {
        check(&[
            (3.0, 3.0, 0.0, 0.0, 0.0),
            // The change: some of both. One waits for what the next look says.
            (3.0, 2.0, 1.0, 0.0, 0.0),
            (3.0, 0.0, 3.0, 4.0, 0.0),
            (3.0, 0.0, 3.0, 3.0, 0.0),
        ]);
    }

    #[test]
    fn a_browser_is_not_taken_for_a_workload() {
        check(&[
            (5.0, 5.0, 2.0, 0.0, 0.0),
            // One is in flight while a browser calls, and arrives with the next look.
            (6.0, 5.0, 2.0, 0.0, 2.0),
            (5.0, 6.0, 2.0, 0.0, 2.0),
            (0.0, 0.0, 4.0, 0.0, 2.0),
            (0.0, 0.0, 0.0, 0.0, 4.0),
        ]);
    }

    #[test]
    fn no_more_is_named_than_was_sent() {
        check(&[(0.0, 0.0, 2.0, 0.0, 0.0), (1.0, 0.0, 5.0, 1.0, 1.0)]);
    }
}
