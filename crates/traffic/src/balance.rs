//! Which endpoint of a cluster gets the next request, and what is learned from how requests end.
//!
//! One [`Balancer`] per cluster and table of endpoints. It owns no lock, clock or chance: its owner asks it to
//! [`Balancer::pick`] and, under the same lock, says [`Balancer::started`]; when the request is over, whatever happened,
//! [`Balancer::finished`]. Nothing is allocated per request. In the flow it stands between the choice of a backend and
//! the connection to an endpoint.
//!
//! Invariants: an endpoint that is gone, draining or of weight 0 is never picked; what was learned of an endpoint, its
//! requests in flight above all, survives updates of the table and a change of algorithm; the number in flight never
//! goes below zero, also when an endpoint leaves and returns while requests to it are under way.
//!
//! # Weights
//!
//! An endpoint of weight w counts as w endpoints that share one load. So with all else equal its share is w over the
//! sum of weights under every algorithm, and where two candidates are compared, each of its w parts carries its part of
//! the requests in flight. Kubernetes gives every endpoint the same weight, and then none of this costs anything.
//! Where weights differ, peak-EWMA takes costs within a quarter of each other for equal, so that the first draw, which is
//! by weight, decides: the endpoint that is asked more often meets more peaks, and would else lose its share to that
//! noise.
//!
//! # Latency (peak-EWMA)
//!
//! Two different endpoints are drawn and the one of less *cost* is taken:
//!
//! ```text
//! cost = latency estimate / success rate * (in flight / weight + 1)
//! ```
//!
//! The estimate is Finagle's and Linkerd's: a sample above it replaces it at once, one below draws it down with a time
//! constant of [`EWMA_DECAY`], and without samples it decays towards zero, so that an endpoint that was once slow is
//! asked again after a while. Two things differ from Linkerd, on purpose.
//!
//! *Failures.* An endpoint that fails at once looks like the fastest one and attracts all requests. Here a failure
//! counts as a sample of at least the latency that successes of the cluster typically have, and lowers the success rate,
//! an average over the last ten requests or so. Cost divided by success rate is the time one waits for a success if one
//! asks until it comes. An endpoint that only fails is a thousand times as costly after some sixty failures, and is
//! then tried with a single request about once a minute; its successes bring it back. The rate reacts to shares, not to
//! single events: when every endpoint fails one request in a hundred, latency still decides. LEAST_REQUEST, ROUND_ROBIN
//! and RANDOM ignore failures, as Envoy's do; ejecting endpoints is outlier detection's task.
//!
//! *Newcomers.* Linkerd assumes [`EWMA_DEFAULT_RTT`] of an endpoint that has answered nothing. Beside peers of 1 ms that
//! starves it for half a minute, beside peers of 2 s it attracts everything until its first answer. Here that assumption
//! holds only while the whole cluster has answered nothing; later a newcomer is assumed to be as fast as the cluster's
//! typical success, so that it gets its share at once, no more.
//!
//! # Least request
//!
//! Two different endpoints are drawn, the one with fewer requests in flight is taken, the first drawn if they are equal.
//! (Envoy may draw the same one twice, which with two endpoints sends a quarter of all requests to the busier one.)

mod draw;
mod estimate;
mod turns;

use crate::chance::Chance;
use draw::{Eligible, Pair};
use estimate::{Average, Estimate, SuccessRate};
use http::StatusCode;
use std::time::{Duration, Instant};
use turns::Turns;
use weft_model::{
    cluster::LoadBalance,
    endpoint::{Endpoint, EndpointId},
    limits::EWMA_DEFAULT_RTT,
};

#[cfg(doc)]
use weft_model::limits::EWMA_DECAY;

/// Costs up to this ratio count as equal where weights differ: more than the peaks of a steady service make, less than a
/// slower machine does.
const UNEVEN_EQUAL: f64 = 1.25;

/// What a balancer is told about an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: EndpointId,
    /// Its share; 0 gets nothing.
    pub weight: u32,
    /// It gets no new requests.
    pub draining: bool,
}

impl From<&Endpoint> for Member {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id,
            weight: endpoint.weight,
            draining: endpoint.draining,
        }
    }
}

