//! What an algorithm does to a cluster over time, on a virtual clock: clients in a closed loop before servers whose
//! latency and failures are given. Seeds are fixed, so a result is a fact and not a chance.

use super::*;
use crate::fixture;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// How a server answers one request: it may look at the time since the start and at a number in 0..1.
type Server = Box<dyn Fn(Duration, f64) -> (Duration, Outcome)>;

fn steady(millis: u32) -> Server {
    Box::new(move |_, _| (millis * MS, Outcome::Success))
}

/// Between a half and one and a half times `millis`.
fn noisy(millis: u32) -> Server {
    Box::new(move |_, chance| ((millis * MS).mul_f64(0.5 + chance), Outcome::Success))
}

fn failing(millis: u32) -> Server {
    Box::new(move |_, _| (millis * MS, Outcome::Failure))
}

struct Mesh {
    balancer: Balancer,
    servers: BTreeMap<EndpointId, (u32, Server)>,
    rng: fastrand::Rng,
    start: Instant,
    now: Instant,
    /// Requests under way by their end: when, to whom, since when.
    open: BinaryHeap<Reverse<(Instant, EndpointId, Instant, bool)>>,
    clients: usize,
}

/// Requests of a period by server, and how many of them failed.
#[derive(Debug, Default)]
struct Tally {
    begun: BTreeMap<u64, u32>,
    failed: u32,
}

impl Tally {
    fn all(&self) -> u32 {
        self.begun.values().sum()
    }

    fn of(&self, id: u64) -> u32 {
        self.begun.get(&id).copied().unwrap_or_default()
    }

    fn share(&self, id: u64) -> f64 {
        f64::from(self.of(id)) / f64::from(self.all())
    }
}

impl Mesh {
    fn new(algorithm: LoadBalance, clients: usize, seed: u64) -> Self {
        let start = fixture::start();
        Self {
            balancer: Balancer::new(algorithm),
            servers: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            start,
            now: start,
            open: BinaryHeap::new(),
            clients,
        }
    }

    fn with(mut self, id: u64, weight: u32, server: Server) -> Self {
        self.add(id, weight, server);
        self
    }

    fn add(&mut self, id: u64, weight: u32, server: Server) {
        self.servers.insert(EndpointId(id), (weight, server));
        let members = self.servers.iter().map(|(id, (weight, _))| Member {
            id: *id,
            weight: *weight,
            draining: false,
        });
        self.balancer.update(self.now, members);
    }

    fn run(&mut self, period: Duration) -> Tally {
        let end = self.now + period;
        let mut tally = Tally::default();
        loop {
            while self.open.len() < self.clients {
                let id = self.balancer.pick(self.now, &mut self.rng).unwrap();
                self.balancer.started(id);
                let (_, server) = &self.servers[&id];
                let (latency, outcome) = server(self.now - self.start, self.rng.f64());
                let failed = outcome == Outcome::Failure;
                *tally.begun.entry(id.0).or_default() += 1;
                tally.failed += u32::from(failed);
                self.open
                    .push(Reverse((self.now + latency, id, self.now, failed)));
            }
            match self.open.peek() {
                Some(Reverse((when, ..))) if *when <= end => {}
                _ => break,
            }
            let Reverse((when, id, since, failed)) = self.open.pop().unwrap();
            self.now = when;
            let outcome = if failed {
                Outcome::Failure
            } else {
                Outcome::Success
            };
            self.balancer.finished(id, when, when - since, outcome);
        }
        self.now = end;
        tally
    }
}

/// The share of server 1 in 20 s after 5 s of warm-up, the least and the most of ten seeds.
fn shares(clients: usize, algorithm: LoadBalance, servers: impl Fn(Mesh) -> Mesh) -> (f64, f64) {
    let shares = (0..10).map(|seed| {
        let mut mesh = servers(Mesh::new(algorithm, clients, seed));
        mesh.run(5 * SECOND);
        mesh.run(20 * SECOND).share(1)
    });
    shares.fold((1.0, 0.0), |(least, most), share| {
        (share.min(least), share.max(most))
    })
}

