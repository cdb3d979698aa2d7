//! Nanoseconds and allocations of the decisions that a proxy takes once per request.

#![expect(
    clippy::expect_used,
    reason = "inputs are fixed; one that cannot be built must stop the run, not skip a line of it"
)]

use divan::{AllocProfiler, Bencher, black_box};
use http::{Method, Uri};
use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};
use weft_bench::{Kind, backends, headers, members, policy};
use weft_model::cluster::LoadBalance;
use weft_traffic::{Balancer, Outcome, Request, explain::explain, route, split};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Measures `decide` on the request that only the last rule of a policy covers.
fn with_policy(
    bencher: Bencher<'_, '_>,
    kind: Kind,
    rules: usize,
    decide: impl Fn(&weft_model::route::OutboundPolicy, &Request<'_>) -> bool + Sync,
) {
    let policy = policy(kind, rules).expect("a fixed policy");
    let uri: Uri = format!("/service/{}/x?q=1", rules.saturating_sub(1))
        .parse()
        .expect("a fixed target");
    let headers = headers();
    bencher.bench(|| {
        let request = Request::new(&Method::GET, black_box(&uri), black_box(&headers));
        decide(black_box(&policy), &request)
    });
}

/// Finding the rule, by the number of rules before it.
#[divan::bench(args = [1, 10, 100])]
fn route_by_prefix(bencher: Bencher<'_, '_>, rules: usize) {
    with_policy(bencher, Kind::Prefix, rules, |policy, request| {
        route(policy, request).is_some()
    });
}

#[divan::bench(args = [1, 10, 100])]
fn route_by_regex(bencher: Bencher<'_, '_>, rules: usize) {
    with_policy(bencher, Kind::Regex, rules, |policy, request| {
        route(policy, request).is_some()
    });
}

#[divan::bench(args = [1, 10, 100])]
fn route_by_header(bencher: Bencher<'_, '_>, rules: usize) {
    with_policy(bencher, Kind::Header, rules, |policy, request| {
        route(policy, request).is_some()
    });
}

#[divan::bench(args = [10])]
fn explain_by_prefix(bencher: Bencher<'_, '_>, rules: usize) {
    with_policy(bencher, Kind::Prefix, rules, |policy, request| {
        explain(policy, request).chosen.is_some()
    });
}

#[divan::bench(args = [1, 2, 10])]
fn split_by_weight(bencher: Bencher<'_, '_>, count: u32) {
    let weights: Vec<NonZeroU32> = (1..=count).filter_map(NonZeroU32::new).collect();
    let backends = backends(&weights).expect("a fixed host");
    let mut rng = fastrand::Rng::with_seed(1);
    bencher.bench_local(|| split::choose(black_box(&backends), &mut rng).is_some());
}

/// One request's whole work on a balancer: pick, begin, end. Half of the cluster's members have one in flight.
fn balance(bencher: Bencher<'_, '_>, algorithm: LoadBalance, count: u64, spread: u32) {
    let start = epoch();
    let mut now = start;
    let mut rng = fastrand::Rng::with_seed(1);
    let mut balancer = Balancer::new(algorithm);
    balancer.update(now, members(count, spread));
    for member in members(count, spread).step_by(2) {
        balancer.started(member.id);
    }
    bencher.bench_local(|| {
        now += Duration::from_micros(50);
        let id = balancer.pick(now, &mut rng)?;
        balancer.started(id);
        balancer.finished(id, now, Duration::from_millis(5), Outcome::Success);
        Some(id)
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had from the clock alone; only differences from it are used"
)]
fn epoch() -> Instant {
    Instant::now()
}

#[divan::bench(args = [2, 100, 1000])]
fn balance_ewma(bencher: Bencher<'_, '_>, endpoints: u64) {
    balance(bencher, LoadBalance::Ewma, endpoints, 1);
}

#[divan::bench(args = [2, 100, 1000])]
fn balance_ewma_weighted(bencher: Bencher<'_, '_>, endpoints: u64) {
    balance(bencher, LoadBalance::Ewma, endpoints, 5);
}

#[divan::bench(args = [2, 100, 1000])]
fn balance_least_request(bencher: Bencher<'_, '_>, endpoints: u64) {
    balance(bencher, LoadBalance::LeastRequest, endpoints, 1);
}

#[divan::bench(args = [2, 100, 1000])]
fn balance_round_robin(bencher: Bencher<'_, '_>, endpoints: u64) {
    balance(bencher, LoadBalance::RoundRobin, endpoints, 1);
}

#[divan::bench(args = [2, 100, 1000])]
fn balance_round_robin_weighted(bencher: Bencher<'_, '_>, endpoints: u64) {
    balance(bencher, LoadBalance::RoundRobin, endpoints, 5);
}

#[divan::bench(args = [2, 100, 1000])]
fn balance_random(bencher: Bencher<'_, '_>, endpoints: u64) {
    balance(bencher, LoadBalance::Random, endpoints, 1);
}