/// How a request to an endpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Success,
    /// The endpoint failed it: no connection, a reset, a timeout, or an answer that says so.
    Failure,
    /// The client went away first. All that is known is that the answer took longer than this.
    Cancelled,
}

impl Outcome {
    /// What an answer's status says of the endpoint: 5xx and 429 are its failures.
    ///
    /// 429 is one because an endpoint that turns requests away quickly must not look fast (Linkerd biases its load for
    /// the same reason).
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Self::Failure
        } else {
            Self::Success
        }
    }

    /// What a `grpc-status` says of the endpoint: UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE
    /// and DATA_LOSS are its failures.
    #[must_use]
    pub fn of_grpc_status(status: u32) -> Self {
        match status {
            2 | 4 | 8 | 13 | 14 | 15 => Self::Failure,
            _ => Self::Success,
        }
    }
}

/// What is known of one endpoint.
#[derive(Debug, Clone)]
struct Slot {
    member: Member,
    in_flight: u32,
    latency: Estimate,
    success: SuccessRate,
    /// Smooth weighted round robin's credit.
    credit: i64,
}

/// An endpoint as a balancer sees it, for the admin server and tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// What the balancer was told.
    pub member: Member,
    /// Requests in flight.
    pub in_flight: u32,
    /// Latency estimate at the moment asked for.
    pub latency: Duration,
    /// Recent share of successes, in (0, 1].
    pub success_rate: f64,
}

/// Chooses endpoints; see the module's documentation.
#[derive(Debug)]
pub struct Balancer {
    algorithm: LoadBalance,
    /// The table's endpoints, sorted by id.
    slots: Vec<Slot>,
    /// Endpoints that left the table with requests in flight. Few, and each leaves with its last request.
    departed: Vec<Slot>,
    /// Those of `slots` that may be picked.
    eligible: Eligible,
    turns: Turns,
    /// Latency of the cluster's successes.
    typical: Average,
}

impl Balancer {
    /// A balancer without endpoints.
    #[must_use]
    pub fn new(algorithm: LoadBalance) -> Self {
        Self {
            algorithm,
            slots: Vec::new(),
            departed: Vec::new(),
            eligible: Eligible::default(),
            turns: Turns::default(),
            typical: Average::default(),
        }
    }

    /// Goes on with another algorithm and all that was learned.
    pub fn set_algorithm(&mut self, algorithm: LoadBalance) {
        self.algorithm = algorithm;
    }

    /// Replaces the table of endpoints. What is known of an endpoint that stays is kept, also of one that left with
    /// requests in flight and returns. Of two members with one id the first counts.
    pub fn update(&mut self, now: Instant, members: impl IntoIterator<Item = Member>) {
        let mut members: Vec<Member> = members.into_iter().collect();
        members.sort_by_key(|member| member.id);
        members.dedup_by_key(|member| member.id);
        let mut known = std::mem::take(&mut self.slots);
        known.append(&mut self.departed);
        known.sort_by_key(|slot| slot.member.id);
        let mut known = known.into_iter().peekable();
        let assumed = self.typical.get().unwrap_or(EWMA_DEFAULT_RTT);
        for member in members {
            while let Some(gone) = known.next_if(|slot| slot.member.id < member.id) {
                self.depart(gone);
            }
            let slot = match known.next_if(|slot| slot.member.id == member.id) {
                Some(slot) => Slot { member, ..slot },
                None => Slot {
                    member,
                    in_flight: 0,
                    latency: Estimate::new(assumed, now),
                    success: SuccessRate::default(),
                    credit: 0,
                },
            };
            self.slots.push(slot);
        }
        known.for_each(|gone| self.depart(gone));
        let eligible = Eligible::new(self.slots.iter().map(|slot| slot.member));
        if eligible != self.eligible {
            // Credits are relative to the weights they were earned under.
            self.slots.iter_mut().for_each(|slot| slot.credit = 0);
            self.eligible = eligible;
        }
    }

    fn depart(&mut self, slot: Slot) {
        if slot.in_flight > 0 {
            self.departed.push(slot);
        }
    }