#[test]
fn the_slow_one_of_two_gets_under_5_percent_by_ewma_and_over_7_by_least_request() {
    for servers in [
        (|mesh: Mesh| mesh.with(0, 1, steady(10)).with(1, 1, steady(100))) as fn(Mesh) -> Mesh,
        |mesh| mesh.with(0, 1, noisy(10)).with(1, 1, noisy(100)),
    ] {
        let (_, ewma) = shares(16, LoadBalance::Ewma, servers);
        let (least_request, _) = shares(16, LoadBalance::LeastRequest, servers);
        assert!(ewma < 0.05, "EWMA {ewma}");
        assert!(least_request > 0.07, "LEAST_REQUEST {least_request}");
    }
}

#[test]
fn the_slow_one_is_asked_again_even_by_a_single_client() {
    let mut mesh = Mesh::new(LoadBalance::Ewma, 1, 5)
        .with(0, 1, steady(10))
        .with(1, 1, steady(100));
    mesh.run(5 * SECOND);
    let tally = mesh.run(300 * SECOND);
    // Once per time in which 100 ms decay to 10 ms: 23 s.
    assert!((11..=14).contains(&tally.of(1)), "{tally:?}");
}

#[test]
fn a_server_that_becomes_fast_gets_its_share_back() {
    let recovering: Server = Box::new(|since, _| {
        let latency = if since < 60 * SECOND { 100 } else { 10 };
        (latency * MS, Outcome::Success)
    });
    let mut mesh = Mesh::new(LoadBalance::Ewma, 16, 5)
        .with(0, 1, steady(10))
        .with(1, 1, recovering);
    assert!(mesh.run(60 * SECOND).share(1) < 0.05);
    mesh.run(30 * SECOND);
    let share = mesh.run(10 * SECOND).share(1);
    assert!((0.4..0.6).contains(&share), "{share}");
}

#[test]
fn equals_get_equal_shares() {
    for algorithm in [
        LoadBalance::Ewma,
        LoadBalance::LeastRequest,
        LoadBalance::RoundRobin,
        LoadBalance::Random,
    ] {
        let mut mesh = Mesh::new(algorithm, 32, 8);
        for id in 0..8 {
            mesh.add(id, 1, noisy(10));
        }
        mesh.run(5 * SECOND);
        let tally = mesh.run(20 * SECOND);
        for id in 0..8 {
            let share = tally.share(id);
            assert!((0.11..0.14).contains(&share), "{algorithm:?} {share}");
        }
    }
}

#[test]
fn weights_are_shares_under_every_algorithm_and_load() {
    for algorithm in [
        LoadBalance::Ewma,
        LoadBalance::LeastRequest,
        LoadBalance::RoundRobin,
        LoadBalance::Random,
    ] {
        for clients in [1, 4, 64] {
            let mut mesh = Mesh::new(algorithm, clients, 3)
                .with(0, 60, noisy(10))
                .with(1, 10, noisy(10))
                .with(2, 30, noisy(10));
            mesh.run(5 * SECOND);
            let tally = mesh.run(100 * SECOND);
            for (id, expected) in [(0, 0.6), (1, 0.1), (2, 0.3)] {
                let share = tally.share(id);
                assert!(
                    (share - expected).abs() < 0.03,
                    "{algorithm:?}, {clients} clients: {id} has {share}"
                );
            }
        }
    }
}

#[test]
fn a_server_that_fails_at_once_does_not_win() {
    let mesh = |algorithm, clients| {
        Mesh::new(algorithm, clients, 9)
            .with(0, 1, noisy(100))
            .with(1, 1, failing(1))
            .with(2, 1, noisy(100))
    };
    for clients in [1, 16, 100, 500] {
        let mut ewma = mesh(LoadBalance::Ewma, clients);
        let first = ewma.run(SECOND);
        assert!(first.failed < 400, "{clients} clients: {first:?}");
        let tally = ewma.run(60 * SECOND);
        let failed = f64::from(tally.failed) / f64::from(tally.all());
        assert!(failed < 0.02, "{clients} clients: {tally:?}");
        assert!(
            tally.failed > 0,
            "{clients} clients: it is never tried again"
        );
    }
    // Without the penalty it is a black hole: the control.
    let blind = mesh(LoadBalance::LeastRequest, 100).run(10 * SECOND);
    assert!(
        f64::from(blind.failed) / f64::from(blind.all()) > 0.5,
        "{blind:?}"
    );
}

#[test]
fn a_newcomer_that_fails_at_once_does_not_win_beside_slow_ones() {
    let mut mesh = Mesh::new(LoadBalance::Ewma, 16, 4)
        .with(0, 1, noisy(2000))
        .with(2, 1, noisy(2000));
    mesh.run(60 * SECOND);
    mesh.add(1, 1, failing(1));
    let tally = mesh.run(120 * SECOND);
    assert!(tally.failed < 120, "{tally:?}");
}

#[test]
fn a_server_that_stops_failing_gets_its_share_back() {
    let mended: Server = Box::new(|since, chance| {
        if since < 60 * SECOND {
            (MS, Outcome::Failure)
        } else {
            ((10 * MS).mul_f64(0.5 + chance), Outcome::Success)
        }
    });
    let mut mesh = Mesh::new(LoadBalance::Ewma, 16, 6)
        .with(0, 1, noisy(10))
        .with(1, 1, mended);
    mesh.run(60 * SECOND);
    mesh.run(120 * SECOND);
    let share = mesh.run(30 * SECOND).share(1);
    assert!((0.4..0.6).contains(&share), "{share}");
}

#[test]
fn a_few_failures_everywhere_do_not_hide_latency() {
    let sometimes = |millis: u32| -> Server {
        Box::new(move |_, chance| {
            let outcome = if chance < 0.01 {
                Outcome::Failure
            } else {
                Outcome::Success
            };
            (millis * MS, outcome)
        })
    };
    let (_, most) = shares(16, LoadBalance::Ewma, |mesh| {
        mesh.with(0, 1, sometimes(10)).with(1, 1, sometimes(100))
    });
    assert!(most < 0.05, "{most}");
}

/// Beside fast peers and beside slow ones: a newcomer has its share from the first seconds, neither none nor all.
#[test]
fn a_newcomer_is_neither_starved_nor_flooded() {
    for (millis, period) in [(1, 2 * SECOND), (30, 5 * SECOND), (2000, 30 * SECOND)] {
        for clients in [2, 16] {
            let mut mesh = Mesh::new(LoadBalance::Ewma, clients, 12);
            for id in 0..3 {
                mesh.add(id, 1, noisy(millis));
            }
            mesh.run(60 * SECOND);
            mesh.add(3, 1, noisy(millis));
            let share = mesh.run(period).share(3);
            assert!(
                (0.1..0.5).contains(&share),
                "{millis} ms, {clients} clients: {share}"
            );
        }
    }
}

/// A newcomer that is slow is found out after a few requests.
#[test]
fn a_slow_newcomer_costs_little() {
    let mut mesh = Mesh::new(LoadBalance::Ewma, 16, 13)
        .with(0, 1, noisy(10))
        .with(1, 1, noisy(10));
    mesh.run(30 * SECOND);
    mesh.add(2, 1, steady(1000));
    let tally = mesh.run(20 * SECOND);
    assert!((1..40).contains(&tally.of(2)), "{tally:?}");
}

#[test]
fn after_an_idle_hour_load_still_counts() {
    let mut mesh = Mesh::new(LoadBalance::Ewma, 16, 14)
        .with(0, 1, steady(10))
        .with(1, 1, steady(10));
    mesh.now += 3600 * SECOND;
    let tally = mesh.run(MS);
    assert_eq!((tally.of(0), tally.of(1)), (8, 8));
}