    /// The endpoint for the next request. None: there is none that may be given one.
    ///
    /// The caller says [`Self::started`] before it lets go of its lock, or the next pick does not know of this one.
    #[must_use]
    pub fn pick(&mut self, now: Instant, chance: &mut impl Chance) -> Option<EndpointId> {
        let index = match self.algorithm {
            LoadBalance::Ewma => self.lesser(chance, |one, other| {
                let unit = self.eligible.unit();
                let equal = if self.eligible.even() {
                    1.0
                } else {
                    UNEVEN_EQUAL
                };
                one.cost(now, unit) <= other.cost(now, unit) * equal
            }),
            LoadBalance::LeastRequest => self.lesser(chance, |one, other| {
                one.load_beside(other) <= other.load_beside(one)
            }),
            LoadBalance::RoundRobin => self.turns.next(&mut self.slots, &self.eligible, chance),
            LoadBalance::Random => self.eligible.one(chance),
        }?;
        self.slots.get(index).map(|slot| slot.member.id)
    }

    /// The better one of two draws. `first_wins` is given the first draw and the second.
    fn lesser(
        &self,
        chance: &mut impl Chance,
        first_wins: impl FnOnce(&Slot, &Slot) -> bool,
    ) -> Option<usize> {
        let Pair { first, second } = self.eligible.two(chance)?;
        let Some(second) = second else {
            return Some(first);
        };
        let (one, other) = (self.slots.get(first)?, self.slots.get(second)?);
        Some(if first_wins(one, other) {
            first
        } else {
            second
        })
    }

    /// A request to `id` begins.
    pub fn started(&mut self, id: EndpointId) {
        if let Some(slot) = self.slot(id) {
            slot.in_flight = slot.in_flight.saturating_add(1);
        }
    }

    /// A request to `id` is over: `latency` is the time from its start to the answer's head, or to its failure.
    ///
    /// Every [`Self::started`] is followed by exactly one of these, whether or not the endpoint is still in the table.
    pub fn finished(&mut self, id: EndpointId, now: Instant, latency: Duration, outcome: Outcome) {
        let at_least = self.typical.get().unwrap_or(EWMA_DEFAULT_RTT);
        let Some(slot) = self.slot(id) else {
            return;
        };
        slot.in_flight = slot.in_flight.saturating_sub(1);
        match outcome {
            Outcome::Success => {
                slot.latency.sample(latency, now);
                slot.success.succeeded();
            }
            Outcome::Failure => {
                slot.latency.sample(latency.max(at_least), now);
                slot.success.failed();
            }
            Outcome::Cancelled => slot.latency.raise(latency, now),
        }
        if outcome == Outcome::Success {
            self.typical.sample(latency, now);
        }
        self.departed.retain(|slot| slot.in_flight > 0);
    }

    fn slot(&mut self, id: EndpointId) -> Option<&mut Slot> {
        match self.slots.binary_search_by_key(&id, |slot| slot.member.id) {
            Ok(index) => self.slots.get_mut(index),
            Err(_) => self.departed.iter_mut().find(|slot| slot.member.id == id),
        }
    }

    /// Whether any endpoint may be given a request.
    #[must_use]
    pub fn has_eligible(&self) -> bool {
        !self.eligible.is_empty()
    }

    /// What is known of the table's endpoints, by id.
    pub fn observed(&self, now: Instant) -> impl Iterator<Item = Observed> {
        self.slots.iter().map(move |slot| Observed {
            member: slot.member,
            in_flight: slot.in_flight,
            latency: slot.latency.at(now),
            success_rate: slot.success.get(),
        })
    }
}

impl Slot {
    /// See the module's documentation. `unit` is the weight that counts as one endpoint.
    fn cost(&self, now: Instant, unit: u32) -> f64 {
        let parts = f64::from(self.member.weight) / f64::from(unit.max(1));
        let queue = f64::from(self.in_flight) / parts.max(1.0) + 1.0;
        self.latency.nanos_at(now) / self.success.get() * queue
    }

    /// Requests in flight by weight, in a unit that `other`'s are measured in too.
    fn load_beside(&self, other: &Self) -> u64 {
        u64::from(self.in_flight) * u64::from(other.member.weight)
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
